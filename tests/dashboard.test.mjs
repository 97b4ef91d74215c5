// The operators' page: its arithmetic, and in Chromium while rooms are under load.
import assert from "node:assert/strict";
import { stat, writeFile } from "node:fs/promises";
import { test } from "node:test";

import { connect } from "../client/web/chat.js";
import { Figures, quantile } from "../client/web/dashboard/figures.js";
import { token } from "./harness/index.mjs";
import { axe, eventually, shoot, site, visit } from "./page/person.mjs";
import { memory } from "./page/wire.mjs";

const TOKEN = "operators-eyes-only";
site.vars = { METRICS_TOKEN: TOKEN };
const UPDATES = process.env.UPDATE_SCREENSHOT === "1";

const gauges = { users: 0, guests: 0, sockets: 0, seq: 9, postgres: { seq: 9 } };
const drain = (number, since, metrics, busiest = []) => ({
  drain: number, up: true, since, rooms: 1, queued: [0, 0], metrics, busiest,
  sums: { users: 2, guests: 1, sockets: 4, shards: 0, lag_events: [3, 0], lag_ms: [700, 0] },
});
const answer = (at, ...drains) => ({ at, bounds_ms: [10, 100], drains });

test("rates are of what grew while the page looked, over drains that begin anew", () => {
  const figures = new Figures();
  const first = figures.take(answer(0, drain(0, 1, { messages: 1_000, errors: { banned: 5 } }), drain(1, 1, {})));
  assert.deepEqual([first.messages, first.errors, first.sockets, first.lag_ms], [null, null, 8, [700, 0]]);
  const second = figures.take(answer(2_000, drain(0, 1, { messages: 1_020, frames_in: 40, errors: { banned: 6, rate_limited: 3 } }), drain(1, 1, { messages: 4 })));
  assert.deepEqual([second.messages, second.errors, second.limited, second.error_rate], [12, 2, 1.5, 0.1]);
  // One was built anew and has counted 10 since; the other does not answer.
  const third = figures.take(answer(4_000, drain(0, 7, { messages: 10 }), { drain: 1, up: false }));
  assert.deepEqual([third.messages, third.up, third.drains, third.sockets], [34 / 4, 1, 2, 4]);
});

test("quantiles lie within the bucket that they fall into", () => {
  assert.equal(quantile(0.5, [10, 100], [0, 0, 0]), null);
  assert.equal(quantile(0.5, [10, 100], [10, 0, 0]), 5);
  assert.equal(quantile(0.99, [10, 100], [50, 50, 0]), 10 + 90 * 0.98);
  assert.equal(quantile(0.99, [10, 100], [0, 0, 3]), 100);
  const figures = new Figures();
  figures.take(answer(0, drain(0, 1, { ack: { buckets: [900, 0, 0], sum_ms: 1 } })));
  assert.equal(figures.take(answer(2_000, drain(0, 1, { ack: { buckets: [900, 4, 0], sum_ms: 9 } }))).ack_p50, 55);
});

/** People in rooms who talk by the client module until it is ended, in the first room most; some only watch. */
async function load(rooms, people, seconds) {
  const all = rooms.flatMap((room, index) => Array.from({ length: Math.ceil(people / (index + 1)) }, (_, n) => ({ room, sub: n % 4 === 3 ? null : `${room}-${n}` })));
  const come = async ({ room, sub }) => {
    const viewer = connect({ url: site.server.url, room, token: sub ? await token({ sub }) : undefined, storage: memory(), tabStorage: null });
    await new Promise((resolve) => viewer.on("joined", resolve));
    return viewer;
  };
  // Guests make no room: of each room a user comes first.
  const makers = all.filter(({ room }, n) => all.findIndex((other) => other.room === room) === n);
  const viewers = await Promise.all(makers.map(come));
  const others = all.filter((each) => !makers.includes(each));
  for (let n = 0; n < others.length; n += 10) viewers.push(...(await Promise.all(others.slice(n, n + 10).map(come))));
  const speakers = viewers.filter(({ self }) => self.user_id);
  const began = Date.now();
  let said = 0;
  const speak = () => {
    const speaker = speakers[Math.floor(Math.random() ** 2 * speakers.length)];
    said += 1;
    // Some of it is nothing, and refused.
    speaker.send(said % 31 ? `word ${said}` : "").catch(() => {});
  };
  const timer = setInterval(() => {
    for (let n = 0; n < 2 + Math.sin((Date.now() - began) / 5_000); n++) speak();
  }, 100);
  return {
    sockets: viewers.length,
    until: new Promise((resolve) => setTimeout(resolve, seconds * 1_000)),
    end() {
      clearInterval(timer);
      viewers.forEach((viewer) => viewer.close());
    },
  };
}

test("it shows what goes on while rooms are under load, and nobody without the token sees it", async () => {
  const page = await visit("/dashboard/", { viewport: { width: 1280, height: 1180 } });
  const field = page.getByLabel("METRICS_TOKEN");
  await axe(page, "the door");
  await field.fill("x".repeat(20));
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByText("That is not the token.").waitFor();
  assert.equal(await page.locator("#board").isVisible(), false);
  assert.equal(await page.evaluate(() => sessionStorage.length), 0, "a wrong one is not kept");

  const rooms = ["stream_final", "video_premiere", "group_backstage", "video_42", "stream_raid"];
  const crowd = await load(rooms, 60, UPDATES ? 75 : 12);
  try {
    await field.fill(TOKEN);
    await page.getByRole("button", { name: "Show" }).click();
    const tile = (name) => page.locator("#tiles div").filter({ has: page.getByText(name, { exact: true }) }).locator("dd");
    const value = async (name) => Number((await tile(name).textContent()).replaceAll(",", ""));
    await eventually(async () => (await value("Connections")) === crowd.sockets, `${crowd.sockets} connections`);
    await eventually(async () => (await value("Messages/s")) > 5, "messages");
    for (const name of ["Ack p50", "Ack p99", "Seen p99"]) await eventually(async () => /\d ms$/.test(await tile(name).textContent()), name);
    await eventually(async () => (await value("Errors/s")) > 0, "errors");
    await crowd.until;
    assert.equal(await tile("Drains").textContent(), "2 of 2");
    assert.ok((await value("Deliveries/s")) > (await value("Messages/s")) * 10);
    const names = await page.locator("#rooms th").allTextContents();
    assert.deepEqual([...names].sort(), [...rooms].sort());
    assert.equal(names[0], rooms[0], "the busiest first");
    const plots = page.locator("#plots .uplot canvas");
    assert.equal(await plots.count(), 4);
    // Each has something drawn.
    const drawn = await plots.evaluateAll((all) => all.map((canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte > 0)));
    assert.deepEqual(drawn, [true, true, true, true]);
    await axe(page, "the board");
    await shoot(page, "dashboard");
    if (UPDATES) {
      const path = new URL("../docs/dashboard.png", import.meta.url);
      await writeFile(path, await page.screenshot());
      assert.ok((await stat(path)).size < 150_000, "docs/dashboard.png is under 150 KB");
    }
  } finally {
    crowd.end();
  }

  await page.reload();
  await page.locator("#board").waitFor();
  assert.equal(await page.locator("#door").isVisible(), false, "the tab remembers the token");
  const other = await visit("/dashboard/");
  await other.getByLabel("METRICS_TOKEN").waitFor();
  await page.getByRole("button", { name: "Forget the token" }).click();
  await field.waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});

test("on a small screen nothing is cut off, and a service that is away is said to be", async () => {
  const page = await visit("/dashboard/", { viewport: { width: 360, height: 740 }, colorScheme: "dark" });
  await page.getByLabel("METRICS_TOKEN").fill(TOKEN);
  await page.getByRole("button", { name: "Show" }).click();
  await page.locator("#plots canvas").first().waitFor();
  await eventually(async () => (await page.evaluate(() => document.documentElement.scrollWidth)) <= 360, "no wider than the screen");
  await shoot(page, "dashboard-phone");
  await page.route("**/metrics*", (route) => route.abort());
  await page.getByText(/^no answer; this is as of/).waitFor();
  await page.unroute("**/metrics*");
  await page.getByText(/^as of/).waitFor();
});
