// Socket.IO's clients in a browser, on a page of another origin.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";
import { chat, startServer, testDatabase, tokenOf } from "./harness/index.mjs";

const require = createRequire(import.meta.url);
const bundle = (name) => readFileSync(require.resolve(`${name}/dist/socket.io.js`), "utf8");
const BUNDLES = { today: bundle("socket.io-client"), oldest: bundle("socket.io-client-4.0") };

let database, server, browser, pages, origin, join;
before(async () => {
  pages = createServer((req, res) => {
    const script = BUNDLES[req.url.slice(1, -3)];
    res.setHeader("content-type", script ? "text/javascript" : "text/html");
    res.end(script ?? "<!doctype html><title>A page</title>");
  });
  await new Promise((resolve) => pages.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${pages.address().port}`;
  database = await testDatabase();
  server = await startServer({ databaseUrl: database.url, vars: { ALLOWED_ORIGINS: origin } });
  ({ join } = chat(server));
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
});
after(async () => {
  await browser?.close();
  await server?.stop();
  await database?.drop();
  pages?.close();
});

/** The replaced service's snippet, in the page; `heard` there is all that came. */
const snippet = ({ host, room, user_token, options }) => {
  const socket = window.io(host, options);
  const heard = (window.heard = { new_message: [], user_joined: [], user_typing: [], room_stats: [], error: [], connect_error: [] });
  for (const [event, list] of Object.entries(heard)) socket.on(event, (d) => list.push(d));
  socket.emit("join_room", { room_id: room, user_token });
  socket.emit("send_message", { room_id: room, content: "Hello world!", type: "text" });
  socket.emit("typing", { room_id: room, is_typing: true });
  socket.emit("react", { message_id: "msg_456", reaction: "👍" });
  window.transport = () => socket.io.engine.transport.name;
};

describe("a page", () => {
  for (const client of Object.keys(BUNDLES)) {
    for (const [how, options] of Object.entries({
      "default options": {},
      "polling alone, with credentials": { transports: ["polling"], withCredentials: true },
      "a WebSocket alone": { transports: ["websocket"] },
    })) {
      test(`the client of ${client}, ${how}: the snippet works`, async () => {
        const room = `video_${client}_${how.replaceAll(/\W/g, "")}`;
        const page = await browser.newPage();
        await page.goto(origin);
        await page.addScriptTag({ url: `${origin}/${client}.js` });
        await page.evaluate(snippet, { host: server.url, room, user_token: await tokenOf("ada"), options });
        await page.waitForFunction(() => window.heard.new_message.length && window.heard.error.length);
        const bob = await join(room, "bob");
        await page.waitForFunction(() => window.heard.user_joined.length && window.heard.room_stats.length);
        bob.send(JSON.stringify({ event: "typing", data: { is_typing: true } }));
        await page.waitForFunction(() => window.heard.user_typing.length);
        await page.waitForFunction((transport) => window.transport() === transport, options.transports?.[0] ?? "websocket");
        const { new_message, user_joined, error, connect_error } = await page.evaluate(() => window.heard);
        assert.deepEqual(new_message.map(({ content, user }) => [content, user.user_id]), [["Hello world!", "ada"]]);
        assert.deepEqual(error.map(({ code }) => code), ["message_not_found"]);
        assert.deepEqual([user_joined.map(({ user_id }) => user_id), connect_error], [["bob"], []]);
        await page.close();
        bob.terminate();
      });
    }
  }
});
