//! The reference model: what was committed in a room, kept apart from its storage, and who may see what of it.

use edge_chat::auth::Role;
use edge_chat::protocol::act::Ban;
use edge_chat::protocol::{Audience, Body, LogEvent, MessageId, Outcome, RoomSettings};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a page shows of a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shown {
    pub content: String,
    pub deleted: bool,
    pub reactions: BTreeMap<String, u64>,
}

impl Shown {
    /// Whether both say the same, reactions apart.
    pub(super) fn says(&self, other: &Self) -> bool {
        self.content == other.content && self.deleted == other.deleted
    }

    pub(super) fn of(data: &Value) -> Self {
        Self {
            content: data["content"].as_str().unwrap_or_default().into(),
            deleted: data["deleted_at"].is_string(),
            reactions: serde_json::from_value(data["reactions"].clone()).unwrap_or_default(),
        }
    }
}

/// Everything that a message has been.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub epoch: u64,
    pub author: String,
    pub audience: Audience,
    pub visible_at: u64,
    pub deleted_at: Option<u64>,
    /// From which event on, and what.
    pub states: Vec<(u64, Shown)>,
    reacted: BTreeMap<String, BTreeSet<String>>,
}

impl Said {
    pub(super) fn now(&self) -> &Shown {
        &self.states[self.states.len() - 1].1
    }

    /// The state after the event `seq`, and those since.
    pub(super) fn since(&self, seq: u64) -> &[(u64, Shown)] {
        &self.states[self.states.partition_point(|(at, _)| *at <= seq).saturating_sub(1)..]
    }

    fn change(&mut self, seq: u64, change: impl FnOnce(&mut Shown)) -> String {
        let mut shown = self.now().clone();
        let before = shown.content.clone();
        change(&mut shown);
        let gone = if before == shown.content { String::new() } else { before };
        self.states.push((seq, shown));
        gone
    }
}

/// What may change who sees what; the room's frames of one step are made as it was before the step.
#[derive(Clone, Debug, Default)]
pub(super) struct People {
    pub roles: BTreeMap<String, Role>,
    pub bans: BTreeMap<String, Ban>,
}

/// Somebody who looks.
#[derive(Clone, Debug)]
pub(super) struct Looker<'a> {
    pub user: &'a str,
    pub role: Role,
    /// Whom the room has been told that they block; none where that is not known.
    pub blocks: Option<&'a BTreeSet<String>>,
}

impl Looker<'_> {
    pub(super) fn is_moderator(&self) -> bool {
        self.role.at_least(Role::Moderator)
    }
}

/// The log of an incarnation.
#[derive(Default)]
struct Held {
    events: Vec<LogEvent>,
    folds: Vec<(u64, People, Vec<MessageId>)>,
}

/// What stands elsewhere while a shard is looked at.
pub(super) struct Then {
    epoch: u64,
    people: (People, People),
}

#[derive(Default)]
pub(super) struct Truth {
    pub epoch: u64,
    /// Every incarnation that there was.
    pub epochs: BTreeSet<u64>,
    /// Of this incarnation.
    pub events: Vec<LogEvent>,
    pub messages: BTreeMap<MessageId, Said>,
    /// Those that wait for a moderator, and those that did: whose, what, and whether it still waits.
    pub held: BTreeMap<MessageId, (String, String, bool)>,
    /// (user, `client_id`) → message, in this incarnation.
    pub named: BTreeMap<(String, String), MessageId>,
    pub people: People,
    /// As they were before the step that is under way.
    pub people_before: People,
    /// The storage is lost, and nothing was begun anew yet.
    pub lost: bool,
    /// The first row of an incarnation is under way.
    pub restoring: bool,
    /// What PostgreSQL remembered: bans, pins and settings.
    pub inherited: (BTreeMap<String, Ban>, Vec<MessageId>, RoomSettings),
    /// People, pins and terms after each event that changed them: what PostgreSQL has to remember.
    pub folds: Vec<(u64, People, Vec<MessageId>)>,
    pub pinned: Vec<MessageId>,
    pub settings: RoomSettings,
    /// What earlier incarnations held: shards that have not heard of a newer one still stand there.
    past: BTreeMap<u64, Held>,
    /// Every name and message that there ever was.
    pub ever: BTreeSet<(String, String, MessageId)>,
    /// The room may be split.
    pub splits: bool,
    pub has_gateways: bool,
    /// The log's end as the shard has it that is looked at.
    end: Option<u64>,
    /// Words that were edited away, deleted or denied.
    pub gone: Vec<String>,
    last_no: u64,
}

/// The name of an event on the wire.
pub(super) fn name_of(body: &Body) -> &'static str {
    match body {
        Body::NewMessage(_) => "new_message",
        Body::MessageEdited { .. } => "message_edited",
        Body::MessageDeleted { .. } => "message_deleted",
        Body::MessagesDeleted { .. } => "messages_deleted",
        Body::MessageHeld(_) => "message_held",
        Body::HeldEnded { outcome: Outcome::Allowed, .. } => "message_released",
        Body::HeldEnded { .. } => "message_denied",
        Body::TermsUpdated { .. } => "terms_updated",
        Body::Banned { .. } => "user_banned",
        Body::Unbanned { .. } => "user_unbanned",
        Body::Pinned { unpinned: true, .. } => "message_unpinned",
        Body::Pinned { .. } => "message_pinned",
        Body::Reaction { .. } => "reaction_updated",
        Body::Room { .. } => "room_updated",
        Body::Role { .. } => "role_set",
        _ => "nothing",
    }
}

impl Truth {
    pub(super) fn last(&self) -> u64 {
        self.end.unwrap_or_else(|| self.written())
    }

    /// The last event of the longest log: an answer from above may be of a newer one than the shard has.
    pub(super) fn longest(&self) -> u64 {
        let past = self.past.values().filter_map(|held| held.events.last());
        past.map(|event| event.seq).fold(self.written(), u64::max)
    }

    /// The last event of the room's own log.
    pub(super) fn written(&self) -> u64 {
        self.events.last().map_or(0, |event| event.seq)
    }

    /// Looks at the log as a shard has it that stands there; before its step it stood at `before`.
    pub(super) fn stand_at(&mut self, (epoch, seq): (u64, u64), before: u64) -> Then {
        let then = Then { epoch: self.epoch, people: (self.people.clone(), self.people_before.clone()) };
        self.turn_to(epoch);
        let people = |seq: u64| self.people_at(seq).cloned().unwrap_or_default();
        let (now, earlier) = (people(seq), people(before));
        (self.people, self.people_before, self.end) = (now, earlier, Some(seq));
        then
    }

    /// Who was what after an event.
    pub(super) fn people_at(&self, seq: u64) -> Option<&People> {
        let index = self.folds.partition_point(|(at, ..)| *at <= seq);
        index.checked_sub(1).and_then(|index| self.folds.get(index)).map(|(_, people, _)| people)
    }

    /// Looks at the room's own log again.
    pub(super) fn stand_again(&mut self, then: Then) {
        self.turn_to(then.epoch);
        ((self.people, self.people_before), self.end) = (then.people, None);
    }

    fn turn_to(&mut self, epoch: u64) {
        if epoch != self.epoch {
            let other = self.past.remove(&epoch).unwrap_or_default();
            let own = Held {
                events: std::mem::replace(&mut self.events, other.events),
                folds: std::mem::replace(&mut self.folds, other.folds),
            };
            self.past.insert(std::mem::replace(&mut self.epoch, epoch), own);
        }
    }

    pub(super) fn at(&self, seq: u64) -> Option<&LogEvent> {
        seq.checked_sub(1).and_then(|index| self.events.get(index as usize))
    }

    /// A new incarnation of the log begins.
    pub(super) fn begin(&mut self, epoch: u64) -> Result<(), String> {
        if !self.epochs.insert(epoch) || self.epochs.last() != Some(&epoch) {
            return Err(format!("V1: the epoch {epoch} is not newer than those before, {:?}", self.epochs));
        }
        self.turn_to(epoch);
        self.named.clear();
        let (bans, pinned, settings) = std::mem::take(&mut self.inherited);
        (self.pinned, self.settings) = (pinned, settings);
        self.people = People { bans, roles: BTreeMap::new() };
        self.held.values_mut().for_each(|held| held.2 = false);
        self.last_no = 0;
        Ok(())
    }

    /// Takes over one event, held against what has to hold of it.
    pub(super) fn commit(&mut self, event: &LogEvent) -> Result<(), String> {
        let LogEvent { seq, at, visible_at, audience, body } = event;
        if *seq != self.last() + 1 {
            return Err(format!("V1: seq {seq} is committed after {}", self.last()));
        }
        if let Body::Room { room, .. } = body {
            self.settings = room.settings.clone();
        }
        let soonest = at + self.settings.delay_s * 1_000;
        let before = self.events.last().map_or(0, |before| before.visible_at);
        if *visible_at != soonest.max(before) {
            return Err(format!("V7: {seq} is to be seen from {visible_at} on, not from {}", soonest.max(before)));
        }
        if let Some(expected) = self.expected(event).filter(|expected| expected != audience) {
            return Err(format!("V7: {seq} is for {audience:?}, not for {expected:?}: {body:?}"));
        }
        self.events.push(event.clone());
        self.fold(event)?;
        Ok(())
    }

    /// For whom an event has to be.
    fn expected(&self, event: &LogEvent) -> Option<Audience> {
        let by = |user: &String| match self.people.bans.get(user) {
            Some(ban) if ban.holds(event.at) => Audience::User(user.clone()),
            _ => Audience::All,
        };
        match &event.body {
            Body::NewMessage(message) => Some(by(&message.user.user_id)),
            Body::MessageEdited { user_id, .. } => Some(by(user_id)),
            Body::MessageHeld(held) => Some(Audience::User(held.message.user.user_id.clone())),
            Body::TermsUpdated { .. } => Some(Audience::Moderators),
            Body::Banned { ban, .. } if ban.shadow => Some(Audience::Moderators),
            Body::MessageDeleted { message_id, .. } | Body::Reaction { message_id, .. } => {
                self.messages.get(message_id).map(|said| said.audience.clone())
            }
            // One event for what everybody sees, one for each who said something under a shadow ban.
            Body::MessagesDeleted { message_ids, unseen, .. } => {
                let said = message_ids.iter().skip(*unseen).filter_map(|id| self.messages.get(id)).next();
                Some(said.map_or(Audience::All, |said| said.audience.clone()))
            }
            Body::Banned { .. } | Body::Pinned { .. } => Some(Audience::All),
            _ => None,
        }
    }

    fn fold(&mut self, event: &LogEvent) -> Result<(), String> {
        let LogEvent { seq, at, visible_at, audience, body } = event;
        let mut folds = false;
        match body {
            Body::NewMessage(message) => {
                if message.no != self.last_no + 1 && self.last_no > 0 {
                    return Err(format!("V1: message number {} comes after {}", message.no, self.last_no));
                }
                self.last_no = message.no;
                let author = message.user.user_id.clone();
                if message.held_id.is_none() {
                    self.name(&author, message.client_id.as_ref(), message.message_id)?;
                }
                let states = vec![(*seq, Shown { content: message.content.clone(), ..Shown::default() })];
                let said = Said {
                    epoch: self.epoch,
                    author,
                    audience: audience.clone(),
                    visible_at: *visible_at,
                    deleted_at: None,
                    states,
                    reacted: BTreeMap::new(),
                };
                self.messages.insert(message.message_id, said);
            }
            Body::MessageHeld(held) => {
                let (message, id) = (&held.message, held.message.message_id);
                self.name(&message.user.user_id, message.client_id.as_ref(), id)?;
                self.held.insert(id, (message.user.user_id.clone(), message.content.clone(), true));
            }
            Body::HeldEnded { held_id, outcome, .. } => {
                let Some(held) = self.held.get_mut(held_id) else { return Ok(()) };
                let waited = std::mem::replace(&mut held.2, false);
                if *audience == Audience::Internal {
                    return Ok(());
                }
                if !waited {
                    return Err(format!("V3: {held_id} is decided twice"));
                }
                if *outcome != Outcome::Allowed {
                    self.gone.push(held.1.clone());
                }
            }
            Body::MessageEdited { message_id, content, .. } => {
                if let Some(said) = self.messages.get_mut(message_id) {
                    self.gone.push(said.change(*seq, |shown| shown.content.clone_from(content)));
                }
            }
            Body::MessageDeleted { message_id, unseen, .. } => {
                self.early(&[*message_id], usize::from(*unseen), *at)?;
                self.delete(*message_id, *seq, *at);
            }
            Body::MessagesDeleted { message_ids, unseen, .. } => {
                self.early(message_ids, *unseen, *at)?;
                message_ids.iter().for_each(|id| self.delete(*id, *seq, *at));
            }
            Body::Reaction { message_id, user_id, reaction, remove, .. } => {
                if let Some(said) = self.messages.get_mut(message_id) {
                    let users = said.reacted.entry(reaction.clone()).or_default();
                    if *remove {
                        users.remove(user_id)
                    } else {
                        users.insert(user_id.clone())
                    };
                    let count = users.len() as u64;
                    said.change(*seq, |shown| {
                        shown.reactions.insert(reaction.clone(), count);
                        shown.reactions.retain(|_, count| *count > 0);
                    });
                }
            }
            Body::Banned { ban, .. } => {
                folds = true;
                self.people.bans.insert(ban.user_id.clone(), (**ban).clone());
            }
            Body::Unbanned { user_id, .. } => {
                folds = true;
                self.people.bans.remove(user_id);
            }
            Body::Role { user_id, role, .. } => {
                folds = true;
                match role {
                    Some(role) => self.people.roles.insert(user_id.clone(), *role),
                    None => self.people.roles.remove(user_id),
                };
            }
            Body::Pinned { pinned, .. } => {
                folds = true;
                self.pinned.clone_from(pinned);
            }
            _ => {}
        }
        if folds || self.folds.is_empty() {
            self.folds.push((*seq, self.people.clone(), self.pinned.clone()));
        }
        Ok(())
    }

    fn name(&mut self, user: &str, client_id: Option<&String>, id: MessageId) -> Result<(), String> {
        // What waited when the storage was lost waits anew, and its name is not known any more.
        let Some(client_id) = client_id.filter(|_| !self.restoring) else { return Ok(()) };
        self.ever.insert((user.to_owned(), client_id.clone(), id));
        match self.named.insert((user.to_owned(), client_id.clone()), id) {
            Some(first) => Err(format!("V3: {user} said {client_id} twice: {first} and {id}")),
            None => Ok(()),
        }
    }

    fn delete(&mut self, id: MessageId, seq: u64, at: u64) {
        if let Some(said) = self.messages.get_mut(&id) {
            said.deleted_at = Some(at);
            self.gone.push(said.change(seq, |shown| *shown = Shown { deleted: true, ..Shown::default() }));
        }
    }

    /// Who was not shown a message yet is not told that it is gone, unless followers may have shown it already.
    fn early(&self, ids: &[MessageId], unseen: usize, at: u64) -> Result<(), String> {
        let early = ids.iter().filter(|id| self.is_early(**id, at)).count();
        match early == unseen || ((self.splits || self.has_gateways) && unseen == 0) {
            true => Ok(()),
            false => Err(format!("V7: of {ids:?} {unseen} were not seen, not {early}")),
        }
    }

    /// Whether the message was written as it was after a change in the same step.
    pub(super) fn changed_at_once(&self, id: MessageId) -> bool {
        self.at(id.seq()).is_some_and(|event| {
            matches!(&event.body, Body::NewMessage(message) if message.edited_at.or(message.deleted_at).is_some())
        })
    }

    /// Whether at `now` only moderators see this message yet.
    fn is_early(&self, id: MessageId, now: u64) -> bool {
        self.messages.get(&id).is_some_and(|said| said.visible_at > now)
    }

    /// Whether others than moderators may never see this message, nor what becomes of it.
    pub(super) fn never_seen(&self, id: MessageId) -> bool {
        let end = self.end.unwrap_or(u64::MAX);
        let deleted = |said: &Said| said.since(end.max(1))[0].1.deleted || said.epoch != self.epoch;
        let said = self.messages.get(&id).filter(|said| deleted(said));
        said.is_some_and(|said| said.deleted_at.is_some_and(|at| at < said.visible_at))
    }

    /// Whether `who` may see this event at `now` (ms, the room's clock). None where it depends on what is not known.
    pub(super) fn sees(&self, who: &Looker<'_>, event: &LogEvent, now: u64) -> Option<bool> {
        if who.is_moderator() {
            return Some(event.audience != Audience::Internal && name_of(&event.body) != "nothing");
        }
        let mine = match &event.audience {
            Audience::All => true,
            Audience::User(user) => user == who.user,
            Audience::Moderators | Audience::Internal => false,
        };
        let hidden = match &event.body {
            Body::NewMessage(message) => self.never_seen(message.message_id),
            Body::MessageDeleted { unseen, .. } => *unseen,
            Body::MessagesDeleted { message_ids, unseen, .. } => *unseen == message_ids.len(),
            body => name_of(body) == "nothing",
        };
        if !mine || hidden || event.visible_at > now {
            return Some(false);
        }
        match (event.body.author(), who.blocks) {
            (None, _) => Some(true),
            (Some(author), Some(blocks)) => Some(!blocks.contains(author)),
            (Some(_), None) => None,
        }
    }

    /// Whether a viewer who has followed up to `until` may do without this event, since later ones make up for it.
    pub(super) fn made_up(&self, seq: u64, until: u64) -> bool {
        let Some(event) = self.at(seq) else { return false };
        let later = || self.events[seq as usize..].iter();
        match &event.body {
            Body::MessageEdited { message_id: id, .. } => later().any(|event| match &event.body {
                Body::MessageEdited { message_id, .. } | Body::MessageDeleted { message_id, .. } => message_id == id,
                Body::MessagesDeleted { message_ids, .. } => message_ids.contains(id),
                _ => false,
            }),
            Body::Reaction { message_id: id, .. } => later()
                .take_while(|event| event.seq <= until)
                .any(|event| matches!(&event.body, Body::Reaction { message_id, .. } if message_id == id)),
            _ => false,
        }
    }
}
