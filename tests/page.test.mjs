// The page in a real Chromium against the real server: people talk, lose the server, and go on.

import assert from "node:assert/strict";
import { mkdtemp, readFile, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";

import { chromium } from "playwright-core";

import { startServer } from "./harness/server.mjs";

const ARGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const DESKTOP = { width: 1280, height: 760 };
const PHONE = { width: 360, height: 740 };

let server;
let browser;
let shots;
let contexts = [];
let faults = [];

before(async () => {
  server = await startServer({ RATE_LIMIT_MESSAGES: "10000", AUTO_CREATE_ROOMS: "true", DEV_TOKENS: "true" });
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGS });
  shots = await mkdtemp(join(tmpdir(), "edge-chat-page-"));
  console.log(`screenshots: ${shots}`);
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

afterEach(async () => {
  await Promise.all(contexts.map((context) => context.close()));
  const seen = faults;
  contexts = [];
  faults = [];
  assert.deepEqual(seen, [], "the page reported faults");
});

// ── people and what they do ───────────────────────────────────────────────

async function visit(path, options = {}) {
  const context = await browser.newContext({ viewport: DESKTOP, locale: "en-GB", ...options });
  contexts.push(context);
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.on("pageerror", (error) => faults.push(`${error}`));
  page.on("console", (message) => {
    if (/Content Security Policy|TrustedType/i.test(message.text())) faults.push(message.text());
  });
  await page.goto(server.url + path);
  return page;
}

async function enter(room, name, options) {
  const page = await visit(`/?${new URLSearchParams({ room, name })}`, options);
  await online(page);
  return page;
}

const online = (page) => page.locator("edge-chat[data-state=online]").waitFor();
const field = (page) => page.getByRole("textbox", { name: "Message" });
const row = (page, text) => page.locator(".message:not(.pending)").filter({ hasText: text }).last();
const shoot = (page, name) => page.screenshot({ path: join(shots, `${name}.png`) });

async function say(page, text) {
  await field(page).fill(text);
  await field(page).press("Enter");
  await row(page, text).waitFor();
}

async function choose(page, text, button) {
  await row(page, text).hover();
  await row(page, text).getByRole("button", { name: button }).click();
}

/** The texts of the messages as they stand in the list. */
const texts = (page) =>
  page.locator(".message:not(.pending) .content").evaluateAll((all) =>
    all.map((one) => {
      const copy = one.cloneNode(true);
      copy.querySelector(".edited")?.remove();
      return copy.textContent;
    }),
  );

async function eventually(check, what, ms = 15_000) {
  const end = Date.now() + ms;
  let value;
  while (Date.now() < end) {
    value = await check();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return assert.fail(`not within ${ms} ms: ${what}`);
}

async function token(user, name, more = {}) {
  const response = await fetch(`${server.url}/dev/token`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user, name, ...more }),
  });
  assert.equal(response.status, 200);
  return (await response.json()).token;
}

async function rest(path, bearer, body) {
  const response = await fetch(server.url + path, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${bearer}` },
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 201, `${path}: ${await response.clone().text()}`);
  return response.json();
}

// ── tests ─────────────────────────────────────────────────────────────────

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

test("two people talk: reply, mention, react, edit, delete", async () => {
  const ada = await enter("video_talk", "Ada");
  const grace = await enter("video_talk", "Grace");
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
  const lines = ["if a<b && b>c then \"ok\" 'ok'", "&lt;b&gt; &amp;amp; @Grace", "مرحبا بالعالم", "👩‍👩‍👧‍👦 e\u0301 🏴‍☠️"];
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
  const context = await browser.newContext({ viewport: DESKTOP });
  contexts.push(context);
  const page = await context.newPage();
  await page.route("**/dev/token", (route) => route.fulfill({ status: 404, body: "" }));
  await page.goto(`${server.url}/?room=video_plain&name=Grace`);
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
  await scroller.evaluate((box) => box.scrollTo(0, 250));
  const before = await inSight();
  await eventually(async () => (await first()) === "line 81", "the page before");
  assert.deepEqual(await inSight(), before, "what is read does not move");
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
  assert.equal(await ada.locator(".message").count(), 500);
  assert.equal((await texts(ada))[0], "line 21");
});

test("the server dies and comes back: nothing is missing, nothing is doubled", async () => {
  const ada = await enter("video_restart", "Ada");
  const grace = await enter("video_restart", "Grace");
  for (let number = 1; number <= 5; number += 1) await say(ada, `before ${number}`);
  await row(grace, "before 5").waitFor();
  await server.kill9();
  await grace.locator("edge-chat[data-state=waiting]").waitFor();
  await grace.getByText(/Trying again/).waitFor();
  await shoot(grace, "reconnecting");
  await field(ada).fill("said into the dark");
  await field(ada).press("Enter");
  await ada.locator(".pending").filter({ hasText: "said into the dark" }).waitFor();
  await server.restart();
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

test("everything works by keyboard alone", async () => {
  const ada = await enter("video_keys", "Ada");
  const grace = await enter("video_keys", "Grace");
  await say(grace, "first");
  await say(grace, "second");
  await row(ada, "second").waitFor();
  const press = async (...keys) => {
    for (const key of keys) await ada.keyboard.press(key);
  };
  const focused = () => ada.locator("edge-chat").evaluate((chat) => chat.shadowRoot.activeElement?.getAttribute("aria-label") ?? chat.shadowRoot.activeElement?.textContent);
  const tabTo = (label) => eventually(async () => (await focused()) === label || (await press("Tab")), `Tab reaches ${label}`);

  await ada.locator("body").press("Home");
  await tabTo("Message list, arrow keys move through it");
  await press("ArrowUp", "ArrowUp");
  assert.match(await focused(), /first/);
  await press("ArrowRight");
  assert.equal(await focused(), "React");
  await press("Enter");
  assert.equal(await focused(), "React with 👍");
  await press("Escape");
  assert.equal(await focused(), "React");
  await press("Enter", "Tab", "Enter");
  await row(grace, "first").getByRole("button", { name: "❤️, 1" }).waitFor();
  await eventually(async () => (await focused()) === "React", "the focus comes back to where it was");
  await press("ArrowRight");
  assert.equal(await focused(), "Reply");
  await press("Enter");
  assert.equal(await focused(), "Message");
  await ada.getByText("Replying to Grace: first").waitFor();
  await press("Escape");
  assert.equal(await ada.getByText("Replying to Grace: first").isVisible(), false);
  await ada.keyboard.type("my own");
  await press("Enter");
  await row(ada, "my own").waitFor();
  await press("ArrowUp");
  await ada.getByText("Editing your message").waitFor();
  await press("End");
  await ada.keyboard.type(" words");
  await press("Enter");
  await row(grace, "my own words").waitFor();
  await press("Shift+Tab", "ArrowUp");
  assert.match(await focused(), /my own words/);
  await press("ArrowLeft");
  assert.equal(await focused(), "Delete");
  await press("Enter", "Enter");
  await grace.getByText("This message was deleted.").waitFor();
  await press("Escape");
  assert.equal(await focused(), "Message");
});

test("a phone's width is enough", async () => {
  await say(await enter("video_phone", "Grace"), "a-very-long-word-".repeat(20));
  const page = await enter("video_phone", "Ada", { viewport: PHONE, hasTouch: true, isMobile: true });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), PHONE.width);
  await field(page).tap();
  await say(page, "from the phone");
  await row(page, "a-very-long").tap({ position: { x: 120, y: 30 } });
  await row(page, "a-very-long").getByRole("button", { name: "React" }).tap();
  const picker = await page.getByRole("dialog").boundingBox();
  assert.ok(picker.x >= 0 && picker.x + picker.width <= PHONE.width && picker.y >= 0, JSON.stringify(picker));
  await shoot(page, "phone");
  await page.getByRole("button", { name: "React with 🎉" }).tap();
  await row(page, "a-very-long").getByRole("button", { name: "🎉, 1" }).waitFor();
  const send = await page.getByRole("button", { name: "Send" }).boundingBox();
  assert.ok(send.y + send.height <= PHONE.height, "the composer is in sight without scrolling");
});

for (const scheme of ["light", "dark"]) {
  test(`axe finds nothing serious, ${scheme}`, async () => {
    const grace = await enter(`video_axe_${scheme}`, "Grace");
    await say(grace, "hello @Grace, see https://example.org");
    const ada = await enter(`video_axe_${scheme}`, "Ada", { colorScheme: scheme, reducedMotion: "reduce" });
    await choose(ada, "hello @Grace", "React");
    await ada.getByRole("button", { name: "React with 👍" }).click();
    await row(ada, "hello").getByRole("button", { name: "👍, 1" }).waitFor();
    await choose(ada, "hello @Grace", "Reply");
    await say(ada, "an answer, @Grace");
    await say(ada, "edit me");
    await choose(ada, "edit me", "Edit");
    await check(ada, "editing");
    await field(ada).press("Escape");
    await choose(ada, "hello @Grace", "React");
    await check(ada, "picker");
    await ada.keyboard.press("Escape");
    await ada.locator(".people-button").click();
    await check(ada, "people");
    await shoot(ada, `axe-${scheme}`);
    const background = await ada.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = background.match(/\d+/g).map(Number).slice(0, 3).every((part) => part < 60);
    assert.equal(dark, scheme === "dark", background);
    const form = await visit("/", { colorScheme: scheme });
    await check(form, "form");
  });
}

async function check(page, what) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const grave = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  assert.deepEqual(grave.map(({ id, nodes }) => `${what}: ${id} at ${nodes.map(({ target }) => target.join(" ")).join(", ")}`), []);
}
