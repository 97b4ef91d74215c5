// The command line of scripts/crash.
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { Stop, say, script, step } from "../../scripts/lib/process.mjs";
import { buildOf } from "./previous.mjs";
import { crash, percentile } from "./rounds.mjs";
import { herd } from "./herd.mjs";

const options = {
  rounds: { type: "string", default: "20" },
  seed: { type: "string" },
  previous: { type: "string" },
  herd: { type: "string" },
  split: { type: "boolean", default: false },
};

function read(args) {
  let values;
  try {
    ({ values } = parseArgs({ args, options }));
  } catch (error) {
    throw new Stop(`${error.message} See scripts/crash --help.`);
  }
  const number = (name, otherwise) => {
    const text = values[name] ?? String(otherwise);
    if (!/^[1-9]\d{0,8}$/.test(text)) throw new Stop(`--${name} is "${text}"; it must be a whole number from 1.`);
    return Number(text);
  };
  return { ...values, rounds: number("rounds"), seed: number("seed", randomInt(1, 1_000_000)), sockets: values.herd && number("herd") };
}

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
const spread = (times) => `p50 ${seconds(percentile(times, 0.5))}, p99 ${seconds(percentile(times, 0.99))}, most ${seconds(percentile(times, 1))}`;
const list = (counts) => Object.entries(counts).map(([name, count]) => `${name} ${count}`).join(", ") || "none";

function report(figures) {
  const { rounds, kills, acts, acknowledged, refusals, goodbyes, events, resumed, anew, catchUps, back, drained, faults } = figures;
  console.log(`${rounds} rounds; killed: ${list(kills)}
${acts} acts, ${acknowledged} acknowledged, ${events} events in the logs; refused: ${list(refusals)}
told goodbye: ${list(goodbyes)}
${back.length} sockets lost; ${resumed} resumed, ${anew} began anew, ${catchUps} caught up
back after a loss: ${spread(back.map((absence) => absence.back))}; beyond the wait handed out: ${spread(back.map((absence) => absence.back - absence.wait))}
PostgreSQL complete after the last word: ${spread(drained)}
${faults.length} faults: nothing ${faults.length ? "is certain" : "lost, doubled, reordered or different"}`);
}

function reportHerd({ sockets, back, resumed, anew, refused, failed, faults }) {
  console.log(`${sockets} sockets cut at once; ${resumed} resumed, ${anew} began anew; refused: ${list(refused)}; connections refused while workerd was away: ${failed}
back after the cut: ${spread(back.map((absence) => absence.back))}; beyond the wait handed out: ${spread(back.map((absence) => absence.back - absence.wait))}
${faults.length} faults`);
}

await script(async (args) => {
  const { rounds, seed, previous, sockets, split } = read(args);
  const command = sockets ? `scripts/crash --herd ${sockets}` : `scripts/crash --rounds ${rounds} --seed ${seed}${previous ? ` --previous ${previous}` : ""}${split ? " --split" : ""}`;
  say(`• ${command}`);
  const builds = previous ? await buildOf(previous) : undefined;
  const figures = sockets
    ? await step(`a herd of ${sockets}`, () => herd({ sockets }))
    : await step(`${rounds} rounds`, () => crash({ rounds, seed, builds, split, say: (line) => say(`  ${line}`) }));
  (sockets ? reportHerd : report)(figures);
  for (const fault of figures.faults) say(`✗ ${fault}`);
  if (figures.kept) say(`✗ again with: ${command}; the objects' storage is kept in ${figures.kept}`);
  return figures.faults.length ? 1 : 0;
});
