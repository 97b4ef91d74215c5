// What can be done with a message or its author: the entries of the menu, and the questions behind them.

import { checkField, textField } from "./dialog.js";
import { h } from "./dom.js";
import { plain, textOf } from "./text.js";

const RANKS = ["guest", "member", "moderator", "service", "owner", "admin"];
const rankOf = (roles) => Math.max(1, ...(roles ?? []).map((role) => RANKS.indexOf(role)));

const TIMES = [[10, "seconds", 10], [600, "minutes", 10], [3_600, "hours", 1], [86_400, "day"]];
const HOUR_S = 3_600;

const REASONS = ["spam", "abuse", "hate", "sexual", "violence", "other"];

/** The choice why a message is reported, as a field of a dialog. */
export const reasonField = (words) =>
  h("fieldset", {}, h("legend", {}, words.t("report.why")),
    ...REASONS.map((value) => h("label", { class: "check" }, h("input", { type: "radio", name: "reason", value, required: true }), h("span", {}, words.t(`report.${value}`)))));

/** `host` has `chat`, `model`, `words`, `menu`, `dialog`, `door`, `tell(text, undo?)` and `attempt(promise)`, which shows an error. */
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
    this.#host.menu.open(opener, message ? this.#host.words.t("message.by", { name }) : name, this.entries({ user, message, back }));
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
    const { chat, model, words, attempt } = this.#host;
    if (!model.can("pin")) return [];
    const pinned = model.room?.pinned?.includes(message_id);
    return [pinned ? { label: words.t("order.unpin"), act: () => attempt(chat.unpin(message_id)) } : { label: words.t("order.pin"), act: () => attempt(chat.pin(message_id)) }];
  }

  #times({ user_id, name }) {
    const { chat, words, attempt, tell } = this.#host;
    const timeOut = async (duration_s, label) => {
      await chat.ban(user_id, { duration_s });
      tell(words.t("order.timed_out", { name, time: label }), () => this.#lift(user_id, name));
    };
    const row = TIMES.map(([seconds, unit, count]) => {
      const label = words.t(unit, { count });
      return { label, name: words.t("order.time_out_for", { time: label }), act: () => attempt(timeOut(seconds, label)) };
    });
    return { label: words.t("order.time_out"), row };
  }

  async #lift(user_id, name) {
    const { chat, words, tell } = this.#host;
    await chat.unban(user_id);
    tell(words.t("order.lifted", { name }));
  }

  #ban({ user_id, name }, back) {
    const { chat, words, dialog, tell } = this.#host;
    return {
      label: words.t("order.ban"), danger: true,
      act: () => dialog.ask({
        title: words.t("order.ban_title", { name }), text: words.t("order.ban_hint"), yes: words.t("order.ban_yes"), danger: true, back,
        fields: [textField("reason", words.t("order.ban_reason"), { maxlength: 500 }), checkField("recent", words.t("order.ban_recent"))],
        act: async ({ reason, recent }) => {
          await chat.ban(user_id, { reason: reason || undefined, delete_messages_s: recent ? HOUR_S : undefined });
          tell(words.t("order.banned", { name }), () => this.#lift(user_id, name));
        },
      }),
    };
  }

  #shadow({ user_id, name }, back) {
    const { chat, words, dialog, tell } = this.#host;
    return {
      label: words.t("order.shadow"), danger: true,
      act: () => dialog.ask({
        title: words.t("order.shadow_title", { name }), text: words.t("order.shadow_hint"), yes: words.t("order.shadow_yes"), danger: true, back,
        act: async () => {
          await chat.ban(user_id, { shadow: true });
          tell(words.t("order.shadowed", { name }), () => this.#lift(user_id, name));
        },
      }),
    };
  }

  #removeAll({ user_id, name }, back) {
    const { chat, words, dialog, tell } = this.#host;
    return {
      label: words.t("order.delete_all"), danger: true,
      act: () => dialog.ask({
        title: words.t("order.delete_all_title", { name }), text: words.t("order.delete_all_hint"), yes: words.t("order.delete_all_yes"), danger: true, back,
        act: async () => {
          const { deleted } = await chat.removeAllOf(user_id);
          tell(words.t("order.deleted", { count: deleted, name }));
        },
      }),
    };
  }

  #roleEntries({ name, ...user }) {
    const { chat, words, attempt, tell } = this.#host;
    const rank = rankOf(this.#rolesOf(user));
    const set = async (role, told) => {
      await chat.setRole(user.user_id, role);
      tell(words.t(told, { name }));
    };
    if (rank === RANKS.indexOf("moderator")) return [{ label: words.t("order.take_moderator"), act: () => attempt(set(null, "order.no_moderator")) }];
    return rank < RANKS.indexOf("moderator") ? [{ label: words.t("order.make_moderator"), act: () => attempt(set("moderator", "order.is_moderator")) }] : [];
  }

  #report({ name }, message, back) {
    const { chat, words, dialog, tell } = this.#host;
    return {
      label: words.t("order.report"),
      act: () => dialog.ask({
        title: words.t("report.title", { name }), yes: words.t("report.yes"), back,
        fields: [
          h("blockquote", { class: "quoted", dir: "auto" }, textOf(message).slice(0, 300)),
          reasonField(words),
          textField("details", words.t("report.details"), { rows: 2, maxlength: 1000 }),
        ],
        act: async ({ reason, details }) => {
          await chat.report(message.message_id, { reason, details: details || undefined });
          tell(words.t("report.thanks"));
        },
      }),
    };
  }

  #block({ user_id, name }) {
    const { model, words, attempt } = this.#host;
    return model.blocked.has(user_id)
      ? { label: words.t("unblock"), act: () => attempt(this.unblock(user_id, name)) }
      : { label: words.t("order.block"), act: () => attempt(this.#hide(user_id, name)) };
  }

  async #hide(user_id, name) {
    const { chat, model, words, tell } = this.#host;
    await chat.block(user_id);
    model.blocked.add(user_id);
    const effect = words.t(model.hides(user_id) ? "order.hidden" : "order.blocked", { name });
    tell(effect, () => this.unblock(user_id, name));
  }

  async unblock(user_id, name) {
    const { chat, model, words, tell } = this.#host;
    await chat.unblock(user_id);
    model.blocked.delete(user_id);
    tell(words.t("order.unblocked", { name }));
  }
}
