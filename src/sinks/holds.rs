//! Legal holds, which stand in PostgreSQL alone: what is on hold neither expires nor is erased.

use crate::protocol::{ChatError, ErrorCode, RoomId, json_fault, rfc3339};
use serde::{Deserialize, Serialize};

/// The fields of a hold, as [`read_holds`] takes them.
macro_rules! hold {
    () => {
        "json_build_object('hold_id', id, 'room_id', room_id, 'user_id', user_id, 'reason', reason, 'placed_by', placed_by,
  'placed_at', (extract(epoch from placed_at) * 1000)::bigint, 'lifted_by', lifted_by,
  'lifted_at', (extract(epoch from lifted_at) * 1000)::bigint)"
    };
}

/// Places hold `$1` (uuid as text) on room `$2`, user `$3`, or both, for reason `$4`; `$5` does it. One line of the audit,
/// which is no room's own: who keeps order in a room, or is under the hold, does not read of it there.
pub const PLACE: &str = concat!(
    "
with placed as (
  insert into legal_holds (id, room_id, user_id, reason, placed_by, placed_at)
  values ($1::text::uuid, $2, $3, $4, $5, now()) returning *
), audited as (
  insert into audit (id, room_id, actor_id, action, target, details, created_at)
  select id, null, placed_by, 'place_hold', user_id,
    jsonb_build_object('hold_id', id, 'room_id', room_id, 'reason', reason), placed_at
  from placed
)
select json_build_array(",
    hold!(),
    ")::text from placed"
);

/// Lifts hold `$1` (uuid as text); `$2` does it, and `$3` (uuid as text) is the line of the audit. Twice is once.
pub const LIFT: &str = concat!(
    "
with lifted as (
  update legal_holds set lifted_by = $2, lifted_at = now() where id = $1::text::uuid and lifted_at is null returning *
), audited as (
  insert into audit (id, room_id, actor_id, action, target, details, created_at)
  select $3::text::uuid, null, lifted_by, 'lift_hold', user_id, jsonb_build_object('hold_id', id, 'room_id', room_id),
    lifted_at
  from lifted
)
select json_build_array(",
    hold!(),
    ")::text from (
  select * from lifted union all
  select * from legal_holds where id = $1::text::uuid and not exists (select from lifted)) h"
);

/// At most `$2` holds, newest first, placed before hold `$1` (uuid as text, or empty).
pub const LIST: &str = concat!(
    "
select coalesce(json_agg(",
    hold!(),
    " order by id desc), '[]')::text from (
  select * from legal_holds where id < coalesce(nullif($1::text, '')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  order by id desc limit $2) h"
);

/// The body of `POST /api/holds`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlaceHold {
    /// The room; without it the user in every room.
    #[serde(default)]
    pub room_id: Option<String>,
    /// The user; without it everybody in the room.
    #[serde(default)]
    pub user_id: Option<String>,
    /// Why: 1–500 characters.
    pub reason: String,
}

impl PlaceHold {
    /// The same, if it is good.
    ///
    /// # Errors
    /// `bad_request`, `invalid_room_id`.
    pub fn checked(self) -> Result<Self, ChatError> {
        let bad = |field: &str, message: &str| ChatError::new(ErrorCode::BadRequest, message).field(field);
        if self.room_id.is_none() && self.user_id.is_none() {
            return Err(bad("room_id", "A hold is on a room, on a user, or on a user in a room."));
        }
        self.room_id.as_deref().map(RoomId::parse).transpose()?;
        let good = |id: &String| !id.is_empty() && id.len() <= 255 && !id.chars().any(char::is_control);
        if !self.user_id.as_ref().is_none_or(good) {
            return Err(bad("user_id", "A user's id is 1 to 255 bytes, none of them a control character."));
        }
        let reason = self.reason.trim();
        if reason.is_empty() || reason.chars().count() > 500 || reason.chars().any(char::is_control) {
            return Err(bad("reason", "`reason` is 1 to 500 characters, none of them a control character."));
        }
        Ok(Self { reason: reason.to_owned(), ..self })
    }
}

#[derive(Deserialize)]
struct Stored {
    hold_id: String,
    room_id: Option<String>,
    user_id: Option<String>,
    reason: String,
    placed_by: String,
    placed_at: u64,
    lifted_by: Option<String>,
    lifted_at: Option<u64>,
}

/// A legal hold. In force until it is lifted; the line stays.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Hold {
    /// A UUID.
    hold_id: String,
    /// The room; null: every room.
    room_id: Option<String>,
    /// The user; null: everybody.
    user_id: Option<String>,
    /// Why.
    reason: String,
    /// Who placed it.
    placed_by: String,
    /// RFC 3339.
    placed_at: String,
    /// Who lifted it.
    lifted_by: Option<String>,
    /// RFC 3339; null while it is in force.
    lifted_at: Option<String>,
}

/// A page of holds.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HoldPage {
    /// Newest first.
    pub holds: Vec<Hold>,
}

/// The answer to [`PLACE`], [`LIFT`] and [`LIST`].
///
/// # Errors
/// It is not what this build's queries yield; the text is for the operator's log.
pub fn read_holds(answer: &str) -> Result<Vec<Hold>, String> {
    let stored: Vec<Stored> = serde_json::from_str(answer).map_err(|error| json_fault(&error))?;
    let hold = |stored: Stored| {
        let Stored { hold_id, room_id, user_id, reason, placed_by, placed_at, lifted_by, lifted_at } = stored;
        let (placed_at, lifted_at) = (rfc3339(placed_at), lifted_at.map(rfc3339));
        Hold { hold_id, room_id, user_id, reason, placed_by, placed_at, lifted_by, lifted_at }
    };
    Ok(stored.into_iter().map(hold).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(room_id: Option<&str>, user_id: Option<&str>, reason: &str) -> Result<PlaceHold, ChatError> {
        let (room_id, user_id) = (room_id.map(str::to_owned), user_id.map(str::to_owned));
        PlaceHold { room_id, user_id, reason: reason.into() }.checked()
    }

    #[test]
    fn what_a_hold_is_on() {
        assert_eq!(placed(Some("video_1"), None, " a case ").map(|hold| hold.reason), Ok("a case".into()));
        for (room, user, reason, code, field) in [
            (None, None, "why", ErrorCode::BadRequest, "room_id"),
            (Some("a/b"), None, "why", ErrorCode::InvalidRoomId, "room_id"),
            (None, Some(""), "why", ErrorCode::BadRequest, "user_id"),
            (None, Some("a\u{0}"), "why", ErrorCode::BadRequest, "user_id"),
            (None, Some("ada"), "  ", ErrorCode::BadRequest, "reason"),
        ] {
            let error = placed(room, user, reason).unwrap_err();
            assert_eq!((error.code, error.field.as_deref()), (code, Some(field)), "{room:?} {user:?} {reason}");
        }
    }

    #[test]
    fn a_hold_is_read_as_it_is_told() {
        let answer = r#"[{"hold_id":"h","room_id":null,"user_id":"ada","reason":"r","placed_by":"adm","placed_at":0,
            "lifted_by":null,"lifted_at":null}]"#;
        let [hold] = &read_holds(answer).unwrap()[..] else { panic!("one") };
        assert_eq!((hold.placed_at.as_str(), &hold.lifted_at), ("1970-01-01T00:00:00.000Z", &None));
        assert!(read_holds("{}").is_err());
    }
}
