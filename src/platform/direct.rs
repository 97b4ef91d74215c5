//! Opening a direct room: both users are asked, then the room, and what it is is told to both.

use super::{room_link, user_link};
use crate::auth::Identity;
use crate::protocol::call::{Ask, Caller, Opened};
use crate::protocol::{ChatError, ErrorCode, RoomId, UserId};
use crate::room::new_direct;
use futures::future::try_join;
use worker::Env;

/// The room of these two, made where it is not there yet.
///
/// # Errors
/// `blocked`, `rate_limited` after 20 new ones in an hour, `forbidden`, `bad_request`, `token_expired`, `unavailable`.
pub(super) async fn open(env: &Env, caller: Caller, two: [UserId; 2], now: u64) -> Result<Opened, ChatError> {
    let identity = caller.identity.as_ref();
    new_direct(identity, &two, now)?;
    let [one, other] = &two;
    let room = RoomId::direct(one, other);
    let (first, second) = try_join(user_link::opens(env, one, &room), user_link::opens(env, other, &room)).await?;
    let own = |who: &Identity| if who.user_id == *one { first.check(who.iat_ms) } else { second.check(who.iat_ms) };
    identity.filter(|who| two.contains(&who.user_id)).map_or(Ok(()), own)?;
    let standings = [first, second];
    let ask = |make| Ask::Direct { two: two.clone(), standings: standings.clone(), make };
    let opened = match room_link::ask(env, &room, caller.clone(), ask(false)).await {
        Err(error) if error.code == ErrorCode::RoomNotFound => {
            if let Some(who) = identity.filter(|who| !who.is_back_end()) {
                user_link::opens_direct(env, &who.user_id).await?;
            }
            room_link::ask(env, &room, caller.clone(), ask(true)).await
        }
        answer => answer,
    }?;
    try_join(user_link::opened(env, one, &room, other), user_link::opened(env, other, &room, one)).await?;
    Ok(opened)
}
