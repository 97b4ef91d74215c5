// Redis: whether it takes what the bridge writes, and will go on doing so.
import { isIP } from "node:net";
import { createClient } from "redis";

/** What the bridge does to a stream and its channel (src/sinks/redis/append.lua), undone at its end. No room has such an id. */
const PROBE = `redis.call('XADD', KEYS[1], '*', 'doctor', '1')
redis.pcall('XINFO', 'STREAM', KEYS[1])
redis.call('XTRIM', KEYS[1], 'MAXLEN', '1')
redis.call('EXPIRE', KEYS[1], '60')
redis.call('PUBLISH', ARGV[1], 'doctor')
return redis.call('DEL', KEYS[1])`;
/** DEL is the doctor's alone: where it is not allowed the key ends within a minute. */
const AGAIN = PROBE.replace("return redis.call('DEL', KEYS[1])", "return 1");

/** How Redis says so of a command within a script. */
const FORBIDDEN = /NOPERM|can't run this command/;

/** What the first word of a refusal means, and what to do. */
const WORDS = {
  NOAUTH: ["wants a password and was given none", "Put it into REDIS_URL: redis://:password@host."],
  WRONGPASS: ["does not take this user and password", "Put them right in .deploy.<env>.vars, and run ./scripts/deploy; locally in .dev.vars."],
  NOPERM: ["does not allow what the bridge does", "Its user needs EVAL, XADD, XINFO, XTRIM, EXPIRE and PUBLISH on keys and channels that begin with REDIS_PREFIX: ACL SETUSER."],
  READONLY: ["is a replica, which takes no writes", "Give the address of its master."],
  OOM: ["is full and takes no writes", "Raise maxmemory: the streams hold 24 hours of all rooms."],
  MISCONF: ["takes no writes since it cannot write its own files", "Look into its log: a full disk, or a folder without rights."],
  LOADING: ["is still loading its data", "Run this again in a moment."],
  MOVED: ["is a cluster, which the bridge does not speak to", "Give one that is no cluster."],
  CLUSTERDOWN: ["is a cluster, and down", "Give one that is no cluster."],
  MASTERDOWN: ["is a replica without a master", "Give the address of its master."],
  NOREPLICAS: ["takes no writes since its replicas are away (min-replicas-to-write)", "Bring them back."],
};
const CONNECTION = {
  ECONNREFUSED: ["nothing listens there", "Start it, or put REDIS_URL right."],
  ENOTFOUND: ["no such host is known", "Put REDIS_URL right."],
  EAI_AGAIN: ["its name cannot be looked up", "Put REDIS_URL right."],
  ERR_SSL_WRONG_VERSION_NUMBER: ["it does not speak TLS there", "Begin REDIS_URL with redis://, or give its TLS port."],
  ERR_SSL_PACKET_LENGTH_TOO_LONG: ["it does not speak TLS there", "Begin REDIS_URL with redis://, or give its TLS port."],
  DEPTH_ZERO_SELF_SIGNED_CERT: ["nobody vouches for its certificate", "Give it one of an authority that is known: the platform trusts no other."],
  SELF_SIGNED_CERT_IN_CHAIN: ["nobody vouches for its certificate", "Give it one of an authority that is known: the platform trusts no other."],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ["nobody vouches for its certificate", "Give it one of an authority that is known: the platform trusts no other."],
  ERR_TLS_CERT_ALTNAME_INVALID: ["its certificate is of another host", "Use the name that the certificate has."],
  CERT_HAS_EXPIRED: ["its certificate is over", "Renew it."],
};

function tell(error, url, report) {
  const where = at(url);
  const text = FORBIDDEN.test(error.message) ? "NOPERM" : `${error.message ?? error}`;
  const inside = Object.keys(WORDS).find((word) => new RegExp(`\\b${word}\\b`).test(text));
  if (inside) return report.bad(`Redis at ${where} ${WORDS[inside][0]} (${inside}).`, WORDS[inside][1]);
  const tls = url.protocol === "rediss:" ? "Does it speak TLS there? If not, begin REDIS_URL with redis://" : "Does it speak nothing but TLS there? Then begin REDIS_URL with rediss://";
  const [why, todo] = CONNECTION[error.code] ?? CONNECTION[error.cause?.code] ?? [text.split("\n")[0].replace(/\.?$/, ""), `${tls}. Is a firewall between, or a server that hangs?`];
  report.bad(`Redis at ${where} is not to be had: ${why}.`, todo);
}

const at = ({ hostname, port }) => `${hostname}:${port || 6379}`;

const fields = (info) => Object.fromEntries(info.split("\r\n").map((line) => line.split(":")).filter(({ length }) => length > 1));

/** What is no refusal yet. */
function prospects(info, report) {
  const { redis_version, role, maxmemory, used_memory, maxmemory_policy } = info;
  const [major, minor] = (redis_version ?? "").split(".").map(Number);
  if (redis_version && (major < 6 || (major === 6 && minor < 2))) report.bad(`Redis ${redis_version} is too old.`, "It has to be 6.2 or later.");
  if (role === "slave") report.bad("This Redis is a replica.", "Give the address of its master.");
  if (maxmemory_policy && maxmemory_policy !== "noeviction" && Number(maxmemory)) {
    report.look(`Redis throws keys away when it is full (maxmemory-policy ${maxmemory_policy}): streams would vanish.`, "CONFIG SET maxmemory-policy noeviction, and in its configuration.");
  }
  if (Number(maxmemory) && Number(used_memory) > Number(maxmemory) * 0.9) {
    report.look(`Redis is ${Math.round((Number(used_memory) / Number(maxmemory)) * 100)} % full.`, "Raise maxmemory: when it is full, it takes no writes.");
  }
}

/**
 * Looks at the Redis of `url`, with `username` and `password` where they are not in it; a connection, and then each answer,
 * may take `within` ms.
 */
export async function redis({ url, username, password, prefix, within = 10_000 }, report) {
  const address = new URL(url);
  const client = createClient({
    url, username, password, RESP: 2, disableOfflineQueue: true,
    socket: { connectTimeout: within, socketTimeout: within, reconnectStrategy: false, ...(address.protocol === "rediss:" && !isIP(address.hostname) && { servername: address.hostname }) },
  });
  let failed;
  client.on("error", (error) => (failed ??= error));
  try {
    await client.connect();
    const probe = (script) => client.sendCommand(["EVAL", script, "1", `${prefix}room:doctor~:events`, `${prefix}room:doctor~`]);
    await probe(PROBE).catch((error) => (FORBIDDEN.test(error.message) ? probe(AGAIN) : Promise.reject(error)));
    report.well(`Redis answers at ${at(address)}, and takes what the bridge writes.`);
    // A user may be kept from INFO, which the bridge does not need.
    const info = await client.sendCommand(["INFO"]).catch(() => "");
    prospects(fields(info), report);
  } catch (error) {
    tell(failed ?? error, address, report);
  } finally {
    client.destroy();
  }
}
