// What a room's modes and bans are called in words. No page in it.

import { english } from "./words.js";

const UNITS = [[86_400, "day"], [3_600, "hour"], [60, "minute"], [1, "second"]];

/** "30 seconds", "10 minutes", "1 day": the largest unit that divides it. */
export function span(seconds, words = english) {
  const [size, unit] = UNITS.find(([one]) => seconds % one === 0) ?? UNITS.at(-1);
  return words.unit(seconds / size, unit);
}

/** The modes that are on, each in a few words, as everybody is told. */
export function modesOn({ read_only, slow_s, followers_only_s, subscribers_only, subscribers_only_s, emote_only, no_repeats, links, delay_s } = {}, words = english) {
  const on = (value) => value !== null && value !== undefined;
  const short = (count) => words.t("seconds", { count });
  const since = (key, seconds) => (seconds > 0 ? words.t(`${key}_for`, { time: span(seconds, words) }) : words.t(key));
  return [
    read_only ? words.t("mode.read_only") : null,
    slow_s ? words.t("mode.slow", { time: slow_s < 120 ? short(slow_s) : span(slow_s, words) }) : null,
    on(followers_only_s) ? since("mode.followers", followers_only_s) : null,
    subscribers_only ? since("mode.subscribers", subscribers_only_s) : null,
    emote_only ? words.t("mode.emotes") : null,
    no_repeats ? words.t("mode.no_repeats") : null,
    links && links !== "on" ? words.t("mode.no_links") : null,
    delay_s ? words.t("mode.delay", { time: short(delay_s) }) : null,
  ].filter(Boolean);
}

const CLOCK = { hour: "numeric", minute: "2-digit", second: "2-digit" };
const FULL = { dateStyle: "medium", timeStyle: "short" };

const isToday = (end, now) => end.toDateString() === now.toDateString();

/** When a ban ends: "14:05:10" today, with the date otherwise. */
export function endOf(ends_at, words = english, now = new Date()) {
  const end = new Date(ends_at);
  return words.date(end, isToday(end, now) ? CLOCK : FULL);
}

// How the service begins what it tells who is banned; a moderator's reason follows.
const BANNED = "You are banned from this room: ";

/** The end of a chat for somebody who is banned: why, and until when. */
export function banSentence({ message, ends_at }, words = english) {
  let why = message && message !== "banned" && message !== english.t("ban.banned") ? message : words.t("ban.banned");
  if (why.startsWith(BANNED)) why = words.t("ban.because", { reason: why.slice(BANNED.length).replace(/\.$/, "") });
  if (ends_at) return words.t(isToday(new Date(ends_at), new Date()) ? "ban.at" : "ban.on", { why, time: endOf(ends_at, words) });
  return ends_at === null ? words.t("ban.for_good", { why }) : why;
}

/** "12 min left" for a moment to come. */
export function left(until, now = Date.now(), words = english) {
  const seconds = Math.max(0, Math.ceil((Date.parse(until) - now) / 1000));
  const time =
    seconds < 60 ? words.t("seconds", { count: seconds })
    : seconds < 7_200 ? words.t("minutes", { count: Math.ceil(seconds / 60) })
    : words.t("hours", { count: Math.round(seconds / 3_600) });
  return words.t("held.left", { time });
}

/** Why a filter held or masked a message, as a moderator reads it. */
export function reasonOf({ code, because, term, sentence }, words = english) {
  if (sentence && words.language.startsWith("en")) return sentence;
  const key = `reason.${code === "spam" ? because : code === "term" && term ? "term_named" : code}`;
  return words.has(key) ? words.t(key, { term }) : (sentence ?? code);
}
