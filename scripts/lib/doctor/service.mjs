// The service behind its URL: whether it serves, whom, and how far PostgreSQL, Redis and the webhook are behind it.
import { setTimeout as sleep } from "node:timers/promises";
import { nameOf } from "../deploy/worker.mjs";
import { change } from "./settings.mjs";

/** How long an answer may take, ms. */
const WITHIN = 10_000;
/** The longest wait between a room's tries while somebody is in it, ms, of each sink; whether it moves is looked at too. */
const BEHIND = [10_000, 10_000, 60_000];
const FULL = 12 << 20;
const SINKS = ["PostgreSQL", "Redis", "the webhook"];
const FAILED = ["drain_failed", "bridge_failed", "hook_failed"];
/** The Worker by its name, since wrangler without one reads production's. */
const named = (env = "production") => nameOf(env);
const delivery = (env) => `Look for lines \`drain: …\`, \`bridge: …\` and \`webhook: …\` in its log (npx wrangler tail ${named(env)}), and docs/runbook.md.`;

const WHY = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "no such host is known",
  EAI_AGAIN: "its name cannot be looked up",
  ECONNRESET: "the connection was cut",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is of another host",
  CERT_HAS_EXPIRED: "its certificate is over",
  DEPTH_ZERO_SELF_SIGNED_CERT: "nobody vouches for its certificate",
};

async function ask(url, path, options = {}) {
  const answer = await fetch(new URL(path, url), { redirect: "manual", signal: AbortSignal.timeout(WITHIN), ...options });
  const text = await answer.text();
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {}
  return { status: answer.status, headers: answer.headers, body };
}

const reason = (error) => (error.name === "TimeoutError" ? `no answer in ${WITHIN / 1000} s` : WHY[error.cause?.code] ?? error.cause?.message ?? error.message);

/** Whether it serves. Its clock, which an answer tells in whole seconds, is ahead of ours by `offset` ms. */
async function serves(url, { report, local, env }) {
  const asked = Date.now();
  let answer;
  try {
    answer = await ask(url, "/healthz");
  } catch (error) {
    report.bad(`${url.origin} does not answer: ${reason(error)}.`, local ? "Start it: ./scripts/dev" : `Is the address right, and was it deployed? npx wrangler deployments list --name ${named(env)}`);
    return { serves: false };
  }
  const date = Date.parse(answer.headers.get("date") ?? "");
  const offset = date ? date + 500 - (asked + Date.now()) / 2 : undefined;
  if (answer.body?.code === "misconfigured") {
    report.bad(`It refuses to serve: ${answer.body.detail}`, change("Put it right", { local, env }));
    return { serves: false, judged: true, offset };
  }
  if (answer.body?.status !== "ok") {
    report.bad(`${url.origin}/healthz answers ${answer.status}, and not as the chat does.`, "Is the address right? Whatever stands before the chat has to hand /healthz, /api, /metrics and WebSockets on.");
    return { serves: false, judged: true, offset };
  }
  report.well(`${url.origin} serves, and its settings are good.`);
  if (!local && url.protocol === "http:") report.look("It is asked by http: what is said, and tokens, can be read on the way.", "Serve it by https.");
  return { serves: true, edge: answer.headers.has("cf-ray"), offset };
}

async function doors(url, { report, local, env, origins }) {
  for (const origin of origins) {
    const { status } = await ask(url, "/healthz", { headers: { origin } });
    if (status === 403) report.bad(`Pages of ${origin} may not use it.`, change(`Put ${origin} into ALLOWED_ORIGINS, as a browser sends it (scheme and port, no path),`, { local, env }));
    else if (status === 200) report.well(`Pages of ${origin} may use it.`);
    else report.look(`Whether pages of ${origin} may use it is not known: it answered ${status}.`, "Run this again in a moment.");
  }
  // A body that is refused, where there is anything to refuse it: no token is made.
  const { status, body } = await ask(url, "/dev/token", { method: "POST", body: "{}", headers: { "content-type": "application/json" } });
  if (!local && status === 400 && body?.code === "bad_request") report.bad("It gives a token with any role to anybody who asks: DEV_TOKENS is true.", `${change("Take DEV_TOKENS out of wrangler.toml, put another JWT_SECRET, since tokens last for hours,", { env })}`);
}

/** A room that nobody made: its answer comes from PostgreSQL. Few names, since each is an object; none twice in a minute. */
async function history(url, { report, env }) {
  const { status, body } = await ask(url, `/api/rooms/doctor-${Math.floor(Date.now() / 6_000) % 20}`);
  if (body?.code === "room_not_found") report.well("It reaches its PostgreSQL.");
  else if (body?.code === "unavailable") {
    report.bad("It does not reach its PostgreSQL: who is in a room goes on, but no room can be made, and old messages are not to be had.", `Look at PostgreSQL below, then at Hyperdrive: npx wrangler hyperdrive list; the log says why: npx wrangler tail ${named(env)}.`);
  } else report.look(`Whether it reaches its PostgreSQL is not known: it answered ${status} ${body?.code ?? ""}.`, "Run this again in a minute.");
}

const lag = (sums, what, sink) => (sink < 2 ? sums?.[`lag_${what}`][sink] : sums?.[`webhook_lag_${what}`]) ?? 0;
const slowest = (drains, sink) => Math.max(0, ...drains.map(({ sums }) => lag(sums, "ms", sink)));

async function figures(url, { report, local, env, token, pause = 3_000 }) {
  const read = () => ask(url, "/metrics?format=json", token ? { headers: { authorization: `Bearer ${token}` } } : {});
  const { status, body } = await read();
  if (status === 404) {
    report.look("METRICS_TOKEN is not set there: no alert, no dashboard, and nothing is known of how far PostgreSQL is behind.", change("Put METRICS_TOKEN, as openssl rand -hex 32 makes one,", { local, env }));
    return {};
  }
  if (status === 401 && !token) {
    report.look("How far PostgreSQL and Redis are behind was not asked: METRICS_TOKEN is not known here.", "Run this with METRICS_TOKEN in the environment.");
    return {};
  }
  if (status === 401) {
    report.bad("METRICS_TOKEN here is not the service's, so Prometheus may have the wrong one too.", `Give the one that was put there. Or another: ${change("put it", { local, env })}`);
    return {};
  }
  if (status !== 200) {
    report.bad(`/metrics answers ${status} ${body?.code ?? ""}.`, delivery(env));
    return {};
  }
  const silent = body.drains.filter(({ up }) => !up).map(({ drain }) => drain);
  if (silent.length) report.bad(`Drain ${silent.join(", ")} of ${body.drains.length} does not answer: its rooms may not be told to PostgreSQL.`, "docs/runbook.md#edgechatdrainsilent");
  const first = SINKS.map((_, sink) => slowest(body.drains, sink));
  const stuck = first.some((ms, sink) => ms > BEHIND[sink]);
  if (stuck) await sleep(pause);
  const drains = (stuck && (await read()).body?.drains) || body.drains;
  for (const [sink, name] of SINKS.entries()) {
    const queued = Math.max(0, ...drains.map(({ queued }) => queued?.[sink] ?? 0));
    if (queued > FULL) report.look(`${Math.round(queued / (1 << 20))} MiB wait in a drain for ${name}; at 16 MiB rooms are told to wait.`, "docs/runbook.md#edgechatqueuefull");
    if (first[sink] <= BEHIND[sink]) continue;
    const now = slowest(drains, sink);
    const events = drains.reduce((sum, { sums }) => sum + lag(sums, "events", sink), 0);
    const sentence = `A room has waited for ${name} for ${Math.round(Math.max(now, first[sink]) / 1000)} s, ${events} events are missing there`;
    // What a room delays for its moderators Redis and the webhook lack meanwhile, and always some of it where people go on talking.
    const failed = drains.some(({ metrics }) => metrics?.[FAILED[sink]]);
    if (now > first[sink] && failed) report.bad(`${sentence}, and it does not move.`, delivery(env));
    else if (now > first[sink]) report.look(`${sentence}, and no batch has failed.`, "A room with delay_s where people go on talking is no fault. Else run this again in a moment.");
    else report.look(`${sentence}, and it catches up.`, delivery(env));
  }
  const left = drains.reduce((sum, { metrics }) => sum + (metrics?.hook_skipped ?? 0), 0);
  // In all since the drains began, which may have been weeks ago.
  if (left) report.look(`The webhook's back end has refused ${left} bodies, which were left out.`, "docs/runbook.md#edgechatwebhookleftout");
  if (!silent.length && !stuck && !left) report.well(`All ${body.drains.length} drains answer, and no room waits for long.`);
  const bridged = body.drains.some(({ metrics, busiest }) => metrics?.bridged || metrics?.bridge_failed || busiest?.some(({ gauges }) => gauges.redis));
  return { bridged, at: body.at };
}

/**
 * Looks at the service: `about` has the `report`, whether the service is a `local` one, which `env` of ./scripts/deploy it is, where that is known, the `origins` of pages that should
 * be let in, METRICS_TOKEN as `token`, and how long to wait, `pause` ms, before what is late is looked at again. Gives whether it `serves`, whether it has `judged` its settings, whether Cloudflare's `edge`
 * stands before it, its clock's `offset` to ours in ms, and whether it is `bridged` to Redis, as far as that is known.
 */
export async function service(url, about) {
  const health = await serves(url, about);
  if (!health.serves) return health;
  await doors(url, about);
  await history(url, about);
  const asked = Date.now();
  const { bridged, at } = await figures(url, about);
  return { ...health, bridged, offset: health.offset ?? (at && at - asked) };
}
