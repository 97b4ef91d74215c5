// Sockets on which nothing is said: memory of a process of their own, beside the bare object's.
import { say } from "../../scripts/lib/process.mjs";
import { alone, compared, sized } from "../report.mjs";
import { load, room } from "../run.mjs";
import { create, files, server, viewers } from "../servers.mjs";
import { guests, serve } from "../workerd.mjs";

/** What the bare object does besides, in the names of `bench/peers/guests.mjs`. */
const SENDING = "stats+pings";

async function sending(round) {
  const served = await serve(guests(`sending-${round}`));
  return { ...served, title: "bare object that sends", beside: [], dialect: "chat" };
}

export async function idle(bench) {
  const { quick } = bench;
  const most = (each) => Math.min(quick ? 3_000 : 10_000, Math.floor((files - 1_000) / each / 1_000) * 1_000);
  // Files that one takes: two a socket. A signed-in viewer has an object of their own as well, which lies in this process
  // too, with its database's; in production it is elsewhere.
  const counts = { guests: most(2), users: most(6) };
  const first = 500;
  const withUsers = counts.users > first;
  const crowds = { guests: Array(counts.guests).fill(""), users: await viewers(counts.users) };
  const measure = async (kind, crowd, round) => {
    // In one object, as the bare one.
    const own = kind === "sending" ? await sending(round) : await server(kind, { fresh: `idle-${crowd}-${round}`, vars: { SHARD_SOCKETS: "32000" } });
    try {
      const name = kind === "sending" ? SENDING : room(kind === "bare" ? "broadcast" : "video_");
      if (kind === "chat") await create(own, name);
      const [memory] = await load(own, { job: "idle", room: name, viewers: crowds[crowd], first, seconds: quick ? 3 : 10 });
      say(`  idle ${round}, ${own.title}, ${crowd}: ${memory.kib_each.toFixed(1)} KiB and ${memory.cpu_us_each.toFixed(1)} µs/s a socket, ${memory.once_mib.toFixed(1)} MiB once`);
      return memory;
    } finally {
      await own.stop();
    }
  };
  const rounds = [];
  for (let round = 1; round <= (quick ? 1 : 3); round++) {
    const all = [["chat", "guests"], ["bare", "guests"], ["chat", "users"], ["sending", "guests"]];
    const turns = all.filter(([kind, crowd]) => (crowd === "guests" || withUsers) && !(quick && kind === "sending"));
    const measured = [];
    for (const turn of round % 2 ? turns : turns.toReversed()) measured.push(await measure(...turn, round));
    rounds.push(round % 2 ? measured : measured.toReversed());
  }
  const beside = (which, value, peer = 1) => rounds.map((round) => [value(round[which]), value(round.at(peer))]);
  const what = (crowd) => `idle: ${counts[crowd].toLocaleString("en-US")} sockets of ${crowd}`;
  const memory = ({ kib_each }) => kib_each;
  return [
    compared(`${what("guests")} (bare object: broadcasts only): memory of the process`, "KiB each", "bare object", beside(0, memory), sized({ most: 3, above: true }, counts.guests, 10_000)),
    ...(quick ? [] : [compared(`${what("guests")}: memory of the process`, "KiB each", "bare object that sends `room_stats` and is pinged", beside(0, memory, -1))]),
    compared(`idle: what a process takes once, with the first ${first} of them`, "MiB", "bare object", beside(0, ({ once_mib }) => once_mib)),
    ...(withUsers ? [compared(`${what("users")}, an object of each user's included`, "KiB each", "bare object", beside(2, memory))] : []),
    alone(`${what("guests")}: CPU in silence, a ping each 15 s`, "µs/s each", rounds.map(([guests]) => guests.cpu_us_each)),
  ];
}
