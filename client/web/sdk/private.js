// Private messages: this browser's device, the talk with one other user, safety number and backup.

import { connect } from "../chat.js";
import { Direct } from "./direct.js";
import { Emitter } from "./emitter.js";
import { ChatError } from "./errors.js";
import { openInbox } from "./inbox.js";
import { loadCrypto, PrivateDevice } from "./private-device.js";
import { BrowserStore, MemoryStore } from "./private-store.js";
import { createRest, part } from "./rest.js";
import { Token } from "./token.js";

export { MemoryStore, openInbox };

// A removed device is written to for so long at most.
const LIST_FRESH_MS = 10_000;
const FEW_KEYS = 25;
const REFILL_EVERY_MS = 60_000;
const BACKUP_AFTER_MS = 5_000;

/**
 * Opens this browser's device, and makes it where there is none yet. Options are those of `connect` without `room`, and
 * `deviceName`, shown in the list of one's devices; `store`, where keys are kept (default: this browser; see
 * private-store.js); `wasm`, the bytes of crypto_bg.wasm where they cannot be fetched; `renew`: true for a new device where
 * this one was removed (`device_removed`) or what the browser kept cannot be read (`state_unreadable`); `inbox`, one that
 * is open already (see inbox.js), or null for none: then nobody tells of devices that change, and lists are asked for.
 */
export async function openPrivate(options = {}) {
  const messages = new PrivateMessages(options);
  await messages.open();
  return messages;
}

/**
 * Events: `keys` when keys came with which older messages may be readable now; `device_added` `{user_id, device_id}` when
 * somebody's list has a device that was never in it; `safety_number_changed` `{user_id, safety_number}` when messages are
 * encrypted for other devices than before, or than the last number was made of; `backup` `{sessions, left_out}` when the
 * backup was renewed; `backup_failed` (error). Every error is a ChatError whose `message` may be shown to a person.
 */
class PrivateMessages extends Emitter {
  #options;
  #token;
  #rest;
  #device;
  #safety;
  #lists = new Map();
  /** user_id → the safety number of the devices that were looked at or written to last. */
  #numbers = new Map();
  #refilledAt = 0;
  #backupTimer = null;
  #unlisten = () => {};

  user_id = null;
  device_id = null;
  /** The `Inbox` of this user, or null: new private messages, and how many are not read. */
  inbox = null;

  constructor(options) {
    super();
    this.#options = options;
    this.origin = new URL(options.url ?? globalThis.location?.origin).origin;
    this.#token = new Token(options);
    this.#rest = createRest({ base: this.origin, token: () => this.#token.value, fetch: options.fetch });
  }

  async open() {
    const { store, wasm, renew } = this.#options;
    const [module, mine] = await Promise.all([loadCrypto(wasm), this.request("GET", "/me/devices")]);
    this.user_id = mine.user_id;
    this.#safety = module.safety_number;
    this.#device = new PrivateDevice(module, store ?? new BrowserStore(this.origin, mine.user_id), mine.user_id);
    if (renew) await this.#device.forget();
    await this.#publish(mine);
    this.#listen();
  }

  #listen() {
    const { url, token, getToken, WebSocket, inbox = openInbox({ url, token, getToken, WebSocket }) } = this.#options;
    this.inbox = inbox;
    const stops = [
      inbox?.on("devices_changed", ({ user_id }) => this.devicesChanged(user_id)),
      // What changed while there was no connection is not told.
      inbox?.on("inbox", () => this.#lists.clear()),
    ];
    // One that was brought along is its owner's to close.
    this.#unlisten = () => (inbox === this.#options.inbox ? stops.forEach((stop) => stop?.()) : inbox.close());
  }

  /** The talk with this user: a `Direct`, see direct.js. The room is made where it is not there yet. */
  async openDirect(user_id, options = {}) {
    const room = await this.request("PUT", `/users/${part(user_id)}/direct`);
    const { url, token, getToken, storage, tabStorage, WebSocket, fetch } = this.#options;
    const chat = connect({ url, token, getToken, storage, tabStorage, WebSocket, fetch, ...options, room: room.room_id });
    return new Direct(this, chat, user_id);
  }

  // ── devices ──────────────────────────────────────────────────────────────

  /** `{user_id, version, devices: [{device_id, name?, curve25519, ed25519, created_at, …}]}`; without an id one's own. */
  devices(user_id = this.user_id) {
    return this.#list(user_id, 0);
  }

  renameDevice(device_id, name) {
    return this.request("PATCH", `/devices/${part(device_id)}`, { body: { name } });
  }

  /** What is said from now on, that device cannot read. */
  async removeDevice(device_id) {
    await this.request("DELETE", `/devices/${part(device_id)}`);
    this.devicesChanged(this.user_id);
  }

  /** The devices of this user are not what they were (`devices_changed`): they are asked for before the next message. */
  devicesChanged(user_id) {
    this.#lists.delete(user_id);
  }

  /** Sixty digits that are the same on both sides, unless the server put a device between them. */
  async safetyNumber(user_id) {
    const [mine, theirs] = await Promise.all([this.devices(), this.devices(user_id)]);
    await this.#device.use((device) => this.#learn(device, mine, theirs));
    return this.#compare(mine, theirs);
  }

  // ── backup ───────────────────────────────────────────────────────────────

  /**
   * Keeps at the server, sealed, what a new device needs to read old messages; from then on it is renewed by itself. Gives
   * `{recovery_key, sessions, left_out}`: the user writes `recovery_key` down, nobody else has it. Where there is a backup
   * that this device cannot open it fails with `backup_exists`, unless `replace` is true: that one is lost then.
   */
  async backup({ replace = false } = {}) {
    const there = replace ? null : await this.#backupThere();
    const made = await this.#device.use((device) => {
      const recovery_key = device.recovery_key();
      // Another device of this user may have put sessions there that this one does not have.
      if (there) merge(device, recovery_key, there);
      return { recovery_key, ...JSON.parse(device.backup()) };
    });
    const { data, ...rest } = made;
    await this.request("PUT", "/me/key-backup", { body: { data } });
    return rest;
  }

  /** `{there, opens}`: whether the server keeps a backup, and whether this device has a recovery key, which it is sealed with. */
  async backupState() {
    const [data, opens] = await Promise.all([this.#backupThere(), this.#device.use((device) => device.has_recovery_key())]);
    return { there: data !== null, opens };
  }

  /** Takes what the backup has; gives `{sessions}`, how many were new. */
  async restore(recovery_key) {
    const there = await this.#backupThere();
    if (!there) throw new ChatError({ code: "no_backup", message: "There is no backup of your keys." });
    const sessions = await this.#device.use((device) => device.restore_backup(recovery_key, there));
    if (sessions > 0) this.emit("keys");
    return { sessions };
  }

  async #backupThere() {
    try {
      return (await this.request("GET", "/me/key-backup")).data ?? null;
    } catch (error) {
      if (error.code === "backup_not_found") return null;
      throw error;
    }
  }

  #backUpSoon() {
    if (this.#backupTimer) return;
    this.#backupTimer = setTimeout(async () => {
      this.#backupTimer = null;
      try {
        if (!(await this.#device.use((device) => device.has_recovery_key()))) return;
        const { sessions, left_out } = await this.backup();
        this.emit("backup", { sessions, left_out });
      } catch (error) {
        // The next key tries again.
        this.emit("backup_failed", error);
      }
    }, BACKUP_AFTER_MS);
    this.#backupTimer.unref?.();
  }

  /** No backup is renewed any more, and the inbox that was opened here is closed; rooms are closed one by one. */
  close() {
    clearTimeout(this.#backupTimer);
    this.#unlisten();
  }

  // ── for direct.js ────────────────────────────────────────────────────────

  /** `{content, franking, session_id}` for both users' devices as the server lists them now. */
  async encrypt(room, other, client_id, body) {
    const both = await Promise.all([this.#list(this.user_id), this.#list(other)]);
    const lists = JSON.stringify(both);
    const made = await this.#device.use(async (device) => {
      this.#learn(device, ...both);
      this.#compare(...both);
      for (const { user_id, device_ids } of JSON.parse(device.claims(room, lists))) {
        const answer = await this.request("POST", `/users/${part(user_id)}/keys/claim`, { body: { device_ids } });
        device.claimed(JSON.stringify(answer));
      }
      return JSON.parse(device.encrypt(room, lists, client_id, body));
    });
    if (JSON.parse(made.content).index === 0) this.#backUpSoon();
    return made;
  }

  /** `{body, frank_key, device_id}`; the sender's devices are asked for where they are not known. */
  async decrypt(message) {
    const text = JSON.stringify(message);
    const read = () =>
      this.#device.use((device) => {
        const lacked = device.wants_key(message.user_id, message.content) !== undefined;
        const opened = JSON.parse(device.decrypt(text));
        return { opened, lacked };
      });
    let answer;
    try {
      answer = await read();
    } catch (error) {
      if (error.code !== "unknown_device") throw error;
      const list = await this.#list(message.user_id, 0);
      await this.#device.use((device) => this.#learn(device, list));
      answer = await read();
    }
    if (answer.lacked) this.#tookKey();
    return answer.opened;
  }

  /** The same of one's own message that the server has not. */
  readUnsent(message) {
    return this.#device.use((device) => JSON.parse(device.read_unsent(JSON.stringify(message))));
  }

  /** The session whose key this user's content wants, if it is not here. */
  lacks(user_id, content) {
    return this.#device.use((device) => device.wants_key(user_id, content) ?? null);
  }

  stored(room, session_id) {
    return this.#device.use((device) => device.confirmed(room, session_id));
  }

  gone(room) {
    return this.#device.use((device) => device.share_again(room));
  }

  report(room, message_id, report) {
    return this.request("POST", `/messages/${part(message_id)}/report`, { body: { room_id: room, ...report } });
  }

  // ── small things ─────────────────────────────────────────────────────────

  async request(method, path, options) {
    await this.#token.take(Date.now());
    try {
      const answer = await this.#rest.request(method, path, options);
      this.#token.accepted();
      return answer;
    } catch (error) {
      if (!/^token_/.test(error.code) || !this.#token.refused(Date.now())) throw error;
      await this.#token.take(Date.now());
      return this.#rest.request(method, path, options);
    }
  }

  async #list(user_id, freshMs = LIST_FRESH_MS) {
    const known = this.#lists.get(user_id);
    if (known && Date.now() - known.at < freshMs) return known.list;
    const list = await this.request("GET", user_id === this.user_id ? "/me/devices" : `/users/${part(user_id)}/devices`);
    if (list.user_id !== user_id) {
      throw new ChatError({ code: "malformed", message: "The server answered with the devices of somebody else." });
    }
    this.#lists.set(user_id, { list, at: Date.now() });
    return list;
  }

  #learn(device, ...lists) {
    for (const list of lists) {
      for (const device_id of JSON.parse(device.learn(JSON.stringify(list)))) this.emit("device_added", { user_id: list.user_id, device_id });
    }
  }

  /** The number of these lists; says so where it is not the last one. */
  #compare(mine, theirs) {
    const { user_id } = theirs;
    const safety_number = this.#safety(JSON.stringify(mine), JSON.stringify(theirs));
    const last = this.#numbers.get(user_id);
    this.#numbers.set(user_id, safety_number);
    if (last !== undefined && last !== safety_number) this.emit("safety_number_changed", { user_id, safety_number });
    return safety_number;
  }

  /** Puts this device's keys there where they are not, or few. */
  async #publish(mine) {
    this.#refilledAt = Date.now();
    const { device_id, body, is_gone } = await this.#device.use((device) => {
      const { device_id } = JSON.parse(device.keys());
      this.device_id = device_id;
      const there = mine.devices.find((one) => one.device_id === device_id);
      if (!there && device.is_published()) return { device_id, is_gone: true };
      if (there && there.one_time_keys >= FEW_KEYS && device.is_published()) return {};
      const body = JSON.parse(device.keys_to_publish(there?.one_time_keys ?? 0));
      if (!there) body.name = this.#options.deviceName;
      return { device_id, body };
    });
    if (is_gone) {
      // Unless another page published it since that list was made.
      const { devices } = await this.request("GET", "/me/devices");
      if (devices.some((one) => one.device_id === device_id)) return;
      throw new ChatError({ code: "device_removed", message: "This device was removed from your devices and can send no private messages." });
    }
    if (!body) return;
    // They are kept by now: what the server hands out can be opened, whatever happens here.
    await this.request("PUT", `/devices/${part(device_id)}/keys`, { body });
    await this.#device.use((device) => JSON.parse(device.keys()).device_id === device_id && device.published());
    this.devicesChanged(this.user_id);
  }

  #tookKey() {
    this.#backUpSoon();
    this.emit("keys");
    if (Date.now() - this.#refilledAt < REFILL_EVERY_MS) return;
    this.#refilledAt = Date.now();
    // The fallback key stands in until it works again.
    this.#list(this.user_id, 0).then((mine) => this.#publish(mine)).catch(() => {});
  }
}

function merge(device, recovery_key, data) {
  try {
    device.restore_backup(recovery_key, data);
  } catch (error) {
    if (error.code !== "wrong_recovery_key") throw error;
    throw new ChatError({ code: "backup_exists", message: "There is a backup that opens with another recovery key. Restore that one first, or replace it." });
  }
}
