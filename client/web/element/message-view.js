// One message as a list item: built once, then only what changed is built again.

import { h } from "./dom.js";
import { fullTimeOf, hueOf, initialOf, plain, segments, textOf, timeOf } from "./text.js";

const NAMED_ROLES = ["moderator", "owner", "admin", "service"];

/** The avatar of a user: the picture where it loads, else the initial on the user's hue. */
export function avatarOf({ user_id, username, avatar }) {
  const circle = h("span", { class: `avatar hue-${hueOf(user_id)}`, "aria-hidden": "true" }, initialOf(plain(username ?? "")));
  if (avatar) {
    const image = h("img", { src: avatar, alt: "", referrerpolicy: "no-referrer" });
    image.addEventListener("load", () => circle.replaceChildren(image));
  }
  return circle;
}

/** The role that is worth showing, or null for plain members. */
export const badgeOf = (roles = []) => {
  const role = NAMED_ROLES.findLast((name) => roles.includes(name));
  return role ? h("span", { class: "role" }, role) : null;
};

/**
 * Fills `item` (a `li`) with a message. `first`: begins a group, so name and avatar show;
 * `quoted`: the message that it answers, if loaded; `me`: one's own user_id.
 */
export function fillMessage(item, message, { first, quoted, me, canReact }) {
  const { user, mentions = [] } = message;
  const forMe = me && user.user_id !== me && (mentions.some(({ user_id }) => user_id === me) || quoted?.user.user_id === me);
  item.className = `message hue-${hueOf(user.user_id)}`;
  item.classList.toggle("first", first);
  item.classList.toggle("for-me", Boolean(forMe));
  item.classList.toggle("system", message.type === "system");
  const name = plain(user.username ?? "");
  const time = h("time", { class: "time", datetime: message.timestamp, title: fullTimeOf(message.timestamp) }, timeOf(message.timestamp));
  const heading = first
    ? h("div", { class: "by" }, h("bdi", { class: "name" }, name), badgeOf(user.roles), time)
    : h("span", { class: "quiet" }, `${name}: `);
  const reactions = h("div", { class: "reactions", "aria-live": "off" });
  fillReactions(reactions, message, canReact);
  item.replaceChildren(
    ...(first ? [avatarOf(user)] : [time]),
    h("div", { class: "body" }, heading, quoteOf(message, quoted), contentOf(message, me), originalOf(message), reactions),
  );
}

/** The chips under a message; one's own are pressed. */
export function fillReactions(box, { reactions = {}, mine = [] }, canReact) {
  const chips = Object.entries(reactions).map(([reaction, number]) =>
    h(
      "button",
      {
        class: "chip", type: "button", tabindex: "-1", "data-act": "toggle", "data-reaction": reaction,
        "aria-pressed": String(mine.includes(reaction)), "aria-label": `${reaction}, ${number}`, disabled: !canReact,
      },
      h("span", { "aria-hidden": "true" }, reaction),
      h("span", { "aria-hidden": "true" }, String(number)),
    ),
  );
  box.replaceChildren(...chips);
}

/** The parts of a message's text, set as text nodes only. */
export function contentOf(message, me) {
  if (message.type === "unavailable") return h("p", { class: "content gone" }, "This message cannot be shown.");
  if (message.deleted_at) return h("p", { class: "content gone" }, "This message was deleted.");
  const parts = segments(textOf(message), message.mentions).map(({ kind, text, user_id }) => {
    if (kind === "link") return h("a", { href: text, target: "_blank", rel: "noopener noreferrer nofollow ugc", tabindex: "-1" }, text);
    if (kind === "mention") return h("span", { class: user_id === me ? "mention me" : "mention" }, text);
    return text;
  });
  const edited = message.edited_at ? h("span", { class: "edited", title: fullTimeOf(message.edited_at) }, "edited") : null;
  return h("p", { class: message.type === "emote" ? "content emote" : "content", dir: "auto" }, ...parts, edited);
}

/** What was typed where a filter masked some of it; the server tells moderators alone. */
function originalOf({ original, deleted_at }) {
  if (!original || deleted_at) return null;
  return h("p", { class: "original", dir: "auto", title: "Only moderators see this" }, h("b", {}, "Typed: "), original);
}

function quoteOf({ reply_to }, quoted) {
  if (!reply_to) return null;
  const text = !quoted ? "an earlier message" : quoted.deleted_at ? "a deleted message" : textOf(quoted);
  return h(
    "button",
    { class: "quote", type: "button", tabindex: "-1", "data-act": "jump", "data-to": reply_to },
    h("span", { class: "quiet" }, "In reply to "),
    quoted ? h("b", {}, plain(quoted.user.username)) : null,
    quoted ? " " : null,
    text.slice(0, 160),
  );
}
