// docs/bench.md, docs/bench.svg and the README's part: what a run measured.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../scripts/lib/database.mjs";
import { plot } from "./plot.mjs";
import { table } from "./report.mjs";

const [begin, end] = ["<!-- figures: written by ./scripts/bench --docs -->", "<!-- /figures -->"];

const intro = (result, svg) => `# Figures

Written by \`./scripts/bench --docs\`${result.quick ? ", in its quick form: fewer and shorter rounds, smaller rooms" : ""} on ${result.at.slice(0, 10)}: ${result.machine}. Servers, load generator, PostgreSQL and Redis shared this machine; trust the ratios.

${svg ? "![edge-chat beside its peers](bench.svg)\n\n" : ""}`;

const method = `
## How it is measured

- **Rounds in turns.** Each server does the same job, one after the other, several times; a ratio is taken within a round. Shown are medians, and the range over the rounds in parentheses.
- **Open loop.** Messages have the times at which they are meant to be sent, and latency counts from there to the read of the frame in the client. With *full tilt* and *send* a new message goes out as soon as there is room in the window.
- **Complete or void.** Each viewer must see every message once and in order, and what the server says of its log (\`seq\`, \`at\`) must fit. A gap, a double, a refusal or a closed socket makes the run void, and in *steady* and *many* a generator that was the limit too. In the other rows it may be that: their latencies are then too long, not too short.
- **CPU** is user and system time of the server's process, from /proc; what stands beside it (PostgreSQL, Redis) is in lines of its own. The generator's share of a core is said for each run as it ends.
- **Memory of idle sockets** is counted from the 501st on, of every server alike: the first 500 bring what a process needs once (compiled code, heaps), which has a line of its own.
- **As many viewers as there may be open files.** *big*, *join* and *idle* have 15,000, 10,000 and 10,000 viewers where the machine lets one process open enough files for them (61,000 for all of them), else as many thousands as it does.
- **A peer that does not keep up is cheaper.** What waits in its sockets leaves with fewer writes. So *hot* has Socket.IO twice: at the 40 messages a second that it keeps up with, and at 200, where it comes seconds late.
- **Clients of Socket.IO's** come through \`/socket.io/\` by WebSocket, 1,000 of them in one room; each event is a frame of its own there, since such a client takes one event a message.
- The objects' SQLite lies in memory (/dev/shm), so that no disk is measured; that of *send* is on the disk.
- Messages are 200 bytes and said by a \`service\`, so no filter looks at them. edge-chat writes each to its log, acknowledges it, and drains it to PostgreSQL through pgbouncer meanwhile.

| beside | what it does |
| --- | --- |
| bare object | a JavaScript Durable Object on the same workerd, sockets kept in a set, hibernation API. *Broadcasts only*: sends what it is sent to all. *Inserts and echoes*: one row, then the echo. *Inserts, replies and broadcasts*: JSON parsed, one row, the reply, the event to all |
| partyserver | \`broadcast()\` of partyserver with hibernation, on the same workerd; stores nothing |
| Socket.IO + Redis | Socket.IO 4 in one Node process with @socket.io/redis-adapter and a Redis of its own; WebSocket only, messages acknowledged, nothing stored |
| native tokio | tokio-tungstenite with a broadcast channel on one thread, one frame a message; stores nothing. The limit of sending each message by itself |

## Where the time goes

Of rows that miss their aim, or did for long; shares are of the Worker's own profile. A message that is acknowledged, many small rooms, a calm large one and the drain are in [scaling](scaling.md#where-the-time-goes); what is in the wasm, and what a cold start waits for, in [size](size.md).

- **history, p99**: a page is one question to the room and one to PostgreSQL, by a connection that the request makes for itself, since the platform lets no other have it. Of the 2 to 3 ms of CPU a page takes in workerd 27 % drive that connection, 13 % are its three writes, and 9 % take and give back the lock on its stream at each read. The middle is below 5 ms; V8 collects garbage for 3 ms and more once in some 100 pages, and the pages that meet it are most likely the p99. Connecting while the room is asked changed nothing that could be measured.
- **join**: no part of it grows with the room: 500, 2,000 and 3,000 who come back take the same each. 480 to 560 µs of CPU, where the bare object takes 245 to 310 for its upgrade alone: two more promises and a second event a join, the reply of 25 KB, and the closing of the old socket, which falls into the same seconds.
- **clients of Socket.IO's, when hot**: each event is a WebSocket frame of its own, and the frame is what costs. The bare object, which does nothing but send, takes some 16 µs of a core for each (*full tilt*); a gateway takes 9 and Node's WebSocket 7; both are late then, and what waits leaves with fewer writes. A profile at 40 messages a second has the send itself first. A room hands a gateway an event once, and the text is made once for all who are in that room alone.
- **hot, p99**: of three rounds the best has 100 ms and the worst 212; what a frame waits for first is the window in which a hot room gathers, 50 ms. The tail was not profiled apart; a run an hour before, of an earlier build, had 110.
- **idle**: each of 9,000 guests costs 5.6 KiB more than the bare object's, of 6,000 6.0, of 3,000 8.5: some 10 MB are constant, and 4.4 KiB grow with each. After a garbage collection that was forced (1,000 sockets beside 7,000) V8's heap has 1.3 KiB a socket, the bare object's 0.35; the rest is native memory and the wasm's, and not apportioned. What the process takes once is V8's compiled wasm and the memory in which it compiled it: after a garbage collection the heap has 2 MB.
`;

/** The runs that are in no figure. */
const voids = ({ void: all }) => (all.length ? `\nRuns that were void, and are in no figure:\n\n${all.map((why) => `- ${why.replaceAll("\n", " ").slice(0, 300)}`).join("\n")}\n` : "");

/** Writes the documents; figures of single rows are in the output alone. */
export async function document(result) {
  const svg = await plot(result.lines);
  if (svg) writeFileSync(join(root, "docs/bench.svg"), svg);
  writeFileSync(join(root, "docs/bench.md"), `${intro(result, svg)}${table(result.lines)}\n${voids(result)}${method}`);
  writeFileSync(join(root, "docs/bench.json"), `${JSON.stringify(result, null, 1)}\n`);
  const readme = join(root, "README.md");
  const text = readFileSync(readme, "utf8");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error("README.md has no place for the figures.");
  const aims = result.lines.filter((line) => line.failed || line.aim?.of);
  const short = `${begin}\n\n${svg ? "![edge-chat beside its peers](docs/bench.svg)\n\n" : ""}${table(aims)}\n\nEvery line, and how it is measured: [docs/bench.md](docs/bench.md).\n\n`;
  writeFileSync(readme, text.slice(0, from) + short + text.slice(to));
}
