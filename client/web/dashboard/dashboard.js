// The operators' page: asks /metrics every two seconds, with the token that was typed here.

import { Figures } from "./figures.js";
import { Plots } from "./plots.js";

const EVERY_MS = 2_000;
const WITHIN_MS = 8_000;
const KEY = "edge-chat-metrics-token";

const element = (id) => document.getElementById(id);
const plots = new Plots(element("plots"));
let figures = new Figures();
/** Which asking goes on; an older one ends by itself. */
let round = 0;

const count = (value) => (value === null ? "–" : value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 }));
const seconds = (ms) => `${(ms / 1_000).toLocaleString("en", { maximumFractionDigits: 1 })} s`;
const took = (ms) => (ms === null ? "–" : `${count(ms)} ms`);

/** Name, what it says, whether that is bad. */
const TILES = [
  ["Connections", (f) => count(f.sockets)],
  ["Users", (f) => count(f.users)],
  ["Guests", (f) => count(f.guests)],
  ["Rooms", (f) => count(f.rooms)],
  ["Messages/s", (f) => count(f.messages)],
  ["Deliveries/s", (f) => count(f.deliveries)],
  ["Joins/s", (f) => count(f.joins)],
  ["Errors/s", (f) => count(f.errors)],
  ["Rate-limited/s", (f) => count(f.limited)],
  ["Ack p50", (f) => took(f.ack_p50)],
  ["Ack p99", (f) => took(f.ack_p99)],
  ["Seen p99", (f) => took(f.shown_p99)],
  ["PostgreSQL lag", (f) => seconds(f.lag_ms[0]), (f) => f.lag_ms[0] > 5_000],
  ["Redis lag", (f) => seconds(f.lag_ms[1]), (f) => f.lag_ms[1] > 5_000],
  ["Webhook lag", (f) => seconds(f.webhook_lag_ms), (f) => f.webhook_lag_ms > 60_000],
  ["Dead letters", (f) => count(f.dead_letters), (f) => f.dead_letters > 0],
  ["Drains", (f) => `${f.up} of ${f.drains}`, (f) => f.up < f.drains],
];

const tiles = TILES.map(([name, write, bad = () => false]) => {
  const [tile, term, value] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
  term.textContent = name;
  tile.append(term, value);
  element("tiles").append(tile);
  return (now) => {
    value.textContent = write(now);
    value.classList.toggle("bad", bad(now));
  };
});

function show(now) {
  tiles.forEach((tile) => tile(now));
  plots.add(now);
  const rows = now.busiest.map(({ room_id, gauges, messages_per_s, deliveries_per_s, at }) => {
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = room_id;
    row.append(head);
    const behind = Math.max(0, gauges.seq - gauges.postgres.seq);
    const cells = [count(messages_per_s), count(deliveries_per_s), gauges.users, gauges.guests, gauges.sockets, behind, `${seconds(Math.max(0, now.at - at))} ago`];
    for (const text of cells) row.insertCell().textContent = text;
    return row;
  });
  element("rooms").replaceChildren(...rows);
}

function say(text, bad = false) {
  element("status").textContent = text;
  element("status").classList.toggle("bad", bad);
}

function door(why = "") {
  round += 1;
  sessionStorage.removeItem(KEY);
  element("board").hidden = element("out").hidden = true;
  element("door").hidden = false;
  element("refused").textContent = why;
  say("");
  element("token").focus();
}

/** Why the door stays shut, by status. */
const SHUT = { 401: "That is not the token.", 404: "This deployment has no METRICS_TOKEN set, so it tells nobody." };

async function ask(token) {
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch("/metrics?format=json", { headers, signal: AbortSignal.timeout(WITHIN_MS) });
  if (SHUT[response.status]) return { shut: SHUT[response.status] };
  if (!response.ok) throw new Error(`the service answers ${response.status}`);
  return { answer: await response.json() };
}

async function watch(token) {
  const own = (round += 1);
  figures = new Figures();
  let seen = null;
  while (own === round) {
    const began = performance.now();
    try {
      const { shut, answer } = document.hidden ? {} : await ask(token);
      if (own !== round) return;
      if (shut) return door(shut);
      if (answer) {
        sessionStorage.setItem(KEY, token);
        element("door").hidden = true;
        element("board").hidden = element("out").hidden = false;
        show(figures.take(answer));
        seen = new Date();
        say(`as of ${seen.toLocaleTimeString("en-GB")}`);
      }
    } catch (error) {
      const why = error instanceof TypeError ? "no answer" : error.message;
      say(seen ? `${why}; this is as of ${seen.toLocaleTimeString("en-GB")}` : why, true);
    }
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, EVERY_MS - (performance.now() - began))));
  }
}

element("door").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = element("token").value.trim();
  element("token").value = "";
  element("refused").textContent = "";
  void watch(token);
});
element("out").addEventListener("click", () => door());

const kept = sessionStorage.getItem(KEY);
if (kept) void watch(kept);
else door();
