//! The room as a thing: made, changed, deleted.

use super::direct::between;
use super::policy::{self, Action};
use super::{Context, Failure, Room, Sender, Step};
use crate::auth::{Identity, Role};
use crate::protocol::{
    Audience, ChatError, CreateRoom, ErrorCode, MODES, PatchRoom, RoomInfo, RoomSettings, RoomType, UserId,
    merge_settings,
};
use crate::settings::RoomCreation;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

fn check_name(name: &str) -> Result<String, ChatError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 255 || name.chars().any(char::is_control) {
        let message = "A room's name is 1 to 255 characters, none of them a control character.";
        return Err(ChatError::new(ErrorCode::BadRequest, message).field("name"));
    }
    Ok(name.to_owned())
}

/// A room that begins now with default settings.
pub fn new_info(name: String, kind: RoomType, owner_id: Option<UserId>, now: u64) -> RoomInfo {
    let settings = RoomSettings::default();
    RoomInfo { name, kind, settings, owner_id, created_at: now, updated_at: now, deleted_at: None }
}

/// The room that `body` asks for, and the roles it begins with.
///
/// # Errors
/// `token_required`, `forbidden` where only services may, `invalid_type`, `invalid_settings`, `bad_request`.
pub fn check_create(
    body: &CreateRoom,
    identity: Option<&Identity>,
    creation: RoomCreation,
    now: u64,
) -> Result<(RoomInfo, BTreeMap<UserId, Role>), ChatError> {
    let who = identity.ok_or_else(|| ChatError::new(ErrorCode::TokenRequired, "Sign in to make a room."))?;
    let back_end = who.is_back_end();
    if creation == RoomCreation::Service && !back_end {
        return Err(ChatError::new(ErrorCode::Forbidden, "Here only services make rooms."));
    }
    let kind = serde_json::from_value(serde_json::Value::String(body.kind.clone())).map_err(|_| {
        ChatError::new(ErrorCode::InvalidType, "A room is of type `video`, `stream`, `group` or `direct`.")
            .field("type")
    })?;
    let mut info = new_info(check_name(&body.name)?, kind, Some(who.user_id.clone()), now);
    if let Some(patch) = &body.settings {
        info.settings = merge_settings(&info.settings, patch)?.0;
        expects(&info.settings, None, back_end)?;
    }
    let mut roles = BTreeMap::new();
    match (kind, &body.members) {
        (RoomType::Direct, Some(members)) => {
            let [a, b] = members.as_slice() else { return Err(two_members()) };
            if a == b || [a, b].iter().any(|id| id.is_empty() || id.len() > 255 || id.chars().any(char::is_control)) {
                return Err(two_members());
            }
            if !back_end && *a != who.user_id && *b != who.user_id {
                let message = "One of a direct room's two members is whoever makes it.";
                return Err(ChatError::new(ErrorCode::Forbidden, message).field("members"));
            }
            (info, roles) = between(info, &[a.clone(), b.clone()]);
        }
        (RoomType::Direct, None) => return Err(two_members()),
        (_, Some(_)) => {
            let message = "Only a direct room is made with members.";
            return Err(ChatError::new(ErrorCode::BadRequest, message).field("members"));
        }
        (_, None) => {}
    }
    Ok((info, roles))
}

/// That viewers are expected costs the deployment objects, so only who runs it says so.
fn expects(settings: &RoomSettings, before: Option<u32>, back_end: bool) -> Result<(), ChatError> {
    if back_end || settings.expect_viewers.is_none() || settings.expect_viewers == before {
        return Ok(());
    }
    let message = "Only services and admins say how many viewers are expected.";
    Err(ChatError::new(ErrorCode::Forbidden, message).field("settings.expect_viewers"))
}

/// A direct room that begins now, and the roles it begins with.
///
/// # Errors
/// `forbidden` where whoever asks is neither of the two nor a back end, `bad_request` where they are not two.
pub fn new_direct(
    identity: Option<&Identity>,
    two: &[UserId; 2],
    now: u64,
) -> Result<(RoomInfo, BTreeMap<UserId, Role>), ChatError> {
    let body = CreateRoom {
        room_id: None,
        name: "Direct".into(),
        kind: "direct".into(),
        settings: None,
        members: Some(two.to_vec()),
    };
    check_create(&body, identity, RoomCreation::Member, now)
}

fn two_members() -> ChatError {
    ChatError::new(ErrorCode::BadRequest, "A direct room has two different members, by their ids.").field("members")
}

impl Room {
    /// Changes name and settings; a patch that changes nothing makes no event.
    ///
    /// # Errors
    /// Those of the role, `invalid_settings`, `bad_request`.
    pub fn patch(&mut self, cx: &Context<'_>, sender: &Sender<'_>, patch: &PatchRoom) -> Result<Step, Failure> {
        let mut settings = patch.settings.iter().flat_map(|settings| settings.keys());
        let only_modes = patch.name.is_none() && settings.all(|name| MODES.contains(&name.as_str()));
        policy::check(if only_modes { Action::SetModes } else { Action::Configure }, sender.role, false)?;
        let by = sender.identity.map(|who| (who.user_id.as_str(), sender.role));
        let mut info = self.info.clone();
        let mut changed = Vec::new();
        if let Some(name) = &patch.name {
            let name = check_name(name)?;
            if name != info.name {
                info.name = name;
                changed.push("name".to_owned());
            }
        }
        if let Some(settings) = &patch.settings {
            let (settings, names) = merge_settings(&info.settings, settings)?;
            let back_end = sender.identity.is_some_and(Identity::is_back_end);
            expects(&settings, info.settings.expect_viewers, back_end)?;
            info.settings = settings;
            changed.extend(names);
        }
        let mut step = Step::default();
        if !changed.is_empty() {
            info.updated_at = cx.now;
            self.info = info;
            self.describe(&mut step, changed, by, cx.now, Audience::All);
            self.seal(&mut step);
        }
        Ok(step)
    }

    /// Changes modes, and nothing else.
    ///
    /// # Errors
    /// As [`Room::patch`]; `invalid_settings` for a setting that is no mode.
    pub fn set_modes(
        &mut self,
        cx: &Context<'_>,
        sender: &Sender<'_>,
        modes: Map<String, Value>,
    ) -> Result<Step, Failure> {
        policy::check(Action::SetModes, sender.role, false)?;
        if let Some(other) = modes.keys().find(|name| !MODES.contains(&name.as_str())) {
            let message = "No mode has this name; other settings are changed by a PATCH of the room.";
            let error = ChatError::new(ErrorCode::InvalidSettings, message).field(format!("modes.{other}"));
            return Err(error.into());
        }
        self.patch(cx, sender, &PatchRoom { name: None, settings: Some(modes) })
    }

    /// Deletes the room; what is left is a tombstone that no join can raise.
    ///
    /// # Errors
    /// Those of the role.
    pub fn delete_room(&mut self, cx: &Context<'_>, sender: &Sender<'_>) -> Result<Step, Failure> {
        policy::check(Action::DeleteRoom, sender.role, false)?;
        let mut step = Step::default();
        self.info.deleted_at = Some(cx.now);
        self.info.updated_at = cx.now;
        let by = sender.identity.map(|who| (who.user_id.as_str(), sender.role));
        self.describe(&mut step, vec!["deleted_at".to_owned()], by, cx.now, Audience::All);
        self.seal(&mut step);
        Ok(step)
    }

    /// Whether `role` may do what needs no more than that.
    ///
    /// # Errors
    /// Those of the role.
    pub fn may(&self, action: Action, role: Role) -> Result<(), ChatError> {
        policy::check(action, role, false)
    }
}
