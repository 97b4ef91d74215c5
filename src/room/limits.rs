//! How much is said in a room and by whom: its windows, asked, counted, and rebuilt from the log at each wake.

use super::{Log, Read, Room, SCAN, filters};
use crate::auth::Role;
use crate::protocol::{Body, ChatError, Message, Rate};
use crate::settings::Settings;

impl Room {
    pub(super) fn reload_rates(&mut self, log: &dyn Log, now: u64) -> Read<()> {
        let since = now.saturating_sub(self.longest_window());
        if self.last_at <= since {
            return Ok(());
        }
        let (mut before, mut said) = (u64::MAX, Vec::new());
        let sent = |message: &Message, at| {
            let counts = message.sent_by.is_none() && !message.user.roles.iter().any(|role| is_apart(*role));
            (message.sender().clone(), at, counts)
        };
        'scan: loop {
            let rows = log.rows_before(before, SCAN)?;
            let Some(oldest) = rows.last() else { break };
            before = oldest.first();
            for event in rows.iter().flat_map(|row| row.events.iter().rev()) {
                if event.at <= since {
                    break 'scan;
                }
                match &event.body {
                    // One that waited counted when it was sent.
                    Body::NewMessage(message) if message.held_id.is_none() => said.push(sent(message, event.at)),
                    Body::MessageHeld(held) => said.push(sent(&held.message, event.at)),
                    // The log does not say what an editor was; most are members.
                    Body::MessageEdited { user_id, .. } | Body::Gone { user_id } => {
                        said.push((user_id.clone(), event.at, true));
                    }
                    _ => {}
                }
            }
        }
        for (user, at, counts) in said.iter().rev() {
            self.rates.accepted(user, *at);
            if *counts {
                self.said.accepted(*at);
            }
        }
        Ok(())
    }

    /// Whether this user may say one more thing at `now`: by their own rate, and by the room's.
    pub(super) fn check_rates(&mut self, user: &str, role: Role, now: u64) -> Result<(), ChatError> {
        if let Some(rate) = self.rate(role) {
            self.rates.check(user, rate, now)?;
        }
        if is_apart(role) {
            return Ok(());
        }
        let message = "So much is said in this room that it takes no more for a moment.";
        self.said.check(self.room_rate(), now).map_err(|error| ChatError { message: message.into(), ..error })
    }

    /// Counts what [`Room::check_rates`] let pass and the room accepted.
    pub(super) fn count_said(&mut self, user: &str, role: Role, now: u64) {
        if self.rate(role).is_some() {
            self.rates.accepted(user, now);
        }
        if !is_apart(role) {
            self.said.accepted(now);
        }
    }

    pub(super) fn room_rate(&self) -> Rate {
        let Settings { rate_limit_room_messages: messages, rate_limit_room_window_ms: window_ms, .. } = *self.settings;
        Rate { messages, window_ms }
    }

    pub(super) fn longest_window(&self) -> u64 {
        let own = self.rate(Role::Member).map_or(0, |rate| rate.window_ms);
        let slow = self.info.settings.slow_s.unwrap_or(0).saturating_mul(1000);
        own.max(slow).max(self.settings.rate_limit_service_window_ms).max(self.room_rate().window_ms)
    }

    /// The limit for this role; none for those who have none.
    pub(super) fn rate(&self, role: Role) -> Option<Rate> {
        match role {
            Role::Service => Some(Rate {
                messages: self.settings.rate_limit_service_messages,
                window_ms: self.settings.rate_limit_service_window_ms,
            }),
            role if role.exempt_from_rate_limit() => None,
            _ => Some(self.info.settings.rate.unwrap_or(Rate {
                messages: self.settings.rate_limit_messages,
                window_ms: self.settings.rate_limit_window_ms,
            })),
        }
    }

    /// Lets go of what is too old to matter; called now and then.
    pub fn sweep(&mut self, now: u64) {
        let window = self.longest_window();
        self.rates.sweep(window, now);
        self.reacted.sweep(self.settings.rate_limit_window_ms, now);
        self.reports.sweep(now);
        self.refused.sweep(filters::REFUSED.window_ms, now);
    }
}

/// Moderators and above, and services: neither the room's rate nor those of reactions and typing are theirs.
pub fn is_apart(role: Role) -> bool {
    role.at_least(Role::Moderator)
}
