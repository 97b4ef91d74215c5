// What the platform costs by itself: Durable Objects in plain JavaScript that broadcast, that insert and echo, that
// insert, reply and broadcast, and that broadcast to clients of Socket.IO's.
import { DurableObject } from "cloudflare:workers";

/** Sends to every socket what any of them sends. */
export class Broadcast extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    // Kept: asking for the handles at each broadcast costs a quarter more.
    this.sockets = new Set(ctx.getWebSockets());
  }

  fetch(request) {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    this.sockets.add(server);
    const protocol = request.headers.get("sec-websocket-protocol")?.split(",")[0];
    return new Response(null, { status: 101, webSocket: client, headers: protocol ? { "sec-websocket-protocol": protocol } : {} });
  }

  webSocketMessage(socket, text) {
    if (text.includes('"join_room"')) return socket.send('{"reply":0,"data":{}}');
    for (const each of this.sockets) each.send(text);
  }

  webSocketClose(socket) {
    this.sockets.delete(socket);
  }
}

/** Inserts what it is sent into its SQLite and echoes it. */
export class Echo extends Broadcast {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, text TEXT NOT NULL)");
    const woken = this.sockets.size > 0;
    if (woken) console.log("echo wake");
  }

  webSocketMessage(socket, text) {
    if (text.includes('"join_room"')) return socket.send('{"reply":0,"data":{}}');
    this.ctx.storage.sql.exec("INSERT INTO log (at, text) VALUES (?, ?)", Date.now(), text);
    socket.send(text);
  }
}

/** Inserts what it is sent, replies with its number and sends it to every socket: the least that a chat room does. */
export class Room extends Broadcast {
  constructor(ctx, env) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, event TEXT NOT NULL)");
    this.seq = ctx.storage.sql.exec("SELECT coalesce(max(seq), 0) AS seq FROM log").one().seq;
  }

  webSocketMessage(socket, text) {
    const { id, event, data } = JSON.parse(text);
    if (event === "join_room") return socket.send(JSON.stringify({ reply: id, data: {} }));
    const [seq, at, message_id] = [++this.seq, Date.now(), crypto.randomUUID()];
    const shown = JSON.stringify({ seq, event: "new_message", data: { message_id, content: data.content, at } });
    this.ctx.storage.sql.exec("INSERT INTO log (seq, at, event) VALUES (?, ?, ?)", seq, at, shown);
    socket.send(JSON.stringify({ reply: id, data: { message_id, seq, at } }));
    for (const each of this.sockets) each.send(shown);
  }
}

/**
 * Sends what it is sent to every client of Socket.IO's: an event a frame, which is all that they take. Where its room is
 * `gathered`, as the chat does: the events of 50 ms to a client one after the other, then to the next.
 */
export class Events extends Broadcast {
  fetch(request) {
    this.gathers = new URL(request.url).searchParams.get("room").startsWith("gathered");
    this.waiting = [];
    return super.fetch(request);
  }

  webSocketMessage(socket, text) {
    if (text === "40") return socket.send('40{"sid":"bare"}');
    const [, id, data] = text.match(/^42(\d+)\["message",(.*)\]$/);
    socket.send(`43${id}[{"ok":true}]`);
    this.waiting.push(`42["new_message",${data.slice(0, -1)},${FIELDS}}]`);
    if (!this.gathers) this.leave();
    else this.timer ??= setTimeout(() => this.leave(), 50);
  }

  leave() {
    this.timer = undefined;
    for (const each of this.sockets) for (const shown of this.waiting) each.send(shown);
    this.waiting = [];
  }
}

// A frame is as long as the chat's own.
const FIELDS = '"message_id":"01890a5d-ac96-774b-bcce-b302099a8057","user":{"user_id":"sender","username":"sender"},"timestamp":"2026-01-01T00:00:00.000Z","type":"text","reactions":{},"room_id":"video_1","seq":1000';

export default {
  fetch(request, env) {
    const url = new URL(request.url);
    if (url.pathname === "/socket.io/") return env.EVENTS.getByName(url.searchParams.get("room")).fetch(request);
    const [, kind, room] = url.pathname.match(/^\/api\/rooms\/(broadcast|echo|room)(.*)\/ws$/) ?? [];
    if (!kind) return new Response("ok");
    return env[kind.toUpperCase()].getByName(room).fetch(request);
  },
};
