// The package's declarations against its code: a program that uses all of it, every name, every code, the protocol's tables.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";

import * as client from "../client/web/chat.js";
import * as inbox from "../client/web/sdk/inbox.js";
import * as messages from "../client/web/sdk/private.js";
import { complaints, linked, project } from "./harness/typescript.mjs";
import { StandIn } from "./page/direct.mjs";
import { memory, Wire } from "./page/wire.mjs";

const text = (path) => readFile(new URL(`../${path}`, import.meta.url), "utf8");
const union = (names) => [...names].map((name) => JSON.stringify(name)).join(" | ") || "never";

/** Two lines that only compile where `type` has just these names; the compiler names those that it lacks, or has in addition. */
let lines = 0;
const same = (type, names) => `const n${++lines}: never = null! as Exclude<${union(names)}, ${type}>;\nconst n${++lines}: never = null! as Exclude<${type}, ${union(names)}>;\n`;

/** Names of what an object has, those of its classes included. */
function namesOf(object, but = []) {
  const names = new Set();
  for (let at = object; at && at !== Object.prototype; at = Object.getPrototypeOf(at)) Object.getOwnPropertyNames(at).forEach((name) => names.add(name));
  return [...names].filter((name) => !["constructor", ...but].includes(name));
}

test("a program that uses all of it compiles, and wrong names are refused", async (t) => {
  const made = project(t, { "sample.ts": await text("tests/types/sample.ts") });
  linked(made);
  assert.equal(await complaints(made, ["sample.ts"]), "");
  // The check can fail.
  made.write("wrong.ts", `import { connect } from "@edge-chat/client";\nconnect({ room: "r" }).on("new_message", ({ sender }) => sender);\n`);
  assert.match(await complaints(made, ["wrong.ts"]), /'sender' does not exist on type 'Message'/);
});

test("what the classes have is declared, and what is declared they have", async (t) => {
  globalThis.window = new EventTarget();
  globalThis.document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  const chat = client.connect({ url: "https://chat.example", room: "r", storage: memory(), tabStorage: null, WebSocket: Wire });
  t.after(() => chat.close());
  const server = new StandIn();
  const wasm = await readFile(new URL("../client/web/crypto/crypto_bg.wasm", import.meta.url));
  const mine = await messages.openPrivate({ ...server.options("ada"), wasm, store: new messages.MemoryStore() });
  const direct = await mine.openDirect("bob");
  t.after(() => (direct.close(), mine.close()));

  const box = inbox.openInbox({ url: "https://chat.example", token: "t", WebSocket: Wire });
  t.after(() => box.close());
  // What other modules of the client call, and no page has to.
  const [inner, device] = [["emit", "write", "rest"], ["encrypt", "decrypt", "readUnsent", "lacks", "stored", "gone", "report", "request", "open", "emit"]];
  const documentation = await text("docs/client.md");
  for (const [object, but] of [[chat, inner], [mine, device], [direct, ["emit", "room", "other"]], [box, ["emit"]]]) {
    for (const name of namesOf(object, [...but, "on"])) assert.match(documentation, new RegExp(`\\b${name}\\b`), name);
  }
  const program = [
    `import type { Chat, ChatError, RoomModel } from "@edge-chat/client";`,
    `import type { Inbox } from "@edge-chat/client/inbox";`,
    `import type { Direct, MemoryStore, PrivateMessages } from "@edge-chat/client/private";`,
    same("keyof Chat", namesOf(chat, inner)),
    same("keyof RoomModel", namesOf(new client.RoomModel())),
    // The standard's own, which engines keep where they like.
    same(`Exclude<keyof ChatError, "message" | "name" | "stack" | "cause">`, namesOf(new client.ChatError()).filter((name) => !["message", "name", "stack", "cause", "toString"].includes(name))),
    same("keyof PrivateMessages", namesOf(mine, device)),
    same("keyof Direct", namesOf(direct, ["emit"])),
    same("keyof Inbox", namesOf(box, ["emit"])),
    same("keyof MemoryStore", namesOf(new messages.MemoryStore())),
    same(`keyof typeof import("@edge-chat/client")`, Object.keys(client)),
    same(`keyof typeof import("@edge-chat/client/inbox")`, Object.keys(inbox)),
    same(`keyof typeof import("@edge-chat/client/private")`, Object.keys(messages)),
  ];
  const made = project(t, { "names.ts": program.join("\n") });
  linked(made);
  assert.equal(await complaints(made, ["names.ts"]), "");
});

test("what is declared of the element it has", async (t) => {
  const source = await text("client/web/edge-chat.js");
  const declared = (await text("client/types/element.d.ts")).split("class EdgeChat")[1];
  const names = [...declared.matchAll(/^ {2}(?:readonly |get )?(\w+)(?=[(:])/gm)].map(([, name]) => name).filter((name) => name !== "addEventListener");
  assert.ok(names.length > 4 && names.includes("loadOlder"), `${names}`);
  for (const name of names) assert.match(source, new RegExp(`^ {2}(?:get |async )?${name}(?: = |\\()`, "m"), name);
  const events = [...`${source}${await text("client/web/element/private/door.js")}`.matchAll(/CustomEvent\("([\w-]+)"/g)].map(([, name]) => name);
  const observed = JSON.parse(source.match(/observedAttributes = (\[.*\])/)[1]);
  const made = project(t, {
    "element.ts": `import type { EdgeChatAttributes, EdgeChatEvents } from "@edge-chat/client/element";\n${same("keyof EdgeChatEvents", new Set(events))}${same(`Exclude<keyof EdgeChatAttributes, "theme" | "private">`, observed.filter((name) => name !== "theme"))}`,
  });
  linked(made);
  assert.equal(await complaints(made, ["element.ts"]), "");
});

test("every code that a promise can fail with is published, and no other", async (t) => {
  const folder = new URL("../client/web/sdk/", import.meta.url);
  const sources = await Promise.all([...(await readdir(folder)).map((name) => text(`client/web/sdk/${name}`)), text("client/web/chat.js")]);
  const own = sources.flatMap((source) => [...source.matchAll(/code: "(\w+)"/g), ...source.matchAll(/^ {2}(?:\d{4}|\[ELSEWHERE\]): "(\w+)"/gm)]).map(([, code]) => code);
  const crypto = [...(await text("client/crypto/src/error.rs")).matchAll(/Self::\w+(?:\(_\))? => "(\w+)"/g)].map(([, code]) => code);
  assert.ok(own.includes("closed") && own.includes("too_slow") && crypto.includes("no_key"), `${own} ${crypto}`);
  const codes = new Set([...own, ...crypto]);
  const program = [
    `import type { ChatError, ClientErrorCode, ErrorCode, PrivateErrorCode } from "@edge-chat/client";`,
    `const unpublished: never = null! as Exclude<${union(codes)}, ChatError["code"]>;`,
    `const unused: never = null! as Exclude<ClientErrorCode | PrivateErrorCode, ErrorCode | ${union(codes)}>;`,
  ];
  const made = project(t, { "codes.ts": program.join("\n") });
  linked(made);
  assert.equal(await complaints(made, ["codes.ts"]), "");
});

test("the tables of the protocol are those of its documentation", async (t) => {
  const protocol = await text("docs/protocol.md");
  const table = (heading) => protocol.split(`\n${heading}`)[1].split(/^\| --- .*\n/m)[1].split("\n\n")[0].split("\n");
  const first = (rows) => rows.flatMap((row) => [...row.split("|")[1].matchAll(/`(\w+)`/g)].map(([, name]) => name));
  const program = [
    `import type { InboxCommands, InboxEvents, RoomCommands, RoomEvents } from "@edge-chat/client";`,
    same("keyof RoomEvents", first(table("## Events"))),
    same("keyof RoomCommands", first(table("## Frames"))),
    same(`Exclude<keyof InboxEvents, "error" | "goodbye">`, first(table("## The inbox"))),
    same("keyof InboxCommands", ["mark_read"]),
  ];
  const made = project(t, { "tables.ts": program.join("\n") });
  linked(made);
  assert.equal(await complaints(made, ["tables.ts"]), "");
});
