//! A sample of what is said, where more is said than anybody reads: an even part that all viewers share, and what
//! concerns a viewer besides.

use crate::auth::Role;
use crate::protocol::{Audience, Body, LogEvent, Message, MessageType};

/// What one message takes, so that each ms brings a whole number.
const MESSAGE: u64 = 1_000;

/// A bucket that a second fills: pure, so that whoever gives it the same messages keeps the same ones.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    /// What is left in it, in thousandths of a message, and when that was, ms.
    left: u64,
    at: u64,
}

impl Sampler {
    /// Whether this event is left out of the sample of at most `above` messages a second. What keeps order and what the
    /// room itself says is always in it and takes nothing from the others.
    pub(super) fn leaves_out(&mut self, event: &LogEvent, above: u32) -> bool {
        let Body::NewMessage(message) = &event.body else { return false };
        if event.audience != Audience::All || !is_plain(message) {
            return false;
        }
        let above = u64::from(above);
        let since = event.at.saturating_sub(self.at);
        self.left = self.left.saturating_add(since.saturating_mul(above)).min(above * MESSAGE);
        self.at = event.at;
        let kept = self.left.checked_sub(MESSAGE);
        self.left = kept.unwrap_or(self.left);
        kept.is_none()
    }
}

fn is_plain(message: &Message) -> bool {
    let keeps_order = message.user.roles.iter().any(|role| role.at_least(Role::Moderator));
    message.kind != MessageType::System && !keeps_order
}

/// Those who get the message whatever the sample: who said it, whom it mentions, and whom it answers.
pub(super) fn concerned(message: &Message) -> impl Iterator<Item = &str> {
    let mentioned = message.mentions.iter().map(|mention| mention.user_id.as_str());
    mentioned.chain([message.user.user_id.as_str()]).chain(message.answers.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(at: u64, change: impl FnOnce(&mut Message)) -> LogEvent {
        let message = json!({
            "message_id": "01a209e5-a1d5-7b12-a513-110000000002", "no": 1, "type": "text", "content": "x",
            "user": {"user_id": "ada", "username": "Ada", "avatar": null, "roles": ["member"]},
        });
        let mut message: Message = serde_json::from_value(message).unwrap();
        change(&mut message);
        let body = Body::NewMessage(Box::new(message));
        LogEvent { seq: 2, at, visible_at: at, audience: Audience::All, body }
    }

    /// How many of so many messages, one each `every` ms, are kept in each second.
    fn kept(above: u32, every: u64, seconds: u64) -> Vec<usize> {
        let mut sampler = Sampler::default();
        let mut second = |s: u64| {
            let times = (s * 1_000..(s + 1) * 1_000).step_by(usize::try_from(every).unwrap());
            times.filter(|at| !sampler.leaves_out(&said(1_000_000 + at, |_| {}), above)).count()
        };
        (0..seconds).map(&mut second).collect()
    }

    #[test]
    fn up_to_the_rate_nothing_is_left_out_and_above_it_evenly_so_much_is_kept() {
        assert_eq!(kept(20, 50, 3), [20, 20, 20]);
        // What a quiet second left comes on top of the first.
        assert_eq!(kept(20, 5, 4), [39, 20, 20, 20]);
        let mut sampler = Sampler::default();
        let times = (0..3_000).filter(|at| !sampler.leaves_out(&said(1_000_000 + at, |_| {}), 4));
        assert_eq!(
            times.collect::<Vec<_>>(),
            [0, 1, 2, 3, 250, 500, 750, 1_000, 1_250, 1_500, 1_750, 2_000, 2_250, 2_500, 2_750]
        );
    }

    #[test]
    fn who_keeps_order_and_the_room_itself_are_always_heard_and_take_nothing() {
        let mut sampler = Sampler::default();
        let mut leaves_out = |change: fn(&mut Message)| sampler.leaves_out(&said(1_000_000, change), 1);
        assert!(!leaves_out(|_| {}));
        assert!(leaves_out(|_| {}));
        for role in [Role::Moderator, Role::Service, Role::Owner, Role::Admin] {
            let mut other = Sampler { left: 0, at: 1_000_000 };
            assert!(!other.leaves_out(&said(1_000_000, |message| message.user.roles = vec![role]), 1));
        }
        assert!(!leaves_out(|message| message.kind = MessageType::System));
        assert!(leaves_out(|message| message.kind = MessageType::Emote));
    }

    #[test]
    fn what_not_all_may_see_is_not_sampled_nor_is_anything_but_a_message() {
        let mut sampler = Sampler { left: 0, at: 1_000_000 };
        let hidden = LogEvent { audience: Audience::User("ada".into()), ..said(1_000_000, |_| {}) };
        assert!(!sampler.leaves_out(&hidden, 1));
        let gone = LogEvent { body: Body::Gone { user_id: "ada".into() }, ..hidden };
        assert!(!sampler.leaves_out(&gone, 1));
    }
}
