// A moderator's page and a viewer's page side by side: what one does with the menu and the desk, and what the other sees.

import assert from "node:assert/strict";
import { test } from "node:test";

import { axe, choose, enter, eventually, field, moderate, online, PHONE, row, say, shoot, site, texts, token } from "./page/person.mjs";

const WITHIN_MS = 1_000;

const item = (page, name) => page.getByRole("menuitem", { name, exact: true });
const mode = (page, text) => page.getByRole("list", { name: "Modes of this room" }).getByText(text);
const tab = (page, name) => page.getByRole("tab", { name });

async function order(page, text, name) {
  await choose(page, text, "More");
  await item(page, name).click();
}

test("a ban by the menu ends the other's chat within a second, and what they said is gone for everybody", async () => {
  const zoe = await enter("video_ban", "Zoe");
  const grace = await enter("video_ban", "Grace");
  const mo = await moderate("video_ban");
  await say(zoe, "buy my followers");
  await say(zoe, "really, buy them");
  await say(grace, "please stop");
  await row(mo, "please stop").waitFor();
  await order(mo, "really", "Ban…");
  const dialog = mo.getByRole("dialog", { name: "Ban Zoe" });
  await dialog.getByLabel(/Reason/).fill("advertising");
  await dialog.getByLabel("Delete what they said in the last hour").check();
  await shoot(mo, "ban");
  const began = performance.now();
  await dialog.getByRole("button", { name: "Ban" }).click();
  await zoe.locator("edge-chat[data-state=ended]").waitFor();
  const took = Math.round(performance.now() - began);
  await zoe.getByText("You are banned from this room: advertising. This holds until a moderator lifts it.").waitFor();
  await eventually(async () => (await texts(grace)).every((text) => !text.includes("buy")), "gone for a viewer");
  const gone = Math.round(performance.now() - began);
  console.log(`a ban reaches the banned page after ${took} ms, the viewer's list after ${gone} ms`);
  assert.ok(took < WITHIN_MS && gone < WITHIN_MS, `${took} ms, ${gone} ms`);
  assert.equal(await grace.getByText("This message was deleted.").count(), 2);
  assert.equal((await texts(grace)).includes("please stop"), true);
  assert.equal(await field(zoe).isVisible(), false);
  await shoot(zoe, "banned");

  await mo.getByText("Zoe is banned.").waitFor();
  await mo.getByRole("button", { name: "Moderation" }).click();
  await tab(mo, "Bans").click();
  const desk = mo.getByRole("tabpanel", { name: "Bans" });
  await desk.getByText("advertising").waitFor();
  await shoot(mo, "bans");
  await desk.getByRole("button", { name: "Unban Zoe" }).click();
  await desk.getByText("Nobody is banned.").waitFor();
  await zoe.reload();
  await online(zoe);
  await say(zoe, "I am sorry");
  await row(grace, "I am sorry").waitFor();
});

test("a time-out says when it ends, and the page comes back by itself", async () => {
  const zoe = await enter("video_timeout", "Zoe");
  const mo = await moderate("video_timeout");
  await say(zoe, "shouting");
  await row(mo, "shouting").waitFor();
  await order(mo, "shouting", "Time out for 10 s");
  await zoe.getByText(/^You are banned from this room\. This ends at \d+:\d\d:\d\d/).waitFor();
  await mo.getByText("Zoe is timed out for 10 s.").waitFor();
  await zoe.locator("edge-chat[data-state=online]").waitFor({ timeout: 14_000 });
  await order(mo, "shouting", "Time out for 1 h");
  await zoe.locator("edge-chat[data-state=ended]").waitFor();
  await mo.getByRole("button", { name: "Undo" }).click();
  await mo.getByText("Zoe may come back.").waitFor();
});

test("a shadow ban tells its user nothing, and only moderators see what they say", async () => {
  const zoe = await enter("video_shadow", "Zoe");
  const grace = await enter("video_shadow", "Grace");
  const mo = await moderate("video_shadow");
  await say(zoe, "before");
  await row(mo, "before").waitFor();
  await order(mo, "before", "Shadow ban…");
  await mo.getByRole("dialog").getByRole("button", { name: "Shadow ban" }).click();
  await mo.getByText("Zoe is seen by moderators only.").waitFor();
  await say(zoe, "after");
  await row(mo, "after").waitFor();
  await say(zoe, "and on");
  await say(grace, "all quiet here");
  assert.deepEqual(await texts(grace), ["before", "all quiet here"]);
});

test("pins stand at the top for everybody, also those that are not loaded any more", async () => {
  const bearer = await token("mary", "Mary");
  const grace = await enter("video_pins", "Grace");
  const mo = await moderate("video_pins");
  await say(grace, "the schedule: talks at noon");
  await row(mo, "the schedule").waitFor();
  await order(mo, "the schedule", "Pin to the top");
  const pins = (page) => page.getByRole("region", { name: "Pinned messages" });
  await pins(grace).getByText("the schedule: talks at noon").waitFor();
  assert.equal(await pins(grace).getByRole("button", { name: /Unpin/ }).count(), 0);
  for (let number = 1; number <= 260; number += 1) {
    const response = await fetch(`${site.server.url}/api/rooms/video_pins/messages`, {
      method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${bearer}` }, body: JSON.stringify({ content: `line ${number}` }),
    });
    assert.equal(response.status, 201);
  }
  await order(mo, "line 260", "Pin to the top");
  const late = await enter("video_pins", "Joan");
  await pins(late).getByText("line 260").waitFor();
  await pins(late).getByRole("button", { name: "Show all 2 pinned messages" }).click();
  await pins(late).getByText("the schedule: talks at noon").waitFor();
  await shoot(late, "pins");
  await pins(mo).getByRole("button", { name: "Unpin the message by Mary" }).click();
  await pins(late).getByText("line 260").waitFor({ state: "detached" });
  await choose(mo, "line 260", "Delete");
  await row(mo, "line 260").getByRole("button", { name: "Delete?" }).click();
  await eventually(async () => !(await texts(late)).includes("line 260"), "the moderator's delete reaches the viewer");
});

test("modes are set at the desk, and everybody is told which are on", async () => {
  const grace = await enter("video_modes", "Grace");
  const mo = await moderate("video_modes");
  const other = await moderate("video_modes", "Max");
  for (const page of [mo, other]) {
    await page.getByRole("button", { name: "Moderation" }).click();
    await tab(page, "Modes").click();
  }
  await mo.getByRole("combobox", { name: "Slow mode" }).selectOption({ label: "30 seconds" });
  await mode(grace, "Slow mode: 30 s").waitFor();
  await eventually(async () => (await other.getByRole("combobox", { name: "Slow mode" }).inputValue()) === "30", "another desk follows");
  await say(grace, "one");
  await field(grace).fill("two");
  await field(grace).press("Enter");
  await grace.getByText(/Slow mode is on in this room\./).first().waitFor();
  await grace.getByText(/You can send again in/).waitFor();
  await shoot(grace, "slow-mode");
  await mo.getByRole("switch", { name: /Emotes only/ }).check();
  await mode(grace, "Emotes only").waitFor();
  await mo.getByRole("switch", { name: /Read-only/ }).check();
  await grace.getByText("Only moderators can write here.").waitFor();
  await shoot(mo, "modes");
  await mo.getByRole("switch", { name: /Read-only/ }).uncheck();
  await mo.getByRole("combobox", { name: "Slow mode" }).selectOption({ label: "Off" });
  await mo.getByRole("switch", { name: /Emotes only/ }).uncheck();
  await grace.getByRole("list", { name: "Modes of this room" }).waitFor({ state: "hidden" });
  await say(grace, "free again");
  assert.equal(await grace.getByRole("button", { name: "Moderation" }).isVisible(), false, "no desk for a viewer");
});

test("all messages of a user, then the whole room, after a question", async () => {
  const zoe = await enter("video_clear", "Zoe");
  const mo = await moderate("video_clear");
  await say(zoe, "one");
  await say(zoe, "two");
  await say(mo, "a moderator's");
  await row(mo, "two").waitFor();
  await order(mo, "two", "Delete all messages…");
  const dialog = mo.getByRole("dialog");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  assert.equal((await texts(zoe)).includes("two"), true, "nothing without the second button");
  await order(mo, "two", "Delete all messages…");
  await dialog.getByRole("button", { name: "Delete all" }).click();
  await mo.getByText("2 messages of Zoe deleted.").waitFor();
  await eventually(async () => (await texts(zoe)).filter((text) => text === "This message was deleted.").length === 2, "gone");
  await mo.getByRole("button", { name: "Announce" }).click();
  await mo.getByText("Announcing in the room's name").waitFor();
  await field(mo).fill("we begin again");
  await field(mo).press("Enter");
  await row(zoe, "we begin again").waitFor();
  await shoot(zoe, "announcement");
  await mo.getByRole("button", { name: "Moderation" }).click();
  await tab(mo, "Modes").click();
  await mo.getByRole("button", { name: "Clear the room…" }).click();
  await dialog.getByRole("button", { name: "Clear the room" }).click();
  await eventually(async () => (await texts(zoe)).every((text) => text === "This message was deleted."), "cleared");
});

test("who is made a moderator has the desk at once, and loses it again", async () => {
  const zoe = await enter("video_role", "Zoe");
  const own = await moderate("video_role", "Olga", { role: "owner" });
  await say(zoe, "may I help?");
  await row(own, "may I help?").waitFor();
  assert.equal(await zoe.getByRole("button", { name: "Moderation" }).isVisible(), false);
  await order(own, "may I help?", "Make moderator");
  await own.getByText("Zoe is a moderator now.").waitFor();
  await zoe.getByRole("button", { name: "Moderation" }).waitFor();
  await say(own, "thank you");
  await row(zoe, "thank you").hover();
  await choose(zoe, "thank you", "More");
  assert.equal(await item(zoe, "Ban…").count(), 0, "nobody acts on their better");
  await zoe.keyboard.press("Escape");
  await own.getByRole("button", { name: /online/ }).click();
  await own.getByRole("button", { name: "More about Zoe" }).click();
  await item(own, "Take the moderator role away").click();
  await zoe.getByRole("button", { name: "Moderation" }).waitFor({ state: "hidden" });
});

test("everything works by keyboard alone", async () => {
  const zoe = await enter("video_mod_keys", "Zoe");
  const mo = await moderate("video_mod_keys");
  await say(zoe, "first");
  await row(mo, "first").waitFor();
  const press = async (...keys) => {
    for (const key of keys) await mo.keyboard.press(key);
  };
  const focused = () => mo.locator("edge-chat").evaluate((chat) => {
    const { activeElement } = chat.shadowRoot;
    return activeElement?.getAttribute("aria-label") ?? activeElement?.labels?.[0]?.textContent ?? activeElement?.textContent;
  });
  const until = (label, ...keys) => eventually(async () => (await focused())?.startsWith(label) || (await press(...keys)), `${keys} reach ${label}`);

  await field(mo).focus();
  await press("Shift+Tab");
  await until("Message list", "Shift+Tab");
  await press("ArrowUp");
  await until("More", "ArrowRight");
  await press("Enter");
  assert.equal(await focused(), "Pin to the top");
  await press("Escape");
  assert.equal(await focused(), "More", "the focus comes back");
  await press("Enter");
  await until("Ban…", "ArrowDown");
  await press("Enter");
  assert.match(await focused(), /^Reason/);
  await mo.keyboard.type("shouting");
  await press("Escape");
  assert.equal(await focused(), "More", "and after a dialog");
  await press("Enter");
  await until("Pin to the top");
  await press("Enter");
  await zoe.getByRole("region", { name: "Pinned messages" }).getByText("first").waitFor();
  assert.equal(await focused(), "More");

  await until("Moderation", "Shift+Tab");
  await press("Enter");
  assert.equal(await focused(), "Held");
  await until("Modes", "ArrowRight");
  await press("Tab", "Tab", "Tab", "Space");
  await mode(zoe, "Read-only").waitFor();
  await press("Space");
  await until("Modes", "Shift+Tab");
  await until("Bans", "ArrowRight");
  await press("Escape");
  assert.equal(await focused(), "Moderation");
});

for (const [scheme, viewport] of [["light", undefined], ["dark", PHONE]]) {
  test(`axe finds nothing serious, ${scheme}${viewport ? ", on a phone" : ""}`, async () => {
    const room = `video_mod_axe_${scheme}`;
    const zoe = await enter(room, "Zoe");
    await say(zoe, "a message of some length that is going to be pinned to the top of this room");
    const mo = await moderate(room, "Mo", { role: "owner", colorScheme: scheme, reducedMotion: "reduce", ...(viewport && { viewport }) });
    await order(mo, "a message", "Pin to the top");
    await mo.getByRole("region", { name: "Pinned messages" }).waitFor();
    await choose(mo, "a message", "More");
    await axe(mo, "menu");
    await shoot(mo, `menu-${scheme}`);
    await item(mo, "Ban…").click();
    await axe(mo, "ban");
    await shoot(mo, `dialog-${scheme}`);
    await mo.getByRole("button", { name: "Cancel" }).click();
    await mo.getByRole("button", { name: "Moderation" }).click();
    await tab(mo, "Modes").click();
    await mo.getByRole("combobox", { name: "Slow mode" }).selectOption({ label: "10 seconds" });
    await mo.getByRole("switch", { name: /Emotes only/ }).check();
    await axe(mo, "modes");
    await shoot(mo, `modes-${scheme}`);
    await tab(mo, "Bans").click();
    await axe(mo, "bans");
    await mo.keyboard.press("Escape");
    await mode(mo, "Emotes only").waitFor();
    await axe(mo, "strip");
    await shoot(mo, `strip-${scheme}`);
    assert.equal(await mo.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, "nothing sticks out");
  });
}
