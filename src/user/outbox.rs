//! What a user did, numbered, until PostgreSQL has it.

use super::Step;
use crate::host::{Batch, Drained};
use crate::protocol::wire::json;
use crate::protocol::{ChatError, ErrorCode, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How long acts gather before they are written, ms, and the longest wait between tries.
const GATHER: u64 = 500;
const CAP: u64 = 300_000;
/// Acts in one batch, and acts that may wait before no more are taken.
const BATCH: usize = 500;
const MOST: usize = 5_000;
const KEY: &str = "out:";

/// What the user did.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(super) enum Act {
    Block { target: UserId },
    Unblock { target: UserId },
    SignOut,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    seq: u64,
    at: u64,
    #[serde(flatten)]
    act: Act,
}

#[derive(Serialize)]
struct BatchBody<'a> {
    v: u32,
    user: &'a str,
    epoch: u64,
    to: u64,
    ops: Vec<&'a Entry>,
}

/// The acts that wait, by number, and when they are next handed on.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: BTreeMap<u64, Entry>,
    /// The number given last.
    last: u64,
    due: Option<u64>,
    in_flight: bool,
    failures: u32,
}

impl Outbox {
    pub(super) fn load(&mut self, key: &str, value: &str, now: u64) -> Result<(), ()> {
        let Some(seq) = key.strip_prefix(KEY) else { return Ok(()) };
        if seq == "last" {
            self.last = value.parse().map_err(|_| ())?;
        } else {
            let entry: Entry = serde_json::from_str(value).map_err(|_| ())?;
            self.waiting.insert(entry.seq, entry);
            self.due = Some(now);
        }
        Ok(())
    }

    /// Whether there is room for one more.
    pub(super) fn check(&self) -> Result<(), ChatError> {
        if self.waiting.len() < MOST {
            return Ok(());
        }
        let message = "Too many changes wait to be stored; try again in a while.";
        Err(ChatError::new(ErrorCode::Unavailable, message).retry_after(60_000))
    }

    pub(super) fn push(&mut self, act: Act, now: u64, step: &mut Step) {
        self.last += 1;
        let entry = Entry { seq: self.last, at: now, act };
        step.write.push((format!("{KEY}last"), Some(self.last.to_string())));
        step.write.push((format!("{KEY}{}", entry.seq), Some(json(&entry))));
        self.waiting.insert(entry.seq, entry);
        self.due.get_or_insert(now.saturating_add(GATHER));
    }

    /// What was done to this user is told to nobody any more.
    pub(super) fn forget(&mut self, user_id: &str, step: &mut Step) {
        self.waiting.retain(|seq, entry| {
            let stays = !matches!(&entry.act, Act::Block { target } | Act::Unblock { target } if target == user_id);
            step.write.extend((!stays).then(|| (format!("{KEY}{seq}"), None)));
            stays
        });
    }

    /// When to look for a batch, ms.
    pub(super) fn due(&self) -> Option<u64> {
        self.due.filter(|_| !self.in_flight)
    }

    pub(super) fn batch(&mut self, user: &str, epoch: u64, now: u64) -> Option<Batch> {
        self.due().filter(|due| *due <= now)?;
        let ops: Vec<_> = self.waiting.values().take(BATCH).collect();
        let to = ops.last()?.seq;
        self.in_flight = true;
        Some(Batch { body: json(&BatchBody { v: 1, user, epoch, to, ops }), epoch, to })
    }

    /// What became of the batch; in words for the operator where it did not work.
    pub(super) fn drained(
        &mut self,
        drained: Drained,
        own: u64,
        entropy: u32,
        now: u64,
        step: &mut Step,
    ) -> Option<String> {
        self.in_flight = false;
        let (fault, at_least) = match drained {
            Drained::Cursor { epoch, seq } if epoch == own => {
                let left = self.waiting.split_off(&(seq + 1));
                let done = std::mem::replace(&mut self.waiting, left);
                step.write.extend(done.keys().map(|seq| (format!("{KEY}{seq}"), None)));
                if !done.is_empty() || self.waiting.is_empty() {
                    self.failures = 0;
                    self.due = (!self.waiting.is_empty()).then_some(now.saturating_add(GATHER));
                    return None;
                }
                (Some(format!("PostgreSQL stays at {seq}")), 0)
            }
            Drained::Cursor { epoch, .. } => {
                (Some(format!("PostgreSQL is at epoch {epoch}, this storage at {own}")), CAP)
            }
            Drained::Failed(text) => (Some(text), 0),
            Drained::Later(text, wait) => (Some(text), wait),
            // PostgreSQL's answers hold no status.
            Drained::Refused(status) => (Some(format!("answered {status}")), 0),
            Drained::Busy(wait) => (None, wait),
        };
        let ceiling = (GATHER << self.failures.min(16)).min(CAP);
        self.failures = self.failures.saturating_add(1);
        let jitter = u64::from(entropy) * ceiling / u64::from(u32::MAX);
        self.due = Some(now.saturating_add(at_least).saturating_add(jitter.max(100)));
        fault
    }
}
