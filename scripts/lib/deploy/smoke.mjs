// Whether people can talk where it was deployed: health, a socket that joins, speaks, goes and resumes, and PostgreSQL.
import { SignJWT } from "jose";
import { Stop, say, step, until } from "../process.mjs";

/** A room of its own, which nobody but services and moderators sees; it stays, since a deleted id is gone for good. */
const ROOM = "deploy-check";
const ROOM_BODY = { room_id: ROOM, name: "Deploy check", type: "group", settings: { visibility: "private" } };
/** How long a new name may take until it has its certificate, ms. */
const PATIENCE = 300_000;
/** How long the version before may still answer where another was just put in its place, ms. */
const GRACE = 15_000;

/** A token of this user, or of a service, for ten minutes; none where the keys to sign with are not here. */
export async function signed({ vars, secrets }, { sub, ...claims } = { sub: ROOM, username: "deploy", roles: ["service"] }) {
  const [kid, secret] = secrets.JWT_SECRET ? [undefined, secrets.JWT_SECRET] : Object.entries(JSON.parse(secrets.JWT_SECRETS ?? "{}"))[0] ?? [];
  if (!secret) return null;
  const token = new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256", typ: "JWT", kid })
    .setSubject(sub)
    .setIssuedAt()
    .setExpirationTime("10 min");
  if (vars.JWT_ISSUER) token.setIssuer(vars.JWT_ISSUER);
  if (vars.JWT_AUDIENCE) token.setAudience(vars.JWT_AUDIENCE);
  return token.sign(new TextEncoder().encode(secret));
}

/** A socket of the room; `ask(event, data)` gives the reply to a frame. Whatever ends it ends what waits. */
function socket(url, token) {
  const ws = new WebSocket(`${url.replace(/^http/, "ws")}/api/rooms/${ROOM}/ws`, ["chat.v1", ...(token ? [`bearer.${token}`] : [])]);
  const waiting = new Map();
  let last = 0;
  let fail;
  const broken = new Promise((_, reject) => (fail = reject));
  broken.catch(() => {});
  ws.addEventListener("error", () => fail(new Stop(`The socket to ${url} could not be opened.`)));
  ws.addEventListener("close", ({ code, reason }) => fail(new Stop(`The socket closed: ${code} ${reason}`)));
  ws.addEventListener("message", ({ data }) => {
    for (const line of data.split("\n").map((text) => JSON.parse(text))) waiting.get(line.reply)?.(line);
  });
  const open = new Promise((resolve) => ws.addEventListener("open", resolve));
  const late = () => new Promise((_, reject) => setTimeout(reject, 15_000, new Stop("The socket did not answer in 15 s.")).unref());
  return {
    async ask(event, data) {
      await Promise.race([open, broken, late()]);
      const id = ++last;
      const reply = new Promise((resolve) => waiting.set(id, resolve));
      ws.send(JSON.stringify({ id, event, data }));
      return Promise.race([reply, broken, late()]);
    },
    close: () => ws.close(1000),
  };
}

async function joined(url, token, data) {
  const own = socket(url, token);
  const { data: reply, error } = await own.ask("join_room", data);
  if (error) throw new Stop(`The socket could not join: ${error.code}: ${error.message}`);
  return { ...own, reply };
}

async function talk(url, token) {
  const first = await joined(url, token, {});
  const { data, error } = await first.ask("send_message", { content: "deployed", client_id: crypto.randomUUID() });
  if (error) throw new Stop(`The message was not taken: ${error.code}: ${error.message}`);
  first.close();
  const { epoch, seq } = first.reply;
  const second = await joined(url, token, { resume: { epoch, seq } });
  second.close();
  const again = second.reply.resumed && second.reply.events.some((event) => event.seq === data.seq);
  if (!again) throw new Stop("A socket that came back was not given what it had missed.");
  return data.seq;
}

/** Waits until everything works; `fresh` says that another version was put there just now. */
export async function smoke(url, settings, fresh) {
  let last = "nothing";
  const began = performance.now();
  const healthy = await step(`waiting for ${url}/healthz`, () => until(PATIENCE, async () => {
    try {
      const answer = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(10_000) });
      last = `${answer.status} ${(await answer.text()).slice(0, 300)}`;
      // It does not come right by itself, unless that is the version before.
      if (answer.status === 503 && last.includes("misconfigured") && !(fresh && performance.now() - began < GRACE)) throw new Stop(`The service refuses to serve: ${last}`);
      return answer.status === 200;
    } catch (error) {
      if (error instanceof Stop) throw error;
      last = error.cause?.code ?? error.message;
    }
  }, 500));
  if (!healthy) throw new Stop(`${url}/healthz did not answer 200 within ${PATIENCE / 60_000} minutes; last: ${last}`);

  const token = await signed(settings);
  if (!token) {
    const { error } = await step("a guest's socket", () => socket(url).ask("join_room", {}));
    // Which PostgreSQL had to be asked for.
    if (error?.code !== "room_not_found") throw new Stop(`A guest was answered ${JSON.stringify(error)}.`);
    say("  with public keys alone nobody here can sign a token: that members can speak was not tried");
    return;
  }
  const rest = (path, options) =>
    fetch(`${url}/api${path}`, { headers: { authorization: `Bearer ${token}`, "content-type": "application/json" }, signal: AbortSignal.timeout(15_000), ...options });
  await step(`the room ${ROOM}`, async () => {
    const answer = await rest("/rooms", { method: "POST", body: JSON.stringify(ROOM_BODY) });
    if (![201, 409].includes(answer.status)) throw new Stop(`It could not be made: ${answer.status} ${(await answer.text()).slice(0, 300)}`);
  });
  const seq = await step("a socket that joins, speaks, goes and comes back", () => talk(url, token));
  const sinks = ["drained_seq", ...(settings.secrets.REDIS_URL || settings.vars.REDIS_HOST ? ["bridged_seq"] : [])];
  await step("what was said reaches PostgreSQL and the bridge, where there is one", async () => {
    let stats = {};
    const there = await until(60_000, async () => {
      stats = await rest(`/rooms/${ROOM}/stats`).then((answer) => answer.json()).catch(() => ({}));
      return sinks.every((sink) => stats[sink] >= seq);
    }, 500);
    const missing = sinks.filter((sink) => !(stats[sink] >= seq));
    if (!there) throw new Stop(`It did not within a minute (${missing.map((sink) => `${sink} is ${stats[sink]} of ${seq}`).join(", ")}). What the drain says: npx wrangler tail`);
  });
}

/**
 * How long PostgreSQL has lacked something of the rooms, s; null where METRICS_TOKEN is not set, or where it, or one of
 * the drains, is not answered.
 */
export async function behind(url, { secrets }) {
  if (!secrets.METRICS_TOKEN) return null;
  try {
    const answer = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${secrets.METRICS_TOKEN}` }, signal: AbortSignal.timeout(15_000) });
    const text = await answer.text();
    if (/^edge_chat_drain_up\{[^}]*\} 0$/m.test(text)) return null;
    const lags = [...text.matchAll(/^edge_chat_lag_seconds\{[^}]*sink="postgres"[^}]*\} (\S+)$/gm)];
    return lags.length ? Math.max(...lags.map(([, lag]) => Number(lag))) : null;
  } catch {
    return null;
  }
}
