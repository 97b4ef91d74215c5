// One message as a list item: built once, then only what changed is built again.

import { h } from "./dom.js";
import { fullTimeOf, hueOf, initialOf, plain, segments, textOf, timeOf } from "./text.js";
import { english } from "./words.js";

const NAMED_ROLES = ["moderator", "owner", "admin", "service"];

/** The avatar of a user: the picture where it loads, else the initial on the user's hue. */
export function avatarOf({ user_id, username, avatar }) {
  const circle = h("span", { class: `avatar hue-${hueOf(user_id)}`, part: "avatar", "aria-hidden": "true" }, initialOf(plain(username ?? "")));
  if (avatar) {
    const image = h("img", { src: avatar, alt: "", referrerpolicy: "no-referrer" });
    image.addEventListener("load", () => circle.replaceChildren(image));
  }
  return circle;
}

/** The role that is worth showing, or null for plain members. */
export const badgeOf = (roles = [], words = english) => {
  const role = NAMED_ROLES.findLast((name) => roles.includes(name));
  return role ? h("span", { class: "role", part: "role" }, words.t(`role.${role}`)) : null;
};

/**
 * Fills `item` (a `li`) with a message. `first`: begins a group, so name and avatar show;
 * `quoted`: the message that it answers, if loaded; `me`: one's own user_id; `words`: the language.
 */
export function fillMessage(item, message, { first, quoted, me, canReact, words = english }) {
  const { user, mentions = [] } = message;
  const forMe = me && user.user_id !== me && (mentions.some(({ user_id }) => user_id === me) || quoted?.user.user_id === me);
  item.className = `message hue-${hueOf(user.user_id)}`;
  item.setAttribute("part", me && user.user_id === me ? "message own" : "message");
  item.classList.toggle("first", first);
  item.classList.toggle("for-me", Boolean(forMe));
  item.classList.toggle("system", message.type === "system");
  const name = plain(user.username ?? "");
  const time = h("time", { class: "time", part: "time", datetime: message.timestamp, title: fullTimeOf(message.timestamp, words) }, timeOf(message.timestamp, words));
  const heading = first
    ? h("div", { class: "by" }, h("bdi", { class: "name", part: "name" }, name), badgeOf(user.roles, words), time)
    : h("span", { class: "quiet" }, `${name}: `);
  const reactions = h("div", { class: "reactions", "aria-live": "off" });
  fillReactions(reactions, message, canReact, words);
  item.replaceChildren(
    ...(first ? [avatarOf(user)] : [time]),
    h("div", { class: "body" }, heading, quoteOf(message, quoted, words), contentOf(message, me, words), originalOf(message, words), reactions),
  );
}

/** The chips under a message; one's own are pressed. */
export function fillReactions(box, { reactions = {}, mine = [] }, canReact, words = english) {
  const chips = Object.entries(reactions).map(([reaction, number]) =>
    h(
      "button",
      {
        class: "chip", part: "reaction", type: "button", tabindex: "-1", "data-act": "toggle", "data-reaction": reaction,
        "aria-pressed": String(mine.includes(reaction)), "aria-label": words.t("message.reaction", { reaction, count: number }), disabled: !canReact,
      },
      h("span", { "aria-hidden": "true" }, reaction),
      h("span", { "aria-hidden": "true" }, words.number(number)),
    ),
  );
  box.replaceChildren(...chips);
}

/** The parts of a message's text, set as text nodes only. */
export function contentOf(message, me, words = english) {
  if (message.type === "unavailable") return h("p", { class: "content gone" }, words.t("message.unavailable"));
  if (message.deleted_at) return h("p", { class: "content gone" }, words.t("message.deleted"));
  const parts = segments(textOf(message), message.mentions).map(({ kind, text, user_id }) => {
    if (kind === "link") return h("a", { href: text, target: "_blank", rel: "noopener noreferrer nofollow ugc", tabindex: "-1" }, text);
    if (kind === "mention") return h("span", { class: user_id === me ? "mention me" : "mention" }, text);
    return text;
  });
  const edited = message.edited_at ? h("span", { class: "edited", title: fullTimeOf(message.edited_at, words) }, words.t("message.edited")) : null;
  return h("p", { class: message.type === "emote" ? "content emote" : "content", part: "text", dir: "auto" }, ...parts, edited);
}

/** What was typed where a filter masked some of it; the server tells moderators alone. */
function originalOf({ original, deleted_at }, words) {
  if (!original || deleted_at) return null;
  return h("p", { class: "original", dir: "auto", title: words.t("message.typed_hint") }, h("b", {}, words.t("message.typed")), " ", original);
}

function quoteOf({ reply_to }, quoted, words) {
  if (!reply_to) return null;
  const text = !quoted ? words.t("message.earlier") : quoted.deleted_at ? words.t("message.gone") : textOf(quoted);
  return h(
    "button",
    { class: "quote", type: "button", tabindex: "-1", "data-act": "jump", "data-to": reply_to },
    h("span", { class: "quiet" }, words.t("message.reply_to"), " "),
    quoted ? h("b", {}, h("bdi", {}, plain(quoted.user.username))) : null,
    quoted ? " " : null,
    h("bdi", {}, text.slice(0, 160)),
  );
}
