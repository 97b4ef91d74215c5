//! Who follows a room's log besides the room itself, and by which name: its own shards, and gateways, which serve
//! sessions in many rooms. `~` is in no room's id.

use serde::{Deserialize, Serialize};

/// How many shards a room has at most.
pub const MOST_SHARDS: u32 = 256;
/// So many gateways stand below one relay, and shards unless the deployment says otherwise.
pub const RELAY_DEGREE: u32 = 16;
/// How many gateways one room tells at most, and the bound of their numbers.
pub const MOST_GATEWAYS: u32 = MOST_SHARDS * RELAY_DEGREE;

/// Whom a room tells what it writes. In JSON `{"shard": 3}` or `{"gateway": 17}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Follower {
    /// A part of the room's own audience.
    Shard(u32),
    /// A gateway, some of whose sessions are in the room.
    Gateway(u32),
}

impl Follower {
    /// The name of its object.
    pub fn name(self, room: &str) -> String {
        match self {
            Self::Shard(n) => format!("{room}~s{n}"),
            Self::Gateway(n) => gateway_name(n),
        }
    }

    /// As it names itself in the query of a call.
    pub fn query(self) -> String {
        match self {
            Self::Shard(n) => format!("shard={n}"),
            Self::Gateway(n) => format!("gateway={n}"),
        }
    }

    /// What a part of such a query says; none of any other part.
    pub fn of_query(key: &str, value: &str) -> Option<Self> {
        let follower = match key {
            "shard" => Self::Shard(value.parse().ok()?),
            "gateway" => Self::Gateway(value.parse().ok()?),
            _ => return None,
        };
        follower.is_known().then_some(follower)
    }

    /// Whether there is one of this number.
    pub const fn is_known(self) -> bool {
        match self {
            Self::Shard(n) => n < MOST_SHARDS,
            Self::Gateway(n) => n < MOST_GATEWAYS,
        }
    }

    /// How many events of a room's log it keeps. A gateway is in many rooms, and its memory is one.
    pub const fn keeps(self) -> usize {
        match self {
            Self::Shard(_) => 500,
            Self::Gateway(_) => 200,
        }
    }

    /// Whether it is a gateway.
    pub const fn is_gateway(self) -> bool {
        matches!(self, Self::Gateway(_))
    }
}

/// The name of the `n`-th gateway's object; users' objects know it by the same.
pub fn gateway_name(n: u32) -> String {
    format!("~g{n}")
}

/// The name of a room's `n`-th relay.
pub fn relay_name(room: &str, n: u32) -> String {
    format!("{room}~r{n}")
}

/// The gateway with this name; none for any other name.
pub fn parse_gateway(name: &str) -> Option<u32> {
    name.strip_prefix("~g")?.parse().ok().filter(|n| *n < MOST_GATEWAYS)
}

/// The room and the number that a shard's name stands for; none for any other name.
pub fn parse_shard(name: &str) -> Option<(&str, u32)> {
    let (room, n) = name.rsplit_once("~s")?;
    Some((room, n.parse().ok().filter(|n| *n < MOST_SHARDS)?))
}

/// The room whose relay has this name; none for any other name.
pub fn parse_relay(name: &str) -> Option<&str> {
    let (room, n) = name.rsplit_once("~r")?;
    n.parse().ok().filter(|n: &u32| *n < MOST_SHARDS).map(|_| room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        assert_eq!(parse_shard(&Follower::Shard(7).name("video_1:a")), Some(("video_1:a", 7)));
        for other in ["video_1", "video_1~r2", "video_1~s", "video_1~s256", "~", "~g1"] {
            assert_eq!(parse_shard(other), None, "{other}");
        }
        assert_eq!(parse_relay(&relay_name("video_1:a", 0)), Some("video_1:a"));
        for other in ["video_1", "video_1~s2", "video_1~r", "~g1"] {
            assert_eq!(parse_relay(other), None, "{other}");
        }
        assert_eq!(parse_gateway(&Follower::Gateway(17).name("video_1:a")), Some(17));
        for other in ["g17", "video_1~g2", "~g", "~g4096", "~s1", "video_1"] {
            assert_eq!(parse_gateway(other), None, "{other}");
        }
    }

    #[test]
    fn a_query_is_read_back() {
        for follower in [Follower::Shard(3), Follower::Gateway(17)] {
            let query = follower.query();
            let (key, value) = query.split_once('=').unwrap();
            assert_eq!(Follower::of_query(key, value), Some(follower));
        }
        for (key, value) in [("shard", "256"), ("gateway", "4096"), ("gateway", "x"), ("room", "1")] {
            assert_eq!(Follower::of_query(key, value), None, "{key}={value}");
        }
    }
}
