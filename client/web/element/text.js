// What is said in words: message text cut into parts, names, times and errors. No page in it.

const ENTITIES = { "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&#x27;": "'", "&nbsp;": "\u00a0", "&amp;": "&" };

/**
 * Server strings that are safe as HTML (names, content) to plain text. What comes out is
 * only ever set as text, so an entity that is not known merely stays as it is written.
 */
export const plain = (html) => html.replace(/&(?:lt|gt|quot|#39|#x27|nbsp|amp);/g, (entity) => ENTITIES[entity]);

/** The plain text of a message: `text` comes wherever it differs from `content`. */
export const textOf = ({ text, content }) => text ?? content;

const LINK = /https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]}]/gu;

/**
 * Cuts a message into `{kind: "text" | "mention" | "link", text, user_id?}`. A mention is an
 * `@name` of one of the message's own `mentions`; the longest name wins.
 */
export function segments(text, mentions = []) {
  const names = mentions
    .map(({ user_id, username }) => ({ user_id, at: `@${plain(username)}` }))
    .sort((a, b) => b.at.length - a.at.length);
  const parts = [];
  let from = 0;
  for (const link of text.matchAll(LINK)) {
    parts.push(...mentionsIn(text.slice(from, link.index), names));
    parts.push({ kind: "link", text: link[0] });
    from = link.index + link[0].length;
  }
  parts.push(...mentionsIn(text.slice(from), names));
  return parts;
}

function mentionsIn(text, names) {
  const parts = [];
  let from = 0;
  for (let index = text.indexOf("@"); index >= 0; index = text.indexOf("@", index + 1)) {
    const found = names.find(({ at }) => text.slice(index, index + at.length).toLowerCase() === at.toLowerCase());
    if (!found) continue;
    if (index > from) parts.push({ kind: "text", text: text.slice(from, index) });
    from = index + found.at.length;
    parts.push({ kind: "mention", text: text.slice(index, from), user_id: found.user_id });
    index = from - 1;
  }
  if (from < text.length) parts.push({ kind: "text", text: text.slice(from) });
  return parts;
}

/** One of twelve hues, the same for a user everywhere (FNV-1a, so that like names differ). */
export function hueOf(user_id) {
  let hash = 0x811c9dc5;
  for (const char of user_id ?? "") hash = Math.imul(hash ^ char.codePointAt(0), 0x01000193);
  return ((hash ^ (hash >>> 15)) >>> 0) % 12;
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** The first character of a name as a person sees it. */
export const initialOf = (name) => [...graphemes.segment(name.trim())][0]?.segment.toUpperCase() ?? "?";

/** The first thing typed, as one reaction: one grapheme cluster, or "" for none. */
export const firstGrapheme = (text) => [...graphemes.segment(text.trim())][0]?.segment ?? "";

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const date = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

export const timeOf = (timestamp) => clock.format(new Date(timestamp));
export const fullTimeOf = (timestamp) => full.format(new Date(timestamp));
export const dayOf = (timestamp) => new Date(timestamp).toDateString();

export function dayTitle(timestamp, now = new Date()) {
  const day = new Date(timestamp);
  if (day.toDateString() === now.toDateString()) return "Today";
  const yesterday = new Date(now);
  yesterday.setDate(now.getDate() - 1);
  return day.toDateString() === yesterday.toDateString() ? "Yesterday" : date.format(day);
}

/** "Ada is typing…", for up to three names. */
export function typingLine(names) {
  if (names.length === 0) return "";
  if (names.length > 3) return "Several people are typing…";
  const list = new Intl.ListFormat("en", { type: "conjunction" }).format(names);
  return `${list} ${names.length === 1 ? "is" : "are"} typing…`;
}

export const count = (number, one, many = `${one}s`) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

const SENTENCES = {
  rate_limited: "You are writing faster than this room allows.",
  slow_mode: "Slow mode is on in this room.",
  message_empty: "There is nothing to send in this message.",
  message_too_long: "This message is too long for this room.",
  message_not_found: "That message is no longer there.",
  message_too_old: "That message is too old to be changed.",
  content_rejected: "This message is against the rules of this room.",
  invalid_reaction: "A reaction is a single emoji.",
  too_many_reactions: "This message has as many reactions as it can hold.",
  room_mode: "This room does not accept messages like this one now.",
  forbidden: "That is not allowed here.",
  banned: "You are banned from this room.",
  token_required: "Sign in to take part in this room.",
  token_invalid: "Your sign-in was not accepted. Sign in again.",
  token_expired: "Your sign-in has ended. Sign in again.",
  token_mismatch: "You are signed in as somebody else. Reload the page.",
  room_not_found: "There is no such room.",
  room_deleted: "This room has been deleted.",
  invalid_room_id: "This is not a valid room name.",
  too_many_sockets: "This room is open in too many tabs. Close one.",
  storage_full: "This room is full and takes no more messages.",
  unavailable: "The room cannot be reached at the moment.",
  overloaded: "The room is very busy at the moment.",
  unknown_event: "This server does not know how to do that.",
  user_not_found: "That user is not to be found here.",
  report_not_found: "That report is not to be found here.",
  misconfigured: "This server is not set up yet. Its log says what is missing.",
  too_slow: "Your connection was too slow to keep up.",
  timeout: "The server did not answer.",
  offline: "The server cannot be reached.",
  closed: "The connection was closed.",
};

/** An error as a sentence for the person who reads it. */
export const sentence = ({ code, message } = {}) => SENTENCES[code] ?? (message || "Something went wrong.");

/** "12 s" or "2 min", never "0 s" while there is something to wait for. */
export function duration(ms) {
  const seconds = Math.ceil(ms / 1000);
  return seconds < 120 ? `${seconds}\u00a0s` : `${Math.ceil(seconds / 60)}\u00a0min`;
}
