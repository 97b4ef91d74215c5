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
 * or with `above: true` of how much ours is above theirs; without it the line is for information.
 */
export function compared(what, unit, peer, pairs, aim) {
  const bound = aim && { ...aim, of: aim.above ? "difference" : "ratio" };
  if (!pairs.length) return { what, unit, peer, ours: [], theirs: [], failed: NONE, aim: bound, met: aim && false };
  const ratios = pairs.map(([ours, theirs]) => ours / theirs);
  const value = aim?.above ? median(pairs.map(([ours, theirs]) => ours - theirs)) : median(ratios);
  return { what, unit, peer, ours: pairs.map(([ours]) => ours), theirs: pairs.map(([, theirs]) => theirs), ratios, aim: bound, met: aim && within(value, aim) };
}

/** A line with a figure of ours alone; `aim` is `{most}` or `{least}` of its median. */
export const alone = (what, unit, values, aim) => ({
  what, unit, ours: values, failed: values.length ? undefined : NONE,
  aim: aim && { ...aim, of: "figure" }, met: aim && values.length > 0 && within(median(values), aim),
});

/** What stands in the place of a row that could not be measured. */
export const failed = (row, why) => ({ what: row, unit: "", ours: [], failed: why, aim: {}, met: false });

/**
 * `compared` of one figure over the rounds that `alternate` gives, ours beside each of `peers`; `phase` is which of the
 * peer's measurements is taken.
 */
export const beside = (rounds, peers, what, unit, value, aims = {}, phase = 0) =>
  peers.map((peer) => {
    const both = rounds.filter((round) => round.chat && round[peer]?.[phase]);
    return compared(what, unit, titles[peer], both.map((round) => [value(round.chat[0]), value(round[peer][phase])]), aims[peer]);
  });

/** A figure of ours over the rounds. */
export const ours = (rounds, what, unit, value, aim, phase = 0) =>
  alone(what, unit, rounds.filter((round) => round.chat?.[phase]).map((round) => value(round.chat[phase])), aim);

/** An aim that is meant at `wanted` of something, where there are `count`: the table says so where those are fewer. */
export const sized = (aim, count, wanted) => (count < wanted ? { ...aim, at: `${count.toLocaleString("en-US")} of ${wanted.toLocaleString("en-US")}` } : aim);

/** Whether a line's aim is met. */
const verdict = ({ aim, met }) => (aim ? `${met ? "yes" : "**no**"}${aim.at ? `, at ${aim.at}` : ""}` : "");

function aimOf({ aim, unit }) {
  if (!aim || aim.of === undefined) return "";
  const bound = aim.most === undefined ? `≥ ${aim.least.toLocaleString("en-US")}` : `≤ ${aim.most.toLocaleString("en-US")}`;
  return { ratio: `${bound}×`, difference: `${bound.replace("≤ ", "≤ +")} ${unit}`, figure: `${bound} ${unit}` }[aim.of];
}

/** The lines as a table in Markdown. */
export function table(lines) {
  const rows = lines.map((line) =>
    line.failed && !line.ours.length
      ? [line.what, line.unit, `not measured: ${line.failed.replaceAll("|", "/").replaceAll("\n", " ")}`, line.peer ?? "", "", "", aimOf(line), "**no**"]
      : [line.what, line.unit, ranged(line.ours), line.peer ?? "", line.theirs ? ranged(line.theirs) : "", line.ratios ? ranged(line.ratios) : "", aimOf(line), verdict(line)],
  );
  const head = ["", "unit", "edge-chat", "beside", "", "ratio", "aim", "met"];
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
