//! Roles: what somebody may do, ordered, and the one that counts where several are known.

use serde::{Deserialize, Serialize};

/// What somebody may do in a room, lowest first. On the wire in snake case.
///
/// `Service` (bots, bridges, back ends) stands beside the others: it may do a moderator's acts, so it ranks just above
/// a moderator and below an owner; where a service may do what an owner may, the rule names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads where the room allows it, and nothing else.
    Guest,
    /// Somebody with a token.
    Member,
    /// Keeps order in a room.
    Moderator,
    /// A back end, bot or bridge: a moderator's acts, cannot be banned, a message rate of its own.
    Service,
    /// Made the room, or was given it.
    Owner,
    /// May do everything, everywhere its role reaches.
    Admin,
}

impl Role {
    /// The role of this name; unknown names are none.
    pub fn parse(name: &str) -> Option<Self> {
        [Role::Guest, Role::Member, Role::Moderator, Role::Service, Role::Owner, Role::Admin]
            .into_iter()
            .find(|role| role.as_str() == name)
    }

    /// The role as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Guest => "guest",
            Role::Member => "member",
            Role::Moderator => "moderator",
            Role::Service => "service",
            Role::Owner => "owner",
            Role::Admin => "admin",
        }
    }

    /// The place in the order, 0 for a guest: for asking whether somebody stands above somebody else.
    pub const fn rank(self) -> u8 {
        self as u8
    }

    /// Whether this role may do what `needed` may. A service passes for a moderator, not for an owner or admin.
    pub const fn at_least(self, needed: Role) -> bool {
        self.rank() >= needed.rank()
    }

    /// Whether no message rate applies. Not so for a service, which has a rate of its own.
    pub const fn exempt_from_rate_limit(self) -> bool {
        matches!(self, Role::Moderator | Role::Owner | Role::Admin)
    }
}

/// The role that counts in a room: the highest of the token's global roles, the token's grant for the room and the role
/// that the room itself gave. Member where there is none of them.
pub fn effective(global: &[Role], grant: Option<Role>, room_role: Option<Role>) -> Role {
    global.iter().copied().chain(grant).chain(room_role).max().unwrap_or(Role::Member)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Role; 6] = [Role::Guest, Role::Member, Role::Moderator, Role::Service, Role::Owner, Role::Admin];

    #[test]
    fn the_name_on_the_wire_is_one_everywhere() {
        for role in ALL {
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert_eq!(Role::parse("root"), None);
        assert_eq!(Role::parse("Admin"), None);
    }

    #[test]
    fn the_order_is_the_documented_one() {
        assert!(Role::Guest < Role::Member && Role::Member < Role::Moderator);
        assert!(Role::Moderator < Role::Owner && Role::Owner < Role::Admin);
        assert!(Role::Service.at_least(Role::Moderator));
        assert!(!Role::Service.at_least(Role::Owner));
        assert!(!Role::Member.at_least(Role::Moderator));
    }

    #[test]
    fn rates_apply_to_members_and_services_only() {
        let exempt: Vec<Role> = ALL.into_iter().filter(|role| role.exempt_from_rate_limit()).collect();
        assert_eq!(exempt, [Role::Moderator, Role::Owner, Role::Admin]);
    }

    #[test]
    fn the_highest_role_counts() {
        assert_eq!(effective(&[], None, None), Role::Member);
        assert_eq!(effective(&[Role::Guest], None, None), Role::Guest);
        assert_eq!(effective(&[Role::Member], Some(Role::Moderator), None), Role::Moderator);
        assert_eq!(effective(&[Role::Moderator], Some(Role::Member), Some(Role::Owner)), Role::Owner);
        assert_eq!(effective(&[Role::Admin], None, Some(Role::Moderator)), Role::Admin);
    }
}
