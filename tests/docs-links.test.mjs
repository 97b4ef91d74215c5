// The documents: what they link to is there, down to the heading, and so is every file that they name.
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync, readdirSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";
import { root } from "../scripts/lib/database.mjs";

const ELSEWHERE = new Set(["node_modules", "target", "build", ".data", ".git", ".wrangler", ".venv", "dist", "test-results"]);
const documents = (folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return ELSEWHERE.has(entry.name) ? [] : documents(path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
const all = documents(root);

/** Without what is shown as it stands. */
const prose = (text) => text.replace(/^( *)(```|~~~)[\s\S]*?^\1\2 *$/gm, "");
const links = (text) => [...prose(text).replace(/`[^`\n]*`/g, "").matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)|(?:src|href)="([^"]+)"/g)].map(([, md, html]) => md ?? html);

/** The anchors of a document, as GitHub makes them of its headings. */
function anchors(path) {
  const seen = new Map();
  const headings = [...prose(readFileSync(path, "utf8")).matchAll(/^#{1,6} +(.+?) *#*$/gm)].map(([, heading]) => {
    const text = heading.replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1");
    const slug = text.toLowerCase().replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, "").replaceAll(" ", "-");
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    return times ? `${slug}-${times}` : slug;
  });
  const named = [...readFileSync(path, "utf8").matchAll(/<a (?:id|name)="([^"]+)"/g)].map(([, name]) => name);
  return new Set([...headings, ...named]);
}

test("every relative link of every document leads somewhere", () => {
  const broken = [];
  let count = 0;
  for (const document of all) {
    for (const link of links(readFileSync(document, "utf8"))) {
      if (/^[a-z][a-z0-9+.-]*:/i.test(link)) continue;
      count += 1;
      const [path, anchor] = link.split("#");
      const target = path ? resolve(dirname(document), decodeURIComponent(path)) : document;
      const there = existsSync(target) && (!anchor || (statSync(target).isFile() && target.endsWith(".md") && anchors(target).has(anchor)));
      if (!there) broken.push(`${relative(root, document)}: ${link}`);
    }
  }
  assert.deepEqual(broken, []);
  assert.ok(count > 200, `only ${count} links were found`);
});

test("every file of the project that a document names is there", () => {
  const named = /^\.?\/?((?:src|tests|scripts|docs|client|bench|fuzz|migrations|ops|examples)\/[\w./*-]+)/;
  // Made by the build, or by a run.
  const made = /^(client\/web\/(crypto|dashboard\/uplot)|docs\/figures)\b/;
  const missing = [];
  for (const document of all.filter((path) => !path.endsWith("CHANGELOG.md"))) {
    for (const [, code] of prose(readFileSync(document, "utf8")).matchAll(/`([^`\n]+)`/g)) {
      const [, path] = code.match(named) ?? [];
      if (!path || made.test(path)) continue;
      const clean = path.replace(/[.:]+$/, "");
      if (!globSync(clean, { cwd: root }).length) missing.push(`${relative(root, document)}: ${code}`);
    }
  }
  assert.deepEqual(missing, []);
});
