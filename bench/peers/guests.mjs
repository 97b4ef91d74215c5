// A bare object that does for each guest, of what the chat does, the things that stand in its name: what each of them costs
// while nothing is said.
import { DurableObject } from "cloudflare:workers";

/** As long as the chat's own. */
const ATTACHMENT = JSON.stringify({ v: 1, id: 1000, at: 1_790_000_000_000, joined: true, guest: "0123456789012345678901" });
const CALLER = JSON.stringify({ guest: "0123456789012345678901", address: "127.1.100.100", shape: { shards: 0, version: 0 } });
const STATS = JSON.stringify({ event: "room_stats", data: { online_users: 0, online_guests: 1000, message_count: 0, left_out: ["user_joined", "user_left", "user_typing"] } });

export class Guests extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    this.sockets = new Map();
    this.numbers = new Map();
    this.things = new Set();
  }

  async fetch(request) {
    const things = (this.things = new Set(new URL(request.url).pathname.split("/").at(-1).split("+")));
    if (things.has("pings")) this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('{"event":"ping"}', '{"event":"pong"}'));
    if (things.has("promises")) await null;
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server, things.has("tag") ? ["v1"] : []);
    if (things.has("attachment")) server.serializeAttachment(ATTACHMENT.replace("true", "false"));
    this.hold(server);
    const protocol = request.headers.get("sec-websocket-protocol")?.split(",")[0];
    const response = new Response(null, { status: 101, webSocket: client });
    if (protocol) response.headers.set("sec-websocket-protocol", protocol);
    return response;
  }

  hold(socket) {
    const number = this.sockets.size;
    this.sockets.set(number, socket);
    if (this.things.has("numbers")) this.numbers.set(socket, number);
  }

  async webSocketMessage(socket) {
    const { things } = this;
    if (things.has("promises")) await null;
    const data = { ...(things.has("pings") && { epoch: 1, seq: 1 }), ...(things.has("reply") && { more: "x".repeat(900) }) };
    if (things.has("attachment")) socket.serializeAttachment(ATTACHMENT);
    socket.send(JSON.stringify({ reply: 0, data }));
    if (things.has("stats")) this.timer ??= setTimeout(() => this.tell(), 1000);
  }

  async tell() {
    let sent = 0;
    for (const socket of this.sockets.values()) {
      socket.send(STATS);
      if (++sent % 100 === 0 && this.things.has("slices")) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    this.timer = undefined;
  }
}

/** As the chat has it: a request of its own instead of the client's, and no answer in time is an answer. */
function call(object, request, things) {
  const headers = { upgrade: "websocket", "x-caller": CALLER, "sec-websocket-protocol": "chat.v1" };
  const answer = object.fetch(`http://room/${things}`, { headers });
  if (!things.includes("race")) return answer;
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject("late"), 5000)));
  return Promise.race([late, answer]).finally(() => clearTimeout(timer));
}

export default {
  async fetch(request, env) {
    const [, things] = new URL(request.url).pathname.match(/^\/api\/rooms\/(.*)\/ws$/) ?? [];
    if (things === undefined) return new Response("ok");
    const object = env.GUESTS.getByName("guests");
    if (things.includes("request")) return call(object, request, things);
    const url = new URL(request.url);
    url.pathname = `/${things}`;
    return object.fetch(url, request);
  },
};
