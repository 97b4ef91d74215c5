// A room with 200 messages a second in a real Chromium: the page stays smooth, and who scrolls up is left in peace.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { chat } from "./harness/index.mjs";
import { told, traced } from "./page/busy.mjs";
import { enter, eventually, row, shoot, site } from "./page/person.mjs";

const PER_SECOND = 200;
const EVERY_MS = 50;
const MOST_UNDER_WAY = 400;
const PEOPLE = ["grace", "alan", "mary", "linus", "joan"];
const SAYINGS = [
  "GOAL!!!", "what a save 🔥🔥🔥", "did anyone else see that?", "hello from Lisbon 🇵🇹", "no way 😂", "@Ada look at this, it is on the replay now",
  "the stream is fine here, try a reload", "I cannot believe that he missed that one, it was wide open and nobody near him at all, honestly my grandmother scores that",
  "see https://example.org/matches/2026/final?team=home for the line-up", "❤️❤️❤️", "lol", "second half will be better, they always start slowly and then press for the last twenty minutes, remember the match in May when they were two down",
  "@Grace agreed", "مرحبا من القاهرة", "first time here, hi all 👋", "offside?", "never offside", "ref!!!", "1:0", "🎉🎉🎉🎉🎉🎉",
];

/** People who say so much in the room until `stop()`: they answer, react, edit and delete too. Resolves to how much it was. */
function commotion(people, perSecond = PER_SECOND) {
  let stopped = false;
  let number = 0;
  const recent = [];
  const under = new Set();
  const ask = (one, event, data) => {
    const reply = one.request(event, data, 20_000).catch(() => null).finally(() => under.delete(reply));
    under.add(reply);
    return reply;
  };
  const say = () => {
    const one = people[number % people.length];
    const about = recent.at(-1 - (number % 30));
    const reply_to = number % 12 === 0 ? about?.message_id : undefined;
    const content = `${SAYINGS[(number * 7) % SAYINGS.length]} ${number}`;
    number += 1;
    ask(one, "send_message", { content, reply_to }).then((said) => {
      if (said) recent.push({ ...said, one });
      if (recent.length > 100) recent.shift();
    });
    if (!about) return;
    if (number % 10 === 0) ask(one, "react", { message_id: about.message_id, reaction: "👍" });
    if (number % 50 === 0) ask(about.one, "edit_message", { message_id: about.message_id, content: `${content} (edited)` });
    if (number % 80 === 0) ask(about.one, "delete_message", { message_id: about.message_id });
  };
  const going = (async () => {
    let due = 0;
    let last = performance.now();
    while (!stopped) {
      await sleep(EVERY_MS);
      due += ((performance.now() - last) / 1_000) * perSecond;
      last = performance.now();
      // A machine that cannot do that is not asked for more.
      for (; due >= 1; due -= 1) if (under.size < MOST_UNDER_WAY) say();
    }
    await Promise.all(under);
    return number;
  })();
  return () => {
    stopped = true;
    return going;
  };
}

const arrive = async (room) => {
  const { join } = chat(site.server);
  const ada = await enter(room, "Ada");
  const people = await Promise.all(PEOPLE.map((one) => join(room, one)));
  return { ada, people };
};

test("a hot room", async () => {
  const { ada, people } = await arrive("video_hot");
  let said;
  // The first seconds are the page's own: what is compiled then is compiled once.
  const stop = commotion(people);
  await sleep(3_000);
  const measured = await traced(ada, async () => {
    await sleep(12_000);
    if (process.env.SHOT) await shoot(ada, "hot");
  });
  said = await stop();
  console.log(`${said} said; ${told(measured)}`);
  console.log(await ada.locator("edge-chat").evaluate((chat) => [chat.shadowRoot.querySelectorAll(".message").length, chat.model.messages.length, chat.model.messages.at(-1).no]));
  await shoot(ada, "hot");
});
