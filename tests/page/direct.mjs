// A server of devices' keys and direct rooms as the client module sees it, for what a real one does not do on demand:
// losing answers, lying, and showing all that it was ever sent.

const EPOCH = 1732380000000;

const problem = (status, code) => new Response(JSON.stringify({ code, detail: code }), { status, headers: { "content-type": "application/problem+json" } });
const json = (value, status = 200) => new Response(JSON.stringify(value), { status, headers: { "content-type": "application/json" } });

export class StandIn {
  users = new Map();
  backups = new Map();
  rooms = new Map();
  /** user → their open inboxes. */
  inboxes = new Map();
  /** Every body and frame that came. */
  seen = [];
  reports = [];
  /** A test's to change what is answered: `(method, path, answer) => answer`. */
  lie = (method, path, answer) => answer;

  user(id) {
    if (!this.users.has(id)) this.users.set(id, new Map());
    return this.users.get(id);
  }

  room(id) {
    if (!this.rooms.has(id)) this.rooms.set(id, { log: [], sockets: new Set() });
    return this.rooms.get(id);
  }

  /** Options for `openPrivate` of this user, whose token is their id. */
  options(user) {
    const server = this;
    return {
      url: "https://chat.example",
      token: user,
      storage: null,
      tabStorage: null,
      // Whose test is about it says `inbox: undefined`.
      inbox: null,
      fetch: (url, options) => this.#answer(new URL(url), options),
      WebSocket: class extends Socket {
        constructor(url) {
          super(server, user, new URL(url).pathname === "/api/me/ws");
        }
      },
    };
  }

  async #answer(url, { method, headers, body }) {
    const me = headers.authorization.replace("Bearer ", "");
    const path = url.pathname.replace("/api", "");
    if (body) this.seen.push(body);
    return this.lie(method, path, this.#route(me, method, path, url.searchParams, body && JSON.parse(body)));
  }

  #route(me, method, path, query, body) {
    const [, a, b, c, d] = path.split("/").map(decodeURIComponent);
    const route = `${method} ${path.replace(/^\/(users|devices|rooms|messages)\/[^/]+/, "/$1/*")}`;
    switch (route) {
      case "GET /me/devices":
        return json(this.#list(me, true));
      case "GET /users/*/devices":
        return json(this.#list(b, false));
      case "PUT /devices/*/keys": {
        const there = this.user(me).get(b) ?? { device_id: b, one_time: [], claimed: new Set() };
        const { name = there.name, curve25519, ed25519, fallback_key = there.fallback, one_time_keys } = body;
        const fresh = one_time_keys.filter(({ key_id }) => !there.claimed.has(key_id) && !there.one_time.some((key) => key.key_id === key_id));
        Object.assign(there, { name, curve25519, ed25519, fallback: fallback_key });
        there.one_time.push(...fresh);
        this.user(me).set(b, there);
        return json({ device_id: b, one_time_keys: there.one_time.length });
      }
      case "PATCH /devices/*":
        this.user(me).get(b).name = body.name;
        return json({});
      case "DELETE /devices/*":
        this.user(me).delete(b);
        return json({});
      case "POST /users/*/keys/claim": {
        const devices = [...this.user(b).values()].filter(({ device_id }) => body.device_ids.includes(device_id));
        return json({ user_id: b, version: 1, devices: devices.map((device) => ({ ...bare(device), key: take(device) })) });
      }
      case "PUT /users/*/direct":
        return json({ room_id: `dm:${[me, b].sort().join("-")}` });
      case "GET /me/key-backup":
        return this.backups.has(me) ? json({ data: this.backups.get(me) }) : problem(404, "backup_not_found");
      case "PUT /me/key-backup":
        this.backups.set(me, body.data);
        return json({});
      case "POST /messages/*/report":
        this.reports.push({ message_id: b, ...body });
        return json({ report_id: "r" }, 201);
      case "GET /rooms/*/messages": {
        const before = Number(query.get("before") ?? Infinity);
        const older = this.room(b).log.filter(({ no }) => no < before).toReversed();
        const messages = older.slice(0, Number(query.get("limit")));
        return json({ messages, total: older.length, has_more: older.length > messages.length });
      }
      default:
        throw new Error(`${route} ${a} ${c} ${d} is not there`);
    }
  }

  #list(user, own) {
    const devices = [...this.user(user).values()];
    return { user_id: user, version: 1, devices: devices.map((device) => ({ ...bare(device), ...(own && { name: device.name, one_time_keys: device.one_time.length }) })) };
  }
}

const bare = ({ device_id, curve25519, ed25519 }) => ({ device_id, curve25519, ed25519 });

function take(device) {
  const key = device.one_time.shift();
  if (!key) return { ...device.fallback, fallback: true };
  device.claimed.add(key.key_id);
  return { ...key, fallback: false };
}

/** One end of a room's socket; what is said comes to all of them. */
class Socket {
  #server;
  #user;
  #room = null;
  readyState = 0;

  constructor(server, user, isInbox) {
    this.#server = server;
    this.#user = user;
    queueMicrotask(() => {
      this.readyState = 1;
      this.onopen?.();
      if (!isInbox) return;
      server.inboxes.set(user, [...(server.inboxes.get(user) ?? []), this]);
      this.says({ event: "inbox", data: { rooms: [], devices_version: 1 } });
    });
  }

  send(text) {
    const frame = JSON.parse(text);
    if (frame.event === "ping") return;
    this.#server.seen.push(text);
    queueMicrotask(() => this.#take(frame));
  }

  close() {
    this.#room?.sockets.delete(this);
  }

  says(line) {
    this.onmessage?.({ data: JSON.stringify(line) });
  }

  #take({ id, event, data }) {
    if (event === "join_room") {
      this.#room = this.#server.room(data.room_id);
      this.#room.sockets.add(this);
      const { log } = this.#room;
      this.says({ reply: id, data: { room: { room_id: data.room_id, message_count: log.length }, self: { user_id: this.#user, role: "member", can: ["send"] },
        epoch: EPOCH, seq: this.#room.seq ?? 0, resumed: false, messages: log.slice(-100), members: [], online_users: 1, online_guests: 0 } });
    } else if (event === "send_message") {
      const { log } = this.#room;
      const known = log.find((message) => message.client_id === data.client_id && message.user.user_id === this.#user);
      const message = known ?? { message_id: crypto.randomUUID(), no: log.length + 1, room_id: data.room_id, user: { user_id: this.#user, username: this.#user },
        content: data.content, type: data.type, client_id: data.client_id, franking: data.franking, timestamp: new Date().toISOString() };
      if (!known) log.push(message);
      this.says({ reply: id, data: { message_id: message.message_id, seq: message.no, timestamp: message.timestamp } });
      if (!known) this.#tell("new_message", { ...message });
    } else if (event === "edit_message") {
      const message = this.#room.log.find(({ message_id }) => message_id === data.message_id);
      Object.assign(message, { content: data.content, franking: data.franking, edited_at: new Date().toISOString() });
      this.says({ reply: id, data: { message_id: message.message_id } });
      this.#tell("message_edited", { message_id: message.message_id, room_id: message.room_id, content: data.content, franking: data.franking, user_id: this.#user, mentions: [] });
    } else if (event === "delete_message") {
      const message = this.#room.log.find(({ message_id }) => message_id === data.message_id);
      Object.assign(message, { content: "", franking: undefined, deleted_at: new Date().toISOString() });
      this.says({ reply: id, data: { message_id: message.message_id } });
      this.#tell("message_deleted", { message_id: message.message_id, room_id: message.room_id, no: message.no });
    } else if (id) this.says({ reply: id, data: {} });
  }

  #tell(event, data) {
    this.#room.seq = (this.#room.seq ?? 0) + 1;
    for (const socket of this.#room.sockets) socket.says({ seq: this.#room.seq, event, data });
  }
}
