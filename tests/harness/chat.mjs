// People in rooms and back ends over REST, as the end-to-end tests play them.
import { token } from "./server.mjs";
import { openSocket } from "./socket.mjs";

const claims = (who) => (typeof who === "string" ? { sub: who, username: who[0].toUpperCase() + who.slice(1) } : who);

/**
 * `who` is a user's id (the name is the same, capitalised), a token's claims, or null for a guest.
 *
 * - `open(room, who)`: a socket with the token in the upgrade, not joined.
 * - `join(room, who, data)`: the same, joined; `joined` is the reply to `join_room`.
 * - `rest(method, path, {as, body, headers})`: a request under `/api`; `{status, headers, body}`, the body parsed. A
 *   body that is a string goes as it is.
 */
export function chat(server) {
  const open = async (room, who, options) => {
    const bearer = who === null ? [] : [`bearer.${await token(claims(who))}`];
    return openSocket(server.socketUrl(room), ["chat.v1", ...bearer], options);
  };
  return {
    open,
    async join(room, who, data = {}) {
      const socket = await open(room, who);
      return Object.assign(socket, { joined: await socket.request("join_room", { room_id: room, ...data }) });
    },
    async rest(method, path, { as = null, body, headers = {} } = {}) {
      if (as !== null) headers = { authorization: `Bearer ${await token(claims(as))}`, ...headers };
      if (body !== undefined) headers = { "content-type": "application/json", ...headers };
      const sent = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
      const response = await fetch(`${server.url}/api${path}`, { method, headers, body: sent });
      const text = await response.text();
      const lines = /ndjson/.test(response.headers.get("content-type"));
      const read = lines ? text.trim().split("\n").map((line) => JSON.parse(line)) : text ? JSON.parse(text) : null;
      return { status: response.status, headers: response.headers, body: read };
    },
  };
}
