// What Cloudflare's Hyperdrive is to the Worker, made of DATABASE_URL.
import { connect } from "cloudflare:sockets";
import { Misconfigured } from "./instances.mjs";

/** Named as the platform's own, which the Worker looks at. */
export class Hyperdrive {
  #url;

  constructor(text) {
    if (!text) throw new Misconfigured("DATABASE_URL is not set: postgres://user:password@host:port/database.");
    const url = URL.parse(text);
    if (!url || !/^postgres(ql)?:$/.test(url.protocol) || !url.hostname || url.pathname.length < 2) {
      throw new Misconfigured("DATABASE_URL is to be postgres://user:password@host:port/database.");
    }
    const mode = url.searchParams.get("sslmode") ?? "disable";
    if (!["disable", "allow", "prefer"].includes(mode)) {
      throw new Misconfigured(`DATABASE_URL asks for sslmode=${mode}: TLS to PostgreSQL is not there. Put a pooler beside the chat that speaks it.`);
    }
    this.#url = url;
  }

  get connectionString() {
    const { username, password, host, pathname } = this.#url;
    return `postgres://${username}:${password}@${host}${pathname}?sslmode=disable`;
  }

  connect() {
    const { hostname, port } = this.#url;
    return connect({ hostname: hostname.replace(/^\[(.*)\]$/, "$1"), port: Number(port || 5432) });
  }
}
