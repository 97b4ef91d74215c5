// A WebSocket of the chat that a test can wait on.
import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";

/** The upgrade was answered by HTTP: `status`, `body` (parsed where it is JSON), `headers`. */
export class Refused extends Error {
  constructor(status, headers, text) {
    super(`upgrade refused: ${status} ${text}`);
    Object.assign(this, { status, headers, body: parsed(text) });
  }
}

const parsed = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};

async function within(ms, what, promise) {
  const timer = new AbortController();
  const late = sleep(ms, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`${what()} did not come within ${ms} ms`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
    late.catch(() => {});
  }
}

/**
 * Opens a socket; rejects with `Refused` where the answer is HTTP. It proves by itself that it reads, unless `probes` is
 * false.
 *
 * - `request(event, data, ms)`: sends a frame with an id; resolves to the reply's data, rejects with an Error that has
 *   the reply's `code` and `data` (the whole error object).
 * - `next(event, ms)`: the next envelope of that name (or that a function accepts) not yet taken, also one that came
 *   before; a position line counts as the event `at`.
 * - `none(event, ms)`: rejects if such an envelope comes within that time.
 * - `send(text)`, `close(code, reason)`, `terminate()`; `closed`: a promise of `{code, reason}`, the reason parsed where
 *   it is JSON; `lines`, `frames`: all that came; `protocol`: the subprotocol that was agreed on.
 */
export async function openSocket(url, protocols = ["chat.v1"], { headers, ms = 5_000, probes = true } = {}) {
  const ws = new WebSocket(url, protocols, { headers });
  const frames = [];
  const lines = [];
  const untaken = [];
  const replies = new Map();
  const waiting = new Set();
  let lastId = 0;

  const closed = new Promise((resolve) => {
    ws.on("close", (code, reason) => resolve({ code, reason: parsed(reason.toString()) }));
  });
  closed.then(({ code, reason }) => {
    const ended = new Error(`the socket closed: ${code} ${JSON.stringify(reason)}`);
    for (const { reject } of [...replies.values(), ...waiting]) reject(ended);
  });

  ws.on("message", (raw, binary) => {
    frames.push(binary ? raw : raw.toString());
    if (binary) return;
    for (const text of raw.toString().split("\n")) {
      const line = JSON.parse(text);
      lines.push(line);
      if ("reply" in line) {
        const { resolve, reject } = replies.get(line.reply) ?? {};
        replies.delete(line.reply);
        if (line.error) reject?.(Object.assign(new Error(`${line.error.code}: ${line.error.message}`), { code: line.error.code, data: line.error }));
        else resolve?.(line.data);
        continue;
      }
      if (probes && line.event === "probe") ws.send(JSON.stringify(line));
      const waiter = [...waiting].find(({ accepts }) => accepts(line));
      if (waiter) waiter.resolve(line);
      else untaken.push(line);
    }
  });

  await within(ms, () => "the upgrade's answer", new Promise((resolve, reject) => {
    ws.once("open", resolve);
    ws.on("error", reject);
    ws.once("unexpected-response", (_, response) => {
      let text = "";
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => reject(new Refused(response.statusCode, response.headers, text)));
    });
  }));

  const accepting = (event) =>
    typeof event === "function" ? event : (line) => line.event === event || (event === "at" && "at" in line);

  const next = (event, ms = 5_000) => {
    const accepts = accepting(event);
    const index = untaken.findIndex(accepts);
    if (index >= 0) return Promise.resolve(untaken.splice(index, 1)[0]);
    let waiter;
    const coming = new Promise((resolve, reject) => waiting.add((waiter = { accepts, resolve, reject })));
    return within(ms, () => `event ${event}`, coming).finally(() => waiting.delete(waiter));
  };

  return {
    frames,
    lines,
    closed,
    protocol: ws.protocol,
    next,
    async none(event, ms = 300) {
      const accepts = accepting(event);
      const came = () => untaken.find(accepts);
      const deadline = performance.now() + ms;
      while (!came() && performance.now() < deadline) await sleep(20);
      if (came()) throw new Error(`came and should not: ${JSON.stringify(came())}`);
    },
    request(event, data = {}, ms = 5_000) {
      const id = ++lastId;
      const reply = new Promise((resolve, reject) => replies.set(id, { resolve, reject }));
      ws.send(JSON.stringify({ id, event, data }));
      return within(ms, () => `the reply to ${event}`, reply);
    },
    send: (text) => ws.send(text),
    close: (code, reason) => ws.close(code, reason),
    terminate: () => ws.terminate(),
  };
}
