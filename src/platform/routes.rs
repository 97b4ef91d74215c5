//! What each route of REST answers: who asks, one call, and what comes of it.

use super::util::{entropy, now};
use super::{body, direct, erasure, export, holds, messages, reports, room_link, user_link};
use crate::auth::{self, Bearer, Claims, Identity, Role};
use crate::protocol::act::{
    Act, Appointed, Denial, HeldRef, PinRef, ReportBody, ReportMessage, ResolveBody, ResolveReport, SetRole, UserRef,
};
use crate::protocol::call::{
    Ask, BackupAsk, BackupCall, Caller, EditBody, KnownMessage, Nothing, Opened, Reported, SendBody, Standing,
    TokenBody, TokenData, UserAsk, UserCall, VERSION,
};
use crate::protocol::device::{ClaimKeys, KeyBackup, NameDevice};
use crate::protocol::wire::raw_json;
use crate::protocol::{ChatError, CreateRoom, ErrorCode, RoomId, depth_within, read, rfc3339};
use crate::rest::{self, Route};
use crate::room::{check_client_id, check_create};
use crate::settings::Settings;
use crate::user::check_backup;
use serde_json::value::RawValue;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::time::Duration;
use worker::{Context, Delay, Env, Request, Response};

/// The longest body that carries a backup of keys, in bytes.
const MAX_BACKUP_BODY: usize = 260 * 1024;
/// How long a token for trying out lasts, s.
const DEV_TOKEN_S: u64 = 12 * 3600;

type Answered = std::result::Result<(u16, Box<RawValue>), ChatError>;

/// One request, once it is known who asks.
pub(super) struct Request_<'a> {
    pub(super) req: Request,
    pub(super) env: &'a Env,
    pub(super) ctx: &'a Context,
    pub(super) settings: &'a Settings,
    pub(super) claims: std::result::Result<Option<Claims>, ChatError>,
    /// What the caller's own object says, once it was asked.
    pub(super) standing: OnceCell<Option<Standing>>,
}

fn bad(message: &str) -> ChatError {
    ChatError::new(ErrorCode::BadRequest, message)
}

fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> std::result::Result<T, ChatError> {
    // Serde takes an array for a struct too, its fields in the order of the source.
    if text.trim_start().starts_with('[') {
        return Err(bad("The body has to be one JSON object."));
    }
    if !depth_within(text, 32) {
        return Err(bad("A body is nested at most 32 levels deep."));
    }
    read(text).map_err(|error| match error.code {
        ErrorCode::BadFrame => bad("The body has to be one JSON object."),
        _ => error,
    })
}

fn check_user_id(user_id: &str) -> std::result::Result<(), ChatError> {
    if user_id.is_empty() || user_id.len() > 255 || user_id.chars().any(char::is_control) {
        return Err(bad("A user's id is 1 to 255 bytes, none of them a control character.").field("user_id"));
    }
    Ok(())
}

/// Whether the token is a service's or an admin's, in all rooms.
fn is_back_end(claims: &Claims) -> bool {
    claims.roles.iter().any(|role| matches!(role, Role::Service | Role::Admin))
}

fn fault() -> ChatError {
    ChatError::new(ErrorCode::Internal, "The service met a fault of its own.")
}

impl Request_<'_> {
    /// The status and the body of the answer.
    pub(super) async fn answer(&mut self, route: Route) -> Answered {
        let done = |body| Ok((200, body));
        // Who may not ask is told that before anything of what they ask for.
        match route {
            Route::DevToken => {}
            Route::Room(_) | Route::Messages(_) | Route::Members(_) => drop(self.claims.clone()?),
            _ => drop(self.required()?),
        }
        match route {
            Route::DevToken => self.dev_token().await,
            Route::CreateRoom => self.create().await,
            Route::Room(room) => done(self.ask(&room, Ask::Get(Nothing {})).await?),
            Route::PatchRoom(room) => {
                let body = self.body().await?;
                done(self.ask(&room, Ask::Patch(body)).await?)
            }
            Route::DeleteRoom(room) => Ok((204, self.ask(&room, Ask::Delete(Nothing {})).await?)),
            Route::Messages(room) => {
                let pairs = self.query()?;
                let (query, mine) = (rest::page(&pairs)?, rest::mine(&pairs)?);
                let mut caller = self.caller(&room).await?;
                caller.standing = self.standing.get().cloned().flatten();
                done(messages::page(self.env, self.ctx, &room, caller, query, mine).await?)
            }
            Route::Members(room) => {
                let (limit, skip) = rest::members(&self.query()?)?;
                done(room_link::list_members(self.env, &room, self.caller(&room).await?, limit, skip).await?)
            }
            Route::Stats(room) => done(self.ask(&room, Ask::Stats(Nothing {})).await?),
            Route::Post(room) => {
                let mut body: SendBody = self.body().await?;
                let key = self.header("idempotency-key");
                if body.client_id.is_none() {
                    key.as_deref().map(check_client_id).transpose()?;
                    body.client_id = key;
                }
                Ok((201, self.ask(&room, Ask::Send(body)).await?))
            }
            Route::Bans(room) => done(self.ask(&room, Ask::Bans(Nothing {})).await?),
            Route::Ban(room) => {
                let body = self.body().await?;
                done(self.act(&room, Act::Ban(body)).await?)
            }
            Route::Unban(room, user_id) => {
                let act = Act::Unban(UserRef { user_id, reason: self.reason()?, room_id: None });
                Ok((204, self.act(&room, act).await?))
            }
            Route::DeleteUserMessages(room, user_id) => {
                let act = Act::DeleteMessages(UserRef { user_id, reason: self.reason()?, room_id: None });
                done(self.act(&room, act).await?)
            }
            Route::Clear(room) => {
                let body = self.optional_body().await?;
                done(self.act(&room, Act::Clear(body)).await?)
            }
            Route::Announce(room) => {
                let body = self.body().await?;
                Ok((201, self.act(&room, Act::Announce(body)).await?))
            }
            Route::Pin(room, message_id, unpin) => {
                let body = PinRef { message_id, room_id: None };
                done(self.act(&room, if unpin { Act::Unpin(body) } else { Act::Pin(body) }).await?)
            }
            Route::Role(room, user_id, take) => {
                let role = if take { None } else { Some(self.body::<Appointed>().await?.role) };
                done(self.act(&room, Act::SetRole(SetRole { user_id, role, room_id: None })).await?)
            }
            Route::Held(room) => done(self.ask(&room, Ask::Held(Nothing {})).await?),
            Route::ReviewHeld(room, held_id, deny) => {
                let mut body = HeldRef { held_id, ..HeldRef::default() };
                if deny {
                    body.reason = self.optional_body::<Denial>().await?.reason;
                }
                done(self.act(&room, if deny { Act::Deny(body) } else { Act::Allow(body) }).await?)
            }
            Route::Terms(room) => done(self.ask(&room, Ask::Terms(Nothing {})).await?),
            Route::SetTerms(room) => {
                let body = self.body().await?;
                done(self.act(&room, Act::SetTerms(body)).await?)
            }
            Route::TryTerms(room) => {
                let body = self.body().await?;
                done(self.ask(&room, Ask::TryTerms(body)).await?)
            }
            Route::Audit(room) => {
                let (before, limit) = rest::audit(&self.query()?)?;
                done(messages::audit(self.env, self.ctx, &room, self.caller(&room).await?, before, limit).await?)
            }
            Route::Blocks => done(self.ask_user(UserAsk::Blocks(Nothing {})).await?),
            Route::Block(user_id, false) => Ok((204, self.ask_user(UserAsk::Block(user_id)).await?)),
            Route::Block(user_id, true) => Ok((204, self.ask_user(UserAsk::Unblock(user_id)).await?)),
            Route::Direct(user_id) => {
                let claims = self.required()?;
                self.open_direct([claims.sub, user_id]).await
            }
            Route::PublishKeys(device_id) => {
                self.member()?;
                let keys = self.body().await?;
                done(self.ask_user(UserAsk::Publish { device_id, keys }).await?)
            }
            Route::NameDevice(device_id) => {
                self.member()?;
                let NameDevice { name } = self.body().await?;
                done(self.ask_user(UserAsk::NameDevice { device_id, name }).await?)
            }
            Route::RemoveDevice(device_id) => {
                self.member()?;
                Ok((204, self.ask_user(UserAsk::RemoveDevice(device_id)).await?))
            }
            Route::SetBackup => {
                self.member()?;
                let backup: KeyBackup = parsed(&body::text(&mut self.req, "JSON", MAX_BACKUP_BODY).await?)?;
                check_backup(&backup.data)?;
                Ok((204, self.backup(BackupAsk::Set(backup)).await?))
            }
            Route::Backup => done(self.backup(BackupAsk::Get).await?),
            Route::RemoveBackup => Ok((204, self.backup(BackupAsk::Remove).await?)),
            Route::OwnDevices => {
                self.member()?;
                done(self.ask_user(UserAsk::Devices(Nothing {})).await?)
            }
            Route::Devices(user_id) => {
                self.member()?;
                self.signed_in().await?;
                done(self.ask_other(&user_id, UserAsk::DevicesFor(Nothing {})).await?)
            }
            Route::ClaimKeys(user_id) => {
                let by = self.member()?.sub;
                let ClaimKeys { device_ids } = self.optional_body().await?;
                self.ask_user(UserAsk::Claims(user_id.clone())).await?;
                done(self.ask_other(&user_id, UserAsk::ClaimedBy { by, device_ids }).await?)
            }
            Route::Erase(user_id) => {
                self.signed_in().await?;
                let body = self.optional_body().await?;
                Ok((202, erasure::ask(self.env, &self.required()?, &user_id, body).await?))
            }
            Route::Erasure(id) => {
                self.signed_in().await?;
                done(erasure::read(self.env, &self.required()?, &id).await?)
            }
            Route::SignOut => {
                let signed_out = self.ask_user(UserAsk::SignOut(Nothing {})).await?;
                // A token of this second would be refused like those before it; one made after the answer is not.
                Delay::from(Duration::from_millis(1_000 - now() % 1_000)).await;
                done(signed_out)
            }
            Route::Reports(room) => {
                let query = rest::reports(&self.query()?)?;
                done(reports::page(self.env, self.ctx, &room, self.caller(&room).await?, query).await?)
            }
            Route::DirectReports => {
                self.signed_in().await?;
                if !self.required()?.roles.iter().any(|role| role.at_least(Role::Moderator)) {
                    return Err(ChatError::new(ErrorCode::Forbidden, "Moderators see to reports of direct rooms."));
                }
                let query = rest::reports(&self.query()?)?;
                done(reports::direct(self.env, self.ctx, query).await?)
            }
            Route::Report(room, id) => {
                done(reports::open(self.env, self.ctx, &room, self.caller(&room).await?, id).await?)
            }
            Route::ResolveReport(room, report_id) => {
                let ResolveBody { status, resolution } = self.body().await?;
                let body = ResolveReport { report_id, status, resolution, room_id: None };
                done(self.act(&room, Act::ResolveReport(body)).await?)
            }
            Route::ReportMessage(message_id) => {
                let ReportBody { room_id, reason, details, opened } = self.body().await?;
                let body = ReportMessage { message_id: message_id.clone(), reason, details, opened, room_id: None };
                let report = |known| Ask::Report { body: body.clone(), known };
                let answer = self.on_message(&message_id, room_id, report).await?;
                let Reported { made, report } = serde_json::from_str(answer.get()).map_err(|_| fault())?;
                Ok((if made { 201 } else { 200 }, report))
            }
            Route::EditMessage(message_id) => {
                let EditBody { room_id, content, franking } = self.body().await?;
                let edit = |known| {
                    let (message_id, content, franking) = (message_id.clone(), content.clone(), franking.clone());
                    Ask::Edit { message_id, content, franking, known }
                };
                done(self.on_message(&message_id, room_id, edit).await?)
            }
            Route::DeleteMessage(message_id) => {
                let room_id = self.query()?.into_iter().find(|(key, _)| key == "room_id").map(|(_, id)| id);
                let delete = |known| Ask::DeleteMessage { message_id: message_id.clone(), known };
                done(self.on_message(&message_id, room_id, delete).await?)
            }
            Route::Holds => {
                self.back_end().await?;
                let (before, limit) = rest::holds(&self.query()?)?;
                done(holds::list(self.env, self.ctx, before, limit).await?)
            }
            Route::PlaceHold => {
                let by = self.back_end().await?;
                let body = self.body().await?;
                Ok((201, holds::place(self.env, self.ctx, &by, body).await?))
            }
            Route::LiftHold(id) => {
                let by = self.back_end().await?;
                done(holds::lift(self.env, self.ctx, &by, &id).await?)
            }
            Route::ExportRoom(_) | Route::ExportUser(_) => Err(fault()),
            // Answered before; named so that a new route is not forgotten.
            Route::Socket(_) | Route::Inbox | Route::Health | Route::Metrics | Route::OpenApi | Route::Problem(_) => {
                Err(fault())
            }
            Route::NotFound | Route::MethodNotAllowed(_) => Err(fault()),
        }
    }

    /// Lines rather than one body.
    pub(super) async fn export(&mut self, route: Route) -> std::result::Result<Response, ChatError> {
        self.signed_in().await?;
        let pairs = self.query()?;
        let after = rest::after(&pairs)?;
        match route {
            Route::ExportRoom(room) => export::room(self.env, self.ctx, &room, self.caller(&room).await?, after).await,
            Route::ExportUser(user_id) => {
                let claims = self.member()?;
                let other = claims.sub != user_id;
                if other && !is_back_end(&claims) {
                    return Err(ChatError::new(ErrorCode::Forbidden, "Only services and admins export somebody else."));
                }
                check_user_id(&user_id)?;
                export::user(self.env, self.ctx, &user_id, other, after).await
            }
            _ => Err(fault()),
        }
    }

    /// Whoever asks, who is an admin or a service.
    async fn back_end(&self) -> std::result::Result<String, ChatError> {
        let claims = self.required()?;
        self.check_standing(&claims).await?;
        if !is_back_end(&claims) {
            return Err(ChatError::new(ErrorCode::Forbidden, "Only services and admins see to legal holds."));
        }
        Ok(claims.sub)
    }

    async fn ask(&self, room: &RoomId, ask: Ask) -> std::result::Result<Box<RawValue>, ChatError> {
        room_link::ask(self.env, room, self.caller(room).await?, ask).await
    }

    async fn act(&self, room: &RoomId, act: Act) -> std::result::Result<Box<RawValue>, ChatError> {
        self.ask(room, Ask::Act(act)).await
    }

    /// An act on a message by its id. PostgreSQL is asked where the room is not named, or its log has let go of it.
    async fn on_message(
        &self,
        message_id: &str,
        room_id: Option<String>,
        ask: impl Fn(Option<KnownMessage>) -> Ask,
    ) -> std::result::Result<Box<RawValue>, ChatError> {
        self.signed_in().await?;
        if let Some(room) = room_id {
            let done = self.ask(&RoomId::parse(&room)?, ask(None)).await;
            if !matches!(&done, Err(error) if error.code == ErrorCode::MessageTooOld) {
                return done;
            }
        }
        let (room, known) = messages::find(self.env, self.ctx, message_id).await?;
        self.ask(&room, ask(Some(known))).await
    }

    fn header(&self, name: &str) -> Option<String> {
        self.req.headers().get(name).ok().flatten()
    }

    fn required(&self) -> std::result::Result<Claims, ChatError> {
        let required = || ChatError::new(ErrorCode::TokenRequired, "Sign in to do this: send a bearer token.");
        self.claims.clone()?.ok_or_else(required)
    }

    async fn signed_in(&self) -> std::result::Result<(), ChatError> {
        let claims = self.required()?;
        self.check_standing(&claims).await
    }

    /// Whether the token was made after its user last signed out; the user's object is asked once a request.
    async fn check_standing(&self, claims: &Claims) -> std::result::Result<(), ChatError> {
        if self.standing.get().is_none() {
            let _ = self.standing.set(user_link::standing_in_time(self.env, &claims.sub).await);
        }
        self.standing.get().and_then(Option::as_ref).map_or(Ok(()), |standing| standing.check(claims.iat_ms))
    }

    async fn caller(&self, room: &RoomId) -> std::result::Result<Caller, ChatError> {
        let claims = self.claims.clone()?;
        if let Some(claims) = &claims {
            self.check_standing(claims).await?;
        }
        let identity = claims.map(|claims| Identity::for_room(&claims, room.as_str()));
        Ok(Caller { identity, ..Caller::default() })
    }

    /// Asks the caller's own object, which looks at the token's time itself.
    async fn ask_user(&self, ask: UserAsk) -> std::result::Result<Box<RawValue>, ChatError> {
        let claims = self.required()?;
        let call = UserCall { v: VERSION, iat_ms: claims.iat_ms, ask };
        user_link::ask(self.env, &claims.sub, &call).await
    }

    /// Asks the caller's own object about the backup of their keys.
    async fn backup(&self, ask: BackupAsk) -> std::result::Result<Box<RawValue>, ChatError> {
        let claims = self.member()?;
        user_link::backup(self.env, &claims.sub, &BackupCall { v: VERSION, iat_ms: claims.iat_ms, ask }).await
    }

    /// Asks another user's object.
    async fn ask_other(&self, user_id: &str, ask: UserAsk) -> std::result::Result<Box<RawValue>, ChatError> {
        check_user_id(user_id)?;
        user_link::ask(self.env, user_id, &UserCall { v: VERSION, iat_ms: None, ask }).await
    }

    /// Whoever asks, who is no guest.
    fn member(&self) -> std::result::Result<Claims, ChatError> {
        let claims = self.required()?;
        if claims.roles.iter().any(|role| role.at_least(Role::Member)) {
            return Ok(claims);
        }
        Err(ChatError::new(ErrorCode::Forbidden, "A guest has no private messages."))
    }

    fn query(&self) -> std::result::Result<Vec<(String, String)>, ChatError> {
        let url = self.req.url();
        let url = url.map_err(|_| ChatError::new(ErrorCode::InvalidParameter, "The query cannot be read."))?;
        Ok(url.query_pairs().into_owned().collect())
    }

    /// The `reason` of a request that has no body.
    fn reason(&self) -> std::result::Result<Option<String>, ChatError> {
        Ok(rest::reason(&self.query()?)?.map(str::to_owned))
    }

    async fn body<T: serde::de::DeserializeOwned>(&mut self) -> std::result::Result<T, ChatError> {
        parsed(&self.text().await?)
    }

    /// The same, where leaving the body out says nothing.
    async fn optional_body<T: serde::de::DeserializeOwned + Default>(&mut self) -> std::result::Result<T, ChatError> {
        let text = self.text().await?;
        if text.is_empty() { Ok(T::default()) } else { parsed(&text) }
    }

    async fn text(&mut self) -> std::result::Result<String, ChatError> {
        body::text(&mut self.req, "JSON", body::MOST).await
    }

    async fn create(&mut self) -> Answered {
        let body: CreateRoom = self.body().await?;
        let room = match &body.room_id {
            Some(id) => RoomId::wanted(id)?,
            None => RoomId::fresh(&body.kind, now(), &entropy()).map_err(|_| {
                let message = "A room is of type `video`, `stream`, `group` or `direct`.";
                ChatError::new(ErrorCode::InvalidType, message).field("type")
            })?,
        };
        let caller = self.caller(&room).await?;
        // What is refused is not counted.
        check_create(&body, caller.identity.as_ref(), self.settings.room_creation, now())?;
        if let ("direct", Some([one, other])) = (body.kind.as_str(), body.members.as_deref()) {
            return self.open_direct([one.clone(), other.clone()]).await;
        }
        if let Some(who) = caller.identity.as_ref().filter(|who| !who.is_back_end()) {
            user_link::makes_room(self.env, &who.user_id).await?;
        }
        Ok((201, room_link::ask(self.env, &room, caller, Ask::Create(body)).await?))
    }

    /// Opens the room of these two.
    async fn open_direct(&self, two: [String; 2]) -> Answered {
        self.member()?;
        let caller = self.caller(&RoomId::direct("", "")).await?;
        let Opened { made, room } = direct::open(self.env, caller, two, now()).await?;
        Ok((if made { 201 } else { 200 }, room))
    }

    async fn dev_token(&mut self) -> Answered {
        let absent = || ChatError::new(ErrorCode::UserNotFound, "This deployment makes no tokens for trying out.");
        if !self.settings.dev_tokens {
            return Err(absent());
        }
        let wanted: TokenBody = self.body().await?;
        let role = wanted.role.unwrap_or(Role::Member);
        let (mut roles, mut rooms) = (vec![Role::Member], BTreeMap::new());
        match &wanted.room {
            Some(room) => drop(rooms.insert(room.as_str(), role)),
            None => roles = vec![role],
        }
        let now_s = now() / 1000;
        let bearer = Bearer { sub: &wanted.user, username: &wanted.name, roles, rooms };
        let token = auth::sign(&self.settings.keys, &bearer, now_s, now_s + DEV_TOKEN_S).ok_or_else(absent)?;
        // Told as every other reader of the token will see it.
        let claims = auth::verify(&token, &self.settings.keys, now())?;
        let expires_at = rfc3339(claims.exp_ms);
        let made = TokenData { token: &token, user_id: &claims.sub, username: &claims.username, expires_at };
        Ok((200, raw_json(&made)))
    }
}
