// People in rooms who talk while servers die under them, and what they were promised.
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "../../client/web/chat.js";
import { token } from "../harness/server.mjs";
import { Follower } from "./follower.mjs";
import { Record } from "./record.mjs";

/** Uniform in [0, 1), the same for the same seed. */
export function dice(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Refusals that are an answer: the message was deleted meanwhile, or has as many reactions as there may be; or the ban
 * was lifted, and the answer to that was lost.
 */
const ANSWERS = ["message_not_found", "too_many_reactions", "user_not_found"];
const REACTIONS = ["👍", "🎉", "❤️", "😂"];

/**
 * A room with its people and what they did; told to expect so many viewers, it is split for them into so many `shards`, with or
 * without a `relay`. `acts`: `{event, data, user, reply}` of what was acknowledged; `deaths`: when an object of it was killed.
 */
export class Room {
  clients = [];
  acts = [];
  refusals = {};
  deaths = [];
  sent = 0;
  #typed = new Map();
  #edited = new Map();
  #messages = [];
  #working = [];
  #stop = false;
  #left = false;

  constructor(id, server, random, { expected = 0, shards, relay } = {}) {
    Object.assign(this, { id, server, random, expected, shards, relay });
  }

  /** What was typed: the text of a message, by its sender's name for it, and those of its edits. */
  texts = { typed: (client_id) => this.#typed.get(client_id), edits: (message_id) => this.#edited.get(message_id) ?? [] };

  async enter() {
    const { server, id, random } = this;
    const url = server.socketUrl(id);
    const bearer = (user, roles) => token({ sub: user, roles, username: user });
    const owner = await bearer("mod", ["moderator"]);
    this.#add("mod", new Follower({ url, protocols: [`bearer.${owner}`], random }), { moderator: true });
    // So that the room is there when a guest comes.
    while (!this.clients[0].online) await sleep(20);
    if (this.expected) await this.#split();
    for (const user of ["raw-1", "raw-2"]) {
      this.#add(user, new Follower({ url, protocols: [`bearer.${await bearer(user)}`], random }));
    }
    this.#add(null, new Follower({ url, random }));
    for (const user of ["sdk-1", "sdk-2"]) this.#add(user, sdk(server, id, await bearer(user)));
    this.troll = await bearer("troll");
    while (!this.clients.every(({ online }) => online)) await sleep(20);
  }

  async #split() {
    const admin = await token({ sub: "admin", roles: ["admin"], username: "admin" });
    const response = await fetch(`${this.server.url}/api/rooms/${this.id}`, {
      method: "PATCH",
      headers: { authorization: `Bearer ${admin}`, "content-type": "application/json" },
      body: JSON.stringify({ settings: { expect_viewers: this.expected } }),
    });
    if (!response.ok) throw new Error(`${this.id} cannot be split: ${response.status} ${await response.text()}`);
  }

  #add(user, client, more = {}) {
    const name = `${user ?? "a guest"} in ${this.id}`;
    this.clients.push(Object.assign(client, { user, name, gathers: this.expected > 0, ...more }));
  }

  /** Everybody who may begins to talk. */
  talk() {
    this.#stop = false;
    const writers = this.clients.filter(({ user, moderator }) => user && !moderator);
    const mod = this.clients.find(({ moderator }) => moderator);
    this.#working = [...writers.map((client) => this.#write(client)), this.#moderate(mod), this.#trolls()];
    // Who is refused is heard of in hush().
    for (const work of this.#working) work.catch(() => {});
  }

  /** Everybody finishes the sentence; rejects where somebody was refused what has to be given. */
  async hush() {
    this.#stop = true;
    await Promise.all(this.#working);
  }

  /** A last word, after which nothing is said; its `seq`. */
  async mark() {
    return (await this.#act(this.clients[0], "send_message", this.#text("mark"))).seq;
  }

  #lanes = {};
  #text(lane) {
    const count = (this.#lanes[lane] = (this.#lanes[lane] ?? 0) + 1);
    const client_id = `${lane}#${count}`;
    this.#typed.set(client_id, `number ${count} of ${lane}`);
    return { content: this.#typed.get(client_id), client_id };
  }

  #edit(message_id, content) {
    this.#edited.set(message_id, [...this.texts.edits(message_id), content]);
    return { message_id, content };
  }

  async #act(client, event, data) {
    this.sent += 1;
    try {
      const reply = await client.request(event, data);
      this.acts.push({ event, data, user: client.user, reply });
      if (event === "send_message") this.#messages.push({ user: client.user, message_id: reply.message_id });
      return reply;
    } catch (error) {
      this.refusals[error.code] = (this.refusals[error.code] ?? 0) + 1;
      if (!ANSWERS.includes(error.code)) throw new Error(`${client.name}: ${event} ended with ${error.message}`, { cause: error });
    }
  }

  #one(list) {
    return list[Math.floor(this.random() * list.length)];
  }

  async #write(client) {
    const { random } = this;
    for (let count = 0; !this.#stop; count++) {
      const [what, some, own] = [random(), this.#one(this.#messages.slice(-40)), this.#one(this.#messages.filter(({ user }) => user === client.user).slice(-20))];
      if (what < 0.6 || !some || !own) {
        // Some at once, as a page does that was offline.
        const said = Array.from({ length: random() < 0.2 ? 3 : 1 }, () => this.#act(client, "send_message", this.#text(client.user)));
        await Promise.all(said);
      } else if (what < 0.75) {
        await this.#act(client, "edit_message", this.#edit(own.message_id, `edit ${count} of ${client.user}`));
      } else if (what < 0.82) {
        await this.#act(client, "delete_message", { message_id: own.message_id });
      } else {
        await this.#act(client, "react", { message_id: some.message_id, reaction: this.#one(REACTIONS), remove: random() < 0.3 });
      }
      await sleep(10 + random() * 90);
    }
  }

  /** Bans the troll now and then, at times with what it said, and lets it in again. */
  async #moderate(mod) {
    while (!this.#stop) {
      await sleep(300 + this.random() * 900);
      const more = this.random() < 0.5 ? { delete_messages_s: 60 } : {};
      await this.#act(mod, "ban_user", { user_id: "troll", duration_s: 600, reason: "trolling", ...more });
      await sleep(50 + this.random() * 200);
      await this.#act(mod, "unban_user", { user_id: "troll" });
    }
  }

  /** Talks over REST, repeating what was not answered with the same key. */
  async #trolls() {
    const headers = { authorization: `Bearer ${this.troll}`, "content-type": "application/json" };
    while (!this.#stop) {
      const { content, client_id } = this.#text("troll");
      for (;;) {
        const answer = await this.#post({ ...headers, "idempotency-key": client_id }, content);
        if (answer?.status === 201) {
          this.acts.push({ event: "send_message", data: { client_id }, user: "troll", reply: answer.body });
          break;
        }
        if (answer && ![403, 503].includes(answer.status)) throw new Error(`the troll in ${this.id} was answered ${answer.status} ${JSON.stringify(answer.body)}`);
        if (answer) this.refusals[answer.body.code] = (this.refusals[answer.body.code] ?? 0) + 1;
        if (answer?.status === 403 || this.#left) break;
        await sleep(200);
      }
      await sleep(50 + this.random() * 200);
    }
  }

  async #post(headers, content) {
    this.sent += 1;
    try {
      const response = await fetch(`${this.server.url}/api/rooms/${this.id}/messages`, { method: "POST", headers, body: JSON.stringify({ content }) });
      return { status: response.status, body: await response.json() };
    } catch {
      // Nobody knows whether it was said.
      return null;
    }
  }

  leave() {
    this.#stop = this.#left = true;
    for (const client of this.clients) client.close();
  }
}

/** The client module with a record of what it hands out. */
function sdk(server, room, token) {
  const record = new Record();
  const chat = connect({ room, url: server.url, token, WebSocket: record.socket() });
  chat.on("event", (envelope) => record.took(envelope));
  chat.on("joined", () => record.joined());
  chat.on("state", ({ state, retry_in_ms }) => state === "waiting" && record.lost(retry_in_ms));
  return {
    record,
    get online() {
      return chat.state === "online";
    },
    get cursor() {
      return chat.position;
    },
    get ended() {
      return chat.state === "ended" ? "it gave up" : null;
    },
    request: (event, data) => chat.request(event, data),
    close: () => chat.close(),
  };
}
