//! The user's object: what belongs to a user in all rooms, and the Worker's calls to it.

use super::drain_link::within;
use super::room::answered;
use super::util::now;
use crate::protocol::call::{Answer, USER_MAKES_ROOM};
use crate::protocol::{ChatError, ErrorCode, Rate, json_fault};
use crate::room::Window;
use worker::{DurableObject, Env, Request, Response, Result, State, console_error, durable_object};

/// Rooms that a user may make an hour.
const ROOMS: Rate = Rate { messages: 10, window_ms: 3_600_000 };
const KEY: &str = "rooms_made";
const WITHIN: u64 = 5_000;

/// A user, in all rooms.
#[durable_object(fetch)]
pub struct User {
    state: State,
}

impl DurableObject for User {
    fn new(state: State, _env: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, req: Request) -> Result<Response> {
        if req.path() != USER_MAKES_ROOM {
            return Response::error("no such call", 404);
        }
        let stored: Option<String> = self.state.storage().get(KEY).await?;
        let mut made: Window = stored.and_then(|made| serde_json::from_str(&made).ok()).unwrap_or_default();
        let allowed = made.check(ROOMS, now());
        if allowed.is_ok() {
            made.accepted(now());
            self.state.storage().put(KEY, crate::protocol::wire::json(&made)).await?;
        }
        answered(allowed)
    }
}

/// Counts a room that this user wants to make.
///
/// # Errors
/// `rate_limited` after ten in an hour, `unavailable`.
pub(super) async fn makes_room(env: &Env, user_id: &str) -> std::result::Result<(), ChatError> {
    let call = async {
        let stub = env.durable_object("USER")?.get_by_name(user_id)?;
        stub.fetch_with_str(&format!("https://user{USER_MAKES_ROOM}")).await?.text().await
    };
    let unavailable = |error: String| {
        console_error!("call to a user's object: {error}");
        ChatError::new(ErrorCode::Unavailable, "Rooms cannot be made now; try again in a moment.").retry_after(1_000)
    };
    let text = within(WITHIN, call).await.map_err(unavailable)?.map_err(|error| unavailable(error.to_string()))?;
    match serde_json::from_str::<Answer<()>>(&text).map_err(|error| unavailable(json_fault(&error)))? {
        Answer::Ok(()) => Ok(()),
        Answer::Error(error) => Err(error),
    }
}
