// What measures Cloudflare with an account works without one on the local workerd, from the first socket to the table.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { root } from "../scripts/lib/database.mjs";

const spike = (...args) => promisify(execFile)(process.execPath, [join(root, "bench/spike/spike.mjs"), ...args]);

test("a dry run measures everything and says what should follow from it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "edge-chat-test-"));
  try {
    const json = join(folder, "rows.json");
    const { stdout, stderr } = await spike("--dry-run", "--sockets", "20", "--json", json);
    const rows = JSON.parse(readFileSync(json, "utf8"));
    const measured = (figure) => {
      const row = rows.find((row) => row.figure.startsWith(figure));
      assert.ok(row, `${figure} in\n${stdout}`);
      assert.ok(row.setting && stdout.includes(`| ${row.figure} | ${row.measured} | ${row.setting} |`));
      return row.measured;
    };
    assert.match(stderr, /checking what would be deployed: /);
    assert.match(measured("16 calls at once"), /all at once$/);
    assert.ok(parseInt(measured("calls that one object answers").replace(",", ""), 10) > 50);
    assert.match(measured("alarms: late"), /^\d+ \/ \d+ ms$/);
    assert.doesNotMatch(measured("20 sockets: opened"), /failed/);
    const sent = Number(measured("20 sockets, 200 frames/s asked for: sent a second"));
    assert.ok(sent > 50 && sent < 250, sent);
    assert.match(measured("20 sockets, 600 frames/s asked for: behind"), /^\d+ \/ \d+ ms$/);
    assert.equal(measured("20 sockets: memory left"), "more than 16 MB");
    assert.ok(!rows.some(({ figure }) => figure.endsWith(": lost")), "every frame came");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("what it cannot do it says in a sentence", async () => {
  for (const [args, why] of [[["--sockets", "0"], /--sockets is "0"/], [["--fast"], /--fast/]]) {
    await assert.rejects(spike("--dry-run", ...args), ({ code, stderr }) => code === 1 && why.test(stderr) && !stderr.includes("    at "));
  }
});
