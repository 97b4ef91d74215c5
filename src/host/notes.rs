//! Whom a room tells that something was said for them: the two of a direct room, and who is mentioned.

use super::{Effects, Host};
use crate::protocol::inbox::{InboxReason, Note};
use crate::protocol::{Audience, Body, LogEvent, UserId};

/// Users who are told of one step: what is beyond that, nobody is told of.
const MOST: usize = 40;

impl Host {
    /// Tells of these events. What not everybody sees at once is not told.
    pub(super) fn note(&self, events: &[LogEvent], effects: &mut Effects) {
        let Some(room) = self.room.as_ref().filter(|_| self.following.is_none()) else { return };
        let epoch = room.position().epoch;
        for event in events {
            let Body::NewMessage(message) = &event.body else { continue };
            if event.audience != Audience::All || event.visible_at > event.at {
                continue;
            }
            let by = &message.user.user_id;
            let note = |with: Option<&UserId>, reason| Note {
                room_id: self.id.to_string(),
                kind: room.info().kind.as_str().to_owned(),
                with: with.cloned(),
                epoch,
                seq: event.seq,
                by: by.clone(),
                reason,
            };
            if let Some([one, other]) = room.two() {
                effects.notes.push((one.clone(), note(Some(other), InboxReason::Message)));
                effects.notes.push((other.clone(), note(Some(one), InboxReason::Message)));
                continue;
            }
            for mention in message.mentions.iter().filter(|mention| mention.user_id != *by) {
                effects.notes.push((mention.user_id.clone(), note(None, InboxReason::Mention)));
            }
        }
        effects.notes.truncate(MOST);
    }
}
