// Medians, ranges and the table.

const sorted = (values) => values.toSorted((a, b) => a - b);

export function median(values) {
  const all = sorted(values);
  const middle = all.length >> 1;
  return all.length % 2 ? all[middle] : (all[middle - 1] + all[middle]) / 2;
}

const digits = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));

const ranged = (values) => {
  const all = sorted(values);
  return all.length > 1 ? `${digits(median(all))} (${digits(all[0])}–${digits(all.at(-1))})` : digits(all[0]);
};

/**
 * A line of the table. `pairs` are the rounds, `[ours, theirs]`; the ratio is taken within each, since rounds share what
 * else the machine does. `aim` is `{most}` or `{least}` of the ratio's median; without it the line is for information.
 */
export function compared(what, unit, pairs, aim) {
  const ratios = pairs.map(([ours, theirs]) => ours / theirs);
  const ratio = median(ratios);
  const met = aim && (aim.most === undefined ? ratio >= aim.least : ratio <= aim.most);
  return { what, unit, ours: pairs.map(([ours]) => ours), theirs: pairs.map(([, theirs]) => theirs), ratios, ratio, aim, met };
}

/** A line with a figure of ours alone. */
export const alone = (what, unit, value, aim) =>
  ({ what, unit, ours: [value], aim, met: aim && value <= aim.most });

/** The lines as a table in Markdown. */
export function table(lines) {
  const aim = ({ aim, unit, ratios }) => {
    if (!aim) return "";
    const of = ratios ? "×" : ` ${unit}`;
    return aim.most === undefined ? `≥ ${aim.least}${of}` : `≤ ${aim.most}${of}`;
  };
  const met = (line) => (line.aim ? (line.met ? "yes" : "**no**") : "");
  const rows = lines.map((line) => [
    line.what, line.unit, ranged(line.ours), line.theirs ? ranged(line.theirs) : "",
    line.ratios ? ranged(line.ratios) : "", aim(line), met(line),
  ]);
  const head = ["", "unit", "edge-chat", "bare", "ratio", "aim", "met"];
  const markdown = [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
  return markdown.join("\n");
}
