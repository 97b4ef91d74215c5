// The examples, run as their READMEs say: people see each other, and bots answer once over their own deaths.
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join as path } from "node:path";
import { after, before, test } from "node:test";
import { exampleFolder, installExamples } from "../scripts/lib/examples.mjs";
import { end, run, start } from "../scripts/lib/process.mjs";
import { chat, entries, SECRET, throwAwayRedis, until } from "./harness/index.mjs";
import { eventually, online, say, shoot, site, texts, visit } from "./page/person.mjs";

const KID = "examples";
const OWN_SECRET = `${SECRET}-of-the-examples`;
/** A port that the chat is told of before anything listens there: held until then, so that nothing else is given it. */
const hold = async () => {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  return { port: String(port), release: () => new Promise((resolve) => server.close(resolve)) };
};
const [plain, react] = [await hold(), await hold()];
const redis = await throwAwayRedis();
Object.assign(site.vars, {
  JWT_SECRETS: JSON.stringify({ [KID]: OWN_SECRET }),
  ALLOWED_ORIGINS: [plain, react].map(({ port }) => `http://localhost:${port}`).join(","),
  REDIS_HOST: "127.0.0.1",
  REDIS_PORT: String(redis.port),
  REDIS_SIGNING_KEY: SECRET,
});

let folder;
before(async () => {
  folder = mkdtempSync(path(tmpdir(), "edge-chat-examples-"));
  await installExamples();
});
after(async () => {
  await redis.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** An example's settings, and nothing of this run's own. */
const settings = (room, more) => ({
  PATH: process.env.PATH, HOME: process.env.HOME, CHAT_URL: site.server.url, JWT_SECRET: OWN_SECRET, JWT_KID: KID, ROOM: room,
  REDIS_URL: `redis://127.0.0.1:${redis.port}`, REDIS_SIGNING_KEY: SECRET, ...more,
});

/** Starts a program of an example; resolves when it has said `ready`. */
async function running(name, command, args, env, ready) {
  const child = start(command, args, { cwd: exampleFolder(name), env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const output of [child.stdout, child.stderr]) output.on("data", (chunk) => (said += chunk));
  let ended;
  child.gone.then((how) => (ended = how));
  assert.ok(await until(30_000, () => ended || ready.test(said)) === true, `${name}: ${ended} ${said}`);
  return { child, said: () => said };
}

test("two people see each other through the plain pages", async () => {
  await plain.release();
  const { child } = await running("plain", process.execPath, ["serve.mjs"], settings("plain", { PORT: plain.port }), /ready/);
  try {
    const at = (file) => `http://localhost:${plain.port}/${file}`;
    const ada = await visit(at("?name=Ada"));
    await online(ada);
    const bob = await visit(at("client.html?name=%3Ci%3EB%20%26%20Bob"));
    await bob.getByText("online").waitFor();
    await say(ada, "hello Bob, 1 < 2");
    await bob.getByText("Ada: hello Bob, 1 < 2").waitFor();

    await bob.getByRole("textbox", { name: "Message" }).pressSequentially("hi");
    await ada.locator(".typing").getByText("B & Bob is typing…").waitFor();
    await bob.getByRole("button", { name: "Send" }).click();
    await eventually(async () => (await texts(ada)).includes("hi"), "Ada sees what Bob says");
    await bob.getByRole("status").getByText(/with 2 users and 0 guests: (Ada, B & Bob|B & Bob, Ada)/).waitFor();
    await shoot(bob, "example-plain-client");
    await shoot(ada, "example-plain-element");

    const guest = await visit(at("client.html"));
    await guest.getByText("Ada: hello Bob, 1 < 2").waitFor();
    assert.ok(await guest.getByRole("textbox", { name: "Message" }).isDisabled());
  } finally {
    await end(child);
  }
});

test("the hook and the element in React talk with a viewer on the native wire", async () => {
  const env = settings("react");
  await run("npm", ["run", "build", "--silent"], { cwd: exampleFolder("react"), env });
  await react.release();
  const { child } = await running("react", "npm", ["run", "preview", "--silent", "--", "--port", react.port, "--strictPort"], env, /localhost/);
  try {
    const page = await visit(`http://localhost:${react.port}/?name=Rea`);
    await online(page);
    const hook = page.locator(".chat[data-state=online]");
    await hook.waitFor();
    const ada = await chat(site.server).join("react", "ada");
    await hook.getByText("Here: Rea, Ada").waitFor();

    await ada.request("send_message", { content: "from the wire" });
    await hook.getByRole("log").getByText("Ada from the wire").waitFor();
    await page.locator("edge-chat").getByText("from the wire").waitFor();

    await hook.getByRole("textbox", { name: "Message" }).pressSequentially("from the hook");
    assert.equal((await ada.next("user_typing", 15_000)).data.user_id, "rea");
    await hook.getByRole("button", { name: "Send" }).click();
    const fromRea = ({ event, data }) => event === "new_message" && data.user.user_id === "rea";
    assert.equal((await ada.next(fromRea, 15_000)).data.content, "from the hook");
    await say(page.locator("edge-chat"), "from the element");
    assert.equal((await ada.next(fromRea, 15_000)).data.content, "from the element");
    await eventually(async () => (await hook.locator("li").count()) === 3 && (await hook.locator(".pending").count()) === 0, "each message once");
    await ada.request("typing", { is_typing: true });
    await hook.getByText("Ada is typing…").waitFor();
    await shoot(page, "example-react");
  } finally {
    await end(child);
  }
});

/**
 * Lets a bot die in each way between a command and its answer, and sees each command answered once. `place` is the file
 * where it keeps how far it is. The result: `ada`, who asked; `ask()`, once more; `answers()`, all to her, in order.
 */
async function answersOnce({ room, early = async () => {}, place, command, ...bot }, more) {
  const ada = await chat(site.server).join(room, "ada");
  const answers = () => ada.lines.filter(({ event, data }) => event === "new_message" && data.reply_to).map(({ data }) => data);
  const asked = [];
  const ask = async () => asked.push((await ada.request("send_message", { content: command })).message_id);
  let now;
  const live = async () => (now = await running(room, bot.program, bot.args, settings(room, bot.env), bot.ready));
  const die = async () => {
    process.kill(now.child.pid, "SIGKILL");
    await now.child.gone;
  };
  const answered = () => eventually(() => answers().some(({ reply_to }) => reply_to === asked.at(-1)), `an answer; it said ${now.said()}`);

  // What was said before its very first start is not for it.
  await ask();
  asked.pop();
  await early(ada);
  await live();
  try {
    await ask();
    await answered();

    await die();
    await ask();
    await live();
    await answered();

    process.kill(now.child.pid, "SIGSTOP");
    await ask();
    await die();
    await live();
    await answered();

    // Wherever it is just then.
    await ask();
    await die();
    copyFileSync(place, `${place}.before`);
    await live();
    await answered();

    // As one that died before it kept what it had answered.
    await die();
    copyFileSync(`${place}.before`, place);
    await ask();
    await live();
    await answered();
    await more?.({ ada, ask, answered, die, live });
    assert.deepEqual(answers().map(({ reply_to }) => reply_to), asked);
    return answers().map(({ content }) => content);
  } finally {
    await end(now.child);
  }
}

test("the bot in Node answers each command once, and welcomes once, over its own deaths", async () => {
  const { join } = chat(site.server);
  const place = path(folder, "node.position");
  const bot = { program: process.execPath, args: ["bot.mjs"], env: { POSITION: place }, ready: /online/ };
  const joined = ({ event, data }) => event === "user_joined" && data.user_id === "bob";
  const welcomes = (ada) => ada.lines.filter(({ event, data }) => event === "new_message" && data.content === "Welcome, @Bob!").length;
  const answers = await answersOnce({ room: "node-bot", command: "!uptime", place, ...bot }, async ({ ada, ask, answered, die, live }) => {
    // More than a snapshot holds, after the command.
    await die();
    await ask();
    await Promise.all(Array.from({ length: 120 }, (_, index) => ada.request("send_message", { content: `so ${index}` })));
    await live();
    await answered();

    const comes = async () => {
      const bob = await join("node-bot", "bob");
      await ada.next(joined, 15_000);
      await ask();
      await answered();
      assert.equal(welcomes(ada), 1);
      return bob;
    };
    (await comes()).close();
    await ada.next(({ event, data }) => event === "user_left" && data.user_id === "bob", 15_000);
    await comes();
  });
  for (const answer of answers) assert.match(answer, /^Up for \d+ s\.$/);
});

test("the bot in Python counts each message and answers each command once, over its own deaths", async () => {
  const place = path(folder, "python.sqlite");
  const bot = { program: path(exampleFolder("python-bot"), ".venv/bin/python"), args: ["bot.py"], env: { STATE: place }, ready: /ready/ };
  const early = () => eventually(async () => (await entries(redis, "python-bot")).length > 0, "the first command in Redis");
  const answers = await answersOnce({ room: "python-bot", command: "!top", place, early, ...bot });
  assert.deepEqual(answers, answers.map((_, index) => `Ada: ${index + 1}`));
});
