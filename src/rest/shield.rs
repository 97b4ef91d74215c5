//! How often somebody has asked of late, held in the isolate's memory: a shield, since there are many isolates. What
//! has to be exact is counted in the room.

use crate::auth::{Claims, Role};
use crate::protocol::{ChatError, ErrorCode, Rate};
use std::collections::HashMap;

/// Who is counted, at most; half of it is forgotten at once, those first who have not asked for longest.
const MOST: usize = 10_000;

/// As whom a request over REST is counted: its user, else its address; none for a service everywhere, whose sends the
/// room counts. A role in single rooms is no reason not to be counted: whoever has it asks in all of them.
pub fn counted(claims: Option<&Claims>, address: Option<&str>) -> Option<String> {
    match claims {
        Some(claims) if claims.roles.contains(&Role::Service) => None,
        Some(claims) => Some(format!("user {}", claims.sub)),
        // Nobody can be kept out by those without an address: a token is a way past them.
        None => Some(format!("address {}", address.unwrap_or_default())),
    }
}

/// One window, which begins with its first request.
#[derive(Clone, Copy, Debug)]
struct Asked {
    since: u64,
    count: u32,
}

/// What a request finds of its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    rate: Rate,
    /// Requests left in the window, and when it ends, in ms from now.
    left: u32,
    ends_in_ms: u64,
}

impl Quota {
    /// `RateLimit`, a structured field: what is left, and in how many seconds there is all of it again.
    pub fn header(&self) -> String {
        format!(r#""requests";r={};t={}"#, self.left, self.ends_in_ms.div_ceil(1000))
    }

    /// `RateLimit-Policy`, likewise: how many in how many seconds.
    pub fn policy(&self) -> String {
        format!(r#""requests";q={};w={}"#, self.rate.messages, self.rate.window_ms.div_ceil(1000))
    }
}

/// A table of those who asked, of bounded size: two generations, of which the older one goes when the younger is full.
#[derive(Debug, Default)]
pub struct Shield {
    young: HashMap<String, Asked>,
    old: HashMap<String, Asked>,
}

impl Shield {
    fn known(&self, who: &str, rate: Rate, now: u64) -> Asked {
        let known = self.young.get(who).or_else(|| self.old.get(who)).copied();
        known.filter(|asked| now < asked.since.saturating_add(rate.window_ms)).unwrap_or(Asked { since: now, count: 0 })
    }

    /// Whether `who` was counted of late.
    pub fn knows(&self, who: &str) -> bool {
        self.young.contains_key(who) || self.old.contains_key(who)
    }

    /// Whether another request of `who` at `now` (ms) would be one too many.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn check(&self, who: &str, rate: Rate, now: u64) -> Result<(), ChatError> {
        let asked = self.known(who, rate, now);
        if asked.count < rate.messages { Ok(()) } else { Err(refused(asked, rate, now)) }
    }

    /// Counts a request of `who` at `now` (ms), and says whether it is one too many.
    pub fn count(&mut self, who: &str, rate: Rate, now: u64) -> (Quota, Result<(), ChatError>) {
        let mut asked = self.known(who, rate, now);
        let passes = asked.count < rate.messages;
        asked.count = asked.count.saturating_add(u32::from(passes));
        if self.young.len() >= MOST / 2 && !self.young.contains_key(who) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(who.to_owned(), asked);
        let ends_in_ms = ends_in(asked, rate, now);
        let quota = Quota { rate, left: rate.messages.saturating_sub(asked.count), ends_in_ms };
        (quota, if passes { Ok(()) } else { Err(refused(asked, rate, now)) })
    }

    /// Counts a request of `who` no more that was counted.
    pub fn take_back(&mut self, who: &str) {
        if let Some(asked) = self.young.get_mut(who).or_else(|| self.old.get_mut(who)) {
            asked.count = asked.count.saturating_sub(1);
        }
    }
}

fn ends_in(asked: Asked, rate: Rate, now: u64) -> u64 {
    asked.since.saturating_add(rate.window_ms).saturating_sub(now).min(rate.window_ms)
}

fn refused(asked: Asked, rate: Rate, now: u64) -> ChatError {
    let message = "Too many requests in a short time. Wait a moment.";
    ChatError::new(ErrorCode::RateLimited, message).retry_after(ends_in(asked, rate, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::RoomGrant;
    use std::collections::BTreeMap;

    const RATE: Rate = Rate { messages: 3, window_ms: 10_000 };

    #[test]
    fn services_everywhere_are_not_counted_those_of_a_room_are() {
        let grant = RoomGrant { role: Some(Role::Service), followed_at: None, subscribed_at: None };
        let claims = |roles, rooms| Claims {
            sub: "ada".into(),
            username: "Ada".into(),
            avatar: None,
            roles,
            rooms,
            exp_ms: 0,
            iat_ms: None,
        };
        let in_one = claims(vec![Role::Member], BTreeMap::from([("video_1".into(), grant)]));
        assert_eq!(counted(Some(&in_one), Some("192.0.2.1")).as_deref(), Some("user ada"));
        assert_eq!(counted(Some(&claims(vec![Role::Member, Role::Service], BTreeMap::new())), None), None);
        assert_eq!(counted(None, Some("192.0.2.1")).as_deref(), Some("address 192.0.2.1"));
        assert_eq!(counted(None, None).as_deref(), Some("address "));
    }

    #[test]
    fn so_many_a_window_for_each_and_the_headers_say_so() {
        let mut shield = Shield::default();
        for (at, left) in [(1_000, 2), (4_500, 1), (5_000, 0)] {
            let (quota, passes) = shield.count("ada", RATE, at);
            assert!(passes.is_ok());
            assert_eq!(quota.left, left);
        }
        assert!(shield.knows("ada") && !shield.knows("bob"));
        assert!(shield.check("ada", RATE, 11_000).is_ok() && shield.check("bob", RATE, 5_001).is_ok());
        assert_eq!(shield.check("ada", RATE, 5_001).unwrap_err().retry_after_ms, Some(5_999));
        let (quota, passes) = shield.count("ada", RATE, 5_001);
        assert_eq!(passes.unwrap_err().retry_after_ms, Some(5_999));
        assert_eq!(quota.header(), r#""requests";r=0;t=6"#);
        assert_eq!(quota.policy(), r#""requests";q=3;w=10"#);
        assert!(shield.count("bob", RATE, 5_001).1.is_ok());
        assert!(shield.count("ada", RATE, 10_999).1.is_err());
        assert_eq!(shield.count("ada", RATE, 11_000).0.header(), r#""requests";r=2;t=10"#);
        shield.take_back("ada");
        shield.take_back("nobody");
        assert_eq!(shield.count("ada", RATE, 11_000).0.left, 2);
        // A clock that goes back makes no wait longer than a window.
        assert_eq!(shield.count("ada", RATE, 0).0.ends_in_ms, 10_000);
    }

    #[test]
    fn the_table_is_bounded_and_a_crowd_does_not_wash_out_who_goes_on_asking() {
        let mut shield = Shield::default();
        let mut refused = 0;
        for n in 0..50_000 {
            let _ = shield.count(&format!("passer-by {n}"), RATE, 1_000);
            if n % 1_000 == 0 {
                refused += u32::from(shield.count("hammer", RATE, 1_000).1.is_err());
            }
            assert!(shield.young.len() + shield.old.len() <= MOST);
        }
        assert_eq!(refused, 47);
    }
}
