// The figures beside the peers' as a picture.
import * as vega from "vega";
import { compile } from "vega-lite";
import { median } from "./report.mjs";

/** Charts: the lines of a row and unit, and what the chart is called. */
const charts = [
  { row: "steady", unit: "CPU-s per million deliveries", title: "1,000 viewers, 20 messages/s: CPU-s per million deliveries (less is better)" },
  { row: "hot", unit: "CPU-s per million deliveries", title: "1,000 viewers, 200 messages/s, peers at the 40/s that they keep up with: CPU-s per million deliveries (less is better)" },
  { row: "hot", unit: "deliveries/s", title: "1,000 viewers, full tilt: deliveries a second (more is better)" },
];

/** Ours and each peer's median of the first line that fits. */
function bars(lines, { row, unit }) {
  const of = lines.filter((line) => line.row === row && line.unit === unit && line.ours.length && !line.what.includes("included"));
  const bars = new Map();
  for (const { peer, ours, theirs } of of) {
    if (!bars.has("edge-chat")) bars.set("edge-chat", ours);
    if (theirs?.length && !bars.has(peer)) bars.set(peer, theirs);
  }
  return [...bars].map(([server, values]) => ({ server, value: median(values), low: Math.min(...values), high: Math.max(...values) }));
}

const chart = (title, values) => {
  const y = { field: "server", type: "nominal", sort: null, title: null };
  return {
    title: { text: title, anchor: "start", fontSize: 12 },
    width: 480,
    height: { step: 24 },
    data: { values },
    encoding: { y },
    layer: [
      {
        mark: { type: "bar", height: 16 },
        encoding: {
          x: { field: "value", type: "quantitative", title: null, axis: { format: "~s" } },
          color: { condition: { test: "datum.server == 'edge-chat'", value: "#2563eb" }, value: "#a3a3a3" },
        },
      },
      { mark: { type: "rule", color: "#404040" }, encoding: { x: { field: "low", type: "quantitative" }, x2: { field: "high" } } },
      {
        mark: { type: "text", align: "left", dx: 5, fontSize: 11 },
        encoding: { x: { field: "high", type: "quantitative" }, text: { field: "value", type: "quantitative", format: ",.3~r" } },
      },
    ],
  };
};

/** An SVG of the charts whose lines are there; null where none is. */
export async function plot(lines) {
  const drawn = charts.map((each) => [each.title, bars(lines, each)]).filter(([, values]) => values.length > 1);
  if (!drawn.length) return null;
  const spec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    background: "white",
    padding: 12,
    vconcat: drawn.map(([title, values]) => chart(title, values)),
    resolve: { scale: { y: "independent", x: "independent" } },
    config: { view: { stroke: null }, axis: { labelFontSize: 11 }, font: "system-ui, sans-serif" },
  };
  return new vega.View(vega.parse(compile(spec).spec), { renderer: "none" }).toSVG();
}
