// Builds of this commit and of an earlier one, to be run on the same stored data.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../scripts/lib/database.mjs";
import { Stop, run, step } from "../../scripts/lib/process.mjs";

/** The folders of the current build and of the one of `commit`, which is built where that was not done before. */
export async function buildOf(commit) {
  let full;
  try {
    full = execFileSync("git", ["rev-parse", "--verify", `${commit}^{commit}`], { cwd: root, encoding: "utf8" }).trim();
  } catch {
    throw new Stop(`--previous is "${commit}"; there is no such commit here.`);
  }
  const folder = join(root, ".data/builds", full);
  if (!existsSync(join(folder, "index.js"))) await step(`building ${full}`, () => build(full, folder));
  return [join(root, "build"), folder];
}

async function build(commit, folder) {
  const tree = join(root, ".data/previous");
  const git = (...args) => run("git", args, { cwd: root });
  rmSync(tree, { recursive: true, force: true });
  await git("worktree", "prune");
  await git("worktree", "add", "--detach", tree, commit);
  try {
    const lock = (folder_) => readFileSync(join(folder_, "package-lock.json"), "utf8");
    if (lock(tree) === lock(root)) symlinkSync(join(root, "node_modules"), join(tree, "node_modules"));
    await run(join(tree, "scripts/build"), [], { cwd: tree });
    cpSync(join(tree, "build"), folder, { recursive: true });
  } finally {
    await git("worktree", "remove", "--force", tree);
  }
}
