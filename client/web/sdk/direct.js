// The talk of two people: a room whose messages are encrypted before they leave and read where they arrive.

import { Emitter } from "./emitter.js";
import { ChatError } from "./errors.js";
import { randomName } from "./guest.js";

// So far back the message that brought a key is looked for.
const SEARCH_PAGES = 5;
const PAGE = 100;

/**
 * Made by `openDirect`. `chat` is the connection, as of `connect`; what it says comes here again, in order:
 * - `state`, `joined`, and every event of the room by its name, as there
 * - `snapshot` `{messages, …}`, `new_message` and `message_edited` with messages that are read: `body`, plain text, or
 *   `unreadable` `{code, message}`, a sentence to show instead; `encrypted` is false where the server could read it too,
 *   which a page has to show
 * - `unsent` as there, with `body`
 */
export class Direct extends Emitter {
  #private;
  #queue = Promise.resolve();
  /** message_id → what its ciphertext is bound to. */
  #bound = new Map();
  #searched = new Set();
  /** Settled once the first snapshot was read: a device that was set back in time learns by that what it said already. */
  #ready;
  #isReady;

  constructor(messages, chat, other) {
    super();
    this.#private = messages;
    this.chat = chat;
    this.room = chat.room;
    this.other = other;
    for (const name of ["state", "joined", "left_out"]) chat.on(name, (value) => this.#next(() => this.emit(name, value)));
    chat.on("snapshot", (snapshot) => this.#next(() => this.#began(snapshot)));
    chat.on("unsent", (item) => this.#next(async () => this.emit("unsent", await this.#unsent(item))));
    this.#ready = new Promise((resolve, reject) => {
      this.#isReady = resolve;
      chat.on("state", ({ state, error }) => state === "ended" && reject(error));
    });
    // Who sends is told.
    this.#ready.catch(() => {});
    chat.on("event", (envelope) => this.#next(() => this.#heard(envelope)));
  }

  /** As `send` of the connection: resolves once the ciphertext is stored. The first one waits for the first snapshot. */
  async send(body, { client_id = randomName(), reply_to } = {}) {
    await this.#ready;
    const { content, franking, session_id } = await this.#private.encrypt(this.room, this.other, client_id, body);
    const reply = await this.chat.send(content, { client_id, type: "encrypted", reply_to, franking });
    // The server has it, whatever becomes of this: the next message brings the key once more.
    await this.#private.stored(this.room, session_id).catch(() => {});
    return reply;
  }

  async edit(message_id, body) {
    await this.#ready;
    const { client_id } = await this.#boundOf(message_id);
    // What it replaces may be what brought the key.
    await this.#private.gone(this.room);
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

  /** Reports a message and reveals it, and no other, to moderators; one that cannot be read is reported without its words. */
  async report(message, { reason, details }) {
    const opened = message.type === "encrypted" ? await this.#private.decrypt(sealed(message, this.room)).catch(withoutWords) : undefined;
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
    // A fault here is no reason to tell nobody.
    if (["message_edited", "message_deleted", "messages_deleted", "messages_expired", "user_erased"].includes(event)) await this.#private.gone(this.room).catch(() => {});
    this.emit("event", { ...envelope, data });
    this.emit(event, data, { ...envelope, data });
  }

  async #began(snapshot) {
    let messages;
    try {
      messages = await this.#all(snapshot.messages);
      // What brought the key may have been deleted or edited while nobody listened here.
      await this.#private.gone(this.room).catch(() => {});
    } finally {
      this.#isReady();
    }
    this.emit("snapshot", { ...snapshot, messages });
  }

  async #all(messages) {
    const read = [];
    for (const message of messages) read.push(await this.#read(message, false));
    // The key may have come later in the same list.
    for (const [at, { unreadable }] of read.entries()) {
      if (unreadable?.code === "no_key") read[at] = await this.#read(messages[at]);
    }
    return read;
  }

  async #readEdit(data) {
    if (!this.#isOfTwo(data.user_id)) return { ...unmarked(data), ...unreadable(STRANGER) };
    if (data.franking === undefined) return { ...unmarked(data), encrypted: false, body: data.text ?? data.content };
    try {
      const { user_id, client_id } = await this.#boundOf(data.message_id);
      return await this.#read({ ...data, type: "encrypted", client_id, user: { user_id } });
    } catch (error) {
      return { ...unmarked(data), encrypted: true, ...unreadable(error) };
    }
  }

  async #read(message, searches = true) {
    const shown = unmarked(message);
    if (message.deleted_at) return shown;
    if (!this.#isOfTwo(message.user?.user_id)) return { ...shown, ...unreadable(STRANGER) };
    if (message.type !== "encrypted") return { ...shown, encrypted: false, body: message.text ?? message.content };
    const { message_id, client_id } = message;
    this.#bound.set(message_id, { user_id: message.user.user_id, client_id });
    try {
      const { body, device_id } = await this.#open(message, searches);
      return { ...shown, encrypted: true, body, device_id };
    } catch (error) {
      return { ...shown, encrypted: true, ...unreadable(error) };
    }
  }

  async #unsent(item) {
    if (item.type !== "encrypted") return { ...item, encrypted: false, body: item.content };
    const message = { ...item, message_id: "", user: { user_id: this.#private.user_id } };
    try {
      return { ...item, encrypted: true, body: (await this.#private.readUnsent(sealed(message, this.room))).body };
    } catch (error) {
      return { ...item, encrypted: true, ...unreadable(error) };
    }
  }

  /** The server may invent users, with devices and names: nobody else speaks here. */
  #isOfTwo(user_id) {
    return user_id === this.other || user_id === this.#private.user_id;
  }

  async #open(message, searches) {
    try {
      return await this.#private.decrypt(sealed(message, this.room));
    } catch (error) {
      if (error.code !== "no_key" || !searches || !(await this.#findKey(message))) throw error;
      return this.#private.decrypt(sealed(message, this.room));
    }
  }

  /** Looks among older messages for the one that brought this message's key; gives whether it was found. */
  async #findKey(message) {
    const { user, content, no } = message;
    const session = await this.#private.lacks(user.user_id, content);
    if (session === null || this.#searched.has(session)) return false;
    this.#searched.add(session);
    try {
      return await this.#searchBefore(no, session, () => this.#private.lacks(user.user_id, content));
    } catch (error) {
      // It was not looked through: the next one tries again.
      this.#searched.delete(session);
      throw error;
    }
  }

  async #searchBefore(no, session, lacks) {
    let before = no;
    for (let page = 0; page < SEARCH_PAGES; page += 1) {
      const { messages, has_more } = await this.chat.history({ before, limit: PAGE });
      for (const message of messages) {
        if (message.type !== "encrypted" || !this.#isOfTwo(message.user?.user_id)) continue;
        if (!message.content.includes(session) || !message.content.includes('"keys"')) continue;
        await this.#private.decrypt(sealed(message, this.room)).catch(() => {});
        if ((await lacks()) === null) return true;
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

const STRANGER = { code: "not_of_this_talk", message: "This was not said by one of you two and is not shown." };

/** Without what only this module says of a message. */
const unmarked = (message) => ({ ...message, body: null, encrypted: undefined, device_id: undefined, unreadable: undefined });

const withoutWords = (error) => {
  // Of one that is readable the words are not left out for a full disk or a lost connection.
  if (!(error instanceof ChatError) || ["storage", "offline", "timeout"].includes(error.code)) throw error;
};

const unreadable = ({ code = "internal", message }) => ({ body: null, unreadable: { code, message } });

/** What the device reads, of a message as the room says it. */
const sealed = ({ message_id, room_id, user, client_id = "", content, franking = "" }, room = room_id) => ({
  message_id, room_id: room, user_id: user.user_id, client_id, content, franking,
});
