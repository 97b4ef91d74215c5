//! What Redis and the webhook are shown of an event: what viewers are, but nothing that only devices can read.

use crate::protocol::wire::Line;
use crate::protocol::{Body, LogEvent};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The event without what only its readers' devices are to have: not even as ciphertext.
pub(super) fn veiled(event: &LogEvent) -> Cow<'_, LogEvent> {
    let sealed = match &event.body {
        Body::NewMessage(message) => message.franking.is_some(),
        Body::MessageEdited { franking, .. } => franking.is_some(),
        Body::Reported { report } => report.proved.is_some(),
        _ => false,
    };
    if !sealed {
        return Cow::Borrowed(event);
    }
    let mut event = event.clone();
    let (content, franking) = match &mut event.body {
        Body::NewMessage(message) => (&mut message.content, &mut message.franking),
        Body::MessageEdited { content, franking, .. } => (content, franking),
        Body::Reported { report } => {
            report.quoted = None;
            return Cow::Owned(event);
        }
        _ => return Cow::Owned(event),
    };
    content.clear();
    *franking = None;
    Cow::Owned(event)
}

/// What `chat.v1` says of the event.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    pub(super) event: &'a str,
    #[serde(borrow)]
    pub(super) data: &'a RawValue,
}

pub(super) fn envelope(line: &Line) -> Option<Envelope<'_>> {
    serde_json::from_str(line).ok()
}
