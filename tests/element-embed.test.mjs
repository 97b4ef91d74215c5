// The element on a page of another site under a policy that allows nothing else, its looks set from outside, and /embed.html.

import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { after, test } from "node:test";

import { axe, eventually, field, online, PHONE, row, say, shoot, site, token, visit } from "./page/person.mjs";

const DOCS = await readFile(new URL("../docs/element.md", import.meta.url), "utf8");
const fenced = (language) => [...DOCS.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "gs"))].map(([, text]) => text);
const POLICY = fenced("http").find((text) => text.startsWith("Content-Security-Policy:")).trim();
const THEME = fenced("css").find((text) => text.includes("--edge-chat-accent"));

// A site of its own: `pages` by path, each with the policy that the documentation shows.
const pages = new Map();
const host = createServer(({ url }, response) => {
  const { type = "text/html", body } = pages.get(new URL(url, "http://host").pathname) ?? { body: "" };
  const policy = POLICY.replace(/^[^:]+: /, "").replaceAll("https://chat.example", site.server.url).replaceAll("wss://chat.example", site.server.url.replace("http", "ws"));
  response.writeHead(200, { "content-type": type, "content-security-policy": policy });
  response.end(body);
});
await new Promise((resolve) => host.listen(0, "127.0.0.1", resolve));
const elsewhere = `http://127.0.0.1:${host.address().port}`;
site.vars.ALLOWED_ORIGINS = elsewhere;
after(() => host.close());

/** A page of that site; whatever its policy stopped, or its console complained about, is in `complaints`. */
async function onSite(path, body, options) {
  pages.set(path, { body: `<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>A site</title><link rel="stylesheet" href="/site.css">${body}` });
  const page = await visit("/healthz", options);
  const complaints = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  await page.exposeFunction("violated", (text) => complaints.push(text));
  await page.addInitScript(() => document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) => globalThis.violated(`${effectiveDirective}: ${blockedURI}`)));
  await page.goto(elsewhere + path);
  return { page, complaints };
}

pages.set("/site.css", { type: "text/css", body: "edge-chat { block-size: 34rem; }" });
const script = () => `<script type="module" src="${site.server.url}/edge-chat.js"></script>`;

test("one tag from another origin is the whole chat, under the policy that the documentation shows", async () => {
  const { page: ada, complaints } = await onSite("/ada", `${script()}<edge-chat room="video_csp" token="${await token("ada", "Ada")}"></edge-chat>`);
  await online(ada);
  const { page: grace, complaints: others } = await onSite("/grace", `${script()}<edge-chat room="video_csp" lang="ar" token="${await token("grace", "Grace")}"></edge-chat>`);
  await online(grace);
  await grace.locator("[dir=rtl]").first().waitFor();
  await say(ada, "hello from another site");
  await row(grace, "hello from another site").waitFor();
  // All that is loaded late, and all that is drawn by hand.
  await ada.getByRole("button", { name: "Insert an emoji" }).click();
  await ada.getByRole("searchbox", { name: "Search emoji" }).fill("sailboat");
  await ada.keyboard.press("Enter");
  assert.equal(await field(ada).inputValue(), "⛵");
  await field(ada).press("Enter");
  await row(grace, "⛵").hover();
  await grace.locator("[data-act=react]").click();
  await grace.locator(".picker .emoji button").first().click();
  await row(ada, "⛵").getByRole("button", { name: "👍, 1" }).waitFor();
  await ada.locator(".people-button").click();
  await ada.getByText("Grace").first().waitFor();
  await ada.evaluate(() => document.querySelector("edge-chat").setAttribute("theme", "dark"));
  assert.deepEqual([...complaints, ...others], []);
  ada.removeAllListeners("console");
  const tried = await ada.evaluate(() => {
    try {
      document.body.innerHTML = "<p>";
      return "done";
    } catch (error) {
      return error.name;
    }
  });
  assert.equal(tried, "TypeError", "trusted types are required on this page");
  await eventually(() => complaints.join() === "require-trusted-types-for: trusted-types-sink", `what is stopped would be seen here: ${complaints}`);
});

test("a page hands its token out when it is asked, before the element is there and after", async () => {
  const { page } = await onSite("/late", `<edge-chat room="video_late"></edge-chat>`);
  const bearer = await token("ada", "Ada");
  await page.evaluate((value) => {
    document.querySelector("edge-chat").getToken = async () => value;
  }, bearer);
  const load = page.evaluate((src) => import(src).then(() => {}), `${site.server.url}/edge-chat.js`);
  await load;
  await online(page);
  assert.equal(await page.evaluate(() => document.querySelector("edge-chat").model.self.user_id), "ada");
  const other = await token("grace", "Grace");
  await page.evaluate((value) => {
    document.querySelector("edge-chat").getToken = async () => value;
  }, other);
  await eventually(() => page.evaluate(() => document.querySelector("edge-chat").model.self?.user_id === "grace"), "it starts afresh");
});

test("properties and parts change its looks, in both schemes, as the example theme does", async () => {
  pages.set("/theme.css", { type: "text/css", body: `${THEME}\nedge-chat { block-size: 34rem; }` });
  const body = `<link rel="stylesheet" href="/theme.css">${script()}<edge-chat room="video_theme" token="${await token("ada", "Ada")}"></edge-chat>`;
  const look = (page) =>
    page.evaluate(() => {
      const root = document.querySelector("edge-chat").shadowRoot;
      const css = (selector) => getComputedStyle(root.querySelector(selector));
      return {
        radius: css(".chat").borderRadius, font: css(".content").fontFamily, size: css(".content").fontSize, background: css(".chat").backgroundColor,
        send: css(".send").backgroundColor, name: css(".name").textTransform, gap: css(".message.first").marginBlockStart,
      };
    });
  for (const colorScheme of ["light", "dark"]) {
    const { page, complaints } = await onSite(`/theme-${colorScheme}`, body, { colorScheme });
    await online(page);
    await say(page, `in ${colorScheme}`);
    await field(page).fill("x");
    const { send, background, ...rest } = await look(page);
    assert.deepEqual(rest, { radius: "4px", font: "Georgia, serif", size: "16.875px", name: "uppercase", gap: "4.8px" }, colorScheme);
    assert.equal(send, colorScheme === "light" ? "rgb(122, 31, 92)" : "rgb(244, 166, 215)");
    assert.equal(background, colorScheme === "light" ? "rgb(255, 250, 245)" : "rgb(27, 20, 24)");
    await page.evaluate(() => document.querySelector("edge-chat").setAttribute("theme", "light"));
    assert.equal((await look(page)).background, "rgb(255, 250, 245)", "the attribute is stronger than the system");
    await shoot(page, `theme-${colorScheme}`);
    assert.deepEqual(complaints, []);
  }
});

test("every property and part that is documented is there", async () => {
  const [style, ...others] = await Promise.all(["style", "style-moderation"].map((name) => readFile(new URL(`../client/web/element/${name}.js`, import.meta.url), "utf8")));
  const used = new Set([style, ...others].join().match(/--edge-chat-[a-z-]+(?=[,)])/g));
  const told = new Set([...DOCS.matchAll(/^\| `(--edge-chat-[a-z-]+)`/gm)].map(([, name]) => name));
  assert.deepEqual([...told].sort(), [...used].sort());
  const folder = new URL("../client/web/element/", import.meta.url);
  const files = ["../edge-chat.js", ...(await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".js") && !/^(words|emoji)[/\\]/.test(name))];
  const sources = (await Promise.all(files.map((name) => readFile(new URL(name, folder), "utf8")))).join();
  const there = new Set([...sources.matchAll(/\bpart(?:: |",.*?)"([a-z ]+)"/g)].flatMap(([, names]) => names.split(" ")));
  const [line] = DOCS.match(/^Parts, for.*$/m);
  const parts = [...line.matchAll(/`([a-z]+)`/g)].map(([, name]) => name);
  assert.ok(parts.length > 20 && parts.every((name) => there.has(name)), `${parts.filter((name) => !there.has(name))}`);
});

test("/embed.html is the example, good on a desktop and on a phone, light and dark", async () => {
  const source = await (await fetch(`${site.server.url}/embed.html`, { redirect: "follow" })).text();
  assert.ok(source.includes('<script type="module" src="/edge-chat.js"></script>') && source.includes('<edge-chat room="video_123"></edge-chat>'));
  const shown = fenced("html").find((text) => text.includes("class=\"video\""));
  assert.ok(shown.trim().split("\n").every((line) => source.includes(line.trim())), "the documentation shows what the page is made of");
  const ada = await visit("/embed.html?name=Ada");
  await online(ada);
  const phone = await visit("/embed.html?name=Grace", { viewport: PHONE, hasTouch: true, isMobile: true, colorScheme: "dark" });
  await online(phone);
  await say(ada, "the light on the water");
  await row(phone, "the light").waitFor();
  await say(phone, "@Ada it is beautiful");
  await row(ada, "it is beautiful").waitFor();
  assert.equal(await phone.evaluate(() => document.documentElement.scrollWidth), PHONE.width);
  const send = await phone.getByRole("button", { name: "Send" }).boundingBox();
  assert.ok(send.y + send.height <= PHONE.height, "the composer is in sight without scrolling");
  await axe(ada, "embed");
  await axe(phone, "embed on a phone");
  await shoot(ada, "embed");
  await shoot(phone, "embed-phone");
  if (process.env.UPDATE_SCREENSHOT === "1") await documentation();
});

async function documentation() {
  const at = async (path, options) => {
    const page = await visit(`/embed.html?room=bay&${path}`, options);
    await online(page);
    return page;
  };
  const write = async (page, text) => {
    const area = page.locator("textarea").first();
    await area.fill(text);
    await area.press("Enter");
    await row(page, text).waitFor();
  };
  const keep = async (page, name, what = page) => {
    const file = new URL(`../docs/${name}.png`, import.meta.url);
    const picture = await what.screenshot();
    assert.ok(picture.length < 150_000, `docs/${name}.png is small: ${picture.length}`);
    await writeFile(file, picture);
  };
  const ada = await at("name=Ada", { viewport: { width: 1040, height: 600 } });
  const layla = await at(`name=${encodeURIComponent("ليلى")}&lang=ar`, { viewport: { width: 1040, height: 600 } });
  await write(ada, "Look at the light on the water tonight");
  await write(layla, "مساء الخير! ما أجمل هذا المنظر");
  await write(ada, "It is. Is that the last ferry, @ليلى?");
  await write(layla, "نعم، تصل عند الثامنة");
  await row(ada, "الثامنة").waitFor();
  await keep(ada, "embed");
  await keep(layla, "embed-rtl", layla.locator("edge-chat"));
  const dark = await at("name=Zoe", { colorScheme: "dark", viewport: { width: 1040, height: 600 } });
  await keep(dark, "embed-dark", dark.locator("edge-chat"));
  await keep(await at("name=Mo", { viewport: PHONE, hasTouch: true, isMobile: true }), "embed-phone");
}
