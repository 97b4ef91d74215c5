//! A room as it is described: its type, its settings, and what a body may change of them.

use super::{ChatError, ErrorCode, UserId};
use crate::content::{Links, ProfanitySetting, SpamSetting};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a room belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RoomType {
    /// The page of a video.
    #[default]
    Video,
    /// A live stream.
    Stream,
    /// A group of people.
    Group,
    /// Two users; always private.
    Direct,
}

impl RoomType {
    /// The type as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Stream => "stream",
            Self::Group => "group",
            Self::Direct => "direct",
        }
    }

    /// The type of a room that is made by joining it: what its id begins with, else a video.
    pub fn of_id(id: &str) -> Self {
        if id.starts_with("stream_") { Self::Stream } else { Self::Video }
    }
}

/// Who may read a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Any signed-in user, and guests where `guests` is true.
    #[default]
    Public,
    /// Who has a role in the room or in the token for it, and global moderators, admins and services.
    Private,
}

/// A limit of its own for a room: `messages` per user in each window of `window_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rate {
    /// 1–10,000 messages.
    pub messages: u32,
    /// 100 ms to one hour.
    pub window_ms: u64,
}

/// What an owner can set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RoomSettings {
    /// Whether viewers without a token may read.
    pub guests: bool,
    /// Who may read.
    pub visibility: Visibility,
    /// Only moderators and above may send and react.
    pub read_only: bool,
    /// Seconds between two messages of a member: 1–21,600; null: off.
    pub slow_s: Option<u64>,
    /// Members may say nothing but emoji and `:name:` shortcodes.
    pub emote_only: bool,
    /// Only who has followed for at least so many seconds may send, and subscribers: 0–31,536,000; null: off.
    pub followers_only_s: Option<u64>,
    /// Only subscribers may send.
    pub subscribers_only: bool,
    /// Seconds that a subscription has to be old where only subscribers may send: 0–31,536,000.
    pub subscribers_only_s: u64,
    /// Nobody may say the same twice within a minute.
    pub no_repeats: bool,
    /// Who may post links.
    pub links: Links,
    /// Seconds after which those below moderator see what happens: 0, 2, 4 or 6.
    pub delay_s: u64,
    /// Swearing, slurs and sexual talk; null: as ENABLE_PROFANITY_FILTER says.
    pub profanity: Option<ProfanitySetting>,
    /// Repeats, floods and advertisements; null: as ENABLE_SPAM_DETECTION says.
    pub spam: Option<SpamSetting>,
    /// Instead of RATE_LIMIT_MESSAGES and RATE_LIMIT_WINDOW.
    pub rate: Option<Rate>,
    /// Instead of MAX_MESSAGE_LENGTH, in characters: 1–8,000.
    pub max_message_length: Option<u32>,
    /// For how many seconds a message can be edited: 1–31,536,000; null: for good.
    pub edit_window_s: Option<u64>,
    /// Instead of MESSAGE_HISTORY_LIMIT: 1–100 messages on join.
    pub history_limit: Option<u32>,
    /// For how many days messages are kept: 1–3,650; null: as RETENTION_DAYS says.
    pub retention_days: Option<u32>,
    /// How many messages are kept: 100–10,000,000; null: all.
    pub retention_messages: Option<u64>,
    /// Messages a second above which viewers of a large room get a sample of them: 1–10,000; null: they get all.
    pub sample_above: Option<u32>,
    /// So many viewers are expected: the room is split for them ahead of time; 1–1,000,000, set by services and admins.
    pub expect_viewers: Option<u32>,
}

impl Default for RoomSettings {
    fn default() -> Self {
        Self {
            guests: true,
            visibility: Visibility::Public,
            read_only: false,
            slow_s: None,
            emote_only: false,
            followers_only_s: None,
            subscribers_only: false,
            subscribers_only_s: 0,
            no_repeats: false,
            links: Links::On,
            delay_s: 0,
            profanity: None,
            spam: None,
            rate: None,
            max_message_length: None,
            edit_window_s: None,
            history_limit: None,
            retention_days: None,
            retention_messages: None,
            sample_above: None,
            expect_viewers: None,
        }
    }
}

/// A room as the log and PostgreSQL hold it. Times in ms since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomInfo {
    /// 1–255 characters.
    pub name: String,
    /// What it belongs to.
    #[serde(rename = "type")]
    pub kind: RoomType,
    /// What its owner set.
    pub settings: RoomSettings,
    /// Who made it.
    pub owner_id: Option<UserId>,
    /// When it was made.
    pub created_at: u64,
    /// When its name or settings last changed.
    pub updated_at: u64,
    /// When it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<u64>,
}

/// The body of `POST /api/rooms`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreateRoom {
    /// The id wanted; without it the service makes one.
    #[serde(default, alias = "id", skip_serializing_if = "Option::is_none")]
    pub room_id: Option<String>,
    /// 1–255 characters.
    pub name: String,
    /// `video`, `stream`, `group` or `direct`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Only what differs from the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<RoomSettings>))]
    pub settings: Option<Map<String, Value>>,
    /// The two users of a direct room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<String>>,
}

/// The body of `PATCH /api/rooms/{id}`: a merge patch; null sets a setting back to its default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PatchRoom {
    /// 1–255 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The settings to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<RoomSettings>))]
    pub settings: Option<Map<String, Value>>,
}

/// The settings that are modes: what moderators may set too.
pub const MODES: [&str; 11] = [
    "read_only",
    "slow_s",
    "emote_only",
    "followers_only_s",
    "subscribers_only",
    "subscribers_only_s",
    "no_repeats",
    "links",
    "delay_s",
    "profanity",
    "spam",
];

/// The longest time that a mode asks of a follower or subscriber, s.
const LONGEST_BOND: u64 = 31_536_000;

/// Applies a merge patch to settings and checks the outcome; also returns the names of what changed.
///
/// # Errors
/// `invalid_settings` naming the setting as `settings.<name>`: unknown, of the wrong type, or out of range.
pub fn merge_settings(
    now: &RoomSettings,
    patch: &Map<String, Value>,
) -> Result<(RoomSettings, Vec<String>), ChatError> {
    let invalid = |name: &str, message: &str| {
        ChatError::new(ErrorCode::InvalidSettings, message).field(format!("settings.{name}"))
    };
    let serialised = |settings: &RoomSettings| match serde_json::to_value(settings) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let before = serialised(now);
    let defaults = serialised(&RoomSettings::default());
    let mut merged = before.clone();
    for (name, value) in patch {
        let Some(default) = defaults.get(name) else { return Err(invalid(name, "There is no such setting.")) };
        let value = if value.is_null() { default } else { value };
        merged.insert(name.clone(), value.clone());
        // One at a time, so that the error can name it.
        let alone = Map::from_iter([(name.clone(), value.clone())]);
        let settings: RoomSettings = serde_json::from_value(Value::Object(alone))
            .map_err(|_| invalid(name, "The setting has the wrong type or an unknown value."))?;
        if let Some(message) = settings.out_of_range() {
            return Err(invalid(name, message));
        }
    }
    let changed = merged.iter().filter(|(name, value)| before.get(*name) != Some(value));
    let changed = changed.map(|(name, _)| format!("settings.{name}")).collect();
    let settings = serde_json::from_value(Value::Object(merged)).unwrap_or_else(|_| now.clone());
    Ok((settings, changed))
}

impl RoomSettings {
    fn out_of_range(&self) -> Option<&'static str> {
        let outside = |value: Option<u64>, low: u64, high: u64| value.is_some_and(|v| v < low || v > high);
        if outside(self.rate.map(|r| r.messages.into()), 1, 10_000) {
            Some("`rate.messages` is 1 to 10,000.")
        } else if outside(self.rate.map(|r| r.window_ms), 100, 3_600_000) {
            Some("`rate.window_ms` is 100 to 3,600,000.")
        } else if outside(self.slow_s, 1, 21_600) {
            Some("`slow_s` is 1 to 21,600 seconds.")
        } else if outside(self.followers_only_s, 0, LONGEST_BOND) {
            Some("`followers_only_s` is 0 to 31,536,000 seconds.")
        } else if self.subscribers_only_s > LONGEST_BOND {
            Some("`subscribers_only_s` is 0 to 31,536,000 seconds.")
        } else if !matches!(self.delay_s, 0 | 2 | 4 | 6) {
            Some("`delay_s` is 0, 2, 4 or 6 seconds.")
        } else if outside(self.max_message_length.map(u64::from), 1, 8_000) {
            Some("`max_message_length` is 1 to 8,000 characters.")
        } else if outside(self.edit_window_s, 1, 31_536_000) {
            Some("`edit_window_s` is 1 to 31,536,000 seconds.")
        } else if outside(self.history_limit.map(u64::from), 1, 100) {
            Some("`history_limit` is 1 to 100 messages.")
        } else if outside(self.retention_days.map(u64::from), 1, 3_650) {
            Some("`retention_days` is 1 to 3,650 days.")
        } else if outside(self.retention_messages, 100, 10_000_000) {
            Some("`retention_messages` is 100 to 10,000,000 messages.")
        } else if outside(self.sample_above.map(u64::from), 1, 10_000) {
            Some("`sample_above` is 1 to 10,000 messages a second.")
        } else if outside(self.expect_viewers.map(u64::from), 1, 1_000_000) {
            Some("`expect_viewers` is 1 to 1,000,000.")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merge(patch: Value) -> Result<(RoomSettings, Vec<String>), ChatError> {
        let Value::Object(patch) = patch else { panic!("an object") };
        merge_settings(&RoomSettings { edit_window_s: Some(60), ..RoomSettings::default() }, &patch)
    }

    #[test]
    fn a_merge_patch_changes_what_it_names() {
        let (settings, changed) = merge(json!({"guests": false, "edit_window_s": null, "read_only": false})).unwrap();
        assert_eq!((settings.guests, settings.edit_window_s), (false, None));
        assert_eq!(changed, ["settings.edit_window_s", "settings.guests"]);
    }

    #[test]
    fn a_bad_setting_is_named() {
        for (patch, field) in [
            (json!({"gusts": true}), "settings.gusts"),
            (json!({"guests": "yes"}), "settings.guests"),
            (json!({"visibility": "secret"}), "settings.visibility"),
            (json!({"rate": {"messages": 0, "window_ms": 1000}}), "settings.rate"),
            (json!({"history_limit": 101}), "settings.history_limit"),
            (json!({"delay_s": 3}), "settings.delay_s"),
            (json!({"retention_days": 0}), "settings.retention_days"),
            (json!({"retention_days": 3_651}), "settings.retention_days"),
            (json!({"retention_messages": 99}), "settings.retention_messages"),
            (json!({"retention_messages": 10_000_001}), "settings.retention_messages"),
            (json!({"sample_above": 0}), "settings.sample_above"),
            (json!({"sample_above": 10_001}), "settings.sample_above"),
            (json!({"links": "some"}), "settings.links"),
            (json!({"followers_only_s": 31_536_001}), "settings.followers_only_s"),
            (json!({"profanity": {"action": "shout"}}), "settings.profanity"),
        ] {
            let error = merge(patch).unwrap_err();
            assert_eq!((error.code, error.field.as_deref()), (ErrorCode::InvalidSettings, Some(field)));
        }
    }
}
