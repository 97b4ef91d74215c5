// What is deployed, in bytes.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { root } from "../../scripts/lib/database.mjs";
import { alone } from "../report.mjs";

export function size() {
  // As scripts/build says it; 3 MB is the most that a free plan takes.
  const mb = execFileSync("gzip", ["-9c", join(root, "build/index_bg.wasm")], { maxBuffer: 1 << 28 }).length / 1e6;
  return [alone("size: wasm, gzipped", "MB", [mb], { most: 1 })];
}
