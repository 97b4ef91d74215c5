//! When a room asks PostgreSQL what is over its time, and what follows from the answer.

use super::{Effects, Host, Moment, RETRY};
use crate::protocol::call::{Expiry, ExpiryAsk};
use crate::room::Bounds;

/// Where the question stands.
#[derive(Debug, Default)]
pub(super) struct Expiring {
    /// What was asked, while there is no answer.
    asked: Option<(ExpiryAsk, Bounds)>,
    /// After a question that was not answered, ms.
    retry_at: u64,
}

impl Host {
    /// What PostgreSQL is to be asked, if it is time for it. Call it from an alarm, ask, and tell [`Host::expiry_said`].
    pub fn expiry_ask(&mut self, at: &Moment<'_>) -> (Option<ExpiryAsk>, Effects) {
        let mut effects = self.begin(at);
        if self.expiry_due().is_some_and(|due| due <= self.now)
            && self.draining.is_of_one_mind()
            && let Some(room) = &self.room
        {
            match room.expiry_ask(at.log, self.now) {
                Ok(ask) => self.expiring.asked = Some(ask),
                Err(fault) => {
                    effects.faults.push(fault.to_string());
                    self.expiring.retry_at = self.now.saturating_add(RETRY);
                }
            }
            let asked = self.expiring.asked.as_ref().map(|(ask, _)| ask.clone());
            return (asked, self.finish(effects));
        }
        (None, self.finish(effects))
    }

    /// What PostgreSQL said, or that it could not be asked: then nothing expires.
    pub fn expiry_said(&mut self, at: &Moment<'_>, said: Result<Expiry, String>) -> Effects {
        let mut effects = self.begin(at);
        let before = self.mark();
        let Some((asked, room)) = self.expiring.asked.take().zip(self.room.as_mut()) else {
            return self.finish(effects);
        };
        match said.map(|said| room.expire(at.log, &asked, &said, self.now)) {
            Ok(Ok(step)) => {
                self.expiring.retry_at = 0;
                let fewer = !step.events.is_empty();
                self.take(step, &mut effects);
                if fewer {
                    self.audience.count_changed();
                }
            }
            Ok(Err(fault)) => {
                effects.faults.push(fault.to_string());
                effects.broken = self.is_ahead(before);
                self.expiring.retry_at = self.now.saturating_add(RETRY);
            }
            Err(text) => {
                effects.faults.push(format!("expiry: {text}"));
                self.expiring.retry_at = self.now.saturating_add(super::drain::CAP_ASLEEP);
            }
        }
        self.finish(effects)
    }

    /// When an alarm is due for the question, ms; none while it is not known yet whether PostgreSQL and the log are of
    /// one mind: the numbers of one may stand for other messages in the other.
    pub(super) fn expiry_due(&self) -> Option<u64> {
        let room = self.room.as_ref().filter(|_| self.following.is_none() && !self.is_asking())?;
        let due = room.expiry_due().map(|due| due.max(self.expiring.retry_at));
        due.filter(|_| self.draining.is_of_one_mind() || !self.draining.is_wanted())
    }

    /// The drain asks PostgreSQL first where it has not done so since the object was built.
    pub(super) fn expiry_wants_cursor(&mut self) {
        if !self.draining.is_of_one_mind() && self.expiry_due().is_some_and(|due| due <= self.now) {
            self.draining.at_once(self.now);
        }
    }

    /// Whether an answer is to come.
    pub(super) fn is_asking(&self) -> bool {
        self.expiring.asked.is_some()
    }
}
