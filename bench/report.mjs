// Medians, ranges and the table.
import { titles } from "./servers.mjs";

const sorted = (values) => values.toSorted((a, b) => a - b);

export function median(values) {
  const all = sorted(values);
  const middle = all.length >> 1;
  return all.length % 2 ? all[middle] : (all[middle - 1] + all[middle]) / 2;
}

const digits = (value) =>
  Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en-US") : Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);

const ranged = (values) => {
  const all = sorted(values);
  return all.length > 1 ? `${digits(median(all))} (${digits(all[0])}–${digits(all.at(-1))})` : digits(all[0]);
};

/** Why a line has no figure: each of its runs was void, as was said when it was. */
const NONE = "no round stands";

const within = (value, { most, least }) => (least === undefined || value >= least) && (most === undefined || value <= most);

/**
 * A line of the table: a figure of ours beside another server's. `pairs` are the rounds, `[ours, theirs]`; the ratio is
 * taken within each, since rounds share what else the machine does. `aim` is `{most}` or `{least}` of the ratio's median,
 * or with `above: true` of how much ours is above theirs; without it the line is for information. `generator` is what the
 * load generator took of a core beside each of the two.
 */
export function compared(what, unit, peer, pairs, aim, generator) {
  const bound = aim && { ...aim, of: aim.above ? "difference" : "ratio" };
  if (!pairs.length) return { what, unit, peer, ours: [], theirs: [], failed: NONE, aim: bound, met: aim && false };
  const ratios = pairs.map(([ours, theirs]) => ours / theirs);
  const value = aim?.above ? median(pairs.map(([ours, theirs]) => ours - theirs)) : median(ratios);
  return { what, unit, peer, ours: pairs.map(([ours]) => ours), theirs: pairs.map(([, theirs]) => theirs), ratios, generator, aim: bound, met: aim && within(value, aim) };
}

/** A line with a figure of ours alone; `aim` is `{most}` or `{least}` of its median, `generator` as in `compared`. */
export const alone = (what, unit, values, aim, generator) => ({
  what, unit, ours: values, generator, failed: values.length ? undefined : NONE,
  aim: aim && { ...aim, of: "figure" }, met: aim && values.length > 0 && within(median(values), aim),
});

/** What stands in the place of a row that could not be measured. */
export const failed = (row, why) => ({ what: row, unit: "", ours: [], failed: why, aim: {}, met: false });

/** What the load generator took of a core meanwhile: the median of what was measured. */
export const share = (measured) => median(measured.map(({ generator_cpu_s, seconds }) => generator_cpu_s / seconds));

/**
 * `compared` of one figure over the rounds that `alternate` gives, ours beside each of `peers`; `phase` is which of the
 * peer's measurements is taken.
 */
export const beside = (rounds, peers, what, unit, value, aims = {}, phase = 0) =>
  peers.map((peer) => {
    const both = rounds.filter((round) => round.chat && round[peer]?.[phase]).map((round) => [round.chat[0], round[peer][phase]]);
    const generator = both.length ? [share(both.map(([ours]) => ours)), share(both.map(([, theirs]) => theirs))] : undefined;
    return compared(what, unit, titles[peer], both.map((pair) => pair.map(value)), aims[peer], generator);
  });

/** A figure of ours over the rounds. */
export function ours(rounds, what, unit, value, aim, phase = 0) {
  const measured = rounds.flatMap((round) => round.chat?.[phase] ?? []);
  return alone(what, unit, measured.map(value), aim, measured.length ? [share(measured)] : undefined);
}

/** An aim that is meant at `wanted` of something, where there are `count`: the table says so where those are fewer. */
export const sized = (aim, count, wanted) => (count < wanted ? { ...aim, at: `${count.toLocaleString("en-US")} of ${wanted.toLocaleString("en-US")}` } : aim);

/** Whether a line's aim is met. */
const verdict = ({ aim, met }) => (aim ? `${met ? "yes" : "**no**"}${aim.at ? `, at ${aim.at}` : ""}` : "");

/** The generator's shares of a core, ours and the peer's. */
const generatorOf = ({ generator }) => (generator ? `${generator.map((part) => Math.round(100 * part)).join(" / ")} %` : "");

function aimOf({ aim, unit }) {
  if (!aim || aim.of === undefined) return "";
  const bound = aim.most === undefined ? `≥ ${aim.least.toLocaleString("en-US")}` : `≤ ${aim.most.toLocaleString("en-US")}`;
  return { ratio: `${bound}×`, difference: `${bound.replace("≤ ", "≤ +")} ${unit}`, figure: `${bound} ${unit}` }[aim.of];
}

/** The lines as a table in Markdown. */
export function table(lines) {
  const rows = lines.map((line) =>
    line.failed && !line.ours.length
      ? [line.what, line.unit, `not measured: ${line.failed.replaceAll("|", "/").replaceAll("\n", " ")}`, line.peer ?? "", "", "", generatorOf(line), aimOf(line), "**no**"]
      : [line.what, line.unit, ranged(line.ours), line.peer ?? "", line.theirs ? ranged(line.theirs) : "", line.ratios ? ranged(line.ratios) : "", generatorOf(line), aimOf(line), verdict(line)],
  );
  const head = ["", "unit", "edge-chat", "beside", "", "ratio", "generator", "aim", "met"];
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
