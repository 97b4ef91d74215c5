//! A user is taken out of the log and the state: in place, a part of the log at a time, each part with an event that
//! says to followers what has changed, and not who.

use super::eraser::{Eraser, HIDDEN, clear_owner, hidden_id};
use super::log::Read;
use super::reactions::{self, Reactions};
use super::reports::{Traces, has_left};
use super::{Context, KEY_BAN, KEY_BLOCKS, KEY_ROLE, KEY_SHUT, Log, Room, Row, SCAN, Step};
use crate::auth::Role;
use crate::protocol::act::Ban;
use crate::protocol::erasure::{Erase, Erased, Named};
use crate::protocol::wire::{Counts, json};
use crate::protocol::{Audience, Body, LogEvent, MessageId, Outcome, UserId};
use std::collections::BTreeMap;

/// Events that one step changes, about, and rows that it reads.
const MOST_CHANGED: usize = 200;
const MOST_ROWS: u32 = 2_000;

/// What a step has changed of messages, for those who show them.
#[derive(Default)]
struct Shown {
    /// Messages of the user.
    own: Vec<MessageId>,
    mentioned_in: Vec<MessageId>,
    reactions: BTreeMap<MessageId, Counts>,
}

impl Shown {
    fn is_empty(&self) -> bool {
        self.own.is_empty() && self.mentioned_in.is_empty() && self.reactions.is_empty()
    }

    fn body(self, tombstones: bool, quotes: Vec<MessageId>) -> Body {
        let Self { own, mentioned_in, reactions } = self;
        Body::UserErased { message_ids: own, tombstones, mentioned_in, reactions, quotes }
    }
}

#[derive(Default)]
struct Changed {
    /// Of messages that everybody sees, and of the others.
    open: Shown,
    apart: Shown,
    /// Messages of the user that the log does not hold any more, and reports quote.
    quoted: Vec<MessageId>,
    /// Reports whose quotes mention the user.
    quotes: Vec<MessageId>,
    /// Under which name messages, or what is quoted of them, mentioned the user.
    names: BTreeMap<MessageId, String>,
    entries: usize,
}

impl Changed {
    fn messages(&self) -> usize {
        self.open.own.len() + self.apart.own.len()
    }
}

impl Room {
    /// Takes a user out of a part of the log; the first part takes them out of the state too. Again, it changes nothing.
    ///
    /// # Errors
    /// The log cannot be read; nothing has happened then, as far as the storage goes.
    pub fn erase(&mut self, cx: &Context<'_>, erase: &Erase) -> Read<(Erased, Step)> {
        let eraser = Eraser::new(self.id.as_str(), erase, self.last_at.max(cx.now));
        let (mut step, mut changed) = (Step::default(), Changed::default());
        if erase.after == 0 {
            self.erase_state(cx, &eraser, &mut step, &mut changed)?;
        }
        let mut rows: BTreeMap<u64, Row> =
            std::mem::take(&mut step.write.rewrite).into_iter().map(|row| (row.last, row)).collect();
        let next = self.erase_rows(cx, &eraser, erase.after, &mut rows, &mut step, &mut changed)?;
        self.reports.unname(cx.log, &changed.names, &mut rows, &mut step)?;
        step.write.rewrite = rows.into_values().collect();
        // They hold names and texts; what is needed of them is read again.
        (self.authors, self.spoken) = (None, None);
        let messages = changed.messages();
        if eraser.tombstones {
            let gone: Vec<_> = changed.open.own.iter().chain(&changed.apart.own).copied().collect();
            self.unpin_deleted(&mut step, cx.now, &gone, ("", Role::Service));
        }
        let entries = changed.entries;
        self.tell(&mut step, cx.now, eraser.tombstones, changed);
        for event in &mut step.events {
            eraser.event(event);
        }
        self.seal(&mut step);
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let erased =
            Erased { next, epoch: self.epoch, seq: self.last_seq, messages: count(messages), entries: count(entries) };
        Ok((erased, step))
    }

    /// Appends what followers have to hear.
    fn tell(&mut self, step: &mut Step, now: u64, tombstones: bool, changed: Changed) {
        let Changed { open, mut apart, quoted, quotes, names: _, entries } = changed;
        if entries == 0 {
            return;
        }
        apart.own.extend(quoted);
        if !apart.is_empty() {
            self.append(step, now, Audience::Moderators, apart.body(tombstones, Vec::new()));
        }
        // Also where nobody is shown anything: what was rewritten goes to them with an event.
        let audience = if open.is_empty() { Audience::Internal } else { Audience::All };
        self.append(step, now, audience, open.body(tombstones, quotes));
    }

    fn erase_rows(
        &mut self,
        cx: &Context<'_>,
        eraser: &Eraser<'_>,
        after: u64,
        rows: &mut BTreeMap<u64, Row>,
        step: &mut Step,
        changed: &mut Changed,
    ) -> Read<Option<u64>> {
        let (log, mut after, mut left) = (cx.log, after, MOST_ROWS);
        loop {
            let batch = log.rows_after(after, SCAN.min(left))?;
            let (Some(first), Some(last)) = (batch.first().map(Row::first), batch.last().map(|row| row.last)) else {
                return Ok(None);
            };
            left = left.saturating_sub(SCAN);
            let mut reactions: BTreeMap<u64, String> = log.reactions(first, last)?.into_iter().collect();
            for row in batch {
                // What an earlier part of this step changed is not changed back.
                let mut row = rows.remove(&row.last).map_or((row, false), |changed| (changed, true));
                for event in &mut row.0.events {
                    let message = match &event.body {
                        Body::NewMessage(message) => Some((message.message_id, eraser.is(&message.user.user_id))),
                        _ => None,
                    };
                    if let (Some((id, _)), Body::NewMessage(message)) = (message, &event.body)
                        && let Some(mention) = eraser.named(&message.mentions)
                    {
                        changed.names.insert(id, mention.username.clone());
                    }
                    let shown = if is_open(event, cx) { &mut changed.open } else { &mut changed.apart };
                    if eraser.event(event) {
                        row.1 = true;
                        changed.entries += 1;
                        match message {
                            Some((id, true)) => shown.own.push(id),
                            Some((id, false)) => shown.mentioned_in.push(id),
                            None => {}
                        }
                    }
                    let (Some((id, _)), Some(text)) = (message, reactions.remove(&event.seq)) else { continue };
                    if matches!(&event.body, Body::NewMessage(message) if message.deleted_at.is_some()) {
                        step.write.state.push((reactions::key(event.seq), None));
                        continue;
                    }
                    let mut kept = Reactions::unpack(&text)?;
                    if kept.erase(eraser.user) {
                        changed.entries += 1;
                        step.write.state.push((reactions::key(event.seq), kept.pack()));
                        shown.reactions.insert(id, kept.counts());
                    }
                }
                after = row.0.last;
                if row.1 {
                    rows.insert(row.0.last, row.0);
                }
                if changed.entries >= MOST_CHANGED {
                    return Ok(Some(after));
                }
            }
            if left == 0 {
                return Ok(Some(after));
            }
        }
    }

    /// What the room keeps beside its log: roles, bans, blocks, what waits, reports.
    fn erase_state(
        &mut self,
        cx: &Context<'_>,
        eraser: &Eraser<'_>,
        step: &mut Step,
        changed: &mut Changed,
    ) -> Read<()> {
        for id in self.held_naming(cx.log, eraser)? {
            self.refuse_held(cx.log, step, cx.now, id, (Outcome::Expired, None, None))?;
        }
        if self.roles.remove(eraser.user).is_some() {
            step.write.state.push((format!("{KEY_ROLE}{}", eraser.user), None));
        }
        if self.shut.remove(eraser.user).is_some() {
            step.write.state.push((format!("{KEY_SHUT}{}", eraser.user), None));
        }
        let blocks = format!("{KEY_BLOCKS}{}", eraser.user);
        if cx.log.value(&blocks)?.is_some() {
            step.write.state.push((blocks, None));
        }
        let bans: Vec<UserId> = self.bans.keys().cloned().collect();
        for user_id in bans {
            let Some(mut ban) = self.bans.get(&user_id).cloned() else { continue };
            if !eraser.ban(&mut ban) {
                continue;
            }
            self.bans.remove(&user_id);
            // Of an erasure before this one: the one holds on that ends later.
            let both = self.bans.get(&ban.user_id).cloned().into_iter().chain([ban]);
            let Some(ban) = both.max_by_key(|ban| ban.ends_at.unwrap_or(u64::MAX)) else { continue };
            if ban.user_id != user_id {
                step.write.state.push((format!("{KEY_BAN}{user_id}"), None));
            }
            step.write.state.push((format!("{KEY_BAN}{}", ban.user_id), Some(json(&ban))));
            self.bans.insert(ban.user_id.clone(), ban);
        }
        let Traces { theirs, quotes } = self.reports.erase(cx.log, eraser, step, &mut changed.names)?;
        changed.quotes = quotes;
        let (epoch, first) = (self.epoch, cx.log.row_with(0)?.map_or(u64::MAX, |row| row.first()));
        changed.quoted = theirs.into_iter().filter(|id| has_left(*id, epoch, first)).collect();
        if clear_owner(&mut self.info.owner_id, eraser.user) {
            self.describe(step, Vec::new(), None, cx.now, Audience::Internal);
        }
        changed.entries += step.write.state.len();
        Ok(())
    }

    /// Where the user still stands, in a part of the log; with the first part, in the state too.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn names(&self, log: &dyn Log, erase: &Erase) -> Read<Named> {
        let eraser = Eraser::new(self.id.as_str(), erase, self.last_at);
        let mut entries = 0;
        if erase.after == 0 {
            let user = eraser.user;
            let kept = [self.roles.contains_key(user), self.shut.contains_key(user)];
            let blocks = log.value(&format!("{KEY_BLOCKS}{user}"))?.is_some();
            let owner = self.info.owner_id.as_deref() == Some(user);
            entries += kept.into_iter().chain([blocks, owner]).filter(|found| *found).count();
            entries += self.bans.values().filter(|ban| eraser.ban(&mut (*ban).clone())).count();
            entries += self.reports.naming(log, &eraser)? + self.held_naming(log, &eraser)?.len();
        }
        let (mut after, mut left) = (erase.after, MOST_ROWS);
        loop {
            let batch = log.rows_after(after, SCAN.min(left))?;
            let (Some(first), Some(last)) = (batch.first().map(Row::first), batch.last().map(|row| row.last)) else {
                return Ok(Named { next: None, entries: u64::try_from(entries).unwrap_or(u64::MAX) });
            };
            for (_, text) in log.reactions(first, last)? {
                entries += usize::from(Reactions::unpack(&text)?.erase(eraser.user));
            }
            for row in batch {
                entries +=
                    row.events.into_iter().filter_map(|mut event| eraser.event(&mut event).then_some(())).count();
            }
            (after, left) = (last, left.saturating_sub(SCAN));
            if left == 0 {
                return Ok(Named { next: Some(after), entries: u64::try_from(entries).unwrap_or(u64::MAX) });
            }
        }
    }

    /// The bans of a user: also that of one who was erased, and comes back under the same id.
    pub(super) fn bans_of(&self, user_id: &str) -> impl Iterator<Item = &Ban> {
        let any = self.bans.range(HIDDEN.to_owned()..).next().is_some_and(|(id, _)| id.starts_with(HIDDEN));
        let hidden = any.then(|| self.bans.get(&hidden_id(self.id.as_str(), user_id))).flatten();
        self.bans.get(user_id).into_iter().chain(hidden)
    }
}

/// Whether everybody has seen this message; what was deleted before its time nobody has. Shards show it by their own
/// clocks.
fn is_open(event: &LogEvent, cx: &Context<'_>) -> bool {
    let Body::NewMessage(message) = &event.body else { return false };
    event.audience == Audience::All
        && (event.visible_at <= cx.now || cx.present.is_split())
        && message.deleted_at.is_none_or(|at| at >= event.visible_at)
}
