// A bot that answers commands and welcomes people. Killed at any moment and started again, it answers each command once.

import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "@edge-chat/client";
import { sign } from "../token.mjs";

const { CHAT_URL = "http://localhost:3004", ROOM = "video_123", POSITION = `${ROOM}.position` } = process.env;
// A member sees what members see: a moderator's or service's bot would answer those who are shadow-banned, for all to see.
const BOT = { sub: "uptime-bot", username: "Uptime" };
const PASSING = ["unavailable", "overloaded", "storage_full", "offline", "internal"];

const commands = new Map([
  ["!uptime", () => `Up for ${Math.round(process.uptime())} s.`],
  ["!help", () => `I know ${[...commands.keys()].join(" and ")}.`],
]);

/** The number of the last message that is dealt with; null before the very first start. */
let done = kept();
let work = Promise.resolve();
/** Has `task` done after all that came before it. What it throws ends the bot; whoever starts it again loses nothing. */
const then = (task) => (work = work.then(task));

const chat = connect({ url: CHAT_URL, room: ROOM, getToken: () => sign(BOT) });
chat.on("snapshot", ({ messages }) => then(() => catchUp(messages)));
chat.on("new_message", (message) => then(() => catchUp([message])));
chat.on("user_joined", (user) => then(() => welcome(user)));
chat.on("state", ({ state, error }) => {
  console.log(error ? `${state}: ${error.message}` : state);
  if (state === "ended") process.exit(1);
});

/** Deals with what was said: history has what is between that and the last, where the bot was away, or many talk at once. */
async function catchUp(messages) {
  if (done === null) keep(messages.at(-1)?.no ?? 0);
  while (messages[0]?.no > done + 1) {
    const page = await patiently(() => chat.history({ after: done, limit: 100 }));
    if (page.messages.length === 0) break;
    for (const message of page.messages) await deal(message);
  }
  for (const message of messages) await deal(message);
}

async function deal({ no, message_id, user, content, text, deleted_at }) {
  if (no <= done) return;
  const answer = user.user_id !== BOT.sub && !deleted_at && commands.get((text ?? content).trim());
  // A client_id never makes a second message, so whoever dies before the place is kept repeats this unheard.
  if (answer) await say(answer(), { client_id: `answer-${message_id}`, reply_to: message_id });
  keep(no);
}

/** Once a day and user, since the room knows a client_id that long. */
const welcome = ({ user_id, username }) =>
  say(`Welcome, @${username}!`, { client_id: `welcome-${createHash("sha256").update(user_id).digest("hex").slice(0, 32)}` });

async function say(content, options) {
  try {
    await patiently(() => chat.send(content, options));
  } catch (error) {
    console.error(`refused: ${error.code}`);
  }
}

async function patiently(ask) {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!error.retry_after_ms && !PASSING.includes(error.code)) throw error;
      await sleep(error.retry_after_ms ?? 1_000);
    }
  }
}

function kept() {
  try {
    return Number(readFileSync(POSITION, "utf8"));
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    return null;
  }
}

function keep(no) {
  done = no;
  writeFileSync(`${POSITION}.new`, `${no}`);
  renameSync(`${POSITION}.new`, POSITION);
}
