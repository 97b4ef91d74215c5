// A throw-away object that shows what the platform takes of one: sockets, frames, memory, calls, alarms.
import { DurableObject } from "cloudflare:workers";

const MB = 1 << 20;

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/** The object of that name, as another object asks it. */
const ask = async (env, name, verb) => (await env.SPIKE.getByName(name).fetch(`https://spike/${verb}`)).json();

export class Spike extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    /** Another one tells that the object was reset. */
    this.instance = crypto.randomUUID();
    this.sockets = new Set(ctx.getWebSockets());
    this.ballast = [];
  }

  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    const verb = pathname.slice(pathname.lastIndexOf("/") + 1);
    if (verb === "socket") return this.open();
    const options = Object.fromEntries([...searchParams].map(([name, value]) => [name, name === "to" ? value : Number(value)]));
    const verbs = { broadcast: this.broadcast, grow: this.grow, hold: this.hold, fan: this.fan, latency: this.latency, press: this.press, arm: this.arm, late: this.late };
    if (!Object.hasOwn(verbs, verb)) return new Response("no such verb", { status: 404 });
    return Response.json({ instance: this.instance, ...(await verbs[verb].call(this, options)) });
  }

  open() {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    this.sockets.add(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  webSocketMessage() {}

  webSocketClose(socket) {
    this.sockets.delete(socket);
  }

  webSocketError(socket) {
    this.sockets.delete(socket);
  }

  /** So many frames a second to all sockets, each of so many bytes and with the time in front, or as many as it can. */
  async broadcast({ rate, seconds, bytes }) {
    const sockets = [...this.sockets];
    const began = Date.now();
    let frames = 0;
    // The clock moves on at each wait.
    for (let round = 1; sockets.length && Date.now() - began < seconds * 1000; round++) {
      const frame = `${Date.now()} `.padEnd(bytes, "x");
      for (const socket of sockets) {
        try {
          socket.send(frame);
          frames++;
        } catch {
          this.sockets.delete(socket);
        }
      }
      await wait(Math.max(0, began + (round * sockets.length * 1000) / rate - Date.now()));
    }
    return { frames, ms: Date.now() - began };
  }

  /** Keeps so much more memory. */
  grow({ mb }) {
    this.ballast.push(new Uint8Array(mb * MB).fill(1));
    return { mb: this.ballast.reduce((sum, { length }) => sum + length / MB, 0) };
  }

  async hold({ ms }) {
    if (ms) await wait(ms);
    return {};
  }

  /** How long it takes to ask so many objects at once, each of which takes `ms` to answer. */
  async fan({ calls, ms }) {
    const all = () => Promise.all(Array.from({ length: calls }, (_, n) => ask(this.env, `below-${n}`, `hold?ms=${ms}`)));
    await all(); // they are built
    const began = Date.now();
    await all();
    return { ms: Date.now() - began };
  }

  /** The times of calls one after another, ms. */
  async latency({ calls, to }) {
    const times = [];
    for (let n = 0; n < calls; n++) {
      const began = Date.now();
      await ask(this.env, to, "hold?ms=0");
      times.push(Date.now() - began);
    }
    return { times };
  }

  /** Asks an object again and again, so many at once. */
  async press({ seconds, at_once, to }) {
    const until = Date.now() + seconds * 1000;
    let [answers, refused] = [0, 0];
    const one = async () => {
      while (Date.now() < until) {
        try {
          await ask(this.env, to, "hold?ms=0");
          answers++;
        } catch {
          refused++;
          await wait(100);
        }
      }
    };
    await Promise.all(Array.from({ length: at_once }, one));
    return { answers, refused };
  }

  async arm({ ms }) {
    const due = Date.now() + ms;
    await this.ctx.storage.put({ due, rang: 0 });
    await this.ctx.storage.setAlarm(due);
    return {};
  }

  async alarm() {
    await this.ctx.storage.put("rang", Date.now());
  }

  /** How late the alarm was, ms; null where it has not rung. */
  async late() {
    const [due, rang] = [await this.ctx.storage.get("due"), await this.ctx.storage.get("rang")];
    return { late: rang ? rang - due : null };
  }
}

export default {
  fetch(request, env) {
    const [, key, name] = new URL(request.url).pathname.split("/");
    if (key === "healthz") return new Response("ok");
    if (!env.KEY || key !== env.KEY) return new Response("not found", { status: 404 });
    return env.SPIKE.getByName(name).fetch(request);
  },
};
