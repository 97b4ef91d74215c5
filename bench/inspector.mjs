// A session with workerd's inspector, which is V8's.
import WebSocket from "ws";
import { Stop } from "../scripts/lib/process.mjs";

/** A session with the inspector at this port: `call(method, params)`, `close()`. */
export async function inspector(port) {
  const [{ webSocketDebuggerUrl }] = await (await fetch(`http://127.0.0.1:${port}/json`)).json();
  const socket = new WebSocket(webSocketDebuggerUrl);
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  const waiting = new Map();
  socket.on("message", (text) => {
    const { id, result, error } = JSON.parse(text);
    const [resolve, reject] = waiting.get(id) ?? [];
    waiting.delete(id);
    if (error) reject?.(new Stop(`The inspector answers: ${error.message}`));
    else resolve?.(result);
  });
  let ids = 0;
  const call = (method, params = {}) =>
    new Promise((resolve, reject) => {
      waiting.set(++ids, [resolve, reject]);
      socket.send(JSON.stringify({ id: ids, method, params }));
    });
  return { call, close: () => socket.terminate() };
}
