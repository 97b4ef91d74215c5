// Guests who only watch: they make a room large.
import WebSocket from "ws";

const AT_ONCE = 50;

/** So many guests join a room; resolves, once all have, to a function that makes them go. They read nothing. */
export async function crowd(server, room, count) {
  const sockets = [];
  const guest = () =>
    new Promise((resolve, reject) => {
      const ws = new WebSocket(server.socketUrl(room), ["chat.v1"]);
      sockets.push(ws);
      ws.on("error", reject);
      ws.on("open", () => ws.send('{"id":1,"event":"join_room","data":{}}'));
      ws.on("message", (data) => {
        const text = data.toString();
        if (text.startsWith('{"reply":1,')) resolve();
        // Who reads nothing would be closed some day.
        for (const [, nonce] of text.matchAll(/"probe","data":\{"nonce":"(\w+)"/g)) ws.send(JSON.stringify({ event: "probe", data: { nonce } }));
      });
    });
  for (let left = count; left > 0; left -= AT_ONCE) await Promise.all(Array.from({ length: Math.min(left, AT_ONCE) }, guest));
  return () => sockets.forEach((ws) => ws.terminate());
}
