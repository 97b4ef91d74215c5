//! Messages that stand above the others: pinned, taken down, and gone with their deletion.

use super::{Context, Failure, KEY_PINNED, Room, Sender, Step};
use crate::auth::{Identity, Role};
use crate::protocol::act::PinRef;
use crate::protocol::wire::{json, raw_json};
use crate::protocol::{Audience, Body, ChatError, ErrorCode, MessageId};
use serde::Serialize;
use serde_json::value::RawValue;

/// Messages that are pinned at once.
const MOST_PINNED: usize = 5;

/// What is pinned.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "PinReply"))]
pub struct PinnedData<'a> {
    /// Ids of messages, newest first.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<MessageId>))]
    pinned: &'a [MessageId],
}

impl Room {
    pub(super) fn pin(
        &mut self,
        cx: &Context<'_>,
        sender: &Sender<'_>,
        who: &Identity,
        body: &PinRef,
        unpinned: bool,
    ) -> Result<(Box<RawValue>, Step), Failure> {
        let mut step = Step::default();
        let message_id = if unpinned {
            let pinned = MessageId::parse(&body.message_id).filter(|id| self.pinned.contains(id));
            let error = ChatError::new(ErrorCode::MessageNotFound, "This message is not pinned.").field("message_id");
            pinned.ok_or(error)?
        } else {
            let found = self.find(cx, &body.message_id)??;
            if found.audience != Audience::All {
                let message = "Only what everybody sees can be pinned.";
                return Err(ChatError::new(ErrorCode::Forbidden, message).field("message_id").into());
            }
            found.message.message_id
        };
        if unpinned || !self.pinned.contains(&message_id) {
            self.pinned.retain(|id| *id != message_id);
            if !unpinned {
                self.pinned.insert(0, message_id);
                self.pinned.truncate(MOST_PINNED);
            }
            step.write.state.push((KEY_PINNED.into(), Some(json(&self.pinned))));
            let (by, role, pinned) = (who.user_id.clone(), sender.role, self.pinned.clone());
            self.append(&mut step, cx.now, Audience::All, Body::Pinned { message_id, unpinned, pinned, by, role });
            self.seal(&mut step);
        }
        Ok((raw_json(&PinnedData { pinned: &self.pinned }), step))
    }

    /// Takes deleted messages down from the pinned ones.
    pub(super) fn unpin_deleted(&mut self, step: &mut Step, now: u64, deleted: &[MessageId], (by, role): (&str, Role)) {
        for message_id in self.pinned.clone().into_iter().filter(|id| deleted.contains(id)) {
            self.pinned.retain(|id| *id != message_id);
            step.write.state.push((KEY_PINNED.into(), Some(json(&self.pinned))));
            let (by, pinned) = (by.to_owned(), self.pinned.clone());
            self.append(step, now, Audience::All, Body::Pinned { message_id, unpinned: true, pinned, by, role });
        }
    }

    /// Ids of the pinned messages, newest first.
    pub fn pinned(&self) -> &[MessageId] {
        &self.pinned
    }
}
