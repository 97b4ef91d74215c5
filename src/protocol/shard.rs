//! What a room and its followers say to each other: the log's writes go down, commands and counts come up.
//!
//! A follower, a shard of the room or a gateway, keeps the end of the room's log as the room writes it, and answers joins
//! and resumes from that. Bodies carry [`super::call::VERSION`] and tolerate unknown fields.

use super::call::RoomCall;
pub use super::follower::{
    Follower, MOST_GATEWAYS, MOST_SHARDS, RELAY_DEGREE, gateway_name, parse_gateway, parse_relay, parse_shard,
    relay_name,
};
use super::wire::Member;
use super::{ChatError, Mention, UserId};
use crate::auth::Role;
use crate::metrics::Metrics;
use crate::room::{Row, Write};
use crate::user::Blocks;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Where a follower takes a [`Push`] as JSON: an [`super::call::Answer`] of [`Pushed`]. A gateway's has `?room=<id>`.
pub const SHARD_PUSH: &str = "/push";
/// Where a follower tells of those who are there: `?limit=<n>`, of a gateway with `&room=<id>`; an answer of
/// [`super::wire::Member`]s.
pub const SHARD_MEMBERS: &str = "/members";
/// Where a relay takes a [`Relayed`]: an answer of each follower's own, in their order, null of one that did not answer.
pub const RELAY_PUSH: &str = "/relay";
/// Where a room gives a follower all that it needs: `?` and [`Follower::query`], an answer of [`Begin`]. A
/// gateway may send the [`super::call::Caller`] for whom it asks: who signs in makes the room where there is none.
pub const ROOM_BEGIN: &str = "/begin";
/// Where a room takes an [`Up`]: an answer of [`Down`].
pub const ROOM_UP: &str = "/up";

/// Into how many shards a room is split, and what each may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Counts the changes, from the log's incarnation on: of two the larger is the newer, also where a room that lost
    /// its storage knows of none before.
    pub version: u64,
    /// How many; 0 where the room holds its sockets itself.
    pub shards: u32,
    /// Frames a second that each object may send.
    pub budget: u64,
}

impl Shape {
    /// The shard of whoever has this key (the hash of the user's id, or of a guest's random name); none where the room
    /// is not split. By rendezvous: of a change from N shards to N + 1 only every (N + 1)th viewer moves.
    pub fn shard_of(&self, key: u64) -> Option<u32> {
        // The finaliser of splitmix64, public domain.
        let weight = |shard: &u32| {
            let mut z = key ^ (u64::from(*shard) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        (0..self.shards).max_by_key(weight)
    }
}

/// How many are online in the whole room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Users, each once.
    pub users: usize,
    /// Guests.
    pub guests: usize,
    /// Users (hashes) who have a tab where they do not belong, since the shape has changed, or at a gateway: their own
    /// shard does not count them.
    #[serde(default, skip_serializing_if = "Blocks::is_empty")]
    pub strays: Blocks,
    /// Who they are, for gateways of a small room.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
}

/// Who is at one follower.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crowd {
    /// Users who belong there, but those among [`Totals::strays`]; nobody belongs to a gateway.
    pub users: usize,
    /// Guests.
    pub guests: usize,
    /// Sockets, joined or not.
    pub sockets: usize,
    /// Users (hashes) who are there and belong elsewhere.
    #[serde(default, skip_serializing_if = "Blocks::is_empty")]
    pub strays: Blocks,
    /// Users (hashes) who belong there and are among [`Totals::strays`].
    #[serde(default, skip_serializing_if = "Blocks::is_empty")]
    pub twice: Blocks,
    /// Who the users at a gateway are, where at most 1,000 are online in the room.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
    /// By which number this was told, the larger the later; 0 from a shard.
    #[serde(default, skip_serializing_if = "is_none")]
    pub no: u64,
    /// Who has a role above member by token, at most 100: nobody acts on their equal or better.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub staff: Vec<(UserId, Role)>,
}

impl Crowd {
    /// Whether nobody is there, nor counts as there for a moment more.
    pub fn is_nobody(&self) -> bool {
        self.sockets == 0 && self.users == 0 && self.guests == 0 && self.strays.is_empty() && self.twice.is_empty()
    }
}

/// What those in a small room are shown of a user, and nobody keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Glimpse {
    /// At which gateway it happened; none in the room itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<u32>,
    /// What happened.
    pub sight: Sight,
    /// Who.
    pub user_id: UserId,
    /// The name.
    pub username: String,
    /// The picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
}

/// What is seen of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sight {
    /// Came in with the first tab.
    Joined,
    /// Closed the last one, a while ago.
    Left,
    /// Types.
    Types,
    /// Does not any more.
    Stopped,
}

/// What the room wrote after `from`, for a follower.
#[derive(Clone, Debug, Deserialize)]
pub struct Push {
    /// The caller's version.
    pub v: u32,
    /// The log's incarnation.
    pub epoch: u64,
    /// The shard has to stand here, else it does not take it.
    pub from: u64,
    /// The last event of `writes`; `from` where there are none.
    pub to: u64,
    /// Whether the shard's viewers were shown nothing beyond `from`, as far as it said: one that has slept since then goes
    /// on there.
    pub acked: bool,
    /// How the room is split.
    pub shape: Shape,
    /// Who is online, where that has changed.
    #[serde(default)]
    pub totals: Option<Totals>,
    /// Each step's write, in order.
    #[serde(default)]
    pub writes: Vec<Write>,
    /// For gateways: what is to be shown once, theirs among it.
    #[serde(default)]
    pub glimpses: Vec<Glimpse>,
}

/// A follower's answer to a push; the default of one where nobody is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// Where it stands now, if it stands anywhere: the log's incarnation and the last event.
    pub at: Option<(u64, u64)>,
    /// Who is there; nothing of it where that is `same`.
    #[serde(default)]
    pub crowd: Crowd,
    /// The crowd is the same since it was told by this number; 0 where it is told now.
    #[serde(default, skip_serializing_if = "is_none")]
    pub same: u64,
}

fn is_none(no: &u64) -> bool {
    *no == 0
}

/// A push that a relay hands on.
#[derive(Debug, Serialize, Deserialize)]
pub struct Relayed {
    /// To these shards.
    #[serde(default)]
    pub shards: Vec<u32>,
    /// And then to these gateways.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<u32>,
    /// The [`Push`].
    pub push: Box<RawValue>,
}

impl Relayed {
    /// A push to these, shards first.
    pub fn to(followers: &[Follower], push: Box<RawValue>) -> Self {
        let (mut shards, mut gateways) = (Vec::new(), Vec::new());
        for follower in followers {
            match follower {
                Follower::Shard(n) => shards.push(*n),
                Follower::Gateway(n) => gateways.push(*n),
            }
        }
        Self { shards, gateways, push }
    }

    /// To whom it goes, in the order of the answers.
    pub fn followers(&self) -> impl Iterator<Item = Follower> + '_ {
        let shards = self.shards.iter().map(|n| Follower::Shard(*n));
        shards.chain(self.gateways.iter().map(|n| Follower::Gateway(*n)))
    }
}

/// All that a follower has to know: the end of the log and the state that readers need.
#[derive(Debug, Serialize, Deserialize)]
pub struct Begin {
    /// The version of the room's build.
    pub v: u32,
    /// The log's last event.
    pub seq: u64,
    /// How the room is split.
    pub shape: Shape,
    /// Who is online.
    pub totals: Totals,
    /// The room, its roles, bans and pins.
    pub state: Vec<(String, String)>,
    /// The newest rows, oldest first.
    pub rows: Vec<Row>,
    /// Who reacted to the messages in them.
    pub reactions: Vec<(u64, String)>,
}

/// What a follower hands up.
#[derive(Debug, Serialize, Deserialize)]
pub struct Up {
    /// The caller's version.
    pub v: u32,
    /// Which one.
    #[serde(flatten)]
    pub from: Follower,
    /// How the room is split, as far as it knows.
    #[serde(default)]
    pub shape: Shape,
    /// Who is there.
    pub crowd: Crowd,
    /// What its viewers want, in the order in which it came.
    #[serde(default)]
    pub commands: Vec<Command>,
    /// From a gateway: what is to be shown once in the rest of the room.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub glimpses: Vec<Glimpse>,
    /// What it has counted since it said so last.
    #[serde(default, skip_serializing_if = "Metrics::is_empty")]
    pub metrics: Metrics,
}

/// A viewer's command on its way up.
#[derive(Debug, Serialize, Deserialize)]
pub struct Command {
    /// Who wants what, as verified.
    #[serde(flatten)]
    pub call: RoomCall,
    /// Those that it may mention who are there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub present: Vec<Mention>,
}

/// The room's answer to [`Up`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Down {
    /// How the room is split.
    pub shape: Shape,
    /// Who is online.
    pub totals: Totals,
    /// To each command: what a reply holds, or why not.
    pub answers: Vec<Result<Box<RawValue>, ChatError>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::hash;

    fn split(shards: u32) -> Shape {
        Shape { version: 1, shards, budget: 0 }
    }

    #[test]
    fn one_more_shard_moves_only_its_part() {
        let keys: Vec<_> = (0..20_000).map(|n| hash(&format!("user-{n}"))).collect();
        for shards in [2, 3, 7, 16, 255] {
            let (before, after) = (split(shards), split(shards + 1));
            let moved: Vec<_> = keys.iter().filter(|key| before.shard_of(**key) != after.shard_of(**key)).collect();
            assert!(moved.iter().all(|key| after.shard_of(**key) == Some(shards)), "they move to the new one alone");
            let share = moved.len() as f64 * f64::from(shards + 1) / keys.len() as f64;
            assert!((0.7..1.3).contains(&share), "{shards}: {share}");
        }
        assert_eq!(split(0).shard_of(7), None);
    }

    #[test]
    fn bodies_of_an_earlier_build_are_read() {
        let up = r#"{"v":1,"shard":3,"crowd":{"users":1,"guests":0,"sockets":1},"commands":[]}"#;
        let up: Up = serde_json::from_str(up).unwrap();
        assert_eq!(up.from, Follower::Shard(3));
        assert!(serde_json::to_string(&up).unwrap().contains(r#""shard":3"#), "and an earlier build reads ours");
        let relayed: Relayed = serde_json::from_str(r#"{"shards":[4,5],"push":{}}"#).unwrap();
        assert_eq!(relayed.followers().collect::<Vec<_>>(), [Follower::Shard(4), Follower::Shard(5)]);
        assert!(!serde_json::to_string(&relayed).unwrap().contains("gateways"));
    }
}
