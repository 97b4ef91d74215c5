// The talk of two people: a room whose messages are encrypted before they leave and read where they arrive.

import { Emitter } from "./emitter.js";
import { ChatError } from "./errors.js";

// So far back the message that brought a key is looked for.
const SEARCH_PAGES = 5;
const PAGE = 100;

/**
 * Made by `openDirect`. `chat` is the connection, as of `connect`; what it says comes here again, in order:
 * - `state`, `joined`, and every event of the room by its name, as there
 * - `snapshot` `{messages, …}`, `new_message` and `message_edited` with messages that are read: `body`, plain text, or
 *   `unreadable` `{code, message}`, a sentence to show instead; `encrypted` is false where the server could read it too,
 *   which a page has to show
 */
export class Direct extends Emitter {
  #private;
  #queue = Promise.resolve();
  /** message_id → what its ciphertext is bound to. */
  #bound = new Map();
  #searched = new Set();

  constructor(messages, chat, other) {
    super();
    this.#private = messages;
    this.chat = chat;
    this.room = chat.room;
    this.other = other;
    for (const name of ["state", "joined", "left_out"]) chat.on(name, (value) => this.#next(() => this.emit(name, value)));
    chat.on("snapshot", (snapshot) => this.#next(async () => this.emit("snapshot", { ...snapshot, messages: await this.#all(snapshot.messages) })));
    chat.on("event", (envelope) => this.#next(() => this.#heard(envelope)));
  }

  /** As `send` of the connection: resolves once the ciphertext is stored. */
  async send(body, { client_id = crypto.randomUUID(), reply_to } = {}) {
    const { content, franking, session_id } = await this.#private.encrypt(this.room, this.other, client_id, body);
    const reply = await this.chat.send(content, { client_id, type: "encrypted", reply_to, franking });
    await this.#private.stored(this.room, session_id);
    return reply;
  }

  async edit(message_id, body) {
    const { client_id } = await this.#boundOf(message_id);
    const { content, franking } = await this.#private.encrypt(this.room, this.other, client_id, body);
    return this.chat.edit(message_id, content, { franking });
  }

  remove(message_id) {
    return this.chat.remove(message_id);
  }

  /** As `history` of the connection, its messages read. */
  async history(query) {
    const page = await this.chat.history(query);
    return { ...page, messages: (await this.#all(page.messages.toReversed())).toReversed() };
  }

  /** Reads a message again, after `keys`. */
  read(message) {
    return this.#read(message);
  }

  /** Reports a message that was read, and reveals it, and no other, to moderators. */
  async report(message, { reason, details }) {
    const opened = message.type === "encrypted" ? await this.#private.decrypt(sealed(message)) : undefined;
    const { body, frank_key } = opened ?? {};
    return this.#private.report(this.room, message.message_id, { reason, details, opened: opened && { body, frank_key } });
  }

  close() {
    this.chat.close();
  }

  // ── reading ──────────────────────────────────────────────────────────────

  /** One after the other, so that a slow key makes nothing overtake. */
  #next(work) {
    this.#queue = this.#queue.then(work).catch((error) => {
      queueMicrotask(() => {
        throw error;
      });
    });
  }

  async #heard(envelope) {
    let { event, data } = envelope;
    if (event === "new_message") data = await this.#read(data);
    if (event === "message_edited") data = await this.#readEdit(data);
    if (["message_edited", "message_deleted", "messages_deleted"].includes(event)) await this.#private.gone(this.room);
    this.emit("event", { ...envelope, data });
    this.emit(event, data, { ...envelope, data });
  }

  async #all(messages) {
    const read = [];
    for (const message of messages) read.push(await this.#read(message));
    return read;
  }

  async #readEdit(data) {
    if (data.franking === undefined) return { ...data, encrypted: false, body: data.text ?? data.content };
    try {
      const { user_id, client_id } = await this.#boundOf(data.message_id);
      return await this.#read({ ...data, type: "encrypted", client_id, user: { user_id } });
    } catch (error) {
      return { ...data, encrypted: true, ...unreadable(error) };
    }
  }

  async #read(message) {
    if (message.deleted_at) return message;
    if (message.type !== "encrypted") return { ...message, encrypted: false, body: message.text ?? message.content };
    const { message_id, client_id } = message;
    this.#bound.set(message_id, { user_id: message.user.user_id, client_id });
    try {
      const { body, device_id } = await this.#open(message);
      return { ...message, encrypted: true, body, device_id };
    } catch (error) {
      return { ...message, encrypted: true, ...unreadable(error) };
    }
  }

  async #open(message) {
    try {
      return await this.#private.decrypt(sealed(message, this.room));
    } catch (error) {
      if (error.code !== "no_key" || !(await this.#findKey(message))) throw error;
      return this.#private.decrypt(sealed(message, this.room));
    }
  }

  /** Looks among older messages for the one that brought this message's key; gives whether it was found. */
  async #findKey({ content, no }) {
    const session = await this.#private.lacks(content);
    if (session === null || this.#searched.has(session)) return false;
    this.#searched.add(session);
    let before = no;
    for (let page = 0; page < SEARCH_PAGES; page += 1) {
      const { messages, has_more } = await this.chat.history({ before, limit: PAGE });
      for (const message of messages) {
        if (message.type !== "encrypted" || !message.content.includes(session) || !message.content.includes('"keys"')) continue;
        await this.#private.decrypt(sealed(message, this.room)).catch(() => {});
        if ((await this.#private.lacks(content)) === null) return true;
      }
      if (!has_more || messages.length === 0) break;
      before = messages.at(-1).no;
    }
    return false;
  }

  async #boundOf(message_id) {
    const known = this.#bound.get(message_id);
    if (known) return known;
    const found = await this.chat.find(message_id);
    if (!found) throw new ChatError({ code: "message_not_found", message: "This message is not there any more." });
    const { user, client_id } = found;
    this.#bound.set(message_id, { user_id: user.user_id, client_id });
    return this.#bound.get(message_id);
  }
}

const unreadable = ({ code = "internal", message }) => ({ body: null, unreadable: { code, message } });

/** What the device reads, of a message as the room says it. */
const sealed = ({ message_id, room_id, user, client_id = "", content, franking = "" }, room = room_id) => ({
  message_id, room_id: room, user_id: user.user_id, client_id, content, franking,
});
