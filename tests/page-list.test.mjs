// The message list of a page as it is scrolled and walked through: most of it is not in the page, and nobody notices.

import assert from "node:assert/strict";
import { test } from "node:test";

import { chat } from "./harness/index.mjs";
import { axe, enter, eventually, row, shoot, site, texts } from "./page/person.mjs";

const TEXT = "a line that is long enough to be broken somewhere in the middle of it, and then once more ";

/** So many messages of three people, of one line to four. */
async function talk(room, count) {
  const { join } = chat(site.server);
  const people = await Promise.all(["grace", "alan", "mary"].map((one) => join(room, one)));
  const said = [];
  for (let from = 1; from <= count; from += 50) {
    const some = Array.from({ length: Math.min(50, count - from + 1) }, (_, index) => from + index);
    said.push(...(await Promise.all(some.map((number) => people[Math.floor(number / 4) % 3].request("send_message", { content: `line ${number} ${TEXT.repeat(number % 3)}`.trim() })))));
  }
  return { people, said };
}

const scroller = (page) => page.locator(".scroller");
const drawn = (page) => page.locator(".message").count();
const noOf = (page) => page.locator("edge-chat").evaluate((chat) => chat.model.find(chat.shadowRoot.activeElement?.dataset.id)?.no);
const loaded = (page) => page.locator("edge-chat").evaluate(({ model }) => model.messages.map(({ no }) => no));

/** The numbers of the messages in sight and how much of the sight they fill, by rows that touch or overlap margins. */
const inSight = (page) =>
  scroller(page).evaluate((box) => {
    const { model } = box.getRootNode().host;
    const { top, bottom } = box.getBoundingClientRect();
    const rows = [...box.querySelectorAll(".message")].map((one) => ({ no: model.find(one.dataset.id)?.no, at: one.getBoundingClientRect() }));
    const seen = rows.filter(({ at }) => at.bottom > top && at.top < bottom);
    const last = box.querySelector(".messages").getBoundingClientRect().bottom;
    const covered = seen.length > 0 && (seen[0].at.top <= top + 80 || seen[0].no === 1) && seen.at(-1).at.bottom >= Math.min(bottom, last) - 20;
    return { nos: seen.map(({ no }) => no), covered, top: box.scrollTop };
  });

test("by wheel from the newest to the oldest and back everything comes into sight, in order, without a hole", async () => {
  await talk("video_wheel", 260);
  const ada = await enter("video_wheel", "Ada");
  await row(ada, "line 260").waitFor();
  await scroller(ada).hover();
  const seen = new Set();
  const pass = async (by, done) => {
    for (let step = 0; step < 200 && !done(seen); step += 1) {
      if (step > 0) await ada.mouse.wheel(0, by);
      await ada.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
      const { nos, covered } = await inSight(ada);
      assert.ok(covered, `a hole at ${nos}`);
      assert.deepEqual(nos, nos.map((_, index) => nos[0] + index), "in order, none left out");
      for (const no of nos) seen.add(no);
      assert.ok((await drawn(ada)) < 200);
    }
  };
  await pass(-300, () => seen.has(1));
  assert.equal(seen.size, 260);
  seen.clear();
  await pass(400, () => seen.has(260));
  assert.equal(seen.size, 260);
  assert.ok((await drawn(ada)) < 100, "only what is near sight is in the page");
  await axe(ada, "windowed");
});

test("by keyboard one reaches messages that are not in the page; the focus stays on one however far it is scrolled away", async () => {
  await talk("video_walk", 100);
  const ada = await enter("video_walk", "Ada");
  await row(ada, "line 100").waitFor();
  await scroller(ada).focus();
  for (let no = 100; no > 40; no -= 1) {
    await ada.keyboard.press("ArrowUp");
    assert.equal(await noOf(ada), no);
  }
  await ada.keyboard.press("Home");
  assert.equal(await noOf(ada), 1);
  const item = ada.locator(".message:focus");
  assert.deepEqual([await item.getAttribute("aria-posinset"), await item.getAttribute("aria-setsize")], ["1", "-1"]);
  await scroller(ada).evaluate((box) => box.scrollTo(0, box.scrollHeight));
  await eventually(async () => (await inSight(ada)).nos.includes(100), "the newest is in sight");
  assert.equal(await noOf(ada), 1, "the focus is where it was");
  await ada.keyboard.press("ArrowDown");
  assert.equal(await noOf(ada), 2);
  await eventually(async () => (await inSight(ada)).nos.includes(2), "and the list follows it");
  await ada.keyboard.press("End");
  assert.equal(await noOf(ada), 100);
  await eventually(async () => (await inSight(ada)).nos.includes(100), "back at the newest");
  await ada.keyboard.press("Control+f");
  await eventually(async () => (await drawn(ada)) === 100, "the browser's search finds all of it");
});

test("an answer leads to what it answers, though that is not in the page", async () => {
  const { people, said } = await talk("video_quote", 99);
  await people[0].request("send_message", { content: "about that first one", reply_to: said[2].message_id });
  const ada = await enter("video_quote", "Ada");
  await row(ada, "about that").getByRole("button", { name: /In reply to/ }).click();
  const item = ada.locator(`.message:focus[data-id="${said[2].message_id}"]`);
  await item.waitFor();
  assert.ok((await inSight(ada)).nos.includes(await noOf(ada)));

  // At an edge there is nothing to scroll to, so it stands elsewhere than it was meant to: that too is where it stays.
  const show = (no) => ada.locator("edge-chat").evaluate(({ list, model }, one) => void list.show(model.messages.find((message) => message.no === one).message_id), no);
  await show(60);
  await show(1);
  await people[1].request("send_message", { content: "one more" });
  await eventually(async () => (await loaded(ada)).includes(101), "it came");
  await ada.evaluate(() => new Promise((resolve) => setTimeout(resolve, 500)));
  assert.equal((await inSight(ada)).nos[0], 1);
});

test("who stays further up keeps what they read; of what came meanwhile the middle is left out, which a line says, and is there again after", async () => {
  const { people } = await talk("video_stay", 60);
  const ada = await enter("video_stay", "Ada");
  await row(ada, "line 60").waitFor();
  await scroller(ada).hover();
  await ada.mouse.wheel(0, -600);
  await ada.getByRole("button", { name: "Jump to latest" }).waitFor();
  // At rest: for so long it did not move, and nothing is being loaded.
  await scroller(ada).evaluate((box) => new Promise((resolve) => {
    let last = -1;
    const look = () => {
      const rests = box.scrollTop === last && !box.querySelector("[aria-busy]");
      last = box.scrollTop;
      if (rests) resolve();
      else setTimeout(look, 300);
    };
    look();
  }));
  const before = await inSight(ada);
  for (let hundred = 0; hundred < 22; hundred += 1) {
    await Promise.all(Array.from({ length: 100 }, (_, index) => people[index % 3].request("send_message", { content: `meanwhile ${hundred * 100 + index + 1}` }, 20_000)));
  }
  await ada.getByRole("button", { name: "2,200 new messages" }).waitFor();
  await eventually(async () => (await loaded(ada)).length < 1_700, "not all of it is kept");
  assert.deepEqual((await inSight(ada)).nos, before.nos, "what was read is in sight");
  const nos = await loaded(ada);
  const gap = nos.findIndex((no, index) => index > 0 && no !== nos[index - 1] + 1);
  const missing = nos[gap] - nos[gap - 1] - 1;
  await ada.locator("edge-chat").evaluate(({ list, model }, index) => void list.show(model.messages[index].message_id), gap);
  await ada.getByText(`${missing.toLocaleString("en")} messages not shown here`).waitFor();
  await shoot(ada, "gap-in-the-middle");
  await ada.getByRole("button", { name: "2,200 new messages" }).click();
  await eventually(async () => (await loaded(ada)).length === 500, "the newest");
  await eventually(async () => {
    await scroller(ada).evaluate((box) => box.scrollTo(0, 0));
    return (await loaded(ada)).length > 600;
  }, "and what was left out is paged in");
  await scroller(ada).evaluate((box) => box.scrollTo(0, box.scrollHeight));
  await eventually(() => scroller(ada).evaluate((box) => !box.querySelector("[aria-busy]")), "no page is under way");
  const all = await loaded(ada);
  assert.deepEqual(all, all.map((_, index) => all[0] + index), "without a hole");
  assert.equal((await texts(ada)).length, (await loaded(ada)).length);
});

test("another room while an older page is under way: that page is dropped, and the other room loads its own, once each", async () => {
  await talk("video_left", 130);
  const { said } = await talk("video_next", 130);
  // Of what three people send at once, the one sent last need not come last.
  const last = said.reduce((one, other) => (other.seq > one.seq ? other : one));
  const ada = await enter("video_left", "Ada");
  await row(ada, "line 130").waitFor();
  const asked = [];
  await ada.route("**/messages?*", (route) => {
    asked.push(new URL(route.request().url()).pathname);
    if (asked.at(-1).includes("video_next")) return route.continue();
    return new Promise((resolve) => ada.once("close", resolve)).then(() => route.abort().catch(() => {}));
  });
  await scroller(ada).evaluate((box) => box.scrollTo(0, 0));
  await eventually(() => asked.length === 1, "the older page is asked for");
  await ada.locator("edge-chat").evaluate((chat) => chat.setAttribute("room", "video_next"));
  await eventually(async () => (await ada.locator("edge-chat").evaluate(({ model }) => model.messages.at(-1)?.message_id)) === last.message_id, "the other room");
  await eventually(async () => {
    await scroller(ada).evaluate((box) => box.scrollTo(0, 0));
    return (await loaded(ada))[0] === 1;
  }, "its older messages");
  assert.deepEqual(asked.map((path) => path.split("/")[3]), ["video_left", "video_next"]);
  assert.equal((await texts(ada)).length, 130);
});

test("what the room keeps no longer leaves the list, and nothing older is offered", async () => {
  await talk("video_kept", 130);
  const ada = await enter("video_kept", "Ada");
  await eventually(async () => (await loaded(ada)).at(-1) === 130, "the newest are there");
  await ada.locator("edge-chat").evaluate((chat) => chat.loadOlder(100));
  await eventually(async () => (await loaded(ada))[0] === 1, "all of them are loaded");
  const { rest } = chat(site.server);
  const as = { sub: "svc", username: "Svc", roles: ["service"] };
  const { status } = await rest("PATCH", "/rooms/video_kept", { as, body: { settings: { retention_messages: 100 } } });
  assert.equal(status, 200);
  await eventually(async () => (await loaded(ada))[0] === 31, "the first of them are gone");
  await ada.locator("edge-chat").evaluate((chat) => chat.list.scroller.scrollTo(0, 0));
  await eventually(async () => (await inSight(ada)).nos[0] === 31, "the list begins there");
  assert.equal((await loaded(ada)).length, 100);
  await shoot(ada, "kept");
});
