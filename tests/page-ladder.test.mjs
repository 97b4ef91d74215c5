// The page in a room that grows large and small again: what it says is not shown, and what it does not do.

import assert from "node:assert/strict";
import { test } from "node:test";

import { chat, crowd } from "./harness/index.mjs";
import { enter, eventually, field, say, shoot, site, texts } from "./page/person.mjs";

site.vars.RATE_LIMIT_JOINS = "100000";

const ROOM = "video_final";

test("in a large room nobody is seen typing, and what was sampled away is counted", async () => {
  const { rest, join } = chat(site.server);
  const body = { room_id: ROOM, name: "The final", type: "video", settings: { sample_above: 1 } };
  assert.equal((await rest("POST", "/rooms", { as: "owner", body })).status, 201);
  const ada = await enter(ROOM, "Ada");
  const grace = await enter(ROOM, "Grace");
  const typed = [];
  const cdp = await grace.context().newCDPSession(grace);
  await cdp.send("Network.enable");
  cdp.on("Network.webSocketFrameSent", ({ response }) => response.payloadData.includes('"typing"') && typed.push(response.payloadData));
  await field(grace).pressSequentially("I will");
  await ada.getByText("Grace is typing…").waitFor();
  assert.equal(await ada.locator(".not-shown").isVisible(), false);

  const leave = await crowd(site.server, ROOM, 999);
  await ada.getByRole("button", { name: "1,001 online" }).waitFor();
  await ada.locator(".typing").waitFor({ state: "hidden" });
  const before = typed.length;
  await field(grace).pressSequentially(" be back");
  await grace.waitForTimeout(4_000);
  assert.equal(typed.length, before, "nothing is said of typing");
  await field(grace).fill("");

  const bob = await join(ROOM, "bob");
  const goals = Array.from({ length: 60 }, (_, n) => `what a goal ${n}`);
  await Promise.all(goals.map((content) => bob.request("send_message", { content }, 20_000)));
  await eventually(async () => /^\d+ messages not shown/.test(await ada.locator(".not-shown").textContent()), "it says so");
  await eventually(async () => {
    const shown = (await texts(ada)).filter((text) => text.startsWith("what a goal")).length;
    const missing = Number((await ada.locator(".not-shown").textContent()).match(/^\d+/)[0]);
    return shown + missing === 60;
  }, "shown and not shown are all of them");
  await shoot(ada, "large");
  await say(ada, "and my own is always there");
  await ada.getByRole("button", { name: "1,002 online" }).click();
  await ada.getByText("3 signed in, 999 guests watching").waitFor();
  await shoot(ada, "large-people");

  leave();
  await ada.getByRole("button", { name: "3 online" }).waitFor();
  await ada.locator(".people").getByText("Grace").waitFor();
  await field(grace).pressSequentially("hello again");
  await ada.getByText("Grace is typing…").waitFor();
});
