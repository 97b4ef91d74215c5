// What can be done with a message or its author: the entries of the menu, and the questions behind them.

import { checkField, textField } from "./dialog.js";
import { h } from "./dom.js";
import { count, plain, textOf } from "./text.js";

const RANKS = ["guest", "member", "moderator", "service", "owner", "admin"];
const rankOf = (roles) => Math.max(1, ...(roles ?? []).map((role) => RANKS.indexOf(role)));

const TIMES = [[10, "10 s"], [600, "10 min"], [3_600, "1 h"], [86_400, "1 day"]];
const HOUR_S = 3_600;

/** Why a message can be reported, by code. */
export const REASONS = {
  spam: "Spam or advertising", abuse: "Insults or harassment", hate: "Hate", sexual: "Sexual content",
  violence: "Violence or threats", other: "Something else",
};

/** `host` has `chat`, `model`, `menu`, `dialog`, `door`, `tell(text, undo?)` and `attempt(promise)`, which shows an error. */
export class Orders {
  #host;

  constructor(host) {
    this.#host = host;
  }

  /** Whether nobody's equal or better stands in the way; the server decides in the end. */
  above(user) {
    const { self } = this.#host.model;
    return rankOf([self?.role]) > rankOf(this.#rolesOf(user));
  }

  /** Opens the menu for a message (a user without one) at the button `opener`. */
  open(opener, { user, message }) {
    const name = plain(user.username ?? user.user_id);
    const back = () => (opener.isConnected ? opener : this.#host).focus();
    this.#host.menu.open(opener, message ? `Message by ${name}` : name, this.entries({ user, message, back }));
  }

  /** Groups of menu entries; empty where nothing can be done. */
  entries({ user, message, back }) {
    const { chat, model } = this.#host;
    const { self } = model;
    if (!chat || chat.state === "ended" || !self?.user_id || !user.user_id) return [];
    const target = { ...user, name: plain(user.username ?? user.user_id) };
    const mine = user.user_id === self.user_id;
    const groups = [message ? this.#pinEntries(message) : [], [], [], []];
    if (!mine) groups[0].push(...this.#host.door.entries(user));
    if (!mine && this.above(user)) {
      if (model.can("ban")) groups[1].push(this.#times(target), this.#ban(target, back), this.#shadow(target, back));
      if (model.can("delete_many")) groups[1].push(this.#removeAll(target, back));
    }
    if (!mine && model.can("set_role")) groups[2].push(...this.#roleEntries(target));
    if (!mine && message && model.can("report")) groups[3].push(this.#report(target, message, back));
    if (!mine) groups[3].push(this.#block(target));
    return groups.filter((group) => group.length > 0);
  }

  #rolesOf({ user_id, roles }) {
    const present = this.#host.model.members?.get(user_id)?.role;
    return present ? [present] : roles;
  }

  #pinEntries({ message_id }) {
    const { chat, model, attempt } = this.#host;
    if (!model.can("pin")) return [];
    const pinned = model.room?.pinned?.includes(message_id);
    return [pinned ? { label: "Unpin", act: () => attempt(chat.unpin(message_id)) } : { label: "Pin to the top", act: () => attempt(chat.pin(message_id)) }];
  }

  #times({ user_id, name }) {
    const { chat, attempt, tell } = this.#host;
    const timeOut = async (duration_s, label) => {
      await chat.ban(user_id, { duration_s });
      tell(`${name} is timed out for ${label}.`, () => this.#lift(user_id, name));
    };
    return { label: "Time out", row: TIMES.map(([seconds, label]) => ({ label, name: `Time out for ${label}`, act: () => attempt(timeOut(seconds, label)) })) };
  }

  async #lift(user_id, name) {
    const { chat, tell } = this.#host;
    await chat.unban(user_id);
    tell(`${name} may come back.`);
  }

  #ban({ user_id, name }, back) {
    const { chat, dialog, tell } = this.#host;
    return {
      label: "Ban…", danger: true,
      act: () => dialog.ask({
        title: `Ban ${name}`, text: "They leave the room at once and cannot come back until somebody lifts the ban.", yes: "Ban", danger: true, back,
        fields: [textField("reason", "Reason, which they are told (optional)", { maxlength: 500 }), checkField("recent", "Delete what they said in the last hour")],
        act: async ({ reason, recent }) => {
          await chat.ban(user_id, { reason: reason || undefined, delete_messages_s: recent ? HOUR_S : undefined });
          tell(`${name} is banned.`, () => this.#lift(user_id, name));
        },
      }),
    };
  }

  #shadow({ user_id, name }, back) {
    const { chat, dialog, tell } = this.#host;
    return {
      label: "Shadow ban…", danger: true,
      act: () => dialog.ask({
        title: `Shadow ban ${name}`, text: "They stay and are told nothing, but only they and the moderators see what they say.", yes: "Shadow ban", danger: true, back,
        act: async () => {
          await chat.ban(user_id, { shadow: true });
          tell(`${name} is seen by moderators only.`, () => this.#lift(user_id, name));
        },
      }),
    };
  }

  #removeAll({ user_id, name }, back) {
    const { chat, dialog, tell } = this.#host;
    return {
      label: "Delete all messages…", danger: true,
      act: () => dialog.ask({
        title: `Delete all messages of ${name}`, text: "Everything that they said here is deleted for everybody. This cannot be undone.", yes: "Delete all", danger: true, back,
        act: async () => {
          const { deleted } = await chat.removeAllOf(user_id);
          tell(`${count(deleted, "message")} of ${name} deleted.`);
        },
      }),
    };
  }

  #roleEntries({ name, ...user }) {
    const { chat, attempt, tell } = this.#host;
    const rank = rankOf(this.#rolesOf(user));
    const set = async (role, words) => {
      await chat.setRole(user.user_id, role);
      tell(`${name} ${words}.`);
    };
    if (rank === RANKS.indexOf("moderator")) return [{ label: "Take the moderator role away", act: () => attempt(set(null, "is no moderator any more")) }];
    return rank < RANKS.indexOf("moderator") ? [{ label: "Make moderator", act: () => attempt(set("moderator", "is a moderator now")) }] : [];
  }

  #report({ name }, message, back) {
    const { chat, dialog, tell } = this.#host;
    const reasons = Object.entries(REASONS).map(([value, label]) =>
      h("label", { class: "check" }, h("input", { type: "radio", name: "reason", value, required: true }), h("span", {}, label)));
    return {
      label: "Report…",
      act: () => dialog.ask({
        title: `Report ${name}`, yes: "Report", back,
        fields: [
          h("blockquote", { class: "quoted" }, textOf(message).slice(0, 300)),
          h("fieldset", {}, h("legend", {}, "What is wrong with it?"), ...reasons),
          textField("details", "Details (optional)", { rows: 2, maxlength: 1000 }),
        ],
        act: async ({ reason, details }) => {
          await chat.report(message.message_id, { reason, details: details || undefined });
          tell("Thank you. The moderators have been told.");
        },
      }),
    };
  }

  #block({ user_id, name }) {
    const { model, attempt } = this.#host;
    return model.blocked.has(user_id)
      ? { label: "Unblock", act: () => attempt(this.unblock(user_id, name)) }
      : { label: "Block", act: () => attempt(this.#hide(user_id, name)) };
  }

  async #hide(user_id, name) {
    const { chat, model, tell } = this.#host;
    await chat.block(user_id);
    model.blocked.add(user_id);
    const effect = model.hides(user_id) ? `You no longer see what ${name} says.` : `${name} is blocked. Here you keep order and still see them.`;
    tell(effect, () => this.unblock(user_id, name));
  }

  async unblock(user_id, name) {
    const { chat, model, tell } = this.#host;
    await chat.unblock(user_id);
    model.blocked.delete(user_id);
    tell(`You see what ${name} says again.`);
  }
}
