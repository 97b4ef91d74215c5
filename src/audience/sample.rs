//! A sample of what is said, where more is said than anybody reads: an even part that all viewers share, and what
//! concerns a viewer besides.

use crate::auth::Role;
use crate::protocol::{Audience, Body, LogEvent, Message, MessageType};

const SECOND: u64 = 1_000;

/// What is in the sample depends on the messages of this second and the one before alone, so that objects which began at
/// different times keep the same ones from the second second on.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    /// The second that is counted now, since 1970, when its first message was said, ms, and how many it had until now.
    second: u64,
    first_at: u64,
    said: u64,
    /// How many of them are in the sample.
    kept: u64,
    /// The second before had more than the sample takes.
    was_much: bool,
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
        let second = event.at / SECOND;
        if second != self.second {
            let was_much = second == self.second + 1 && self.said > above;
            *self = Self { second, first_at: event.at, was_much, ..Self::default() };
        }
        self.said += 1;
        // What a quiet second left may come at once.
        let (at_once, since) = if self.was_much { (1, second * SECOND) } else { (above, self.first_at) };
        let keeps = self.kept < at_once + event.at.saturating_sub(since) * above / SECOND;
        self.kept += u64::from(keeps);
        !keeps
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
    fn who_begins_later_keeps_the_same_ones_from_the_second_second_on() {
        // 30 to 90 a second, at no even times.
        let times: Vec<u64> = (0..600).map(|n| 1_000_400 + n * 17 + n * n % 13).collect();
        let kept = |begins: u64| {
            let mut sampler = Sampler::default();
            let seen = times.iter().filter(|at| **at >= begins);
            seen.filter(|at| !sampler.leaves_out(&said(**at, |_| {}), 10)).copied().collect::<Vec<_>>()
        };
        let all = kept(0);
        assert!((100..130).contains(&all.len()), "{}", all.len());
        for begins in (1_000_500..1_007_000).step_by(370) {
            let same = |at: &&u64| **at >= (begins / SECOND + 2) * SECOND;
            assert!(kept(begins).iter().filter(same).eq(all.iter().filter(same)), "{begins}");
        }
    }

    #[test]
    fn who_keeps_order_and_the_room_itself_are_always_heard_and_take_nothing() {
        let mut sampler = Sampler::default();
        let mut leaves_out = |change: fn(&mut Message)| sampler.leaves_out(&said(1_000_000, change), 1);
        assert!(!leaves_out(|_| {}));
        assert!(leaves_out(|_| {}));
        for role in [Role::Moderator, Role::Service, Role::Owner, Role::Admin] {
            let mut other = Sampler { second: 1_000, first_at: 1_000_000, said: 1, kept: 1, was_much: true };
            assert!(!other.leaves_out(&said(1_000_000, |message| message.user.roles = vec![role]), 1));
        }
        assert!(!leaves_out(|message| message.kind = MessageType::System));
        assert!(leaves_out(|message| message.kind = MessageType::Emote));
    }

    #[test]
    fn what_not_all_may_see_is_not_sampled_nor_is_anything_but_a_message() {
        let mut sampler = Sampler { second: 1_000, first_at: 1_000_000, said: 1, kept: 1, was_much: true };
        let hidden = LogEvent { audience: Audience::User("ada".into()), ..said(1_000_000, |_| {}) };
        assert!(!sampler.leaves_out(&hidden, 1));
        let gone = LogEvent { body: Body::Gone { user_id: "ada".into() }, ..hidden };
        assert!(!sampler.leaves_out(&gone, 1));
    }
}
