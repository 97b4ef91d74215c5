// Nothing that a user types runs in a page: a corpus of payloads through real rooms, and then into Chromium.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { chat, token, until } from "./harness/index.mjs";
import { eachMessage, eventually, online, site, texts, visit } from "./page/person.mjs";
import { provoke, show, startCanary } from "./xss/bare.mjs";
import { corpus } from "./xss/corpus.mjs";
import { LONGEST } from "./xss/rules.mjs";

/** As many of the payloads, at least, run in a bare page as they were typed. */
const AT_LEAST = 650;
/** Few enough that a join brings all messages, and so few people that it names them. */
const IN_ONE_ROOM = 95;
const PEOPLE = 8;
const PICTURES = "https://pictures.invalid";
/** A room's name in the end: text as it stands, references too. */
const NAME = "&lt;img src=x onerror=top.__ran(0)&gt; & \"'><b>";
const SERVICE = { sub: "svc", username: "Svc", roles: ["service"] };

// The cleaning is what is tried here: filters and rates are not to keep anything from it.
Object.assign(site.vars, {
  RATE_LIMIT_SERVICE_MESSAGES: "100000",
  RATE_LIMIT_SERVICE_WINDOW: "100",
  MAX_MESSAGE_LENGTH: String(LONGEST + 10),
  ENABLE_SPAM_DETECTION: "false",
  ENABLE_PROFANITY_FILTER: "false",
});

// The server is there when the first test runs, not sooner.
const { rest, join } = chat({ get url() { return site.server.url; }, socketUrl: (room) => site.server.socketUrl(room) });
let canary, payloads;
/** What viewers were given: of messages and edits `{id, content, text}`, and of each message's author. */
const said = [];
const authors = [];

before(async () => {
  canary = await startCanary();
  payloads = corpus(canary.host);
});
after(() => canary?.close());

async function bare() {
  const page = await (await site.browser.newContext()).newPage();
  await page.goto(`http://${canary.host}/`);
  return page;
}

/** The ids of what ran in a bare page, or made any page ask the canary, since the last time. */
async function ran(page) {
  const seen = [...(await page.evaluate(() => globalThis.takeRan())), ...canary.ran];
  canary.ran.clear();
  return seen;
}

async function provoked(items) {
  const all = new Set();
  for (let from = 0; from < items.length; from += 60) {
    const page = await bare();
    await page.evaluate(provoke, items.slice(from, from + 60));
    for (const id of await ran(page)) all.add(id);
    await page.context().close();
  }
  return all;
}

test("as they were typed most of the payloads run", async (t) => {
  assert.ok(payloads.length >= 400 && payloads.every(({ html }) => [...html].length <= LONGEST));
  const seen = await provoked(payloads);
  t.diagnostic(`${seen.size} of ${payloads.length} payloads run as they were typed`);
  assert.ok(seen.size >= AT_LEAST, `${seen.size} of ${payloads.length}`);
});

test("through a room, the page that shows it all runs none of them", async () => {
  for (let from = 0; from < payloads.length; from += IN_ONE_ROOM) {
    await through(`video_xss_${from}`, payloads.slice(from, from + IN_ONE_ROOM));
  }
  assert.equal(authors.length, payloads.length);
});

async function through(room, some) {
  const service = await join(room, SERVICE);
  // Longer ones make a token that is too large.
  const named = some.filter(({ html }) => html.length < 300).slice(0, PEOPLE);
  const people = await Promise.all(named.map(({ id, html }) => join(room, { sub: `p${id}`, username: html })));
  const page = await watch(room);
  for (const one of people) await one.request("typing", { is_typing: true });

  const messages = [];
  for (const payload of some) {
    const { message_id } = await say(room, payload);
    const { data } = await service.next((line) => line.data?.message_id === message_id);
    messages.push(data);
    await beside(room, service, data, payload);
  }
  await rename(room, NAME);
  await shown(page, room, messages);
  await page.reload();
  await online(page);
  await shown(page, room, messages);

  const edited = [];
  for (const [index, { html }] of some.entries()) {
    const { message_id } = messages[index];
    await service.request("edit_message", { message_id, content: `so ${html} it is` });
    const { data } = await service.next((line) => line.event === "message_edited" && line.data.message_id === message_id);
    edited.push({ ...messages[index], content: data.content, text: data.text });
  }
  await shown(page, room, edited);
  await page.context().close();
  await everywhere(room, service.joined, edited);
  for (const message of [...messages, ...edited]) said.push({ id: said.length, content: message.content, text: message.text ?? message.content });
  for (const socket of [service, ...people]) socket.close();
}

/** The page as a moderator sees it. What a payload would call, and pictures from elsewhere, are there. */
async function watch(room) {
  const page = await visit("/");
  await page.addInitScript(() => {
    globalThis.seen = [];
    globalThis.__ran = (id) => void globalThis.seen.push(id);
  });
  await page.route(/^https:/, (route) => route.fulfill({ contentType: "image/svg+xml", body: "<svg xmlns='http://www.w3.org/2000/svg'/>" }));
  const bearer = await token({ sub: "mod", username: "Mod", roles: ["moderator"] });
  await page.route("**/dev/token", (route) => route.fulfill({ json: { token: bearer } }));
  await page.goto(`${site.server.url}/?room=${room}&name=Mod`);
  await online(page);
  return page;
}

/** Says a payload in each of a message's fields; where nothing of it would be left, with a word beside it. */
async function say(room, { id, html }) {
  const avatar = id % 2 ? html : `${PICTURES}/${html}`;
  const body = { content: html, client_id: `${id} ${html}`.replace(/\p{Cc}/gu, "").slice(0, 60), mentions: [html], as_user: { user_id: SERVICE.sub, username: html, avatar } };
  if (fits(html)) body.metadata = { [html]: [html] };
  for (;;) {
    const { status, body: answer } = await rest("POST", `/rooms/${room}/messages`, { as: SERVICE, body });
    if (status === 201) return answer;
    const [{ pointer } = {}] = answer.errors ?? [];
    if (answer.code === "message_empty" && body.content === html) body.content = `so ${html}`;
    else if (pointer === "#/as_user/username" && body.as_user.username === html) body.as_user.username = "Ada";
    else assert.fail(`${html}: ${JSON.stringify(answer)}`);
  }
}

const fits = (html) => !html.includes("\0") && Buffer.byteLength(JSON.stringify({ [html]: [html] })) <= 1_000;

/** What a message carries beside its text, and, in turn, what else takes a text that people see. */
async function beside(room, service, { message_id, user, client_id, metadata, mentions }, { id, html }) {
  authors.push({ id, ...user });
  assert.ok(client_id.startsWith(`${id} `));
  assert.deepEqual(metadata, fits(html) ? { [html]: [html] } : {});
  assert.deepEqual(mentions, []);
  await assert.rejects(service.request("react", { message_id, reaction: html }), { code: "invalid_reaction" });
  const control = /\p{Cc}/u.test(trimmed(html));
  if (id % 3 === 1 && [...html].length <= 255 && !control) await rename(room, html);
  if (id % 3 === 2 && [...html].length <= 500 && !control) {
    await service.request("ban_user", { user_id: `b${id}`, reason: html });
    const { data } = await service.next("user_banned");
    assert.equal(data.reason, trimmed(html));
  }
}

async function rename(room, name) {
  const { status, body } = await rest("PATCH", `/rooms/${room}`, { as: SERVICE, body: { name } });
  assert.deepEqual([status, body.name], [200, trimmed(name)]);
}

/** Without white space around, as Unicode has it and not JavaScript. */
const trimmed = (text) => text.replace(/^\p{White_Space}+|\p{White_Space}+$/gu, "");

const ELEMENTS =
  "a b bdi blockquote button dialog div fieldset form h2 h3 header img input label legend li ol option p path section select span svg textarea time ul";

/** The page has the messages as they were meant, and nothing in it that the element did not make. */
async function shown(page, room, messages) {
  const wanted = messages.map(({ content, text }) => text ?? content);
  await eventually(async () => JSON.stringify(await texts(page)) === JSON.stringify(wanted), `${room} as text`).catch(async () => {
    assert.deepEqual(await texts(page), wanted);
  });
  await page.locator(".people-button").click();
  assert.equal(await page.locator("edge-chat .title").textContent(), NAME);
  const odd = await page.locator("edge-chat").evaluate(({ list, model, shadowRoot }, names) => {
    const allowed = names.split(" ");
    const bad = (element) =>
      !allowed.includes(element.localName) ||
      [...element.attributes].some(({ name, value }) => /^on|^srcdoc/.test(name) || (/^(href|src|action)$/.test(name) && !/^https?:\/\//.test(value)));
    const found = [];
    const seen = new Set();
    for (const { message_id } of model.shown) {
      if (seen.has(message_id)) continue;
      if (!list.show(message_id)) found.push(`${message_id} is not there`);
      for (const { dataset } of shadowRoot.querySelectorAll(".message")) seen.add(dataset.id);
      found.push(...[...shadowRoot.querySelectorAll("*")].filter(bad).map(({ outerHTML }) => outerHTML));
    }
    return found;
  }, ELEMENTS);
  assert.deepEqual(odd, [], room);
  await page.locator(".people-button").click();
  const ids = await eachMessage(page, (item) => (item.querySelector(".content a") ? null : item.dataset.id));
  for (const id of ids.filter(Boolean).filter((_, index) => index % 16 === 0)) {
    await page.locator("edge-chat").evaluate(({ list }, key) => void list.show(key), id);
    const content = page.locator(`[data-id="${id}"] .content`);
    await content.hover();
    await content.click({ position: { x: 3, y: 5 } });
  }
  assert.deepEqual(await page.evaluate(() => globalThis.seen), [], room);
}

/** History, the reply to a join, the events of a resumption and PostgreSQL tell the same text. */
async function everywhere(room, { epoch, seq }, messages) {
  const wanted = messages.map(({ message_id, content, text = null, user }) => [message_id, content, text, user.username]);
  const told = (list) => list.map(({ message_id, content, text = null, user }) => [message_id, content, text, user.username]);
  const { body } = await rest("GET", `/rooms/${room}/messages?after=0&limit=100`);
  assert.deepEqual(told(body.messages), wanted, "history");
  const fresh = await join(room, null);
  assert.deepEqual(told(fresh.joined.messages), wanted, "a join");
  const back = await join(room, null, { resume: { epoch, seq } });
  assert.equal(back.joined.resumed, true);
  assert.deepEqual(told(foldEdits(back.joined.events)), wanted, "a resumption");
  const names = new Set(back.joined.members.map(({ username }) => username));
  for (const name of names) said.push({ id: said.length, content: name, text: undefined });
  for (const socket of [fresh, back]) socket.close();
  const stored = () => site.database.query("select id, content, text, username from messages where room_id = $1 order by no", [room]);
  const rows = () => stored().then((all) => all.map(({ id, content, text, username }) => [id, content, text, username]));
  await until(5_000, async () => JSON.stringify(await rows()) === JSON.stringify(wanted));
  assert.deepEqual(await rows(), wanted, "PostgreSQL");
}

function foldEdits(events) {
  const messages = new Map();
  for (const { event, data } of events) {
    if (event === "new_message") messages.set(data.message_id, data);
    if (event === "message_edited") messages.set(data.message_id, { ...messages.get(data.message_id), content: data.content, text: data.text });
  }
  return [...messages.values()];
}

test("what the room gives out runs nothing in a page without any guard, and makes no element", async (t) => {
  const names = authors.map(({ username }) => ({ content: username }));
  const unique = new Map([...said, ...names].map(({ content, text }) => [`${content}\n${text}`, { content, text }]));
  assert.ok(unique.size > 300, `${unique.size} different texts`);
  t.diagnostic(`${unique.size} different texts`);
  const page = await bare();
  assert.deepEqual(await page.evaluate(show, [...unique.values()]), []);
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  for (let top = 0; top < height; top += 700) {
    await page.evaluate((y) => scrollTo(0, y), top);
    await page.mouse.move(40, 0);
    await page.mouse.move(40, 700, { steps: 70 });
    await page.mouse.click(40, 350);
    await page.keyboard.press("Tab");
  }
  assert.deepEqual(await ran(page), []);
  await page.context().close();
  const contents = [...new Set(said.map(({ content }) => content))];
  assert.deepEqual([...(await provoked(contents.map((html, id) => ({ id, html }))))], []);
});

test("an avatar is an https address that stays within its attribute", async () => {
  const page = await bare();
  const avatars = authors.map(({ avatar }) => avatar).filter(Boolean);
  assert.ok(avatars.length > 100, `${avatars.length} avatars`);
  const odd = await page.evaluate((all) => {
    const template = document.createElement("template");
    return all.filter((avatar) =>
      ['"', "'", ""].some((quote) => {
        template.innerHTML = `<img src=${quote}${avatar}${quote}>`;
        const [image, ...more] = template.content.childNodes;
        return more.length > 0 || image.attributes.length !== 1 || !image.src.startsWith("https://");
      }),
    );
  }, avatars);
  assert.deepEqual(odd, []);
  await page.context().close();
});

test("the page takes nothing from its own address but a name and a room's id", async () => {
  const kinds = new Map(payloads.map((payload) => [payload.kind, payload]));
  const page = await watch("video_xss_address");
  const addresses = [...kinds.values()].flatMap(({ html }) => [{ room: "video_xss_address", name: html }, { room: html, name: "Ada" }]);
  for (const address of addresses) {
    await page.goto(`${site.server.url}/?${new URLSearchParams(address)}`);
    const snippet = await page.locator("#snippet").textContent();
    assert.match(snippet, /\n<edge-chat room="[\w.:-]+" token="…"><\/edge-chat>$/, "what is copied from the page is whole");
    assert.deepEqual(await page.evaluate(() => globalThis.seen), []);
  }
});

test("an answer of the API that is opened as a page is no page", async () => {
  const page = await visit("/healthz");
  const markup = encodeURIComponent("<img src=x onerror=top.__ran(1)><script>top.__ran(1)</script>");
  for (const path of ["/api/rooms/video_xss_0/messages?limit=100", "/api/rooms/video_xss_0", `/api/rooms/${markup}`, `/api/rooms/x/messages?page=${markup}`, `/problems/${markup}`, "/problems/forbidden", "/openapi.json", `/${markup}`, `/${markup}.html`]) {
    await page.goto(site.server.url + path);
    const [kind, elements] = await page.evaluate(() => [document.contentType, document.querySelectorAll("img, script, svg").length]);
    assert.match(kind, /^(application\/(problem\+)?json|text\/plain)$/, path);
    assert.equal(elements, 0, path);
  }
  assert.equal(canary.ran.size, 0);
});
