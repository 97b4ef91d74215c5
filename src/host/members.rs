//! Who is in a room that has followers: its own list, and theirs.

use super::calls::{MemberData, Members};
use crate::protocol::rfc3339;
use crate::protocol::shard::Follower;
use crate::protocol::wire::Member;
use std::collections::BTreeMap;

impl Members {
    /// The gateways that are to be asked too.
    pub fn gateways(&self) -> impl Iterator<Item = Follower> + use<> {
        self.gateways.clone().into_iter().map(Follower::Gateway)
    }

    /// A page of a room's whole list, `self`, with those who are at its followers; `online` users are there in all, of whom
    /// not all may be known by name. Those who are here come first.
    pub fn with_followers(
        self,
        there: Vec<Vec<Member>>,
        online: usize,
        now: u64,
        (limit, skip): (usize, usize),
    ) -> Self {
        let seen = rfc3339(now);
        let here = |member: Member| MemberData { member, online: true, last_seen: Some(seen.clone()) };
        let (own, away): (Vec<_>, Vec<_>) = self.members.into_iter().partition(|known| known.online);
        let all = there.into_iter().flatten().map(here).chain(own);
        let present: BTreeMap<_, _> = all.map(|known| (known.member.user_id.clone(), known)).collect();
        let away: Vec<_> = away.into_iter().filter(|known| !present.contains_key(&known.member.user_id)).collect();
        let total = online.max(present.len()) + away.len();
        let known = present.len() + away.len();
        let members: Vec<_> = present.into_values().chain(away).skip(skip).take(limit).collect();
        let end = skip.saturating_add(members.len());
        Self { members, total, next: (end < known).then_some(end), gateways: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Role;

    fn member(user_id: &str) -> Member {
        Member { user_id: user_id.into(), username: user_id.into(), avatar: None, role: Role::Member }
    }

    #[test]
    fn a_page_has_each_user_once_and_those_who_are_here_first() {
        let own = |user: &str, online| MemberData { member: member(user), online, last_seen: None };
        let list = || Members {
            members: vec![own("here", true), own("ada", false), own("zoe", false)],
            total: 3,
            next: None,
            gateways: vec![],
        };
        let shards = || vec![vec![member("bob"), member("zoe")], vec![member("cyd"), member("bob")]];
        let page = |at| {
            let page = list().with_followers(shards(), 7, 0, at);
            let ids: Vec<_> = page.members.iter().map(|known| (known.member.user_id.clone(), known.online)).collect();
            (ids, page.total, page.next)
        };
        let known = |users: &[(&str, bool)]| users.iter().map(|(user, online)| ((*user).to_owned(), *online)).collect();
        assert_eq!(page((3, 0)), (known(&[("bob", true), ("cyd", true), ("here", true)]), 8, Some(3)));
        assert_eq!(page((3, 3)), (known(&[("zoe", true), ("ada", false)]), 8, None));
    }
}
