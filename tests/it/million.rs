//! A room of a million viewers, simulated: `./scripts/sim --million` in full size, natively each time in small.

use crate::tree::{Load, Model, Tree};
use std::io::Write as _;

const SECOND: u64 = 1_000_000;

/// One twentieth of everything but the tree: 256 shards of some 195 viewers, whose frames take twenty times as long.
fn small() -> Model {
    Model { viewers: 50_000, shard_sockets: 200, frame_budget: 1_200, full: 2, few: 10, frame: 500, ..million() }
}

fn million() -> Model {
    Model {
        viewers: 1_000_000,
        shard_sockets: 4_000,
        frame_budget: 24_000,
        full: 4,
        few: 20,
        frame: 25,
        taken: 1_000,
        made: 250,
        join: 370,
        way: 10_000.0,
        spread: 0.7,
        confirmed: 6_000.0,
        at_once: None,
        isolates: 1_000,
        believed: 10 * SECOND,
    }
}

fn at(mut values: Vec<u64>, part: f64) -> u64 {
    values.sort_unstable();
    let index = (values.len() as f64 * part) as usize;
    values.get(index.min(values.len().saturating_sub(1))).copied().unwrap_or(0) / 1_000
}

/// So many messages and joins a second, for so many seconds, after two in which all settles.
fn phase(tree: &mut Tree, messages: u64, joins: u64, seconds: u64) {
    let load = |tree: &mut Tree, seconds: u64| {
        let from = tree.now;
        for n in 0..messages * seconds {
            let jitter = tree.below(SECOND / messages);
            tree.say_at(from + n * SECOND / messages + jitter);
        }
        (0..joins * seconds).for_each(|n| tree.join_at(from + n * SECOND / joins));
        tree.run_until(from + seconds * SECOND);
    };
    load(tree, 2);
    tree.begin_count();
    load(tree, seconds);
}

fn all_is_shown(tree: &mut Tree) {
    tree.run_until(tree.now + 5 * SECOND);
    assert!(tree.all_shown());
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn row(tree: &Tree, name: &str) {
    let seconds = tree.counted() as f64 / SECOND as f64;
    let kinds = [
        ("room", vec![tree.room_load()]),
        ("fullest relay", vec![tree.relay_loads().max_by_key(|load| load.busy).unwrap_or_default()]),
        ("fullest shard", vec![tree.shard_loads().max_by_key(|load| load.busy).unwrap_or_default()]),
        ("all shards", tree.shard_loads().collect::<Vec<Load>>()),
    ];
    let last = tree.last_viewers();
    let (viewers, acks) = (&tree.seen.viewers, &tree.seen.acks);
    say(&format!(
        "\n{name}: {} events; to viewers p50 {} ms, p99 {} ms; to the last viewer p50 {} ms, p99 {} ms; replies p50 {} ms, p99 {} ms; {} joins, {} of them asked the room; {} pushes given up below a relay\n",
        last.len(),
        at(viewers.clone(), 0.5),
        at(viewers.clone(), 0.99),
        at(last.clone(), 0.5),
        at(last, 0.99),
        at(acks.clone(), 0.5),
        at(acks.clone(), 0.99),
        tree.seen.joins,
        tree.seen.asked,
        tree.seen.given_up
    ));
    say("| a second | busy | calls taken | calls made | bytes of calls | frames | bytes to viewers |");
    say("| --- | --- | --- | --- | --- | --- | --- |");
    for (kind, loads) in kinds {
        let sum = |of: fn(&Load) -> u64| loads.iter().map(of).sum::<u64>() as f64 / seconds;
        say(&format!(
            "| {kind} | {:.1} % | {:.0} | {:.0} | {:.0} KB | {:.0} | {:.1} MB |",
            sum(|load| load.busy) / SECOND as f64 / loads.len() as f64 * 100.0,
            sum(|load| load.taken),
            sum(|load| load.made),
            sum(|load| load.bytes) / 1e3,
            sum(|load| load.frames),
            sum(|load| load.sent) / 1e6
        ));
    }
}

fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// All phases in full size.
fn whole() {
    let full = std::env::var("MILLION_FULL").ok().and_then(|full| full.parse().ok()).unwrap_or(4);
    let before = memory();
    let mut tree = Tree::new(Model { full, ..million() });
    let sockets: u64 = tree.shards.iter().map(|shard| shard.sockets).sum();
    let fullest = tree.shards.iter().map(|shard| shard.viewers).max().unwrap_or(0);
    say(&format!(
        "{} shards, the fullest of {fullest} viewers; {sockets} sockets in memory, {:.1} KB each, the end of each shard's log included",
        tree.shards.len(),
        (memory() - before) as f64 / sockets as f64
    ));
    for (name, messages, joins, at_once) in [
        ("5 messages a second", 5, 0, None),
        ("50 messages a second", 50, 0, None),
        ("5 messages a second, six calls at once", 5, 0, Some(6)),
        ("50 messages a second, six calls at once", 50, 0, Some(6)),
        ("5 messages and 1,667 joins a second", 5, 1_667, None),
    ] {
        all_is_shown(&mut tree);
        tree.model.at_once = at_once;
        phase(&mut tree, messages, joins, if joins > 0 { 60 } else { 30 });
        row(&tree, name);
    }
    all_is_shown(&mut tree);
}

#[test]
fn a_tree_of_256_shards_shows_every_event_once_soon_and_without_its_room_being_asked_much() {
    if std::env::var("MILLION").is_ok() {
        return whole();
    }
    let mut tree = Tree::new(small());
    assert_eq!(tree.shards.len(), 256);
    phase(&mut tree, 5, 100, 3);
    let last = tree.last_viewers();
    assert!(last.len() >= 15, "{}", last.len());
    assert!(at(last.clone(), 0.5) < 600, "{} ms", at(last, 0.5));
    let room = tree.room_load();
    assert!(room.taken / 3 < 300, "calls a second: {}", room.taken / 3);
    assert!(tree.seen.joins >= 290, "{}", tree.seen.joins);
    all_is_shown(&mut tree);
    phase(&mut tree, 50, 0, 2);
    let frames = tree.shard_loads().map(|load| load.frames).max().unwrap_or(0) / 2;
    assert!(frames < 1_500, "gathered: {frames} frames a second");
    let last = tree.last_viewers();
    assert!(at(last.clone(), 0.99) < 1_500, "{} ms", at(last, 0.99));
    assert_eq!(tree.seen.given_up, 0);
    all_is_shown(&mut tree);
    // One that answers nothing for 4 s keeps the 15 beside it waiting for a second, once.
    tree.begin_count();
    tree.stall(0, 4 * SECOND);
    let from = tree.now;
    (0..20).for_each(|n| tree.say_at(from + n * SECOND / 5));
    tree.run_until(from + 4 * SECOND);
    assert!(tree.seen.given_up > 0);
    let viewers = tree.seen.viewers.clone();
    assert!(at(viewers.clone(), 0.99) < 1_900, "{} ms", at(viewers, 0.99));
    all_is_shown(&mut tree);
}
