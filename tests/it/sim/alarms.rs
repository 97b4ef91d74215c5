//! The room's timer and its one alarm, as the platform has them: late, early, again after a handler that threw, given up.

use super::event::Event;
use super::mutants::Mutant;
use super::room::Handler;
use super::{Checked, Sim};
use edge_chat::host::Drained;
use edge_chat::sinks::Sink;

/// How often the platform calls a handler that throws once more.
const TRIES: u32 = 6;
/// Batches in one alarm.
const BATCHES: u32 = 50;

impl Sim {
    /// As the platform: one alarm, the last that was set.
    pub(super) fn set_alarm(&mut self, at: u64) {
        self.room.alarm_at = Some(at);
        self.room.alarms += 1;
        self.room.given_up = false;
        let late = if self.chance(3) { self.pick(20_000) } else { 20 + self.pick(60) };
        // The platform's clock is the room's, but for what it leads by later on.
        let at = at.saturating_add_signed(-self.room.skew);
        self.heap.at(at.max(self.heap.now) + late, Event::Alarm(self.room.index, self.room.alarms, 0));
    }

    pub(super) fn arm(&mut self, alarm: Option<u64>) {
        if let Some(at) = alarm.filter(|at| self.room.alarm == 0 || *at < self.room.alarm) {
            self.room.alarm = at;
            // While a handler runs nothing takes its alarm's place: should it not end, it is called again.
            if self.room.handler.is_none() || self.mutant == Mutant::AlarmReplaced {
                self.set_alarm(at);
            }
        }
    }

    /// An alarm's handler has come to its end.
    pub(super) fn handled(&mut self) {
        self.room.handler = None;
        if self.room.alarm > 0 && self.room.alarm_at != Some(self.room.alarm) {
            self.set_alarm(self.room.alarm);
        }
    }

    /// A handler did not end: the platform calls it again, unless another alarm was set meanwhile.
    pub(super) fn again(&mut self, tries: u32) {
        if self.room.alarm_at.is_some() {
            return;
        }
        if tries >= TRIES {
            let name = self.room.name();
            self.say(format_args!("{name}: its alarm is given up"));
            self.room.given_up = true;
            return;
        }
        self.room.alarms += 1;
        self.room.alarm_at = Some(self.heap.now);
        self.heap.after(2_000 << tries, Event::Alarm(self.room.index, self.room.alarms, tries + 1));
    }

    pub(super) fn timer(&mut self, life: u64, at: u64) -> Checked {
        if life == self.room.life && self.room.timer == at {
            self.room.timer = 0;
            if self.room.index == 0 {
                self.others()?;
            }
            self.step(|host, at| ((), host.tick(at)))?;
        }
        Ok(())
    }

    pub(super) fn alarm(&mut self, number: u64, tries: u32) -> Checked {
        if number != self.room.alarms || self.room.handler.is_some() {
            // Another one was set, or the handler still runs: that one's end is waited for.
            if number == self.room.alarms {
                self.heap.after(50, Event::Alarm(self.room.index, number, tries));
            }
            return Ok(());
        }
        self.room.alarm_at = None;
        self.room.handler = Some(Handler { tries, batches: 0, call: 0 });
        if !self.calm && self.chance(2) {
            // It throws before it has done anything.
            self.die()?;
            return Ok(());
        }
        self.room.alarm = 0;
        if self.room.index > 0 {
            let life = self.room.life;
            self.step(|host, at| ((), host.tick(at)))?;
            if life == self.room.life {
                self.handled();
            }
            return Ok(());
        }
        let loaded = self.load()?;
        let batch = self
            .compute(|host, at| host.batch(at, Sink::Postgres))?
            .transpose()
            .map_err(|fault| fault.to_string())?
            .flatten();
        let life = self.room.life;
        if !loaded {
            self.room.handler = None;
            if self.mutant != Mutant::AlarmNotSetAgain {
                self.set_alarm(self.heap.now + 60_000);
            }
            return Ok(());
        }
        self.others()?;
        self.step(|host, at| ((), host.tick(at)))?;
        if life == self.room.life {
            self.hand_over(batch)?;
        }
        Ok(())
    }

    /// The next batch is on its way to PostgreSQL, or the handler is done.
    pub(super) fn hand_over(&mut self, batch: Option<edge_chat::host::Batch>) -> Checked {
        let next = batch.filter(|_| self.room.handler.as_ref().is_some_and(|handler| handler.batches < BATCHES));
        let Some(batch) = next else {
            self.handled();
            return Ok(());
        };
        let call = self.send_batch(batch);
        if let Some(handler) = &mut self.room.handler {
            handler.batches += 1;
            handler.call = call;
        }
        Ok(())
    }

    /// The drain has answered, or did not in time.
    pub(super) fn drained(&mut self, call: u64, drained: Drained) -> Checked {
        if self.room.handler.as_ref().is_none_or(|handler| handler.call != call) {
            return Ok(());
        }
        let went_on = matches!(drained, Drained::Cursor { .. });
        // What the server that is no more has answered tells nothing of the one that is restored.
        self.drain.unnoticed &= !went_on || call <= self.drain.cut_off;
        let life = self.room.life;
        self.step(|host, at| ((), host.drained(at, Sink::Postgres, drained)))?;
        if life != self.room.life {
            return Ok(());
        }
        let batch = if went_on {
            self.compute(|host, at| host.batch(at, Sink::Postgres))?
                .transpose()
                .map_err(|fault| fault.to_string())?
                .flatten()
        } else {
            None
        };
        self.hand_over(batch)
    }
}
