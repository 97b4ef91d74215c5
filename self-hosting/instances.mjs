// Several instances, each with objects of its own on its disk: which of them has which, and the way there.

/** A setting that is wrong: a sentence for the operator. */
export class Misconfigured extends Error {}

/** Names the object that another instance asks for. */
const OBJECT = "x-edge-chat-object";
/** Or asks who is there. */
const WHO = "who";
/** Drains store nothing, so each instance has all of them. */
const EVERYWHERE = "DRAIN";
const KINDS = ["ROOM", "SHARD", "USER", "GATEWAY", EVERYWHERE];
/** Of each instance on the ring. */
const POINTS = 160;

const text = new TextEncoder();

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** CRC-32 of these bytes after those that gave `before`. */
function crc32(bytes, before = 0) {
  let crc = ~before;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/**
 * The ring that nginx makes of `server` lines for `hash … consistent`, so that who is sent to an instance by the proxy is
 * where the room is: `owner(key)` is the server, as its line names it.
 */
export function ring(servers) {
  const points = servers.flatMap((server) => {
    const [host, port] = server.split(/:(?=\d*$)/);
    const base = crc32(text.encode(`${host}\0${port ?? ""}`));
    let point = 0;
    return Array.from({ length: POINTS }, () => {
      point = crc32([point, point >>> 8, point >>> 16, point >>> 24].map((byte) => byte & 0xff), base);
      return { point, server };
    });
  });
  points.sort((a, b) => a.point - b.point);
  return {
    owner(key) {
      const hash = crc32(text.encode(key));
      let [low, high] = [0, points.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (points[middle].point < hash) low = middle + 1;
        else high = middle;
      }
      return points[low % points.length].server;
    },
  };
}

/** Named as the platform's own, which the Worker looks at. */
class DurableObjectNamespace {
  #stub;

  constructor(stub) {
    this.#stub = stub;
  }

  getByName(name) {
    return this.#stub(name);
  }
}

/**
 * What INSTANCES, INSTANCE and INSTANCES_SECRET make of the objects' bindings in `env`. The result: `namespaces`, the
 * bindings to use instead; `answer(request)`, the answer to another instance that calls an object of this one, null for
 * other requests; `problem(again)`, a sentence where this process is not the one at INSTANCE's address, so that two would
 * have the same objects: found out once, unless it is to be asked again.
 *
 * @throws Misconfigured
 */
export function instances(env) {
  const all = (env.INSTANCES ?? "").split(",").map((one) => one.trim()).filter(Boolean);
  const [self, secret] = [env.INSTANCE ?? "", env.INSTANCES_SECRET ?? ""];
  if (!all.length) {
    const namespaces = Object.fromEntries(KINDS.map((kind) => [kind, env[kind]]));
    return { namespaces, answer: () => null, problem: () => null };
  }
  const bad = all.find((one) => !/^[a-z0-9.-]+:\d+$/i.test(one));
  if (bad) throw new Misconfigured(`INSTANCES holds "${bad}"; each of them is host:port, as the proxy names it.`);
  if (new Set(all).size < all.length) throw new Misconfigured("INSTANCES names one twice.");
  if (!all.includes(self)) throw new Misconfigured(`INSTANCE is "${self}"; it has to be one of INSTANCES.`);
  if (secret.length < 32) throw new Misconfigured("INSTANCES_SECRET is to be at least 32 characters, the same for all: openssl rand -hex 32.");

  const { owner } = ring(all);
  const authorization = `Bearer ${secret}`;
  const bearer = text.encode(authorization);
  const myself = crypto.randomUUID();
  let wrong = `INSTANCE is ${self}, and nobody answers there.`;
  const owns = (kind, name) => kind === EVERYWHERE || owner(name) === self;

  async function call(to, kind, name, input, init) {
    const request = new Request(input, init);
    const { pathname, search } = new URL(request.url);
    const headers = new Headers(request.headers);
    headers.set(OBJECT, `${kind}/${encodeURIComponent(name)}`);
    headers.set("authorization", authorization);
    const response = await fetch(`http://${to}${pathname}${search}`, new Request(request, { headers, redirect: "manual" }));
    if (response.headers.has(OBJECT)) throw new Error(`instance ${to} ${await response.text()}`);
    return response;
  }

  const stub = (kind) => (name) =>
    owns(kind, name) ? env[kind].getByName(name) : { fetch: (input, init) => call(owner(name), kind, name, input, init) };

  const refused = (why) => new Response(why, { status: 403, headers: { [OBJECT]: "refused" } });

  return {
    namespaces: Object.fromEntries(KINDS.map((kind) => [kind, new DurableObjectNamespace(stub(kind))])),
    async problem(again) {
      if (wrong !== null || again) {
        try {
          const answer = await fetch(`http://${self}/`, { headers: { [OBJECT]: WHO, authorization }, signal: AbortSignal.timeout(2_000) });
          wrong = (await answer.text()) === myself ? null : `INSTANCE is ${self}, and another process answers there.`;
        } catch {
          // What was heard before holds.
        }
      }
      return wrong;
    },
    answer(request) {
      const wanted = request.headers.get(OBJECT);
      if (wanted === null) return null;
      const given = text.encode(request.headers.get("authorization") ?? "");
      if (given.length !== bearer.length || !crypto.subtle.timingSafeEqual(given, bearer)) return refused("has another INSTANCES_SECRET");
      if (wanted === WHO) return new Response(myself);
      const [kind, name] = wanted.split("/").map(decodeURIComponent);
      if (!KINDS.includes(kind) || !owns(kind, name)) return refused(`is ${self} and does not have ${kind} ${name}: it has another list of INSTANCES`);
      const { pathname, search } = new URL(request.url);
      const headers = new Headers(request.headers);
      for (const own of [OBJECT, "authorization"]) headers.delete(own);
      return env[kind].getByName(name).fetch(`https://object${pathname}${search}`, new Request(request, { headers }));
    },
  };
}
