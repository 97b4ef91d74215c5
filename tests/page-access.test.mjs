// The page for everyone: by keyboard alone, on a phone, in light and dark, and before axe.

import assert from "node:assert/strict";
import { test } from "node:test";

import { axe, choose, enter, eventually, field, PHONE, row, say, shoot, visit } from "./page/person.mjs";

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
    await axe(ada, "editing");
    await field(ada).press("Escape");
    await choose(ada, "hello @Grace", "React");
    await axe(ada, "picker");
    await ada.keyboard.press("Escape");
    await ada.locator(".people-button").click();
    await axe(ada, "people");
    await shoot(ada, `axe-${scheme}`);
    const background = await ada.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = background.match(/\d+/g).map(Number).slice(0, 3).every((part) => part < 60);
    assert.equal(dark, scheme === "dark", background);
    const form = await visit("/", { colorScheme: scheme });
    await axe(form, "form");
  });
}
