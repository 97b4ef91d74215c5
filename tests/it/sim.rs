//! The simulator: from a seed a schedule of clients, faults, evictions, crashes and PostgreSQL's troubles; after every
//! step what has to hold is checked. Equal seeds give equal runs. `SIM_SEED` runs one seed, `SIM_SEEDS` so many.

mod checks;
mod client;
mod truth;

use crate::memory;
use crate::postgres::{self, Postgres};
use crate::world::{World, random};
use edge_chat::audience::SocketId;
use edge_chat::host::{Drained, Effects, Host, Moment};
use edge_chat::protocol::{Body, LogEvent};
use edge_chat::sinks::Sink;
use serde_json::json;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use truth::{RATE, Shown, Truth, WINDOW};

const STEPS: u64 = 120;
/// Whose tabs there are; the empty name is a guest.
const TABS: [&str; 7] = ["ada", "ada", "bob", "cleo", "mod", "", ""];

/// A fault of the system under test, put in on purpose: the simulator has to notice each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutant {
    None,
    /// Deletions and edits do not take the old text away.
    KeepsOldText,
    /// `client_id`s are not known again.
    ForgetsSent,
    /// `chat_apply` folds every batch whole.
    NoCursor,
    /// A frame says that it holds an event, and does not.
    SkipsAnEvent,
    /// What was sent is believed to be PostgreSQL's cursor, whatever it answers.
    BelievesItself,
    /// An acknowledgement leaves before the write, and the write fails.
    AnswersFirst,
}

macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!($($why)+));
        }
    };
}
use ensure;

/// A client by the rules of the protocol: it sends until it is answered, and follows positions.
#[derive(Debug, Default)]
struct Tab {
    user: &'static str,
    socket: Option<SocketId>,
    epoch: u64,
    seq: u64,
    /// Up to where this client was brought by a snapshot: only what comes after has to have been shown.
    base: u64,
    /// The events shown since then.
    seen: Vec<u64>,
    /// The messages on the page: id → (content, deleted, reactions).
    page: BTreeMap<String, Shown>,
    /// Sent and not answered: (`client_id`, content).
    outbox: Vec<(String, String)>,
    /// Frames that are on their way.
    asked_from: Option<(u64, u64)>,
}

struct Sim {
    w: World,
    rng: u64,
    mutant: Mutant,
    truth: Truth,
    tabs: Vec<Tab>,
    hash: DefaultHasher,
    /// Acknowledged: (user, `client_id`) → message.
    acked: BTreeMap<(String, String), String>,
    said: u64,
    /// Batches that are on their way or were, and may come again.
    late: Vec<String>,
    backup: Option<Postgres>,
    faults: bool,
    /// So many of the words that are gone have been looked for.
    looked_for: usize,
}

type Checked<T = ()> = Result<T, String>;

impl Sim {
    fn new(seed: u64, mutant: Mutant) -> Self {
        let set = [("RATE_LIMIT_MESSAGES", RATE.to_string()), ("RATE_LIMIT_WINDOW", WINDOW.to_string())];
        let set: Vec<_> = set.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut w = World::with(&set, seed);
        w.log.flaw.set(match mutant {
            Mutant::KeepsOldText => memory::Flaw::KeepsOldText,
            Mutant::ForgetsSent => memory::Flaw::ForgetsSent,
            _ => memory::Flaw::None,
        });
        if mutant == Mutant::NoCursor {
            w.pg.flaw = postgres::Flaw::NoCursor;
        }
        let tabs = TABS.iter().map(|user| Tab { user, ..Tab::default() }).collect();
        Self {
            w,
            rng: seed ^ 0xed6e,
            mutant,
            truth: Truth::default(),
            tabs,
            hash: DefaultHasher::new(),
            acked: BTreeMap::new(),
            said: 0,
            late: Vec::new(),
            backup: None,
            faults: true,
            looked_for: 0,
        }
    }

    fn pick(&mut self, n: u64) -> u64 {
        random(&mut self.rng) % n
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.pick(100) < percent
    }

    /// One step of the room, or a crash in the middle of it: before the write, or between it and its effects.
    fn step(&mut self, step: impl FnOnce(&mut Host, &Moment<'_>) -> Effects) -> Checked {
        let effects = self.w.compute(step);
        format!("{:?} {:?} {:?} {:?}", effects.write, effects.out, effects.soon, effects.alarm).hash(&mut self.hash);
        ensure!(effects.faults.is_empty(), "a fault: {:?}", effects.faults);
        let crash = self.faults && self.chance(1);
        let written = !crash || self.chance(50);
        let lost = self.mutant == Mutant::AnswersFirst && self.truth.last() > 5 && self.chance(5);
        if written && !lost {
            self.w.log.write(&effects.write);
            for event in effects.write.append.iter().flat_map(|row| &row.events) {
                ensure!(event.seq == self.truth.last() + 1, "seq {} after {}", event.seq, self.truth.last());
                self.truth.commit(event);
            }
        }
        if lost {
            self.w.carry_out(effects);
            self.w.evict();
        } else if crash {
            self.w.evict();
            self.w.wires.clear();
            for tab in &mut self.tabs {
                tab.socket = None;
            }
        } else {
            self.w.carry_out(effects);
        }
        Ok(())
    }

    /// The drain's turn: a batch arrives, or not, or its outcome is not known, or an old one comes again.
    fn drain(&mut self) -> Checked {
        while let Some(batch) = self.w.compute(|host, at| host.batch(at, Sink::Postgres).unwrap()) {
            batch.body.hash(&mut self.hash);
            let fate = if self.faults { self.pick(10) } else { 9 };
            let drained = match fate {
                0 | 1 => Drained::Failed("no connection".into()),
                2 => Drained::Busy(200),
                3 => {
                    self.apply_batch(&batch.body)?;
                    Drained::Failed("no answer in time".into())
                }
                _ => {
                    let (epoch, mut seq) = self.apply_batch(&batch.body)?;
                    if self.mutant == Mutant::BelievesItself {
                        seq = batch.to;
                    }
                    Drained::Cursor { epoch, seq }
                }
            };
            let stop = !matches!(drained, Drained::Cursor { .. });
            self.late.push(batch.body);
            let mut effects = None;
            self.w.compute(|host, at| effects = Some(host.drained(at, Sink::Postgres, drained)));
            let mut effects = effects.unwrap();
            effects.faults.clear();
            self.step(move |_, _| effects)?;
            if stop {
                break;
            }
        }
        if self.faults && self.chance(20) && !self.late.is_empty() {
            let old = self.pick(self.late.len() as u64) as usize;
            let body = self.late[old].clone();
            self.apply_batch(&body)?;
        }
        if self.faults && self.chance(5) {
            self.backup = Some(self.w.pg.clone());
        }
        if self.faults
            && self.chance(4)
            && let Some(backup) = self.backup.clone()
        {
            self.w.pg = backup;
        }
        Ok(())
    }

    fn apply_batch(&mut self, body: &str) -> Checked<(u64, u64)> {
        let cursor = self.w.pg.apply(body);
        self.postgres_is_a_prefix(cursor.1)?;
        Ok(cursor)
    }

    fn evict(&mut self) -> Checked {
        if self.truth.last() == 0 {
            return Ok(());
        }
        let before = self.observe();
        self.w.evict();
        let after = self.observe();
        ensure!(before == after, "before the eviction {before}, after it {after}");
        Ok(())
    }

    fn pass(&mut self, ms: u64) -> Checked {
        let until = self.w.now + ms;
        while let Some(due) = self.w.soon.into_iter().chain(self.w.alarm).min().filter(|due| *due <= until) {
            self.w.now = self.w.now.max(due);
            let timer = self.w.soon.is_some_and(|at| at <= due);
            if timer {
                self.w.soon = None;
            } else {
                self.w.alarm = None;
            }
            self.step(|host, at| host.tick(at))?;
            if !timer {
                self.drain()?;
            }
        }
        self.w.now = until;
        Ok(())
    }

    fn run(&mut self) -> Checked<u64> {
        // The first to join makes the room.
        self.faults = false;
        self.join(0)?;
        self.deliver()?;
        let moderator = TABS.iter().position(|user| *user == "mod").unwrap();
        self.join(moderator)?;
        self.deliver()?;
        self.frame(moderator, "-", "set_terms", json!({"blocked": ["hold*"], "action": "hold"}))?;
        self.deliver()?;
        self.faults = true;
        for _ in 0..STEPS {
            match self.pick(40) {
                0 => self.evict()?,
                1 => {
                    let long = self.pick(40_000);
                    self.pass(long)?;
                }
                _ => {
                    let (tab, short) = (self.pick(TABS.len() as u64) as usize, self.pick(300));
                    self.act(tab)?;
                    if self.mutant == Mutant::SkipsAnEvent {
                        self.skip_an_event();
                    }
                    self.deliver()?;
                    self.pass(short)?;
                }
            }
            self.deliver()?;
            self.check()?;
        }
        self.settle()?;
        Ok(self.hash.finish())
    }

    /// A frame now and then says "everything up to here" without what is there.
    fn skip_an_event(&mut self) {
        let (last, epoch) = (self.truth.last(), self.tabs[0].epoch);
        let hit = self.chance(10);
        let Some(wire) = self.tabs[0].socket.and_then(|socket| self.w.wires.get_mut(&socket)).filter(|_| hit) else {
            return;
        };
        for frame in &mut wire.frames {
            if frame.starts_with("{\"seq\"") {
                *frame = json!({"at": {"epoch": epoch, "from": last - 1, "to": last, "left_out": 0}}).to_string();
            }
        }
    }

    /// The faults end; everybody comes back, says what was left to say, and is brought up to date.
    fn settle(&mut self) -> Checked {
        self.faults = false;
        for _ in 0..6 {
            for tab in 0..self.tabs.len() {
                if self.tabs[tab].socket.is_none() {
                    self.join(tab)?;
                }
                self.resend(tab)?;
                self.deliver()?;
            }
            self.pass(WINDOW + 1_000)?;
            self.deliver()?;
        }
        // After half a minute the next frame says where the log stands, so nobody misses the end of it.
        self.pass(31_000)?;
        self.deliver()?;
        let moderator = TABS.iter().position(|user| *user == "mod").unwrap();
        self.tabs[moderator].outbox.push(("last".into(), "the last words".into()));
        self.resend(moderator)?;
        self.deliver()?;
        self.pass(400_000)?;
        self.deliver()?;
        self.check()?;

        let last = self.truth.last();
        ensure!(self.tabs.iter().all(|tab| tab.outbox.is_empty()), "something is never answered");
        ensure!(
            self.w.pg.cursor.map(|(_, seq)| seq) == Some(last),
            "PostgreSQL stays at {:?} of {last}",
            self.w.pg.cursor
        );
        self.postgres_is_a_prefix(last)?;
        let waiting: Vec<_> = self.truth.waiting.iter().map(ToString::to_string).collect();
        ensure!(self.w.pg.held.keys().eq(&waiting), "PostgreSQL has other messages waiting than {waiting:?}");
        for tab in &self.tabs {
            // What ended after the last words is for its author and moderators alone.
            let own = |event: &LogEvent| match &event.body {
                Body::HeldEnded { author, .. } => tab.user == "mod" || tab.user == author,
                _ => true,
            };
            let missed = self.truth.events[tab.seq as usize..].iter().any(own);
            ensure!(!missed, "{} stays at {} of {last}", tab.user, tab.seq);
            for (id, shown) in &tab.page {
                let now = self.truth.now_of(id);
                ensure!(*shown == now, "{} has {shown:?} in the end, the room {now:?}", tab.user);
            }
            let recent = self.truth.messages.keys().filter(|id| id.seq() > tab.base).map(ToString::to_string);
            for id in recent {
                ensure!(tab.page.contains_key(&id), "{} never saw {id}", tab.user);
            }
        }
        Ok(())
    }
}

fn run(seed: u64, mutant: Mutant) -> Checked<u64> {
    Sim::new(seed, mutant).run()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn whatever_happens_nothing_is_lost_and_nothing_comes_twice() {
    let seeds = match number("SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIM_SEEDS").unwrap_or(200),
    };
    let half = |odd: u64| {
        for seed in seeds.clone().filter(|seed| seed % 2 == odd) {
            if let Err(why) = run(seed, Mutant::None) {
                panic!("SIM_SEED={seed}: {why}");
            }
        }
    };
    std::thread::scope(|threads| {
        threads.spawn(|| half(0));
        half(1);
    });
}

#[test]
fn equal_seeds_are_equal_runs() {
    assert_eq!(run(7, Mutant::None), run(7, Mutant::None));
    assert_ne!(run(7, Mutant::None), run(8, Mutant::None));
}

/// Each of these faults is noticed within a few seeds.
fn noticed(mutant: Mutant, words: &str) {
    let found = (0..30).find_map(|seed| run(seed, mutant).err()).unwrap_or_else(|| panic!("{mutant:?} is not noticed"));
    assert!(found.contains(words), "{mutant:?} is noticed as {found}");
}

#[test]
fn a_text_that_is_not_redacted_is_noticed() {
    noticed(Mutant::KeepsOldText, "still in the storage");
}

#[test]
fn a_second_message_under_one_client_id_is_noticed() {
    noticed(Mutant::ForgetsSent, "twice");
}

#[test]
fn a_fold_without_its_cursor_is_noticed() {
    noticed(Mutant::NoCursor, "PostgreSQL");
}

#[test]
fn a_skipped_event_is_noticed() {
    noticed(Mutant::SkipsAnEvent, "was not shown");
}

#[test]
fn a_drain_that_does_not_rewind_is_noticed() {
    noticed(Mutant::BelievesItself, "PostgreSQL stays at");
}

#[test]
fn an_answer_ahead_of_its_write_is_noticed() {
    noticed(Mutant::AnswersFirst, "nobody said");
}
