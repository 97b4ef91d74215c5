// What the element says and helps to write: its catalogues, a page from right to left, emoji and names.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";

import groups from "../client/web/element/emoji/data.js";
import arNames from "../client/web/element/emoji/names-ar.js";
import enNames from "../client/web/element/emoji/names-en.js";
import ar from "../client/web/element/words/ar.js";
import en from "../client/web/element/words/en.js";
import { RoomModel } from "../client/web/chat.js";
import { Sending } from "../client/web/element/sending.js";
import { Words } from "../client/web/element/words.js";
import { axe, choose, enter, eventually, field, latin, moderate, online, row, say, shoot } from "./page/person.mjs";

const arabic = new Words("ar", ar);
const holes = (text) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

test("each catalogue has every key, with the same values in it and every plural form of its language", () => {
  assert.deepEqual(Object.keys(ar).sort(), Object.keys(en).sort());
  for (const [language, catalogue] of Object.entries({ en, ar })) {
    const { pluralCategories } = new Intl.PluralRules(language).resolvedOptions();
    for (const [key, entry] of Object.entries(catalogue)) {
      const plural = typeof en[key] === "object";
      assert.equal(typeof entry, plural ? "object" : "string", `${language} ${key}`);
      if (plural) assert.deepEqual(Object.keys(entry).sort(), pluralCategories.toSorted(), `${language} ${key}`);
      // A form for one or two may say the number as a word.
      const wanted = holes(plural ? en[key].other : en[key]);
      const without = wanted.filter((name) => name !== "count");
      for (const text of plural ? Object.values(entry) : [entry]) {
        assert.ok(text.trim() !== "", `${language} ${key}`);
        assert.deepEqual(holes(text).filter((name) => !plural || name !== "count"), plural ? without : wanted, `${language} ${key}: ${text}`);
      }
      if (plural) assert.deepEqual(holes(entry.other), wanted, `${language} ${key}`);
    }
  }
  assert.deepEqual(Object.entries(ar).filter(([, entry]) => /[A-Za-z]/.test(JSON.stringify(Object.values({ entry })).replace(/"\w+":|\{\w+\}/g, ""))), [], "no word of another script");
});

test("whatever the element says stands in the catalogue", async () => {
  const folder = new URL("../client/web/element/", import.meta.url);
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".js") && !/^(words|emoji)[/\\]/.test(name));
  const groups = new Set(Object.keys(en).filter((key) => key.includes(".")).map((key) => key.split(".")[0]));
  let found = 0;
  for (const name of names) {
    const source = await readFile(new URL(name, folder), "utf8");
    for (const [, key, group] of source.matchAll(/"((\w+)\.\w+)"/g)) {
      if (!groups.has(group)) continue;
      assert.ok(key in en, `${name}: ${key}`);
      found += 1;
    }
  }
  assert.ok(found > 200, `${found}`);
});

test("numbers choose the form, and what others wrote keeps its direction", () => {
  const said = [0, 1, 2, 3, 11, 100].map((count) => arabic.t("chat.new", { count }));
  assert.deepEqual(said, ["لا رسائل جديدة", "رسالة جديدة واحدة", "رسالتان جديدتان", `${arabic.number(3)} رسائل جديدة`, `${arabic.number(11)} رسالة جديدة`, `${arabic.number(100)} رسالة جديدة`]);
  assert.equal(arabic.t("order.banned", { name: "Zoe" }), "حُظر \u2068Zoe\u2069.");
  assert.equal(new Words().t("order.banned", { name: "Zoe" }), "Zoe is banned.");
  assert.equal(new Words().t("order.banned", { name: "ليلى" }), "\u2068ليلى\u2069 is banned.");
  assert.equal(new Words().t("chat.new", { count: 1_234 }), "1,234 new messages");
  assert.deepEqual(["en", "de-AT", "ar", "fa", "he", "ur", "uz-Arab", "az"].map((tag) => new Words(tag).dir), ["ltr", "ltr", "rtl", "rtl", "rtl", "rtl", "rtl", "ltr"]);
  const error = { code: "invalid_settings", message: "`slow_s` is 1 to 21,600." };
  assert.equal(new Words().sentence(error), error.message, "the server says more than its code");
  assert.equal(arabic.sentence(error), ar["error.invalid_settings"]);
});

test("each error of the service has a sentence, each reason of a filter too", async () => {
  const read = (path) => readFile(new URL(`../src/${path}`, import.meta.url), "utf8");
  const codes = [...(await read("protocol/code.rs")).matchAll(/^    \w+ = "(\w+)", \d+, \d+;/gm)].map(([, code]) => code);
  assert.ok(codes.length > 40, `${codes.length} codes`);
  assert.deepEqual(codes.filter((code) => !(`error.${code}` in en)), []);
  const snake = (name) => name.replace(/\B[A-Z]/g, "_$&").toLowerCase();
  const [, spam] = (await read("content/spam.rs")).match(/pub enum SpamReason \{(.*?)\n\}/s);
  const reasons = [...spam.matchAll(/^    (\w+),/gm)].map(([, name]) => snake(name));
  assert.ok(reasons.length >= 10, `${reasons}`);
  assert.deepEqual(reasons.filter((reason) => !(`reason.${reason}` in en)), []);
});

test("every emoji of the picker can be a reaction, stands once, and has a name in each language", () => {
  const all = groups.flatMap(([, emoji]) => emoji.split(" "));
  assert.ok(all.length > 1_500 && new Set(all).size === all.length, `${all.length}`);
  assert.deepEqual(all.filter((emoji) => !/^\p{RGI_Emoji}$/v.test(emoji) || Buffer.byteLength(emoji) > 32), []);
  for (const names of [enNames, arNames]) assert.ok(names.split("\n").length === all.length && names.split("\n").every((line) => line.split("|")[0].trim() !== ""));
});

test("in Arabic everything is Arabic and runs from right to left, up to the moderators' desk", async () => {
  const name = (key, values) => new RegExp(arabic.t(key, values));
  const layla = await enter("video_rtl", "ليلى");
  const mo = await moderate("video_rtl", "سارة");
  await mo.evaluate(() => (document.documentElement.lang = "ar"));
  await mo.locator("[dir=rtl]").first().waitFor();
  await say(layla, "مساء الخير");
  await say(layla, "هذه ستُحذف");
  await say(layla, "تابعوا قناتي");
  await choose(layla, "هذه ستُحذف", "Delete");
  await row(layla, "هذه ستُحذف").getByRole("button", { name: "Delete?" }).click();
  await mo.getByText(ar["message.deleted"]).waitFor();
  const act = async (text, key) => {
    await row(mo, text).hover();
    await row(mo, text).locator(`[data-act=${key}]`).click();
  };
  await act("مساء الخير", "reply");
  await mo.getByText(name("composer.replying", { name: "ليلى", text: "مساء الخير" })).waitFor();
  await mo.locator("textarea").first().press("Escape");
  await act("مساء الخير", "more");
  await mo.getByRole("menuitem", { name: ar["order.pin"] }).click();
  await mo.locator(".pins:not([hidden])").waitFor();
  await act("مساء الخير", "react");
  await mo.locator(".all").click();
  await mo.locator(".emoji-grid button").first().waitFor();
  assert.deepEqual(await latin(mo), [], "list, pins, tools and emoji");
  await shoot(mo, "rtl-emoji");
  await mo.keyboard.press("Escape");
  await act("تابعوا", "more");
  await shoot(mo, "rtl-menu");
  assert.deepEqual(await latin(mo), [], "the menu");
  await mo.getByRole("menuitem", { name: ar["order.ban"] }).click();
  assert.deepEqual(await latin(mo), [], "the dialog");
  await mo.getByRole("dialog").getByRole("button", { name: ar["order.ban_yes"], exact: true }).click();
  await mo.getByText(name("order.banned", { name: "ليلى" })).waitFor();
  await mo.locator(".people-button").click();
  await mo.getByRole("group", { name: ar["people.label"] }).waitFor();
  assert.deepEqual(await latin(mo), [], "people, and what was done");
  await mo.locator(".people-button").press("Escape");
  await mo.locator(".desk-button").click();
  for (const tab of ["held", "reports", "modes", "terms", "bans"]) {
    await mo.getByRole("tab", { name: ar[`desk.${tab}`] }).click();
    await mo.getByRole("tabpanel", { name: ar[`desk.${tab}`] }).waitFor();
    if (tab === "modes") await mo.getByRole("combobox", { name: ar["modes.slow"] }).selectOption("30");
    if (tab === "bans") await mo.getByRole("button", { name: name("bans.unban_name", { name: "ليلى" }) }).waitFor();
    if (tab === "modes") await shoot(mo, "rtl-desk");
    assert.deepEqual(await latin(mo), [], tab);
  }
  await axe(mo, "from right to left");
  await mo.locator(".desk .close").click();
  await mo.getByText(arabic.t("mode.slow", { time: arabic.t("seconds", { count: 30 }) })).waitFor();

  // Who was banned reads why in their own language; what has been built already is said anew.
  await layla.locator("edge-chat[data-state=ended]").waitFor();
  await layla.getByText("You are banned from this room.").waitFor();
  await layla.locator("edge-chat").evaluate((chat) => chat.setAttribute("lang", "ar"));
  await layla.getByText(name("ban.banned")).waitFor();
  assert.deepEqual(await latin(layla), []);
  await layla.locator("edge-chat").evaluate((chat) => chat.setAttribute("lang", "en"));
  await layla.getByText("You cannot write here.").waitFor();
});

test("a page brings its own language, and changes single words", async () => {
  const page = await enter("video_words", "Ada");
  await page.locator("edge-chat").evaluate((chat) => {
    const { translate } = chat.constructor;
    translate("de", async () => ({ "composer.placeholder": "Schreib etwas…", "chat.empty": "Noch hat niemand etwas gesagt." }));
    translate("en", { "composer.placeholder": "Ask the speaker…" });
  });
  await page.getByPlaceholder("Ask the speaker…").waitFor();
  await page.evaluate(() => (document.documentElement.lang = "de-AT"));
  await page.getByPlaceholder("Schreib etwas…").waitFor();
  await page.getByText("Noch hat niemand etwas gesagt.").waitFor();
  await page.getByText("Yours could be the first message.").waitFor();
  await page.evaluate(() => (document.documentElement.lang = "tlh"));
  await page.getByPlaceholder("Ask the speaker…").waitFor();
});

test("emoji by keyboard alone: searched, walked through, put where the cursor is, and given as a reaction", async () => {
  const ada = await enter("video_emoji", "Ada");
  const focused = () => ada.locator("edge-chat").evaluate((chat) => chat.shadowRoot.activeElement?.getAttribute("aria-label"));
  await field(ada).fill("hi there");
  for (let step = 0; step < "there".length; step += 1) await ada.keyboard.press("ArrowLeft");
  await ada.keyboard.press("Tab");
  assert.equal(await focused(), "Insert an emoji");
  await ada.keyboard.press("Enter");
  await eventually(async () => (await focused()) === "Search emoji", "the search has the focus");
  await ada.keyboard.type("waving");
  await ada.getByText(/emoji found/).waitFor();
  await ada.keyboard.press("Enter");
  assert.equal(await field(ada).inputValue(), "hi 👋there");
  assert.equal(await focused(), "Message");
  await field(ada).press("Enter");
  await row(ada, "hi 👋there").waitFor();

  await ada.keyboard.press("Tab");
  await ada.keyboard.press("Enter");
  await eventually(async () => (await focused()) === "Search emoji", "it opens again, empty");
  await axe(ada, "emoji");
  await ada.keyboard.press("Tab");
  await ada.keyboard.press("ArrowRight");
  assert.equal(await focused(), "People");
  await ada.keyboard.press("ArrowLeft");
  assert.equal(await focused(), "Smileys");
  await ada.keyboard.press("ArrowDown");
  assert.equal(await focused(), "grinning face");
  await ada.keyboard.press("ArrowRight");
  await ada.keyboard.press("ArrowDown");
  assert.equal(await focused(), "upside-down face");
  await ada.keyboard.press("Escape");
  assert.equal(await focused(), "Insert an emoji");

  await choose(ada, "hi 👋there", "React");
  await ada.getByRole("button", { name: "All emoji" }).click();
  await eventually(async () => (await focused()) === "Search emoji", "all of them for a reaction");
  await ada.keyboard.type("family");
  await ada.keyboard.press("ArrowDown");
  const name = await focused();
  await ada.keyboard.press("Enter");
  await row(ada, "hi 👋there").getByRole("button", { name: /, 1$/, pressed: true }).waitFor();
  assert.match(name, /family/);
  await eventually(async () => (await focused()) === "React", "the focus comes back to the message");
});

test("names are completed after an @, and reach whom they name", async () => {
  const ada = await enter("video_names", "Ada");
  const layla = await enter("video_names", "Layla Haddad");
  await enter("video_names", "Zoë");
  const list = ada.getByRole("listbox", { name: "People to mention" });
  await ada.getByRole("button", { name: "3 online" }).waitFor();
  await field(ada).pressSequentially("good evening @");
  assert.deepEqual(await list.getByRole("option").locator("bdi").allTextContents(), ["Layla Haddad", "Zoë"]);
  assert.equal(await field(ada).getAttribute("aria-activedescendant"), null, "a bare @ chooses nobody");
  await field(ada).press("ArrowDown");
  await field(ada).press("ArrowDown");
  assert.equal(await field(ada).getAttribute("aria-activedescendant"), "mention-1");
  assert.equal(await list.getByRole("option", { selected: true }).textContent(), "ZZoë");
  await axe(ada, "names");
  await field(ada).press("Escape");
  assert.equal(await list.isVisible(), false);
  await field(ada).pressSequentially("zo");
  await field(ada).press("Tab");
  assert.equal(await field(ada).inputValue(), "good evening @Zoë ", "accents need not be typed");
  await field(ada).pressSequentially("and @hadd");
  await field(ada).press("Enter");
  assert.equal(await field(ada).inputValue(), "good evening @Zoë and @Layla Haddad ");
  await field(ada).press("Enter");
  await row(layla, "good evening").locator(".mention.me").waitFor();
  assert.deepEqual(await row(layla, "good evening").locator(".mention").allTextContents(), ["@Zoë", "@Layla Haddad"]);

  // No list at an address, and none that is in the way of a name that is there already.
  await field(ada).pressSequentially("mail zo@zo");
  assert.equal(await list.isVisible(), false);
  await field(ada).fill("");
  await field(ada).pressSequentially("thanks @zoë");
  await list.waitFor();
  await field(ada).press("Enter");
  await row(layla, "thanks @zoë").waitFor();

  // Where the room does not say who is here, those who wrote are known.
  await say(layla, "good evening Ada");
  await row(ada, "good evening Ada").waitFor();
  await ada.locator("edge-chat").evaluate((chat) => (chat.model.members = null));
  await field(ada).pressSequentially("@");
  assert.deepEqual(await list.getByRole("option").locator("bdi").allTextContents(), ["Layla Haddad"]);
});

test("the emoji's button closes them again, and on a slow network two clicks open them once", async () => {
  const ada = await enter("video_toggle", "Ada");
  const button = ada.getByRole("button", { name: "Insert an emoji" });
  const waiting = [];
  await ada.route("**/emoji/picker.js", (route) => waiting.push(route));
  await button.click();
  await button.click();
  await eventually(() => waiting.length > 0, "it is asked for");
  await Promise.all(waiting.map((route) => route.continue()));
  const search = ada.getByRole("searchbox", { name: "Search emoji" });
  await search.fill("sailboat");
  await ada.locator(".emoji-grid button").filter({ hasText: "⛵" }).waitFor();
  assert.equal(await ada.locator(".emoji-grid").count(), 1);
  assert.equal(await button.getAttribute("aria-expanded"), "true");
  await button.click();
  await search.waitFor({ state: "hidden" });
  assert.equal(await button.getAttribute("aria-expanded"), "false");
  await button.click();
  await search.waitFor();
});

test("a language that never comes leaves nobody before an empty box, and what is added while the element is away is heard", async () => {
  const page = await enter("video_silent", "Ada");
  await page.locator("edge-chat").evaluate((chat) => {
    const around = chat.parentElement;
    chat.remove();
    chat.constructor.translate("en", { "composer.placeholder": "Ask away…" });
    around.append(chat);
  });
  await page.getByPlaceholder("Ask away…").waitFor();
  await page.locator("edge-chat").evaluate((chat) => {
    chat.constructor.translate("fr", () => new Promise(() => {}));
    chat.remove();
    chat.setAttribute("lang", "fr");
    document.body.append(chat);
  });
  await page.locator("edge-chat .wordless").waitFor({ state: "attached" });
  await page.locator("edge-chat .wordless").waitFor({ state: "detached" });
});

test("what is sent again after a reload mentions whom it mentioned", async () => {
  const sent = [];
  const host = { model: new RoomModel(), chat: { send: async (content, more) => (sent.push(more), { seq: 1 }), position: { seq: 0 } }, redraw() {}, failed() {} };
  const sending = new Sending(host);
  sending.takeUp({ client_id: "c1", content: "hi @Grace", mentions: ["grace"], at: Date.now(), reply: null });
  await eventually(() => host.model.pending.get("c1").state === "failed", "it failed");
  sending.send(sending.again(host.model.pending.get("c1")));
  assert.deepEqual(sent, [{ client_id: "c1", reply_to: undefined, mentions: ["grace"] }]);
});
