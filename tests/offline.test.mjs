// A page that was away comes back in a real Chromium: without a gap, without a double, and it says what happened meanwhile.

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { chat } from "./harness/index.mjs";
import { axe, DESKTOP, enter, eventually, field, online, row, say, shoot, site, texts, visit } from "./page/person.mjs";
import { relay } from "./page/relay.mjs";

const NARROW = { width: 380, height: 740 };
const BOT = { sub: "bot", username: "Bot", roles: ["service"] };
const MO = { sub: "mo", username: "Mo", roles: ["moderator"] };

let network;
let join;
beforeEach(async () => {
  network ??= await relay(site.server.url);
  ({ join } = chat(site.server));
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
const line = (page) => page.locator(".missed").textContent();
const scroller = (page) => page.locator(".scroller");

/** All that a page shows of each message, by its id, the line of what is new apart. */
const shown = (page) =>
  page.locator(".message:not(.pending)").evaluateAll((all) =>
    Object.fromEntries(all.map((one) => [one.dataset.id, [
      ...[".content", ".edited", ".quote"].map((part) => one.querySelector(part)?.textContent ?? null),
      one.querySelector(".content").classList.contains("gone"),
      [...one.querySelectorAll(".chip")].map((chip) => chip.getAttribute("aria-label")).join(),
    ]])),
  );

/** Whatever a newcomer sees `page` shows too, and none of it twice. */
async function asANewcomer(page, room) {
  const fresh = await enter(room, "Newcomer");
  const [here, there] = [await shown(page), await shown(fresh)];
  const ids = Object.keys(there);
  assert.deepEqual(Object.fromEntries(ids.map((id) => [id, here[id]])), there);
  const order = await page.locator(".message:not(.pending)").evaluateAll((all) => all.map((one) => one.dataset.id));
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
  assert.equal((await texts(ada)).at(-1), "I will be right back");
  network.set("open");
  await retry(ada).click();
  await online(ada);
  await row(ada, "meanwhile 50").waitFor();
  await row(ada, "typed into the hole").waitFor();
  await pill(ada, "47 new messages while you were away").waitFor();
  assert.match(await ada.locator("edge-chat p.quiet[role=status]").textContent(), /^Connected again. 47 new messages while you were away.$/);
  assert.equal(await line(ada), "New while you were away · 47 messages");
  assert.equal(await ada.locator(".missed + .message .content").evaluate((one) => one.firstChild.textContent), `edited ${missed[0].message_id.slice(-4)}`);
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
  await say(ada, "I have read it all");
  assert.equal(await ada.locator(".missed").count(), 0, "who answers has read it");
});
