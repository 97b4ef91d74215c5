// What waits for moderators, end to end on two pages: held messages, reports, the room's terms; and blocks.

import assert from "node:assert/strict";
import { test } from "node:test";

import { axe, choose, enter, eventually, field, moderate, PHONE, row, say, shoot, texts } from "./page/person.mjs";

const item = (page, name) => page.getByRole("menuitem", { name, exact: true });
const panel = (page, name) => page.getByRole("tabpanel", { name });
const desk = (page, waiting) => page.getByRole("button", { name: waiting ? `Moderation, ${waiting} waiting` : "Moderation", exact: true });

async function openTab(page, name) {
  if (!(await page.getByRole("tablist").isVisible())) await page.locator(".desk-button").click();
  await page.getByRole("tab", { name }).click();
}

/** Sets the room's terms at the desk. */
async function setTerms(page, { blocked, allowed = [], action }) {
  await openTab(page, "Terms");
  const terms = panel(page, "Terms");
  await terms.getByLabel(/^Blocked words/).fill(blocked.join("\n"));
  await terms.getByLabel(/^Allowed all the same/).fill(allowed.join("\n"));
  await terms.getByLabel("What is done with them").selectOption(action);
  await terms.getByRole("button", { name: "Save" }).click();
  await terms.getByText("Saved.").waitFor();
}

async function send(page, text) {
  await field(page).fill(text);
  await field(page).press("Enter");
}

async function report(page, text, reason, details = "") {
  await choose(page, text, "More");
  await item(page, "Report…").click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText(text).waitFor();
  await dialog.getByLabel(reason).check();
  await dialog.getByLabel(/^Details/).fill(details);
  await shoot(page, "report");
  await dialog.getByRole("button", { name: "Report" }).click();
  await page.getByText("Thank you. The moderators have been told.").waitFor();
}

test("a held message waits at the author's, is counted at the desk, and appears where it is allowed", async () => {
  const zoe = await enter("video_held", "Zoe");
  const grace = await enter("video_held", "Grace");
  const mo = await moderate("video_held");
  await setTerms(mo, { blocked: ["heron"], action: "hold" });
  await mo.keyboard.press("Escape");
  await send(zoe, "look, a heron");
  await send(zoe, "another heron");
  const waiting = (text) => zoe.locator(".pending").filter({ hasText: text });
  await waiting("look, a heron").getByText("Waiting for a moderator").waitFor();
  await waiting("another heron").getByText("Waiting for a moderator").waitFor();
  await desk(mo, 2).click();
  const entry = (text) => panel(mo, /^Held/).getByRole("listitem").filter({ hasText: text }).first();
  await entry("look, a heron").getByText(/heron/).first().waitFor();
  await entry("look, a heron").getByText(/blocks the term/).waitFor();
  await entry("look, a heron").getByText(/left$/).waitFor();
  assert.deepEqual(await texts(grace), [], "nobody else sees it");
  await shoot(mo, "held");
  await entry("look, a heron").getByRole("button", { name: "Allow" }).click();
  await row(grace, "look, a heron").waitFor();
  await row(zoe, "look, a heron").waitFor();
  await entry("another heron").getByRole("button", { name: "Deny" }).click();
  await waiting("another heron").getByText("This was not allowed.").waitFor();
  await panel(mo, /^Held/).getByText("Nothing waits for a decision.").waitFor();
  await desk(mo).waitFor();
  await zoe.getByRole("button", { name: "Discard" }).click();
  await eventually(async () => (await zoe.locator(".pending").count()) === 0, "neither is there twice");
  assert.deepEqual(await texts(grace), ["look, a heron"]);
});

test("what is held is there for a moderator who comes later", async () => {
  const zoe = await enter("video_held_late", "Zoe");
  const mo = await moderate("video_held_late");
  await setTerms(mo, { blocked: ["heron"], action: "hold" });
  await send(zoe, "a heron");
  await zoe.getByText("Waiting for a moderator").waitFor();
  const late = await moderate("video_held_late", "Max");
  await desk(late, 1).click();
  await panel(late, /^Held/).getByText("a heron").waitFor();
  await late.getByRole("button", { name: "Deny" }).click();
  await mo.keyboard.press("Escape");
  await desk(mo).waitFor();
});

test("terms are tried before they are saved, and another desk follows", async () => {
  const mo = await moderate("video_terms");
  const max = await moderate("video_terms", "Max");
  await openTab(max, "Terms");
  await openTab(mo, "Terms");
  const terms = panel(mo, "Terms");
  await terms.getByLabel(/^Blocked words/).fill("heron\negret");
  await terms.getByLabel("What is done with them").selectOption("mask");
  await terms.getByLabel(/^Try a message/).fill("a heron and an egret");
  await terms.getByRole("button", { name: "Try" }).click();
  await terms.getByText("This would be masked:").waitFor();
  await terms.getByText(/blocks the term/).first().waitFor();
  await shoot(mo, "terms");
  assert.equal(await panel(max, "Terms").getByLabel(/^Blocked words/).inputValue(), "", "not saved yet");
  await terms.getByLabel(/^Try a message/).fill("a duck");
  await terms.getByRole("button", { name: "Try" }).click();
  await terms.getByText("This would be shown as it is.").waitFor();
  await terms.getByRole("button", { name: "Save" }).click();
  await terms.getByText("Saved.").waitFor();
  await eventually(async () => (await panel(max, "Terms").getByLabel(/^Blocked words/).inputValue()) === "heron\negret", "the other desk");
  const zoe = await enter("video_terms", "Zoe");
  await send(zoe, "a heron");
  await zoe.locator(".message:not(.pending) .content").filter({ hasText: /\*/ }).waitFor();
});

test("a report reaches the desk with what was said around it, and ends there", async () => {
  const zoe = await enter("video_reports", "Zoe");
  const grace = await enter("video_reports", "Grace");
  const mo = await moderate("video_reports");
  await say(grace, "a quiet beginning");
  await say(zoe, "something rude");
  await say(zoe, "another insult");
  await say(grace, "a quiet end");
  await row(grace, "another insult").waitFor();
  await report(grace, "something rude", "Insults or harassment", "not nice");
  await report(grace, "another insult", "Something else");
  await desk(mo, 2).click();
  const reports = panel(mo, /^Reports/);
  const entry = (text) => reports.locator(".rows > li").filter({ hasText: text });
  await entry("not nice").getByText("Insults or harassment").waitFor();
  await entry("not nice").getByRole("button", { name: "Context" }).click();
  await entry("not nice").getByText("a quiet beginning").waitFor();
  await entry("not nice").getByText("a quiet end").waitFor();
  await shoot(mo, "reports");
  await entry("not nice").getByRole("button", { name: "Resolve" }).click();
  await entry("not nice").waitFor({ state: "detached" });
  await reports.getByRole("button", { name: "More about Zoe" }).click();
  await item(mo, "Time out for 1 h").click();
  await zoe.locator("edge-chat[data-state=ended]").waitFor();
  await reports.getByRole("button", { name: "Dismiss" }).click();
  await reports.getByText("No report is open.").waitFor();
  await desk(mo).waitFor();
});

test("who is blocked is not seen any more, and seen again after it is taken back", async () => {
  const zoe = await enter("video_blocks", "Zoe");
  const grace = await enter("video_blocks", "Grace");
  await say(zoe, "one");
  await row(grace, "one").waitFor();
  await choose(grace, "one", "More");
  await item(grace, "Block").click();
  await grace.getByText("You no longer see what Zoe says.").waitFor();
  await eventually(async () => (await texts(grace)).length === 0, "hidden at once");
  await say(zoe, "two");
  await say(grace, "quiet");
  assert.deepEqual(await texts(grace), ["quiet"]);
  assert.deepEqual(await texts(zoe), ["one", "two", "quiet"], "the other is told nothing");
  await grace.getByRole("button", { name: "Undo" }).click();
  await eventually(async () => (await texts(grace)).join() === "one,two,quiet", "all of it again");

  await choose(grace, "two", "More");
  await item(grace, "Block").click();
  await eventually(async () => (await texts(grace)).join() === "quiet", "hidden again");
  await grace.locator(".people-button").click();
  await shoot(grace, "blocked");
  await grace.getByRole("button", { name: "Unblock Zoe" }).click();
  await eventually(async () => (await texts(grace)).join() === "one,two,quiet", "from the list too");
});

for (const [scheme, viewport] of [["light", undefined], ["dark", PHONE]]) {
  test(`axe finds nothing serious at the desk, ${scheme}${viewport ? ", on a phone" : ""}`, async () => {
    const room = `video_queues_axe_${scheme}`;
    const zoe = await enter(room, "Zoe");
    const grace = await enter(room, "Grace");
    const mo = await moderate(room, "Mo", { colorScheme: scheme, reducedMotion: "reduce", ...(viewport && { viewport }) });
    await setTerms(mo, { blocked: ["heron"], action: "hold" });
    await axe(mo, "terms");
    await shoot(mo, `terms-${scheme}`);
    await say(zoe, "something rude");
    await send(zoe, "a heron");
    await zoe.getByText("Waiting for a moderator").waitFor();
    await axe(zoe, "waiting");
    await row(grace, "something rude").waitFor();
    await report(grace, "something rude", "Hate");
    for (const name of ["Held", "Reports", "Modes"]) {
      await openTab(mo, name);
      await axe(mo, name);
      await shoot(mo, `${name.toLowerCase()}-${scheme}`);
    }
    assert.equal(await mo.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, "nothing sticks out");
  });
}
