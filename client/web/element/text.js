// What is said in words: message text cut into parts, names, times and errors. No page in it.

import { english } from "./words.js";

const ENTITIES = { "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&#x27;": "'", "&nbsp;": "\u00a0", "&amp;": "&" };

/**
 * Server strings that are safe as HTML (names, content) to plain text. What comes out is
 * only ever set as text, so an entity that is not known merely stays as it is written.
 */
export const plain = (html) => html.replace(/&(?:lt|gt|quot|#39|#x27|nbsp|amp);/g, (entity) => ENTITIES[entity]);

/** The plain text of a message: `text` comes wherever it differs from `content`. */
export const textOf = ({ text, content }) => text ?? content;

/** As it is searched for: without accents, in small letters. */
export const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

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

const FULL = { dateStyle: "full", timeStyle: "medium" };
const DATE = { weekday: "long", day: "numeric", month: "long" };

export const timeOf = (timestamp, words = english) => words.time(timestamp);
export const fullTimeOf = (timestamp, words = english) => words.date(timestamp, FULL);
export const dayOf = (timestamp) => new Date(timestamp).toDateString();

export function dayTitle(timestamp, words = english, now = new Date()) {
  const day = new Date(timestamp);
  if (day.toDateString() === now.toDateString()) return words.t("today");
  const yesterday = new Date(now);
  yesterday.setDate(now.getDate() - 1);
  return day.toDateString() === yesterday.toDateString() ? words.t("yesterday") : words.date(day, DATE);
}

/** "Ada is typing…", for up to three names. */
export function typingLine(names, words = english) {
  if (names.length === 0) return "";
  if (names.length > 3) return words.t("typing.several");
  return words.t("typing.some", { count: names.length, names: words.list(names) });
}

/** An error as a sentence for the person who reads it. */
export const sentence = (error, words = english) => words.sentence(error);

/** "12 s" or "2 min", never "0 s" while there is something to wait for. */
export function duration(ms, words = english) {
  const seconds = Math.ceil(ms / 1000);
  return seconds < 120 ? words.t("seconds", { count: seconds }) : words.t("minutes", { count: Math.ceil(seconds / 60) });
}
