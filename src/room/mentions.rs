//! Whom a message mentions: ids that were given, and `@name` of somebody known to the room.

use super::{Context, Log, Read, Room, SCAN};
use crate::content;
use crate::protocol::{Body, ChatError, ErrorCode, Mention, User};
use std::collections::VecDeque;

/// Mentions of one message, and how far back authors are known.
const MOST: usize = 20;
const KNOWN: usize = 1_000;

/// The authors of the last 1,000 messages, newest last; loaded when a message first needs them.
#[derive(Debug, Default)]
pub(super) struct Authors(VecDeque<(Mention, String)>);

impl Authors {
    fn load(log: &dyn Log) -> Read<Self> {
        let (mut authors, mut before) = (Self::default(), u64::MAX);
        while authors.0.len() < KNOWN {
            let rows = log.rows_before(before, SCAN)?;
            let Some(oldest) = rows.last() else { break };
            before = oldest.first();
            for event in rows.iter().flat_map(|row| row.events.iter().rev()) {
                // One that has expired does not say any more how its author was called; of who was erased there is no
                // id, and nobody to mention.
                if let Body::NewMessage(message) = &event.body
                    && !message.user.username.is_empty()
                    && !message.user.user_id.is_empty()
                {
                    authors.0.push_front(Self::entry(&message.user));
                }
            }
        }
        Ok(authors)
    }

    /// Whether this user is among them; they are loaded where they were not yet.
    pub(super) fn known(authors: &mut Option<Self>, log: &dyn Log, user: &str) -> Read<bool> {
        let authors = match authors {
            Some(authors) => authors,
            none => none.insert(Self::load(log)?),
        };
        Ok(authors.0.iter().any(|(author, _)| author.user_id == user))
    }

    fn entry(user: &User) -> (Mention, String) {
        let mention = Mention { user_id: user.user_id.clone(), username: user.username.clone() };
        (mention, user.username.to_lowercase())
    }

    fn push(&mut self, user: &User) {
        self.0.push_back(Self::entry(user));
        if self.0.len() > KNOWN {
            self.0.pop_front();
        }
    }
}

impl Room {
    pub(super) fn remember_author(&mut self, user: &User) {
        if let Some(authors) = &mut self.authors {
            authors.push(user);
        }
    }

    /// Whom `text` and `ids` mention, without doubles; ids that the room does not know are left out.
    pub(super) fn mentions(
        &mut self,
        cx: &Context<'_>,
        text: &str,
        ids: &[String],
    ) -> Result<Vec<Mention>, super::Failure> {
        if ids.len() > MOST {
            let error = ChatError::new(ErrorCode::BadRequest, "A message mentions at most 20 users.");
            return Err(error.field("mentions").into());
        }
        let names = content::mention_names(text);
        if ids.is_empty() && names.is_empty() {
            return Ok(Vec::new());
        }
        let authors = match &mut self.authors {
            Some(authors) => authors,
            none => none.insert(Authors::load(cx.log)?),
        };
        let mut found: Vec<Mention> = Vec::new();
        let mut add = |mention: Mention| {
            if found.len() < MOST && found.iter().all(|known| known.user_id != mention.user_id) {
                found.push(mention);
            }
        };
        for id in ids {
            let author = || authors.0.iter().rev().find(|(m, _)| m.user_id == *id).map(|(m, _)| m.clone());
            if let Some(mention) = cx.present.by_id(id).or_else(author) {
                add(mention);
            }
        }
        for name in &names {
            cx.present.by_name(name).into_iter().for_each(&mut add);
            authors.0.iter().rev().filter(|(_, lower)| lower == name).for_each(|(mention, _)| add(mention.clone()));
        }
        Ok(found)
    }
}
