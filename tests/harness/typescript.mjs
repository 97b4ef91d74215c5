// Programs in TypeScript that use the package, checked as strictly as the compiler can.
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root } from "../../scripts/lib/database.mjs";

const TSC = join(root, "node_modules/.bin/tsc");

/** An empty project in a folder of its own, outside of this tree, which goes with the test. */
export function project(t, files = {}) {
  const folder = mkdtempSync(join(tmpdir(), "edge-chat-project-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const made = { folder, write: (name, text) => (mkdirSync(dirname(join(folder, name)), { recursive: true }), writeFileSync(join(folder, name), text)) };
  made.write("package.json", JSON.stringify({ private: true, type: "module" }));
  for (const [name, text] of Object.entries(files)) made.write(name, text);
  return made;
}

/** The package in the project as npm would put it there, but where it stands. */
export function linked({ folder }) {
  mkdirSync(join(folder, "node_modules/@edge-chat"), { recursive: true });
  symlinkSync(join(root, "client"), join(folder, "node_modules/@edge-chat/client"));
}

/** What the compiler says of these files; nothing where they are right. `resolution`: as bundlers or as Node find modules. */
export async function complaints({ folder }, files, { resolution = "bundler" } = {}) {
  const module = resolution === "bundler" ? "preserve" : resolution;
  const options = ["--strict", "--noUncheckedIndexedAccess", "--noEmit", "--target", "es2024", "--lib", "es2024,dom,dom.iterable", "--types", "", "--module", module, "--moduleResolution", resolution];
  return new Promise((resolve) => {
    execFile(process.execPath, [TSC, ...options, ...files], { cwd: folder, encoding: "utf8", maxBuffer: 1e8 }, (_, stdout, stderr) => resolve(stdout + stderr));
  });
}
