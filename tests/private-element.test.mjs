// Private messages in <edge-chat>: two people at two pages, a new device, what is said where something cannot be read.

import assert from "node:assert/strict";
import { test } from "node:test";

import ar from "../client/web/element/words/ar.js";
import { english, Words } from "../client/web/element/words.js";
import { axe, enter, eventually, latin, PHONE, shoot, site, visit } from "./page/person.mjs";

const SECRET = /heron|at the pier/;

const panel = (page) => page.locator("edge-chat .private");
const pen = (page, words = english) => panel(page).getByRole("textbox", { name: words.t("talk.field") });
const letter = (page, text) => panel(page).locator(".letter:not(.pending)").filter({ hasText: text }).last();
const letters = (page) => panel(page).locator(".letter:not(.pending) .content").allTextContents();
const door = (page) => page.locator("edge-chat .private-button");
const menuItem = (page, name) => page.getByRole("menuitem", { name });

/** From the list of people to the talk with one of them. */
async function talkTo(page, name, words = english) {
  await door(page).waitFor();
  await page.locator(".people-button").click();
  await page.getByRole("button", { name: words.t("more_about", { name }) }).click();
  await menuItem(page, words.t("private.write")).click();
  await pen(page, words).waitFor();
}

async function write(page, text, words = english) {
  await pen(page, words).fill(text);
  await pen(page, words).press("Enter");
  await letter(page, text).waitFor();
}

async function act(page, text, entry) {
  await letter(page, text).hover();
  await letter(page, text).getByRole("button", { name: "More about this message" }).click();
  await menuItem(page, entry).click();
}

const more = async (page, entry) => {
  await panel(page).getByRole("button", { name: "More about this talk" }).click();
  await menuItem(page, entry).click();
};

test("two people talk, one comes back on a new device with the recovery key, and the database has only ciphertext", async () => {
  const ada = await enter("private_room", "Ada");
  const bob = await enter("private_room", "Bob");
  const loaded = [];
  ada.on("request", (request) => loaded.push(new URL(request.url()).pathname));
  await door(ada).waitFor();
  assert.ok(!loaded.some((path) => /crypto|panel/.test(path)), "nothing of it is loaded before it is used");
  await talkTo(bob, "Ada");
  await talkTo(ada, "Bob");
  await write(ada, "the heron stands at the pier");
  await letter(bob, "the heron stands").waitFor();
  await write(bob, "is it https://example.org/heron ?");
  await letter(ada, "is it").locator("a[href='https://example.org/heron']").waitFor();
  await act(ada, "the heron stands", "Edit");
  await pen(ada).fill("two herons stand at the pier");
  await pen(ada).press("Enter");
  await letter(bob, "two herons").filter({ hasText: "edited" }).waitFor();
  await axe(ada, "a talk");

  // Whoever looks elsewhere is told, and what comes into sight is read.
  await panel(bob).getByRole("button", { name: "Close private messages" }).click();
  await write(ada, "are you there?");
  await bob.getByRole("button", { name: "Private messages, 1 not read" }).click();
  await panel(bob).getByRole("button", { name: "Ada, 1 not read" }).click();
  await letter(bob, "are you there?").waitFor();
  await bob.getByRole("button", { name: "Private messages", exact: true }).waitFor();

  const number = async (page) => {
    await more(page, "Safety number");
    return panel(page).locator(".digits").textContent();
  };
  const numbers = [await number(ada), await number(bob)];
  assert.match(numbers[0].trim(), /^(\d{5} ){11}\d{5}$/);
  assert.equal(numbers[0], numbers[1]);
  await shoot(ada, "private-safety");
  await panel(ada).getByRole("button", { name: "Hide the safety number" }).click();

  await panel(bob).getByRole("button", { name: "All talks" }).click();
  await panel(bob).getByRole("button", { name: "Make a recovery key" }).click();
  await panel(bob).getByRole("button", { name: "Make a recovery key" }).click();
  const key = (await panel(bob).getByRole("group", { name: "Your recovery key" }).textContent()).trim();
  assert.match(key, /^([A-Z2-7]{4} ){7}[A-Z2-7]{4}$/);
  await axe(bob, "a recovery key");
  await shoot(bob, "private-key");
  await panel(bob).getByRole("button", { name: "I have written it down" }).click();
  await panel(bob).getByText("The backup is renewed by itself").waitFor();
  await bob.context().close();

  // A browser that was never here: it says why it cannot read, until it is given the key.
  const fresh = await enter("private_room", "Bob", { viewport: PHONE, colorScheme: "dark" });
  await talkTo(fresh, "Ada");
  await eventually(async () => (await letters(fresh)).filter((text) => text.startsWith("This message cannot be read yet")).length === 3, "three sentences");
  await shoot(fresh, "private-new-device");
  await axe(fresh, "what cannot be read, dark, on a phone");
  // The other one is told of the new device with the next message.
  await write(ada, "hello again");
  await panel(ada).getByText(/new device|has changed/).waitFor();
  await letter(fresh, "hello again").waitFor();
  await panel(fresh).getByRole("button", { name: "All talks" }).click();
  await panel(fresh).getByRole("button", { name: "Restore" }).click();
  const field = panel(fresh).getByRole("textbox", { name: "Recovery key" });
  await field.fill("ABCD EFGH");
  await field.press("Enter");
  await panel(fresh).getByText("This is not a recovery key").waitFor();
  await field.fill(key.toLowerCase());
  await field.press("Enter");
  await panel(fresh).getByText(/^Restored/).waitFor();
  await shoot(fresh, "private-restored");
  await panel(fresh).getByRole("button", { name: "All talks" }).click();
  await panel(fresh).getByRole("button", { name: "Ada" }).click();
  await eventually(async () => JSON.stringify(await letters(fresh)) === JSON.stringify(["two herons stand at the pier", "is it https://example.org/heron ?", "are you there?", "hello again"]), "the old part");
  await shoot(fresh, "private-talk-phone");
  await shoot(ada, "private-talk");

  const rows = await eventually(async () => {
    const found = await site.database.query("SELECT content FROM messages WHERE type = 'encrypted'");
    return found.length === 4 && found;
  }, "four rows in PostgreSQL");
  for (const { content } of rows) assert.equal(JSON.parse(content).alg, "megolm");
  const tables = await site.database.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
  for (const { tablename } of tables) {
    for (const { row } of await site.database.query(`SELECT t::text AS row FROM "${tablename}" t`)) assert.doesNotMatch(row, SECRET, tablename);
  }
});

test("a device is named and removed, a message deleted and reported, a person blocked, all by keys too", async () => {
  const [cleo, dan] = [await enter("private_acts", "Cleo"), await enter("private_acts", "Dan")];
  await talkTo(dan, "Cleo");
  await talkTo(cleo, "Dan");
  await write(cleo, "one");
  await write(cleo, "two");
  await letter(dan, "two").waitFor();
  // Up to the newest message, into its menu, and down to the second entry.
  await pen(cleo).press("Shift+Tab");
  for (const key of ["ArrowUp", "ArrowUp", "Enter", "ArrowDown", "Enter"]) await cleo.keyboard.press(key);
  await letter(dan, "This message was deleted.").waitFor();
  assert.deepEqual(await letters(dan), ["This message was deleted.", "two"]);

  await act(dan, "two", "Report…");
  await dan.getByText("shown this one message and none of the others").waitFor();
  await dan.getByRole("radio", { name: "Something else" }).check();
  await dan.getByRole("button", { name: "Report" }).click();
  await panel(dan).getByText("The moderators have been told").waitFor();
  const [report] = await eventually(async () => {
    const found = await site.database.query("SELECT quoted FROM reports");
    return found.length > 0 && found;
  }, "the report is kept");
  assert.match(JSON.stringify(report), /two/);

  await more(dan, "Block");
  await panel(dan).getByText("neither of you can write here").waitFor();
  await pen(cleo).fill("three");
  await pen(cleo).press("Enter");
  await panel(cleo).getByText("Not sent. One of you two has blocked the other.").waitFor();
  await panel(cleo).getByRole("button", { name: "Discard" }).click();
  await more(dan, "Unblock");
  await panel(dan).getByText("no longer blocked").waitFor();
  await write(cleo, "four");
  await letter(dan, "four").waitFor();

  const second = await enter("private_acts", "Dan");
  await talkTo(second, "Cleo");
  await more(dan, "Devices and recovery key");
  await panel(dan).getByRole("listitem").nth(1).waitFor();
  await axe(dan, "devices");
  await shoot(dan, "private-devices");
  const others = panel(dan).getByRole("listitem").filter({ hasNotText: "this one" });
  await others.getByRole("button", { name: /^Rename/ }).click();
  await dan.getByRole("textbox", { name: "Name" }).fill("Kitchen");
  await dan.keyboard.press("Enter");
  await panel(dan).getByRole("button", { name: "Remove Kitchen" }).click();
  await dan.getByRole("button", { name: "Remove", exact: true }).click();
  await eventually(async () => (await panel(dan).getByRole("listitem").count()) === 1, "one device is left");
  await pen(second).fill("five");
  await pen(second).press("Enter");
  await panel(second).getByText("was removed from your devices").waitFor();
  await second.keyboard.press("Escape");
  await panel(second).waitFor({ state: "hidden" });
});

test("a talk that is closed while it opens says what was written, reads nothing more and leaves nothing in the page", async () => {
  const [eve, fay] = [await enter("private_closing", "Eve"), await enter("private_closing", "Fay")];
  await talkTo(fay, "Eve");
  let open;
  const opens = new Promise((resolve) => (open = resolve));
  await eve.route(/\/users\/[^/]+\/direct$/, async (route) => {
    await opens;
    await route.continue();
  });
  await talkTo(eve, "Fay");
  await pen(eve).fill("written while it opens");
  await pen(eve).press("Enter");
  await panel(eve).locator(".letter.pending").waitFor();
  await panel(eve).getByRole("button", { name: "Close private messages" }).click();
  await eventually(async () => (await panel(eve).locator(".private-body > *").count()) === 0, "nothing stays in the page");
  open();
  await letter(fay, "written while it opens").waitFor();
  await write(fay, "one");
  await eve.getByRole("button", { name: "Private messages, 1 not read" }).click();
  await panel(eve).getByRole("button", { name: "Fay, 1 not read" }).waitFor();
  await write(fay, "two");
  await panel(eve).getByRole("button", { name: "Fay, 2 not read" }).click();
  await eventually(async () => JSON.stringify(await letters(eve)) === JSON.stringify(["written while it opens", "one", "two"]), "all of it");
  await eve.getByRole("button", { name: "Private messages", exact: true }).waitFor();
});

test("private messages are Arabic from right to left, follow the language while they are open, and the page's theme", async () => {
  const arabic = new Words("ar", ar);
  const noor = await enter("private_words", "نور", { viewport: PHONE, colorScheme: "dark", hasTouch: true });
  const sara = await enter("private_words", "سارة");
  const speak = async (language) => {
    await noor.evaluate((lang) => (document.documentElement.lang = lang), language);
    await noor.locator(`.chat[lang=${language}]`).waitFor();
  };
  const press = (key, values) => panel(noor).getByRole("button", { name: arabic.t(key, values), exact: true }).click();
  const none = async (what) => {
    assert.deepEqual(await latin(noor), [], what);
    await axe(noor, what);
    await shoot(noor, `private-rtl-${what}`);
  };
  await speak("ar");
  await talkTo(noor, "سارة", arabic);
  await talkTo(sara, "نور");
  await write(noor, "مساء الخير", arabic);
  await write(noor, "هذه ستُحذف", arabic);
  await letter(sara, "هذه ستُحذف").waitFor();
  await write(sara, "مساء النور");
  await letter(noor, "مساء النور").waitFor();
  await noor.keyboard.press("Shift+Tab");
  // Up to one's own second message, to the left into its menu, and there to the second entry.
  for (const key of ["ArrowUp", "ArrowUp", "ArrowLeft", "Enter"]) await noor.keyboard.press(key);
  await menuItem(noor, ar["tool.remove"]).waitFor();
  assert.deepEqual(await latin(noor), [], "the menu");
  await menuItem(noor, ar["tool.remove"]).click();
  await letter(noor, ar["message.deleted"]).waitFor();
  await press("talk.more");
  await menuItem(noor, ar["safety.label"]).click();
  await panel(noor).locator(".digits").waitFor();
  await none("talk");
  await speak("en");
  await letter(noor, "This message was deleted.").waitFor();
  await panel(noor).getByRole("heading", { name: /^Talk with/ }).waitFor();
  await panel(noor).getByPlaceholder(/^Only .* can read this…$/).waitFor();
  await panel(noor).getByText(/^Compare these digits/).waitFor();
  await shoot(noor, "private-words-en");
  await speak("ar");

  await letter(noor, "مساء النور").getByRole("button", { name: ar["talk.more_message"] }).click();
  await menuItem(noor, ar["order.report"]).click();
  assert.deepEqual(await latin(noor), [], "the question before a report");
  await noor.getByRole("dialog").getByRole("button", { name: ar.cancel }).click();

  await press("talk.more");
  await menuItem(noor, ar["private.keys"]).click();
  await panel(noor).getByRole("button", { name: /^إعادة تسمية/ }).click();
  await noor.getByRole("textbox", { name: ar["devices.rename_field"] }).fill("هاتفي");
  await noor.keyboard.press("Enter");
  await panel(noor).getByText("هاتفي").waitFor();
  await press("recovery.make");
  const key = panel(noor).locator(".recovery-key");
  const shown = await key.textContent();
  await none("keys");
  await speak("en");
  await panel(noor).getByText("Write this key down").waitFor();
  assert.equal(await key.textContent(), shown, "what stands there stays");
  await speak("ar");
  await press("private.close");
  await write(sara, "هل أنت هنا؟");
  await noor.getByRole("button", { name: arabic.t("private.unread", { count: 1 }) }).click();
  await panel(noor).getByRole("button", { name: arabic.t("private.talk_unread", { name: "سارة", count: 1 }) }).waitFor();
  await none("talks");

  const look = () => panel(noor).evaluate((box) => {
    const { fontSize, textTransform } = getComputedStyle(box.querySelector("h3"));
    return { fontSize, textTransform, radius: getComputedStyle(box.querySelector(".advice")).borderRadius };
  });
  await noor.evaluate(() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("edge-chat { --edge-chat-font-size: 20px; --edge-chat-control-radius: 3px } edge-chat::part(private) { text-transform: uppercase }");
    document.adoptedStyleSheets = [sheet];
  });
  assert.deepEqual(await look(), { fontSize: "17.5px", textTransform: "uppercase", radius: "3px" });
});

test("a page of a talk's history that expired while it was on its way is not shown", async () => {
  const page = await visit("/");
  // Nothing but the talk is the page's own: retention in direct rooms counts days.
  const shown = await page.evaluate(async () => {
    const { Talk } = await import("/element/private/talk.js");
    const { english } = await import("/element/words.js");
    const heard = {};
    const on = (event, listener) => ((heard[event] = listener), () => {});
    const history = Promise.withResolvers();
    const said = (no) => ({ message_id: `m${no}`, no, user: { user_id: "bob", username: "Bob" }, body: `word ${no}`, timestamp: "2026-11-26T12:00:00.000Z", encrypted: true });
    const talk = new Talk({
      host: { words: english, menu: {}, dialog: {}, model: { blocked: new Set() } },
      person: (user_id) => ({ user_id, username: "Bob" }), learn() {}, inbox: {}, isOpen: false,
      mine: { user_id: "ada", on, openDirect: async () => ({ on, history: () => history.promise }) },
    }, "bob");
    document.body.append(talk.element);
    await talk.show();
    heard.snapshot({ messages: [said(5), said(6)] });
    talk.element.querySelector(".older").click();
    heard.messages_expired({ before_no: 3 });
    history.resolve({ messages: [said(4), said(3), said(2)], has_more: true });
    await history.promise;
    for (let frame = 0; frame < 3; frame++) await new Promise(requestAnimationFrame);
    return [[...talk.element.querySelectorAll("li")].map(({ dataset }) => dataset.id), talk.element.querySelector(".older").hidden];
  });
  assert.deepEqual(shown, [["m3", "m4", "m5", "m6"], true]);
});
