// Four plots over time, drawn by uPlot.

import uPlot from "./uplot/uPlot.esm.js";

/** So many points are kept: 15 minutes, one every 2 s. */
const MOST = 450;
const HEIGHT = 190;

const number = (value) => (value === null ? "–" : value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 }));
const clock = (seconds) => new Date(seconds * 1_000).toLocaleTimeString("en-GB");
const ms = (value) => (value === null ? "–" : `${number(value)} ms`);
const percent = (value) => (value === null ? "–" : `${number(value * 100)} %`);

/** Title; series as figure, label, colour; how a value is written. */
const PLOTS = [
  ["Connections", [["sockets", "sockets", "first"], ["users", "users", "second"], ["guests", "guests", "third"]], number],
  ["Messages a second", [["messages", "messages/s", "first"]], number],
  ["Latency, as clients measure it", [["ack_p50", "ack p50", "first"], ["ack_p99", "ack p99", "second"], ["shown_p99", "seen p99", "third"]], ms],
  ["Errors, of frames", [["error_rate", "errors", "danger"]], percent],
];

/** The colour that a class has now: a canvas knows no variables. */
function colour(name) {
  const probe = document.createElement("i");
  probe.className = name;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

export class Plots {
  #host;
  #points = [];
  #plots = [];

  constructor(host) {
    this.#host = host;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
    new ResizeObserver(() => this.#plots.forEach(({ plot, box }) => plot.setSize(size(box)))).observe(host);
  }

  add(figures) {
    this.#points.push(figures);
    if (this.#points.length > MOST) this.#points.shift();
    if (this.#plots.length === 0) this.#draw();
    for (const { plot, series } of this.#plots) {
      plot.setData(this.#data(series));
      this.#tell(plot);
    }
  }

  /** Where nobody points at a time, the newest values stand below. */
  #tell(plot) {
    if (plot.cursor.idx === null || plot.cursor.left < 0) plot.setLegend({ idx: this.#points.length - 1 });
  }

  #data(series) {
    return [this.#points.map(({ at }) => at / 1_000), ...series.map(([name]) => this.#points.map((point) => point[name]))];
  }

  #draw() {
    if (this.#points.length === 0) return;
    this.#plots.forEach(({ plot }) => plot.destroy());
    this.#host.replaceChildren();
    const axis = { stroke: colour("axis"), grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false }, font: "12px sans-serif" };
    this.#plots = PLOTS.map(([title, series, write]) => {
      const box = document.createElement("section");
      const head = document.createElement("h2");
      head.textContent = title;
      box.append(head);
      this.#host.append(box);
      const lines = series.map(([, label, name]) => ({ label, stroke: colour(name), width: 2, points: { show: false }, value: (_, value) => write(value ?? null) }));
      const options = {
        ...size(box),
        cursor: { y: false },
        scales: { y: { range: (_, low, high) => [0, Math.max(high ?? 0, write === percent ? 0.01 : 1) * 1.1] } },
        axes: [{ ...axis, space: 80, size: 34, values: (_, ticks) => ticks.map(clock) }, { ...axis, size: 64, values: (_, ticks) => ticks.map(write) }],
        series: [{ label: "at", value: (_, value) => (value ? clock(value) : "–") }, ...lines],
      };
      return { box, series, plot: new uPlot(options, this.#data(series), box) };
    });
  }
}

const size = (box) => ({ width: Math.max(200, box.clientWidth), height: HEIGHT });
