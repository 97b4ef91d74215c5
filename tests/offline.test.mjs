// A page that was away comes back in a real Chromium: without a gap, without a double, and it says what happened meanwhile.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { chat } from "./harness/index.mjs";
import { axe, DESKTOP, eachMessage, enter, eventually, field, online, row, say, shoot, site, texts, visit } from "./page/person.mjs";
import { relay } from "./page/relay.mjs";

const NARROW = { width: 380, height: 740 };
const BOT = { sub: "bot", username: "Bot", roles: ["service"] };
const MO = { sub: "mo", username: "Mo", roles: ["moderator"] };

let network;
let join, rest;
beforeEach(async () => {
  network ??= await relay(site.server.url);
  ({ join, rest } = chat(site.server));
});
after(() => network?.close());

/** Somebody whose page reaches the server through the network that fails. */
async function far(room, name, options) {
  network.set("open");
  const page = await visit(`${network.url}/?${new URLSearchParams({ room, name })}`, options);
  await online(page);
  return page;
}

const waiting = (page) => page.locator("edge-chat[data-state=waiting]").waitFor();
const retry = (page) => page.getByRole("button", { name: "Retry now" });
const pill = (page, text) => page.getByRole("button", { name: text });
/** The line where the news begins and the first message below it, wherever the list stands. */
const news = (page) =>
  page.locator("edge-chat").evaluate(({ list }) => {
    const { atBottom } = list;
    const { scrollTop } = list.scroller;
    const item = list.show("missed");
    const found = item && [item.textContent, item.nextElementSibling.querySelector(".content").firstChild.textContent];
    if (atBottom) list.toBottom();
    else list.scroller.scrollTop = scrollTop;
    return found;
  });
const line = async (page) => (await news(page))[0];
const scroller = (page) => page.locator(".scroller");

/** All that a page shows of each message, by its id, the line of what is new apart. */
const shown = async (page) =>
  Object.fromEntries(await eachMessage(page, (one) => [one.dataset.id, [
    ...[".content", ".edited", ".quote"].map((part) => one.querySelector(part)?.textContent ?? null),
    one.querySelector(".content").classList.contains("gone"),
    [...one.querySelectorAll(".chip")].map((chip) => chip.getAttribute("aria-label")).join(),
  ]]));

/** Whatever a newcomer sees `page` shows too, and none of it twice. */
async function asANewcomer(page, room) {
  const fresh = await enter(room, "Newcomer");
  const [here, there] = [await shown(page), await shown(fresh)];
  const ids = Object.keys(there);
  assert.deepEqual(Object.fromEntries(ids.map((id) => [id, here[id]])), there);
  const order = await eachMessage(page, (one) => one.dataset.id);
  assert.equal(new Set(order).size, order.length, "nothing is there twice");
  assert.deepEqual(order.slice(-ids.length), ids, "in the same order");
  for (const part of [".pins", ".modes", ".watching"]) {
    const of = (one) => one.locator(part).evaluateAll((all) => all.map((element) => !element.hidden && element.textContent));
    assert.deepEqual(await of(page), await of(fresh), part);
  }
  await fresh.close();
}

const sent = (bot, content) => bot.request("send_message", { content });

test("V4: offline for ten minutes, and back without a gap or a double; what happened meanwhile is told", async () => {
  const bot = await join("video_away", BOT);
  const mo = await join("video_away", MO);
  const bob = await join("video_away", "bob");
  await join("video_away", "eve");
  const old = [];
  for (let number = 1; number <= 20; number += 1) old.push(await sent(bot, `before ${number}`));
  await bob.request("react", { message_id: old[19].message_id, reaction: "👍" });
  const ada = await far("video_away", "Ada", { clock: true });
  await say(ada, "I will be right back");

  network.set("hole");
  await field(ada).fill("typed into the hole");
  await field(ada).press("Enter");
  const missed = [];
  for (let number = 1; number <= 50; number += 1) missed.push(await sent(bot, `meanwhile ${number}`));
  for (const { message_id } of [...old.slice(0, 5), ...missed.slice(0, 5)]) await bot.request("edit_message", { message_id, content: `edited ${message_id.slice(-4)}` });
  for (const { message_id } of [...old.slice(8, 10), ...missed.slice(10, 13)]) await bot.request("delete_message", { message_id });
  for (const { message_id } of [old[0], old[19], missed[20]]) await bob.request("react", { message_id, reaction: "🎉" });
  await bob.request("react", { message_id: old[19].message_id, reaction: "👍", remove: true });
  await mo.request("pin_message", { message_id: missed[30].message_id });
  await mo.request("ban_user", { user_id: "eve", duration_s: 3600 });
  await mo.request("set_modes", { modes: { slow_s: 2 } });

  await ada.clock.fastForward(600_000);
  await waiting(ada);
  await ada.getByText(/The server did not answer. Trying again in/).waitFor();
  // Who answers is a room that woke: it has what is stored.
  const instance = async () => (await rest("GET", "/rooms/video_away/stats", { as: MO })).body.instance;
  const before = await instance();
  await site.server.evict("Room", "video_away");
  assert.notEqual(await instance(), before);
  assert.equal((await texts(ada)).at(-1), "I will be right back");
  network.set("open");
  await retry(ada).click();
  await online(ada);
  await row(ada, "meanwhile 50").waitFor();
  await row(ada, "typed into the hole").waitFor();
  await pill(ada, "47 new messages while you were away").waitFor();
  assert.match(await ada.locator("edge-chat p[role=status].quiet").textContent(), /^Connected again. 47 new messages while you were away.$/);
  assert.deepEqual(await news(ada), ["New while you were away · 47", `edited ${missed[0].message_id.slice(-4)}`]);
  await ada.getByText("Slow mode: 2 s").waitFor();
  assert.match(await ada.locator(".pins").textContent(), /meanwhile 31/);
  assert.equal(await ada.locator(".state").isVisible(), false);
  await shoot(ada, "away-light");
  await ada.emulateMedia({ colorScheme: "dark" });
  await shoot(ada, "away-dark");
  await axe(ada, "back");
  await asANewcomer(ada, "video_away");
  assert.equal((await texts(ada)).filter((text) => text === "typed into the hole").length, 1);

  await ada.setViewportSize(NARROW);
  await shoot(ada, "away-narrow");
  await pill(ada, "47 new messages while you were away").focus();
  await ada.keyboard.press("Enter");
  await ada.locator(".missed-pill").waitFor({ state: "hidden" });
  assert.equal(await ada.locator(".message:focus .content").evaluate((one) => one.firstChild.textContent), `edited ${missed[0].message_id.slice(-4)}`);
  await shoot(ada, "away-there");
  // As slow mode asks.
  await ada.waitForTimeout(2_100);
  await say(ada, "I have read it all");
  assert.equal(await news(ada), undefined, "who answers has read it");
});

test("V9: the strip says that the connection is lost, counts down, and goes; the focus stays where it was", async () => {
  const bot = await join("video_strip", BOT);
  for (let number = 1; number <= 60; number += 1) await sent(bot, `line ${number}`);
  const ada = await far("video_strip", "Ada");
  await field(ada).fill("half a sen");
  const announced = ada.locator("edge-chat p[role=status].quiet");
  network.set("cut");
  await waiting(ada);
  await ada.getByText(/^The server cannot be reached. Trying again in \d+\ss.$/).waitFor();
  assert.equal(await announced.textContent(), "The server cannot be reached. Trying to reconnect.");
  assert.equal(await ada.locator(".state [role=status]").getAttribute("aria-live"), "off", "the countdown is for the eye");
  await shoot(ada, "offline-light");
  await axe(ada, "offline");
  await ada.emulateMedia({ colorScheme: "dark" });
  await ada.setViewportSize(NARROW);
  await shoot(ada, "offline-narrow-dark");
  await ada.setViewportSize(DESKTOP);

  await field(ada).press("Shift+Tab");
  await eventually(async () => {
    await ada.keyboard.press("Shift+Tab");
    return retry(ada).evaluate((button) => button.matches(":focus"));
  }, "the button is reached by keys");
  await ada.keyboard.press("Enter");
  await eventually(async () => (await ada.locator("edge-chat").getAttribute("data-state")) === "waiting", "it failed again");
  assert.equal(await retry(ada).evaluate((button) => button.matches(":focus")), true, "who insists can insist");
  network.set("open");
  await ada.keyboard.press("Enter");
  await online(ada);
  assert.equal(await ada.locator(".state").isVisible(), false);
  assert.equal(await scroller(ada).evaluate((list) => list.matches(":focus")), true, "the focus did not fall out of the chat");
  assert.equal(await announced.textContent(), "Connected again.");
  assert.equal(await field(ada).inputValue(), "half a sen");
  assert.equal(await news(ada), undefined, "nothing was said meanwhile");

  await field(ada).focus();
  await scroller(ada).evaluate((list) => list.scrollTo(0, 700));
  const inSight = () => scroller(ada).evaluate((list) => {
    const edge = list.getBoundingClientRect().top;
    const first = [...list.querySelectorAll(".message")].find((one) => one.getBoundingClientRect().bottom > edge);
    return [first.querySelector(".content").textContent, Math.round(first.getBoundingClientRect().top)];
  });
  await ada.getByRole("button", { name: "Jump to latest" }).waitFor();
  const place = await inSight();
  network.set("cut");
  await waiting(ada);
  await sent(bot, "a word meanwhile");
  network.set("open");
  // Not by the button, which would take the focus.
  await ada.locator("edge-chat").evaluate(({ chat }) => chat.retry());
  await online(ada);
  await row(ada, "a word meanwhile").waitFor();
  assert.deepEqual(await inSight(), place, "who reads further up goes on reading");
  assert.equal(await field(ada).evaluate((one) => one.matches(":focus")), true);
});

test("V9: a browser that knows of no network says so, and is back as soon as there is one, whatever the wait", async () => {
  const ada = await far("video_network", "Ada", { clock: true });
  await ada.context().setOffline(true);
  network.set("cut");
  await waiting(ada);
  await ada.getByText(/^You are offline. Trying again/).waitFor();
  // No timer runs any more: only the event can end the wait.
  await ada.clock.pauseAt(await ada.evaluate(() => Date.now() + 50));
  network.set("open");
  assert.equal(await ada.locator("edge-chat").getAttribute("data-state"), "waiting");
  await ada.context().setOffline(false);
  await online(ada);
  await ada.locator(".state").waitFor({ state: "hidden" });
});

test("V3: what was typed offline survives a reload and is said once, and so is what was said and not answered", async () => {
  const bot = await join("video_reload", BOT);
  const ada = await far("video_reload", "Ada");
  await say(ada, "all is well");
  network.set("deaf");
  await field(ada).fill("the answer was lost");
  await field(ada).press("Enter");
  assert.equal((await bot.next(({ data }) => data?.content === "the answer was lost")).event, "new_message");
  await ada.locator(".pending").filter({ hasText: "the answer was lost" }).waitFor();
  network.set("cut");
  await waiting(ada);
  for (const text of ["typed offline", "and typed again"]) {
    await field(ada).fill(text);
    await field(ada).press("Enter");
  }
  await ada.reload();
  await ada.getByText(/Trying again/).waitFor();
  network.set("open");
  await retry(ada).click();
  await row(ada, "and typed again").waitFor();
  const wanted = ["all is well", "the answer was lost", "typed offline", "and typed again"];
  await eventually(async () => (await ada.locator(".pending").count()) === 0, "nothing is on its way");
  assert.deepEqual(await texts(ada), wanted);
  await ada.reload();
  await online(ada);
  await row(ada, "and typed again").waitFor();
  await asANewcomer(ada, "video_reload");
  assert.deepEqual(await texts(ada), wanted, "a second reload says nothing again");
  assert.equal(await ada.evaluate(() => sessionStorage.length), 0);
});

test("V5: where too much was missed the newest is shown with a line that says so, and paging goes back over it", async () => {
  const bot = await join("video_gap", BOT);
  for (let number = 1; number <= 30; number += 1) await sent(bot, `before ${number}`);
  const ada = await far("video_gap", "Ada");
  network.set("cut");
  await waiting(ada);
  await field(ada).fill("from the train");
  await field(ada).press("Enter");
  for (let hundred = 0; hundred < 11; hundred += 1) {
    await Promise.all(Array.from({ length: 100 }, (_, index) => sent(bot, `meanwhile ${hundred * 100 + index + 1}`)));
  }
  network.set("open");
  await retry(ada).click();
  await pill(ada, "1,100 new messages while you were away").waitFor();
  assert.equal(await line(ada), "You missed 1,100 messages; showing the newest");
  await row(ada, "from the train").waitFor();
  assert.deepEqual([(await texts(ada)).at(-1), (await texts(ada)).length], ["from the train", 101]);
  assert.equal(await scroller(ada).evaluate((list) => list.scrollHeight - list.scrollTop - list.clientHeight < 2), true, "at the newest");
  await asANewcomer(ada, "video_gap");
  await shoot(ada, "gap");
  await pill(ada, "1,100 new messages while you were away").click();
  const first = ada.locator(".missed + .message:focus .content");
  await first.waitFor();
  assert.equal(await first.textContent(), "meanwhile 1");
  assert.equal(await line(ada), "New while you were away · 1,100");
  await shoot(ada, "gap-there");
  await eventually(async () => {
    await scroller(ada).evaluate((list) => list.scrollTo(0, 0));
    return (await texts(ada))[0] === "before 1";
  }, "the beginning");
  const all = [...Array.from({ length: 30 }, (_, index) => `before ${index + 1}`), ...Array.from({ length: 1100 }, (_, index) => `meanwhile ${index + 1}`)];
  assert.deepEqual(await texts(ada), [...all, "from the train"]);
});

test("V4: who was banned meanwhile is told so, and until when", async () => {
  const mo = await join("video_banned", MO);
  const ada = await far("video_banned", "Ada");
  await say(ada, "hello");
  network.set("cut");
  await waiting(ada);
  await field(ada).fill("never to be said");
  await field(ada).press("Enter");
  await mo.request("ban_user", { user_id: "ada", duration_s: 600, reason: "shouting" });
  network.set("open");
  await retry(ada).click();
  await ada.locator(".state").getByText(/^You are banned from this room: shouting. This ends at /).waitFor();
  await ada.getByText("You cannot write here.").waitFor();
  assert.equal(await retry(ada).isVisible(), false);
  assert.deepEqual(await texts(ada), ["hello"]);
  assert.equal(await ada.evaluate(() => sessionStorage.length), 0, "and it is not said after the ban either");
  await shoot(ada, "banned");
});

test("V5: where the room's log is another one the page says so and shows what is there, with what was typed", async () => {
  const bot = await join("video_epoch", BOT);
  for (let number = 1; number <= 30; number += 1) await sent(bot, `line ${number}`);
  const ada = await far("video_epoch", "Ada");
  await row(ada, "line 30").waitFor();
  const drained = async () => (await site.database.query("select count(*) from messages where room_id = 'video_epoch'"))[0].count === "30";
  await eventually(drained, "PostgreSQL has it");
  network.set("cut");
  await waiting(ada);
  await field(ada).fill("into the other log");
  await field(ada).press("Enter");
  await site.server.kill9();
  for (const table of ["log", "state"]) site.server.sql("Room", "video_epoch", `delete from ${table}`);
  await site.server.restart();
  network.set("open");
  await retry(ada).click();
  await online(ada);
  await row(ada, "into the other log").waitFor();
  const wanted = [...Array.from({ length: 30 }, (_, index) => `line ${index + 1}`), "into the other log"];
  await eventually(async () => (await texts(ada)).length >= wanted.length, "what PostgreSQL has is paged in");
  assert.deepEqual(await texts(ada), wanted);
  assert.equal(await line(ada), "You may have missed messages; showing the newest");
  await asANewcomer(ada, "video_epoch");
});

test("V4: a tab that was not looked at marks what came meanwhile; the mark is dismissed by a button", async () => {
  const bot = await join("video_hidden", BOT);
  for (let number = 1; number <= 30; number += 1) await sent(bot, `before ${number}`);
  const ada = await far("video_hidden", "Ada", { clock: true });
  const look = (hidden) => ada.evaluate((value) => {
    Object.defineProperty(document, "hidden", { get: () => value, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  await look(true);
  for (let number = 1; number <= 40; number += 1) await sent(bot, `meanwhile ${number}`);
  await row(ada, "meanwhile 40").waitFor();
  await ada.clock.fastForward(60_000);
  assert.equal(await news(ada), undefined);
  await look(false);
  await pill(ada, "40 new messages while you were away").waitFor();
  assert.equal((await news(ada))[1], "meanwhile 1");
  await ada.getByRole("button", { name: "Mark as read" }).click();
  await eventually(async () => (await news(ada)) === undefined, "the line is gone");
  assert.equal(await ada.locator(".missed-pill").isVisible(), false);
});
