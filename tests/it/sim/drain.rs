//! PostgreSQL's node behind its drain: away, slow, with an unknown outcome, from a backup; batches come late and twice.

use super::event::Event;
use super::mutants::Mutant;
use super::truth::Shown;
use super::{Checked, Sim, ensure};
use crate::postgres::{Flaw, Postgres};
use edge_chat::host::{Batch, Drained};
use edge_chat::sinks::history;
use std::collections::BTreeMap;
use std::rc::Rc;

/// How long the room waits for an answer, ms.
const WITHIN: u64 = 20_000;

#[derive(Default)]
pub(super) struct DrainNode {
    pub pg: Postgres,
    pub down_until: u64,
    /// It refuses whatever it is given until then: a lock, a full disk.
    pub refuses_until: u64,
    pub backup: Option<Postgres>,
    /// It was restored, and the room has not heard of that: it does not ask while it has nothing to tell.
    pub unnoticed: bool,
    /// Whether all that this incarnation of the room began with is still there.
    pub whole: bool,
    pub calls: u64,
    /// Calls up to this one went to a server that is no more.
    pub cut_off: u64,
}

impl Sim {
    /// A batch goes out; the number of the call.
    pub(super) fn send_batch(&mut self, batch: Batch) -> u64 {
        self.drain.calls += 1;
        let call = self.drain.calls;
        let body: Rc<str> = batch.body.into();
        let there = self.delay();
        if std::mem::take(&mut self.last_blow) {
            self.blow_at = Some(self.truth.last());
            self.heap.after(1, Event::End);
            return call;
        }
        let fate = if self.mutant == Mutant::NoFence { self.pick(12) } else { self.pick(100) };
        match if self.calm { 100 } else { fate } {
            // It never arrives, or arrives when nobody waits any more.
            0..4 => {}
            4..8 => self.heap.after(WITHIN + self.rng % 30_000, Event::Batch(call, body, true)),
            // Its answer is lost.
            8..13 => self.heap.after(there, Event::Batch(call, body, false)),
            // It comes twice.
            13..20 => {
                let late = self.pick(60_000);
                self.heap.after(there, Event::Batch(call, body.clone(), true));
                self.heap.after(there + late, Event::Batch(call, body, false));
            }
            20..23 => self.heap.after(there, Event::Drained(call, Drained::Busy(200))),
            _ => self.heap.after(there, Event::Batch(call, body, true)),
        }
        self.heap.after(WITHIN, Event::Drained(call, Drained::Failed("no answer in time".into())));
        if self.mutant == Mutant::BelievesItself {
            self.heap.after(1, Event::Drained(call, Drained::Cursor { epoch: batch.epoch, seq: batch.to }));
        }
        call
    }

    /// A batch arrives.
    pub(super) fn batch(&mut self, call: u64, body: &str, answered: bool) -> Checked {
        let now = self.heap.now;
        // What was under way to a server does not reach the one that is restored in its place.
        let drained = if self.drain.down_until > now || call <= self.drain.cut_off {
            Drained::Failed("no connection".into())
        } else if self.drain.refuses_until > now {
            Drained::Failed("55P03 the lock cannot be had".into())
        } else {
            match self.drain.pg.try_apply(body) {
                Ok((epoch, seq)) => {
                    self.say(format_args!("postgres: is at {epoch} {seq}"));
                    self.postgres_is_a_prefix()?;
                    Drained::Cursor { epoch, seq }
                }
                Err(refusal) => {
                    self.say(format_args!("postgres: refuses: {refusal}"));
                    Drained::Failed(refusal)
                }
            }
        };
        if answered {
            let back = self.delay();
            self.heap.after(back, Event::Drained(call, drained));
        }
        Ok(())
    }

    /// The room's storage is empty: what does PostgreSQL know?
    pub(super) fn look_up(&mut self) {
        self.room.looking = true;
        let there = self.delay();
        self.heap.after(there, Event::LookUp(self.room.life, None));
    }

    /// The question arrives: which epoch has PostgreSQL, or with that one closed, what else?
    pub(super) fn looked_up(&mut self, life: u64, closes: Option<u64>) {
        let there = self.drain.down_until <= self.heap.now;
        let back = self.delay();
        let Some(epoch) = closes else {
            let known = there.then(|| self.drain.pg.epoch());
            return self.heap.after(back, Event::EpochIs(life, known));
        };
        let last = match self.mutant {
            Mutant::NoFence => true,
            Mutant::ClosesWhatever => self.drain.pg.close(self.drain.pg.epoch().unwrap_or(0)),
            _ => there && self.drain.pg.close(epoch),
        };
        let known = (there && last).then(|| self.drain.pg.remembered());
        self.heap.after(back, Event::Remembered(life, known));
    }

    pub(super) fn epoch_is(&mut self, life: u64, known: Option<Option<u64>>) -> Checked {
        if life != self.room.life {
            return Ok(());
        }
        match known {
            Some(Some(epoch)) => {
                let there = self.delay();
                if !self.chance(10) {
                    self.heap.after(there, Event::LookUp(life, Some(epoch)));
                    return Ok(());
                }
                // It arrives when the room has died, and has perhaps begun anew.
                let late = self.pick(5_000);
                self.heap.after(there + late, Event::LookUp(life, Some(epoch)));
                self.die()
            }
            known => self.remembered(life, known.map(|_| None)),
        }
    }

    pub(super) fn remembered(&mut self, life: u64, known: Option<Option<String>>) -> Checked {
        if life != self.room.life {
            return Ok(());
        }
        self.room.looking = false;
        let knocking = std::mem::take(&mut self.room.knocking);
        let Some(known) = known else {
            return knocking.into_iter().try_for_each(|conn| self.refuse(conn, 3_000));
        };
        match known {
            Some(text) => {
                let remembered = history::read_room(&text)?;
                let bans = remembered.bans.iter().map(|ban| (ban.user_id.clone(), ban.clone())).collect();
                self.truth.inherited = (bans, remembered.pinned.clone(), remembered.info.settings.clone());
                self.drain.whole = true;
                self.step(|host, at| ((), host.remembered(at, remembered)))?;
                if self.mutant == Mutant::KeepsEpoch && self.truth.epochs.len() > 1 {
                    self.die()?;
                }
            }
            None => {
                self.truth.inherited = Default::default();
                self.drain.whole = true;
                self.room.absent_until = self.heap.now + 60_000;
            }
        }
        for conn in knocking {
            self.accept(conn)?;
        }
        Ok(())
    }

    pub(super) fn back_up(&mut self) {
        self.say(format_args!("postgres: is backed up"));
        self.drain.backup = Some(self.drain.pg.clone());
    }

    pub(super) fn restore(&mut self) {
        if let Some(backup) = self.drain.backup.clone() {
            let epoch = backup.cursor.map_or(0, |(epoch, _)| epoch);
            self.say(format_args!("postgres: is restored to {:?}", backup.cursor));
            // What only earlier incarnations of the room said is not in this one's log.
            self.drain.whole &= epoch == self.truth.epoch || self.truth.epochs.len() < 2;
            (self.drain.unnoticed, self.drain.cut_off) = (true, self.drain.calls);
            self.drain.pg = backup;
        }
    }

    /// P1: PostgreSQL's rows are what the log said up to its cursor; parts of them may be as they were since.
    pub(super) fn postgres_is_a_prefix(&self) -> Checked {
        let pg = &self.drain.pg;
        let Some((epoch, cursor)) = pg.cursor else { return Ok(()) };
        let current = epoch == self.truth.epoch && !self.truth.lost;
        let mut said = self.truth.messages.iter().filter(|(id, said)| said.epoch == epoch && id.seq() <= cursor);
        let mut numbers = BTreeMap::new();
        for (id, row) in &pg.messages {
            ensure!(numbers.insert(row["no"].as_u64(), id).is_none(), "P1: two rows have the number {}", row["no"]);
            let message = edge_chat::protocol::MessageId::parse(id).and_then(|id| self.truth.messages.get(&id));
            let Some(message) = message else { return Err(format!("P1: PostgreSQL has {id}, which nobody said")) };
            let shown = Shown {
                content: row["content"].as_str().unwrap_or_default().into(),
                deleted: !row["deleted_at"].is_null(),
                reactions: BTreeMap::new(),
            };
            let past = if message.epoch == epoch { message.since(cursor) } else { &message.states[..] };
            ensure!(past.iter().any(|(_, then)| then.says(&shown)), "P1: at {cursor} {id} is {shown:?}, not {past:?}");
            if message.epoch != epoch {
                continue;
            }
            let next = said.next().map(|(id, _)| id.to_string());
            ensure!(next.as_ref() == Some(id), "P1: PostgreSQL at {cursor} has {id} and not {next:?}");
            let mut counts: BTreeMap<String, u64> = BTreeMap::new();
            for (_, _, reaction) in
                pg.reactions.range((id.clone(), String::new(), String::new())..).take_while(|r| r.0 == *id)
            {
                *counts.entry(reaction.clone()).or_default() += 1;
            }
            let then = if shown.deleted { BTreeMap::new() } else { past[0].1.reactions.clone() };
            ensure!(counts == then, "P1: PostgreSQL at {cursor} counts {counts:?} of {id}, the log {then:?}");
        }
        ensure!(said.next().is_none() || cursor == 0, "P1: PostgreSQL at {cursor} lacks a message");
        if !current || !self.drain.whole || cursor == 0 {
            return Ok(());
        }
        let index = self.truth.folds.partition_point(|(seq, ..)| *seq <= cursor);
        let Some((_, people, pinned)) = index.checked_sub(1).and_then(|index| self.truth.folds.get(index)) else {
            return Ok(());
        };
        ensure!(pg.bans.keys().eq(people.bans.keys()), "P1: PostgreSQL at {cursor} bans {:?}", pg.bans.keys());
        let pinned: Vec<_> = pinned.iter().map(ToString::to_string).collect();
        ensure!(pg.pinned == pinned, "P1: PostgreSQL at {cursor} has {:?} pinned, not {pinned:?}", pg.pinned);
        let roles = people.roles.iter().map(|(user, role)| (user.as_str(), role.as_str()));
        let stored = pg.roles.iter().map(|(user, role)| (user.as_str(), role.as_str()));
        ensure!(stored.eq(roles), "P1: PostgreSQL at {cursor} has the roles {:?}", pg.roles);
        Ok(())
    }
}

/// The flaw of `chat_apply` that a mutant asks for.
pub(super) fn flaw(mutant: Mutant) -> Flaw {
    match mutant {
        Mutant::NoCursor => Flaw::NoCursor,
        Mutant::CursorFirst => Flaw::CursorFirst,
        _ => Flaw::None,
    }
}
