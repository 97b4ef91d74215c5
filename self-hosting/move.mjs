// usage: node self-hosting/move.mjs host:port=folder … [--from folder …]
//
// Moves objects to where another list of INSTANCES has them. Name each instance of the new list with its folder, and with
// --from the folders of those that are no more. All have to be stopped; where it was interrupted, run it again. Node 22.
import { spawnSync } from "node:child_process";
import { chownSync, closeSync, copyFileSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ring } from "./instances.mjs";

// Drains keep nothing.
const KINDS = ["Room", "User", "Shard", "Gateway"];
const ALARMS = "metadata.sqlite";
/** Whose objects a folder has, which ./start looks at. */
const NOTE = "instances";

function stop(sentence) {
  process.stderr.write(`✗ ${sentence}\n`);
  process.exit(1);
}

/** Takes what ./start holds while it serves, until this process ends. */
function lock(folder) {
  const file = openSync(join(folder, "lock"), "a");
  owned(join(folder, "lock"), folder);
  // The lock is of the open file, which is still open here when that process has ended.
  const { error, status } = spawnSync("flock", ["-n", "3"], { stdio: ["ignore", "ignore", "inherit", file] });
  if (error) stop(`flock, of util-linux, is needed: ${error.message}`);
  if (status) stop(`${folder} is in use: stop all instances first.`);
}

/** What is written under this path stays, whatever happens to the machine. */
function onDisk(path) {
  const file = openSync(path, "r");
  fsyncSync(file);
  closeSync(file);
}

/** Opens a database, and takes in what its process had not written into the file itself. */
function opened(path) {
  const db = new DatabaseSync(path);
  const [{ busy }] = db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").all();
  if (busy) stop(`${path} is in use: stop all instances first.`);
  return db;
}

/** As the folder's own, whoever runs this. */
function owned(path, folder) {
  const { uid, gid } = statSync(folder);
  chownSync(path, uid, gid);
}

function nameOf(path) {
  const db = opened(path);
  try {
    return db.prepare("SELECT name FROM called").get().name;
  } catch {
    return stop(`${path} does not say whose it is.`);
  } finally {
    db.close();
  }
}

function note(folder, text) {
  writeFileSync(join(folder, NOTE), text);
  owned(join(folder, NOTE), folder);
  onDisk(join(folder, NOTE));
}

/** Alarms are in a database of their own: the object's goes along. */
function moveAlarm(id, from, to) {
  if (!existsSync(join(from, ALARMS))) return;
  const source = opened(join(from, ALARMS));
  const find = source.prepare("SELECT * FROM _cf_ALARM WHERE actor_id = ?");
  // Times are ns, beyond what a number of JavaScript's holds.
  find.setReadBigInts(true);
  const alarm = find.get(id);
  if (alarm) {
    const target = new DatabaseSync(join(to, ALARMS));
    const { sql } = source.prepare("SELECT sql FROM sqlite_master WHERE name = '_cf_ALARM'").get();
    target.exec(sql.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"));
    const columns = Object.keys(alarm);
    target.prepare(`INSERT OR REPLACE INTO _cf_ALARM (${columns}) VALUES (${columns.map(() => "?")})`).run(...Object.values(alarm));
    target.close();
    owned(join(to, ALARMS), to);
    source.prepare("DELETE FROM _cf_ALARM WHERE actor_id = ?").run(id);
  }
  source.close();
}

function move(id, from, to) {
  const [source, target] = [join(from, `${id}.sqlite`), join(to, `${id}.sqlite`)];
  if (!existsSync(target)) {
    copyFileSync(source, `${target}.moving`);
    owned(`${target}.moving`, to);
    onDisk(`${target}.moving`);
    renameSync(`${target}.moving`, target);
    onDisk(to);
  } else if (!readFileSync(source).equals(readFileSync(target))) {
    stop(`${source} and ${target} are one object, and differ. Nothing more is moved.`);
  }
  moveAlarm(id, from, to);
  for (const end of ["", "-wal", "-shm"]) rmSync(source + end, { force: true });
}

const args = process.argv.slice(2);
const split = args.includes("--from") ? args.indexOf("--from") : args.length;
const folders = new Map(args.slice(0, split).map((arg) => arg.split(/=(.*)/s).slice(0, 2)));
const gone = args.slice(split + 1);
if (!folders.size || [...folders].some(([server, folder]) => !/:\d+$/.test(server) || !folder)) {
  stop("usage: node self-hosting/move.mjs host:port=folder … [--from folder …]");
}

const list = [...folders.keys()].join(",");
const all = [...folders.values(), ...gone];
if (new Set(all).size < all.length) stop("A folder is named twice.");
for (const folder of all) if (!existsSync(folder)) stop(`${folder} is not there.`);
for (const folder of all) lock(folder);
// No instance starts at one of them before all are done, and never where the objects were taken away.
for (const folder of all) note(folder, `moved to ${list}`);

const { owner } = ring([...folders.keys()]);
let [moved, kept] = [0, 0];
for (const folder of all) {
  for (const kind of KINDS) {
    const from = join(folder, kind);
    for (const file of existsSync(from) ? readdirSync(from) : []) {
      if (!file.endsWith(".sqlite") || file === ALARMS) continue;
      const target = folders.get(owner(nameOf(join(from, file))));
      if (target === folder) {
        kept += 1;
        continue;
      }
      const to = join(target, kind);
      if (!existsSync(to)) {
        mkdirSync(to);
        owned(to, target);
      }
      move(file.slice(0, -".sqlite".length), from, to);
      moved += 1;
    }
  }
}
for (const [server, folder] of folders) note(folder, `${server} of ${list}`);
process.stdout.write(`${moved} objects moved, ${kept} stay. INSTANCES=${list}\n`);
