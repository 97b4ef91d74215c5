// The promise names its tests, and they exist.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const folder = new URL("../docs/", import.meta.url);
const text = readFileSync(new URL("guarantees.md", folder), "utf8");
const titled = (source) => source.match(/\btest\((["`])[\s\S]*?\1|\bfn [a-z0-9_]+/g)?.join("\n") ?? "";

test("each clause of the promise has tests that bear its name", () => {
  const clauses = [...text.matchAll(/^\*\*([A-Z]\d+) /gm)].map(([, clause]) => clause);
  const rows = new Map([...text.matchAll(/^\| ([A-Z]\d+) \| (.*) \|$/gm)].map(([, clause, links]) => [clause, links]));
  assert.deepEqual([...rows.keys()], clauses);
  for (const [clause, links] of rows) {
    const paths = [...links.matchAll(/\]\(([^)]+)\)/g)].map(([, path]) => path);
    assert.ok(paths.length > 0, clause);
    for (const path of paths) {
      const titles = titled(readFileSync(new URL(path, folder), "utf8"));
      assert.match(titles, new RegExp(`(\\b|_)${clause}(\\b|_)`, "i"), `${path} has no test for ${clause}`);
    }
  }
});
