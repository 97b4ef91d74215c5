// What a room's modes and bans are called in words. No page in it.

const SPANS = [[86_400, "day"], [3_600, "hour"], [60, "minute"], [1, "second"]];

/** "30 seconds", "10 minutes", "1 day": the largest unit that divides it. */
export function span(seconds) {
  const [unit, name] = SPANS.find(([size]) => seconds % size === 0) ?? SPANS.at(-1);
  const number = seconds / unit;
  return `${number.toLocaleString("en")} ${name}${number === 1 ? "" : "s"}`;
}

/** The modes that are on, each in a few words, as everybody is told. */
export function modesOn({ read_only, slow_s, followers_only_s, subscribers_only, subscribers_only_s, emote_only, no_repeats, links, delay_s } = {}) {
  const on = (value) => value !== null && value !== undefined;
  return [
    read_only ? "Read-only" : null,
    slow_s ? `Slow mode: ${slow_s < 120 ? `${slow_s} s` : span(slow_s)}` : null,
    on(followers_only_s) ? (followers_only_s > 0 ? `Followers only: ${span(followers_only_s)}` : "Followers only") : null,
    subscribers_only ? (subscribers_only_s > 0 ? `Subscribers only: ${span(subscribers_only_s)}` : "Subscribers only") : null,
    emote_only ? "Emotes only" : null,
    no_repeats ? "No repeats" : null,
    links && links !== "on" ? "No links" : null,
    delay_s ? `Delay: ${delay_s} s` : null,
  ].filter(Boolean);
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit", second: "2-digit" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** When a ban ends: "at 14:05:10" today, with the date otherwise. */
export function endOf(ends_at, now = new Date()) {
  const end = new Date(ends_at);
  return end.toDateString() === now.toDateString() ? `at ${clock.format(end)}` : `on ${full.format(end)}`;
}

/** The end of a chat for somebody who is banned: why, and until when. */
export function banSentence({ message, ends_at }) {
  const why = message && message !== "banned" ? message : "You are banned from this room.";
  if (ends_at) return `${why} This ends ${endOf(ends_at)}.`;
  return ends_at === null ? `${why} This holds until a moderator lifts it.` : why;
}

/** "12 min left" for a moment to come. */
export function left(until, now = Date.now()) {
  const seconds = Math.max(0, Math.ceil((Date.parse(until) - now) / 1000));
  if (seconds < 60) return `${seconds} s left`;
  return seconds < 7_200 ? `${Math.ceil(seconds / 60)} min left` : `${Math.round(seconds / 3_600)} h left`;
}
