// Whose work the compiled encryption contains, and under which licences: client/THIRD-PARTY.txt. Run it to write that file.
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./database.mjs";

const MANIFEST = join(root, "client/crypto/Cargo.toml");
const FILE = join(root, "client/THIRD-PARTY.txt");
const cargo = (...args) => execFileSync("cargo", [...args, "--manifest-path", MANIFEST, "--locked"], { encoding: "utf8", maxBuffer: 1e8, stdio: ["ignore", "pipe", "ignore"] });

/** `name version` → licence, of every crate that is in the module. */
export function crates() {
  const tree = cargo("tree", "--target", "wasm32-unknown-unknown", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}|{l}");
  const lines = tree.split("\n").filter((line) => line.includes("|") && !line.startsWith("edge-chat-crypto"));
  return new Map(lines.map((line) => line.replace(" (*)", "").split("|")).map(([name, licence]) => [name.replace(/ v(\S+).*/, " $1"), licence]).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const isApache = (licence) => /Apache-2\.0/.test(licence);

/** Texts by where they hold: the Apache License once, and each other one of a crate that has no choice of it. */
function texts(all) {
  const { packages } = JSON.parse(cargo("metadata", "--format-version", "1"));
  const found = new Map();
  for (const [crate, licence] of all) {
    const { manifest_path } = packages.find(({ name, version }) => `${name} ${version}` === crate);
    const folder = dirname(manifest_path);
    const files = readdirSync(folder).filter((name) => /^(licen[cs]e|copying|unlicense|notice)/i.test(name));
    const besides = licence.includes(" AND ") ? /^notice|unicode/i : /^notice/i;
    const wanted = isApache(licence) ? files.filter((name) => besides.test(name)) : files;
    if (wanted.length === 0 && !isApache(licence)) throw new Error(`${crate} has no text of its licence`);
    for (const name of wanted) {
      const text = readFileSync(join(folder, name), "utf8").replaceAll("\r\n", "\n").trim();
      found.set(text, [...(found.get(text) ?? []), crate]);
    }
    const apache = isApache(licence) && files.find((name) => /apache/i.test(name) && readFileSync(join(folder, name), "utf8").includes("END OF TERMS"));
    if (apache && !found.has("apache")) found.set("apache", readFileSync(join(folder, apache), "utf8").trim());
  }
  const apache = found.get("apache");
  found.delete("apache");
  return [["the others", apache], ...[...found].map(([text, crates]) => [crates.join(", "), text])];
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const all = crates();
  const list = [...all].map(([crate, licence]) => `${crate}  ${licence}`).join("\n");
  const said = texts(all).map(([whose, text]) => `${"-".repeat(80)}\n${whose}\n${"-".repeat(80)}\n\n${text}\n`);
  writeFileSync(FILE, `web/crypto/crypto_bg.wasm contains, each under the licence named; of two, the Apache License:\n\n${list}\n\n${said.join("\n")}`);
}
