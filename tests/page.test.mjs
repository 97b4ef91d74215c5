// The page in a real Chromium against the real server: people talk, lose the server, and go on.

import assert from "node:assert/strict";
import { stat, writeFile } from "node:fs/promises";
import { test } from "node:test";

import { choose, enter, eventually, field, online, rest, row, say, shoot, site, texts, token, visit } from "./page/person.mjs";

test("a name and a room are all it takes", async () => {
  const page = await visit("/");
  await shoot(page, "form");
  await page.getByLabel("Name", { exact: true }).fill("Ada");
  await page.getByLabel("Room", { exact: true }).fill("a room with spaces");
  await page.getByRole("button", { name: "Join", exact: true }).click();
  assert.equal(await page.locator("edge-chat").isVisible(), false, "a bad room id is stopped by the form");
  await page.getByLabel("Room", { exact: true }).fill("video_form");
  await page.getByRole("button", { name: "Join", exact: true }).click();
  await online(page);
  await say(page, "hello from the form");
  assert.match(page.url(), /room=video_form&name=Ada$/);
  const [second] = await Promise.all([page.waitForEvent("popup"), page.getByRole("link", { name: "Open a second viewer" }).click()]);
  await online(second);
  await row(second, "hello from the form").waitFor();
  await page.getByText("2 watching").waitFor();
  assert.match(await page.locator("#snippet").textContent(), /<edge-chat room="video_form"/);
});

test("who is erased is gone from a page that shows them", async () => {
  const [ada, grace] = [await enter("video_erased", "Ada"), await enter("video_erased", "Grace")];
  await say(ada, "A line that will be gone");
  await row(grace, "A line that will be gone").waitFor();
  await say(grace, "and one that stays");
  await row(ada, "and one that stays").waitFor();
  await choose(ada, "and one that stays", "React");
  await ada.getByRole("button", { name: "React with ❤️" }).click();
  await row(grace, "and one that stays").getByRole("button", { name: "❤️, 1" }).waitFor();
  const who = await ada.locator("edge-chat").evaluate((chat) => chat.model.self.user_id);
  // Else it would come back: its server gives it another token.
  await ada.close();
  const response = await fetch(`${site.server.url}/api/users/${encodeURIComponent(who)}/erasure`, { method: "POST", headers: { authorization: `Bearer ${await token("root", "Root", { role: "admin" })}` } });
  assert.equal(response.status, 202);
  await row(grace, "This message was deleted.").waitFor({ timeout: 30_000 });
  await eventually(async () => (await row(grace, "and one that stays").getByRole("button", { name: /❤️/ }).count()) === 0, "the reaction is gone");
  const shown = await grace.locator("edge-chat").evaluate((chat) => chat.shadowRoot.querySelector(".message").textContent);
  assert.ok(shown.includes("erased") && !shown.includes("Ada"), shown);
  await shoot(grace, "erased");
});

test("two people talk: reply, mention, react, edit, delete", async () => {
  const ada = await enter("video_123", "Ada");
  const grace = await enter("video_123", "Grace");
  await ada.getByRole("button", { name: "2 online" }).waitFor();

  await say(ada, "The tide is turning, look at the light on the water");
  await row(grace, "The tide is turning").waitFor();
  await choose(grace, "The tide is turning", "React");
  await grace.getByRole("button", { name: "React with ❤️" }).click();
  await row(ada, "The tide").getByRole("button", { name: "❤️, 1" }).waitFor();
  await row(grace, "The tide").getByRole("button", { name: "❤️, 1", pressed: true }).waitFor();
  await row(ada, "The tide").getByRole("button", { name: "❤️, 1" }).click();
  await row(grace, "The tide").getByRole("button", { name: "❤️, 2" }).waitFor();
  await choose(grace, "The tide is turning", "React");
  await grace.getByLabel("Any other emoji").fill("👩🏽‍🚀");
  await grace.getByLabel("Any other emoji").press("Enter");
  await row(ada, "The tide").getByRole("button", { name: "👩🏽‍🚀, 1" }).waitFor();

  await say(grace, "It is. I could watch this all evening");
  await say(grace, "Is it live from the bay, or from the island?");
  await choose(ada, "Is it live", "Reply");
  await say(ada, "From the island, @Grace. Same boat as yesterday");
  const answer = row(grace, "From the island");
  await answer.getByRole("button", { name: /In reply to Grace/ }).waitFor();
  assert.equal(await answer.locator(".mention.me").textContent(), "@Grace");
  assert.match(await answer.getAttribute("class"), /for-me/);
  assert.equal(await row(ada, "From the island").locator(".mention").getAttribute("class"), "mention");

  await say(ada, "See you at the frist stream");
  await choose(ada, "frist stream", "Edit");
  assert.equal(await field(ada).inputValue(), "See you at the frist stream");
  await field(ada).fill("See you at the second stream?");
  await field(ada).press("Enter");
  await row(grace, "second stream?").getByText("edited").waitFor();

  await field(grace).pressSequentially("I will be");
  await ada.getByText("Grace is typing…").waitFor();
  await ada.mouse.move(0, 0);
  await shoot(ada, "two-people");
  await shoot(grace, "two-people-other");
  if (process.env.UPDATE_SCREENSHOT === "1") await documentation(ada);
  await field(grace).fill("");
  await eventually(async () => (await ada.locator(".typing").textContent()) === "", "she stopped");

  assert.equal(await row(ada, "Is it live").getByRole("button", { name: "Delete" }).count(), 0, "not another's message");
  await choose(grace, "all evening", "Delete");
  await row(grace, "all evening").getByRole("button", { name: "Delete?" }).click();
  await ada.getByText("This message was deleted.").waitFor();
  assert.equal((await texts(ada)).some((text) => text.includes("all evening")), false);
  assert.deepEqual(await texts(ada), await texts(grace));

  await grace.reload();
  await online(grace);
  await row(grace, "The tide").getByRole("button", { name: "❤️, 2", pressed: true }).waitFor();
  assert.deepEqual(await texts(grace), await texts(ada), "a reload shows the same");
});

async function documentation(page) {
  const path = new URL("../docs/page.png", import.meta.url);
  await writeFile(path, await page.screenshot());
  assert.ok((await stat(path)).size < 200_000, "docs/page.png is under 200 KB");
}

test("what was typed is shown as it was typed, whatever it looks like", async () => {
  const ada = await enter("video_markup", "A<b>d & a");
  const grace = await enter("video_markup", "Grace");
  const lines = ["if a<b && b>c then \"ok\" 'ok'", "x &y; & @Grace #1", "مرحبا بالعالم", "👩‍👩‍👧‍👦 e\u0301 🏴‍☠️"];
  for (const line of lines) await say(ada, line);
  await row(grace, lines.at(-1)).waitFor();
  assert.deepEqual(await texts(grace), lines);
  await field(ada).fill("first");
  await field(ada).press("Shift+Enter");
  await field(ada).pressSequentially("second");
  await field(ada).press("Enter");
  await row(grace, "second").waitFor();
  assert.equal((await texts(grace)).at(-1), "first\nsecond");
  await field(ada).fill("<img src=x onerror=alert(1)>hi");
  await field(ada).press("Enter");
  await row(grace, "hi").last().waitFor();
  assert.equal(await grace.locator(".content img").count(), 0);
});

test("presence counts people, not tabs, and guests only watch", async () => {
  const ada = await enter("video_presence", "Ada");
  const again = await enter("video_presence", "Ada");
  const people = (page) => page.locator(".people-button");
  await people(again).filter({ hasText: "1 online" }).waitFor();
  const grace = await enter("video_presence", "Grace");
  await people(ada).filter({ hasText: "2 online" }).waitFor();
  await people(ada).click();
  const panel = ada.getByRole("group", { name: "People in this room" });
  assert.deepEqual(await panel.locator("bdi").allTextContents(), ["Ada", "Grace"]);
  await shoot(ada, "people");

  const guest = await visit("/?room=video_presence");
  await guest.getByRole("button", { name: "Just watch" }).click();
  await guest.getByText("You are watching as a guest. Sign in to write.").waitFor();
  assert.equal(await field(guest).isVisible(), false);
  await panel.getByText("1 guest watching").waitFor();
  await say(ada, "hello, guest");
  await row(guest, "hello, guest").waitFor();
  await row(guest, "hello, guest").hover();
  assert.equal(await guest.locator(".tools").count(), 0);

  await grace.close();
  await eventually(async () => (await panel.locator("bdi").allTextContents()).join() === "Ada", "Grace left");
});

test("without development tokens the page says so and only watches", async () => {
  await enter("video_plain", "Ada");
  const page = await visit("/");
  await page.route("**/dev/token", (route) => route.fulfill({ status: 404, body: "" }));
  await page.goto(`${site.server.url}/?room=video_plain&name=Grace`);
  await page.getByText("This server hands out no development tokens").waitFor();
  await page.getByText("You are watching as a guest.").waitFor();
});

test("history pages back on scroll and stays in place; unread leads back", async () => {
  const bearer = await token("mary", "Mary");
  const ada = await enter("video_history", "Ada");
  for (let number = 1; number <= 230; number += 1) {
    await rest("/api/rooms/video_history/messages", bearer, { content: `line ${number}` });
  }
  await ada.reload();
  await online(ada);
  await row(ada, "line 230").waitFor();
  const scroller = ada.locator(".scroller");
  const first = async () => (await texts(ada))[0];
  assert.equal(await first(), "line 131", "a join brings the last hundred");
  const inSight = () =>
    scroller.evaluate((box) => {
      const edge = box.getBoundingClientRect().top;
      const item = [...box.querySelectorAll(".message")].find((one) => one.getBoundingClientRect().bottom > edge);
      return { text: item.querySelector(".content").textContent, top: Math.round(item.getBoundingClientRect().top) };
    });
  const asked = [];
  await ada.route("**/messages?*", (route) => asked.push(route), { times: 1 });
  await scroller.evaluate((box) => box.scrollTo(0, 250));
  await eventually(() => asked.length === 1, "the page before is asked for");
  // What came into sight is drawn with the frame after the scroll.
  await scroller.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  const before = await inSight();
  await asked[0].continue();
  // Not by `texts`, which moves the list.
  await eventually(() => ada.locator("edge-chat").evaluate(({ model }) => model.messages[0].content === "line 81"), "the page before");
  const now = await inSight();
  assert.equal(now.text, before.text);
  assert.ok(Math.abs(now.top - before.top) <= 1, "what is read does not move");
  await eventually(async () => {
    await scroller.evaluate((box) => box.scrollTo(0, 0));
    return (await first()) === "line 1";
  }, "the beginning");
  await ada.getByText("This is where the room begins.").waitFor();
  const all = await texts(ada);
  assert.deepEqual(all, Array.from({ length: 230 }, (_, index) => `line ${index + 1}`), "no gap and no double");

  await rest("/api/rooms/video_history/messages", bearer, { content: "news" });
  await rest("/api/rooms/video_history/messages", bearer, { content: "more news" });
  await ada.getByRole("button", { name: "2 new messages" }).waitFor();
  await eventually(async () => (await ada.title()).startsWith("(2)"), "the title counts");
  await shoot(ada, "unread");
  await ada.getByRole("button", { name: "2 new messages" }).click();
  await ada.locator(".jump").waitFor({ state: "hidden" });
  assert.equal(await ada.title(), "video_history");
  await rest("/api/rooms/video_history/messages", bearer, { content: "at the bottom" });
  await eventually(() => scroller.evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight < 2), "it follows");
});

test("the list stays bounded while one reads along", async () => {
  const bearer = await token("mary", "Mary");
  const ada = await enter("video_long", "Ada");
  for (let number = 1; number <= 520; number += 1) {
    await rest("/api/rooms/video_long/messages", bearer, { content: `line ${number}` });
  }
  await row(ada, "line 520").waitFor();
  const all = await texts(ada);
  assert.deepEqual([all.length, all[0]], [500, "line 21"]);
});

test("the server dies and comes back: nothing is missing, nothing is doubled", async () => {
  const ada = await enter("video_restart", "Ada");
  const grace = await enter("video_restart", "Grace");
  for (let number = 1; number <= 5; number += 1) await say(ada, `before ${number}`);
  await row(grace, "before 5").waitFor();
  await site.server.kill9();
  await grace.locator("edge-chat[data-state=waiting]").waitFor();
  await grace.getByText(/Trying again/).waitFor();
  await shoot(grace, "reconnecting");
  await field(ada).fill("said into the dark");
  await field(ada).press("Enter");
  await ada.locator(".pending").filter({ hasText: "said into the dark" }).waitFor();
  await site.server.restart();
  await Promise.all([ada, grace].map(online));
  await row(grace, "said into the dark").waitFor();
  await say(grace, "and on");
  await row(ada, "and on").waitFor();
  const wanted = ["before 1", "before 2", "before 3", "before 4", "before 5", "said into the dark", "and on"];
  assert.deepEqual(await texts(ada), wanted);
  assert.deepEqual(await texts(grace), wanted);
  assert.equal(await ada.locator(".pending").count(), 0);
  const late = await enter("video_restart", "Joan");
  assert.deepEqual(await texts(late), wanted, "the room holds the same");
});

test("two lines put the room into a page of another origin", async () => {
  const ada = await enter("video_embed", "Ada");
  const address = new URLSearchParams({ room: "video_embed", token: await token("grace", "Grace") });
  const grace = await visit(`${site.elsewhere}/?${address}`);
  await online(grace);
  await say(grace, "hello from another site");
  await row(ada, "hello from another site").waitFor();
  const page = await grace.locator("edge-chat").evaluate(({ chat }) => chat.history({ limit: 1 }));
  assert.equal(page.messages[0].content, "hello from another site");
});

test("a newer token goes in on the open socket, one of somebody else starts afresh", async () => {
  const ada = await enter("video_token", "Ada");
  await say(ada, "before");
  const set = (bearer) =>
    ada.locator("edge-chat").evaluate((chat, value) => {
      chat.getToken = null;
      chat.before ??= chat.chat;
      chat.setAttribute("token", value);
    }, bearer);
  const expires = () => ada.locator("edge-chat").evaluate(({ chat }) => chat.self?.expires_at);
  const same = () => ada.locator("edge-chat").evaluate((chat) => chat.chat === chat.before);
  await set(await token("ada", "Ada"));
  await online(ada);
  await ada.locator("edge-chat").evaluate((chat) => {
    chat.before = chat.chat;
  });
  const first = await expires();
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  await set(await token("ada", "Ada"));
  await eventually(async () => (await expires()) > first, "the newer end");
  assert.equal(await same(), true);
  await set(await token("grace", "Grace"));
  await eventually(async () => !(await same()), "another connection");
  await online(ada);
  await say(ada, "as Grace");
  assert.equal(await row(ada, "as Grace").locator(".name").textContent(), "Grace");
});

test("writing too fast is told in a sentence with a countdown, and can be tried again", async () => {
  const bearer = await token("ada", "Ada");
  await rest("/api/rooms", bearer, { room_id: "video_slow", name: "Slow room", type: "video", settings: { rate: { messages: 2, window_ms: 4000 } } });
  const ada = await enter("video_slow", "Grace");
  await say(ada, "one");
  await say(ada, "two");
  await field(ada).fill("three");
  await field(ada).press("Enter");
  await ada.getByText(/Not sent. You are writing faster than this room allows./).waitFor();
  await ada.getByText(/You can send again in \d+\s*s/).waitFor();
  await field(ada).fill("four");
  assert.equal(await ada.getByRole("button", { name: "Send" }).isDisabled(), true);
  await shoot(ada, "rate-limit");
  await eventually(() => ada.getByRole("button", { name: "Send" }).isEnabled(), "the wait is over");
  await ada.getByRole("button", { name: "Try again" }).click();
  await row(ada, "three").waitFor();
  assert.deepEqual(await texts(ada), ["one", "two", "three"]);
});
