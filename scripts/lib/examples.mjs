// What the examples have to have installed before they run; done already, it takes no time.
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pythonWithVenv } from "./cluster.mjs";
import { root } from "./database.mjs";
import { run, step } from "./process.mjs";

export const exampleFolder = (name) => join(root, "examples", name);

/** Installs what the file `listed` names unless that was done; `kept`, its copy among what was installed, says so. */
async function once(name, listed, kept, install) {
  const [wanted, there] = [join(exampleFolder(name), listed), join(exampleFolder(name), kept)];
  if (existsSync(there) && readFileSync(there).equals(readFileSync(wanted))) return;
  await step(`installing the packages of examples/${name}`, () => install({ cwd: exampleFolder(name) }));
  copyFileSync(wanted, there);
}

const packages = (name) =>
  once(name, "package-lock.json", "node_modules/.installed-lock.json", (at) => run("npm", ["ci", "--ignore-scripts"], at));

const requirements = (name) =>
  once(name, "requirements.txt", ".venv/installed.txt", async (at) => {
    await run(await pythonWithVenv(), ["-m", "venv", ".venv"], at);
    await run(".venv/bin/pip", ["install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"], at);
  });

export async function installExamples() {
  await packages("react");
  await packages("node-bot");
  await requirements("python-bot");
}
