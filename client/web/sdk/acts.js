// What one does beside talking: keeping order for those who may, reports and blocks for everybody.

import { Connection } from "./connection.js";
import { orOverRest } from "./rest.js";

const MOST_ROUNDS = 50;

/**
 * Each act goes over the socket and may be repeated, so it outlives a lost connection. Who may do what is in the join
 * reply's `self.can`; the server refuses the rest with `forbidden`.
 */
export class Acts extends Connection {
  // ── messages ─────────────────────────────────────────────────────────────

  pin(message_id) {
    return orOverRest(this.request("pin_message", { message_id }), () => this.rest.pin(this.room, message_id));
  }

  unpin(message_id) {
    return this.request("unpin_message", { message_id });
  }

  /** Speaks in the room's name. Over REST and once: an announcement has no `client_id` that would make a repeat safe. */
  announce(content) {
    return this.rest.announce(this.room, content);
  }

  /** `reason`: spam, abuse, hate, sexual, violence or other; `details`: at most 1,000 characters. */
  report(message_id, { reason, details } = {}) {
    const report = { reason, details };
    return orOverRest(this.request("report_message", { message_id, ...report }), () =>
      this.rest.report(this.room, message_id, report),
    );
  }

  /**
   * The message of this id, wherever it is in the room's history; undefined where it is not there. Ids grow as the
   * numbers do, so that a few pages are enough.
   */
  async find(message_id) {
    let [low, high, before] = [0, Infinity, undefined];
    do {
      const { messages } = await this.history({ before, limit: 100 });
      const found = messages.find((message) => message.message_id === message_id);
      if (found || messages.length === 0) return found;
      if (message_id > messages[0].message_id) low = messages[0].no;
      else if (message_id < messages.at(-1).message_id) high = messages.at(-1).no;
      else return undefined;
      before = Math.min(high, Math.ceil((low + high) / 2) + 50);
    } while (high - low > 1 && high < Infinity);
    return undefined;
  }

  // ── users ────────────────────────────────────────────────────────────────

  /** For `duration_s` seconds, or for good; with `shadow` the user is told nothing and nobody sees what they say. */
  ban(user_id, { duration_s, reason, delete_messages_s, shadow } = {}) {
    return this.request("ban_user", { user_id, duration_s, reason, delete_messages_s, shadow });
  }

  unban(user_id) {
    return this.request("unban_user", { user_id });
  }

  /** All that the user said in the room's log; `{deleted}`, how many messages that were. */
  removeAllOf(user_id, { reason } = {}) {
    return this.#untilDone("delete_user_messages", { user_id, reason });
  }

  /** `role`: member, moderator, owner, or null for none. */
  setRole(user_id, role) {
    return this.request("set_role", { user_id, role });
  }

  /** Hides what the user says from oneself, in all rooms. */
  block(user_id) {
    return this.request("block_user", { user_id });
  }

  async unblock(user_id) {
    const reply = await this.request("unblock_user", { user_id });
    // What they said meanwhile was never sent here.
    this.rejoin();
    return reply;
  }

  // ── the room ─────────────────────────────────────────────────────────────

  /** All that was said in the room's log; `{deleted}`. */
  clear({ reason } = {}) {
    return this.#untilDone("clear_room", { reason });
  }

  /** A part of the room's settings: `{slow_s: 30}`; null sets one back. */
  setModes(modes) {
    return this.request("set_modes", { modes });
  }

  allow(held_id) {
    return this.request("allow_message", { held_id });
  }

  deny(held_id, { reason } = {}) {
    return this.request("deny_message", { held_id, reason });
  }

  /** `blocked` and `allowed` are lists of words and phrases; `action`: off, mask, hold or reject. */
  setTerms({ blocked, allowed, action }) {
    return this.request("set_terms", { blocked, allowed, action });
  }

  /** What would become of `content`: `{verdict, content, reasons}`, with these terms or the room's own. */
  testTerms(content, terms = {}) {
    return this.rest.testTerms(this.room, { content, ...terms });
  }

  /** `status`: resolved or dismissed. */
  resolveReport(report_id, { status, resolution } = {}) {
    return this.request("resolve_report", { report_id, status, resolution });
  }

  // ── lists ────────────────────────────────────────────────────────────────

  /** `{bans}`, those that hold now. */
  bans() {
    return this.rest.bans(this.room);
  }

  /** `{held}`, each as in `message_held`. */
  held() {
    return this.rest.held(this.room);
  }

  /** `{blocked, allowed, action}`. */
  terms() {
    return this.rest.terms(this.room);
  }

  /** `{reports}`, newest first. */
  reports({ status, before, limit } = {}) {
    return this.rest.reports(this.room, { status, before, limit });
  }

  /** The report with `context`: `{before, message, after}`. */
  reported(report_id) {
    return this.rest.reported(this.room, report_id);
  }

  /** `{blocks}`, whom one has blocked. */
  blocks() {
    return this.rest.blocks();
  }

  // One act takes as many messages as one transaction may rewrite.
  async #untilDone(event, data) {
    let total = 0;
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      const { deleted, more } = await this.request(event, data);
      total += deleted;
      if (!more) break;
    }
    return { deleted: total };
  }
}
