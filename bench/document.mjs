// docs/bench.md, docs/bench.svg and the README's part: what a run measured.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../scripts/lib/database.mjs";
import { plot } from "./plot.mjs";
import { median, table } from "./report.mjs";

const [begin, end] = ["<!-- figures: written by ./scripts/bench --docs -->", "<!-- /figures -->"];

const intro = (result, svg) => `# Figures

Written by \`./scripts/bench --docs\`${result.quick ? ", in its quick form: fewer and shorter rounds, smaller rooms" : ""} on ${result.at.slice(0, 10)}: ${result.machine}. Servers, load generator, PostgreSQL and Redis shared this machine; trust the ratios.${(result.again ?? []).map(({ rows, at }) => ` Measured again by itself on ${at.slice(0, 10)}: ${rows.join(", ")}.`).join("")}

${svg ? "![edge-chat beside its peers](bench.svg)\n\n" : ""}`;

/** How a calm room compares, by this run's own figures. */
function calm({ lines }) {
  const by = (peer) => lines.find((line) => line.row === "steady" && line.peer === peer && line.unit.startsWith("CPU") && line.theirs.length);
  const [node, bare] = [by("Socket.IO + Redis"), by("bare object")];
  if (!node || !bare) return "";
  const ours = median(node.ratios);
  return `- **A calm room is cheaper with Socket.IO's own server**: in *steady* edge-chat took ${ours.toFixed(2)} times its CPU and a bare object ${(ours / median(bare.ratios)).toFixed(2)} times, since a frame costs more on this platform, whoever sends it. edge-chat is the cheaper one where a room is hot and frames are gathered.\n`;
}

const method = (result) => `
## How it is measured

- **Rounds in turns.** Each server does the same job, one after the other, several times; a ratio is taken within a round. Shown are medians, and the range over the rounds in parentheses.
- **Open loop.** Messages have the times at which they are meant to be sent, and latency counts from there to the read of the frame in the client. With *full tilt* and *send* a new message goes out as soon as there is room in the window.
- **Complete or void.** Each viewer must see every message once and in order, and what the server says of its log (\`seq\`, \`at\`) must fit. A gap, a double, a refusal or a closed socket makes the run void, and in *steady* and *many* a generator that was the limit too. In the other rows it may be that: their latencies are then too long, not too short.
- **CPU** is user and system time of the server's process, from /proc; what stands beside it (PostgreSQL, Redis) is in lines of its own. The generator's share of a core stands beside each figure, with us and with the peer: medians over the rounds.
- **Memory of idle sockets** is counted from the 501st on, of every server alike: the first 500 bring what a process needs once (compiled code, heaps), which has a line of its own.
- **As many viewers as there may be open files.** *big*, *join* and *idle* have 15,000, 10,000 and 10,000 viewers where the machine lets one process open enough files for them (61,000 for all of them), else as many thousands as it does.
${calm(result)}- **A peer that does not keep up is cheaper.** What waits in its sockets leaves with fewer writes. So *hot* has Socket.IO twice: at the 40 messages a second that it keeps up with, and at 200, where it comes seconds late.
- **Clients of Socket.IO's** come through \`/socket.io/\` by WebSocket, 1,000 of them in one room; each event is a frame of its own there, since such a client takes one event a message.
- The objects' SQLite lies in memory (/dev/shm), so that no disk is measured; that of *send* is on the disk.
- Messages are 200 bytes and said by a \`service\`, so no filter looks at them. edge-chat writes each to its log, acknowledges it, and drains it to PostgreSQL through pgbouncer meanwhile.

| beside | what it does |
| --- | --- |
| bare object | a JavaScript Durable Object on the same workerd, sockets kept in a set, hibernation API. *Broadcasts only*: sends what it is sent to all. *Inserts and echoes*: one row, then the echo. *Inserts, replies and broadcasts*: JSON parsed, one row, the reply, the event to all |
| bare object, to clients of Socket.IO's | the same by one event a frame: *bare object* as each comes, *bare object that gathers* those of 50 ms, to a client one after the other, as a gateway has them |
| partyserver | \`broadcast()\` of partyserver with hibernation, on the same workerd; stores nothing |
| Socket.IO + Redis | Socket.IO 4 in one Node process with @socket.io/redis-adapter and a Redis of its own; WebSocket only, messages acknowledged, nothing stored |
| native tokio | tokio-tungstenite with a broadcast channel on one thread, one frame a message; stores nothing. The limit of sending each message by itself |

## Where the time goes

Of rows that miss their aim, or did for long. Profiles are of the machine of the table where nothing else is said; an earlier one took less, for most of this by 1.2 to 1.4 times, for *join* and a page of history by 1.7 to 1.9: there the bare object took 22.2 s of CPU a million in *steady* and acknowledged 4,849 messages/s, edge-chat let in 2,872 joins/s and had a page of history's p99 at 6.5 ms. A message that is acknowledged, many small rooms, a calm large one and the drain are in [scaling](scaling.md#where-the-time-goes); what is in the wasm, and what a cold start waits for, in [size](size.md).

- **history, p99**: a page is one question to the room and one to PostgreSQL, by a connection that the request makes for itself, since the platform lets no other have it. Of the 2 to 3 ms of CPU a page takes in workerd 27 % drive that connection, 13 % are its three writes, and 9 % take and give back the lock on its stream at each read. The middle is below 5 ms; V8 collects garbage for 3 ms and more once in some 100 pages, and the pages that meet it are most likely the p99. Connecting while the room is asked changed nothing that could be measured.
- **steady**: both send the same frames, and what one costs is the platform's. Side by side edge-chat took 31.1 s of CPU a million (30.8–31.3), with guests alone 29.2 (28.7–29.7), a bare object 25.9 (25.4–27.0). So 1.9 of the 5.2 s are an object of each viewer's own, which all lie in this process here and between the sockets in its memory, and elsewhere in production. The row is none of it: a bare object that inserts and replies as well takes as much as one that only sends (26.5 to 28.9 beside 27.5 to 28.9), and one whose frames are as long as edge-chat's too (26.2 to 26.5 beside 26.6 to 27.3). \`perf\` on both, by samples: a third of the difference is the kernel's, most of that the waking of a client that has read all it had; a tenth each is the allocator's, V8's own work and the Worker's code, less the calls of \`send()\`; the rest is spread over what a frame passes through, each part slower by a few per cent. One loop of JavaScript's instead of a call from wasm for each socket changed nothing (31.7 to 33.3 beside 30.8 to 33.5). Again: \`./scripts/bench profile steady\`.
- **join**: no part of it grows with the room: 500, 2,000 and 3,000 who come back take the same each. 480 to 560 µs of CPU, where the bare object takes 245 to 310 for its upgrade alone: two more promises and a second event a join, the reply of 25 KB, and the closing of the old socket, which falls into the same seconds. On the table's machine a build of the time of the earlier table let in 1,511 joins/s (1,456–1,559), the bare object beside it 2,004; this one 1,302 to 1,509.
- **clients of Socket.IO's, when hot**: each event is a WebSocket frame of its own, and the frame is what costs on this platform. A bare object that does nothing but send the same text takes 21.7 s a million (21.2–22.7), a gateway 12.7 beside it (0.58 times, of three rounds), Socket.IO's own server 7.6. The gateway is below because a room hands it what it gathered, so that a client's events wait together, and one wake of the platform sends them all; a bare object that gathers so too takes 12.5 to 14.1, the gateway 14.1 on that busier machine; in the table's rounds the two were 12.0 and 15.2. So it stands near the floor of the platform, and only fewer frames, or a runtime that writes several with one call, would get below. Of its time (\`perf\` on workerd) 38 % are the kernel's send, 35 % the platform's way of a frame to it, 8 % the call \`send()\`, 6 % entering the object once frames are gone, and with it our own code; 5 % V8's compilers, 7 % the event loop. Again: \`./scripts/bench socketio\`.
- **hot, p99**: a frame to 1,000 is a turn of workerd's one thread in which no socket is read, 30 to 45 ms here. So a message waits up to that long before it is read, then for the window, then until the last client has it; in a run of six seconds (\`./scripts/bench profile hot\`, by the profiler's help somewhat slower):

  | of a frame's first message, ms | half | 9 of 10 | 99 of 100 |
  | --- | --- | --- | --- |
  | the generator says it late | 1.0 | 1.3 | 2.3 |
  | until its sender knows it kept: read, 5 ms with others, written | 41 | 51 | 76 |
  | from then to the first client: what is left of the window | 50 | 59 | 74 |
  | from the first client to the last | 21 | 26 | 37 |
  | all of it | 113 | 127 | 165 |

  What made the tail longer by two to five times is gone. Sending was measured until the first timer went off, and what a socket had not taken by then left after that: windows were too short, messages lay unread meanwhile, and at full tilt nothing was left for reading, so that everybody was closed as \`too_slow\` (2 runs of 8). Now a window is twice as long as it takes until a timer is on time again. And the probes of all went out together once in 256 KiB: a thousand sends and a thousand answers, for 0.1 s of which nothing else was read; now they go out in eight turns. It costs the top of full tilt, where half of the core is left unused. A round of the table is three seconds, some 35 frames, and the latest of them is its p99; where something else works on the machine the turns get longer.
- **idle**: what a guest costs above the bare object is not what is kept of it, but one frame sent to all at once: \`room_stats\`, which the bare object has none of. workerd needs some 20 KiB for a frame that is on its way (promises, an output lock, a canceller: page faults by their stacks), 9,000 are on their way together, and what they took stays with the allocator. A bare object that sends the same once a second, and whose clients ping, takes as much as edge-chat but for 1.8 KiB; sent to 100 in a millisecond, the frames cost nothing. One message said in the room does the same to any object, the bare one too. So the aim is missed by the peak of the first broadcast; to lower it, a calm room would have to send in slices, and each socket to keep its order over them. Garbage collected each 100 ms, so that its timing is in no figure:

  | 9,000 idle guests | KiB each | above the bare object |
  | --- | --- | --- |
  | the bare object | 67.0 | |
  | a tag | | +0.4 |
  | an attachment of 100 bytes, written twice | | +0.4 |
  | a map from sockets to numbers | | +0.2 |
  | handlers that await | | −0.7 |
  | a request of the Worker's own to the object | | +0.3 |
  | a reply of 900 bytes | | +0.3 |
  | a ping each 15 s, answered by the platform | 68.8 | +1.8 |
  | \`room_stats\`, once a second to all while people come | 75.2 | +8.2 |
  | the same to 100 in a millisecond | 66.4 | −0.6 |
  | \`room_stats\` and pings | 76.5 | +9.5 |
  | edge-chat | 78.3 | +11.3 |

  (Lines without a figure of their own are of 5,000 guests, beside 67.2; single runs, ± 0.7.) Without collecting, the bare object's garbage adds to its own figure, which is most likely why the difference in the table above is smaller. What the process takes once is V8's compiled wasm and the memory in which it compiled it: after a garbage collection the heap has 2 MB. Again: \`./scripts/bench profile idle\`.
`;

/** The documents' run with these rows measured again in `later`, a run of their own. */
export function again(later, names) {
  const kept = JSON.parse(readFileSync(join(root, "docs/bench.json"), "utf8"));
  const at = kept.lines.findIndex(({ row }) => names.includes(row));
  const lines = kept.lines.filter(({ row }) => !names.includes(row));
  lines.splice(at < 0 ? lines.length : at, 0, ...later.lines);
  const void_ = kept.void.filter((why) => !names.some((name) => why.startsWith(name)));
  return { ...kept, lines, void: [...void_, ...later.void], again: [...(kept.again ?? []), { rows: names, at: later.at }] };
}

/** The runs that are in no figure. */
const voids = ({ void: all }) => (all.length ? `\nRuns that were void, and are in no figure:\n\n${all.map((why) => `- ${why.replaceAll("\n", " ").slice(0, 300)}`).join("\n")}\n` : "");

/** Writes the documents; figures of single rows are in the output alone. */
export async function document(result) {
  const svg = await plot(result.lines);
  if (svg) writeFileSync(join(root, "docs/bench.svg"), svg);
  writeFileSync(join(root, "docs/bench.md"), `${intro(result, svg)}${table(result.lines)}\n${voids(result)}${method(result)}`);
  writeFileSync(join(root, "docs/bench.json"), `${JSON.stringify(result, null, 1)}\n`);
  const readme = join(root, "README.md");
  const text = readFileSync(readme, "utf8");
  const [from, to] = [text.indexOf(begin), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error("README.md has no place for the figures.");
  const aims = result.lines.filter((line) => line.failed || line.aim?.of);
  const short = `${begin}\n\n${svg ? "![edge-chat beside its peers](docs/bench.svg)\n\n" : ""}${table(aims)}\n\nEvery line, and how it is measured: [docs/bench.md](docs/bench.md).\n\n`;
  writeFileSync(readme, text.slice(0, from) + short + text.slice(to));
}
