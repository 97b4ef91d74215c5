//! The drain's way to the webhook's back end: a request for each room's batch, a few rooms at once.

use super::drain_link::within;
use super::util::{now, settings};
use crate::protocol::{ChatError, ErrorCode};
use crate::sinks::turns::Turns;
use crate::sinks::webhook::{Delivered, Delivery, delivered, signatures};
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::Env;
use worker::js_sys::{self, Promise};
use worker::wasm_bindgen_futures::JsFuture;

/// Requests at once: of six connections of an object that wait for an answer the platform lets a seventh wait, and those
/// to PostgreSQL and Redis may not be that one.
const AT_ONCE: usize = 3;
/// Rooms that wait for their turn beyond them; further ones are told to come back.
const WAITING: usize = 61;
/// So long they wait, ms: with the answer's own time below the rooms' 20 s.
const TURN_WITHIN: u64 = 5_000;
/// The answer has to be there in this time, ms.
const ANSWER_WITHIN: u32 = 10_000;
/// How long a room waits whose turn did not come, ms.
const CROWDED: u64 = 1_000;
/// How long one waits at least whose request was given up, ms, so that the others have their turn.
const HUNG: u64 = 10_000;

// What the answer says beyond its head is of no interest. A redirect is an answer like another, and is not followed.
#[wasm_bindgen(inline_js = r#"
export const posted = async (url, body, id, timestamp, signature, ms) => {
  const headers = {
    "content-type": "application/json", "user-agent": "edge-chat",
    "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature,
  };
  const signal = AbortSignal.timeout(ms);
  const { status, headers: said, body: rest } = await fetch(url, { method: "POST", redirect: "manual", headers, body, signal });
  rest?.cancel().catch(() => {});
  return [status, said.get("retry-after") ?? ""];
};
"#)]
extern "C" {
    #[wasm_bindgen(catch)]
    fn posted(
        url: &str,
        body: &str,
        id: &str,
        timestamp: &str,
        signature: &str,
        ms: u32,
    ) -> std::result::Result<Promise, JsValue>;
}

/// The webhook's part of a drain; holds nothing that is not in a room's log.
pub(super) struct Poster {
    turns: Rc<Turns>,
    held: Cell<usize>,
}

impl Default for Poster {
    fn default() -> Self {
        Self { turns: Turns::new(AT_ONCE, WAITING), held: Cell::new(0) }
    }
}

/// A body, counted as long as it is here.
struct Held<'a>(&'a Poster, usize);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let Self(poster, bytes) = self;
        poster.held.set(poster.held.get().saturating_sub(*bytes));
    }
}

impl Poster {
    /// Bytes of bodies that are on their way, or wait.
    pub(super) fn held(&self) -> usize {
        self.held.get()
    }

    /// Posts one room's batch; what became of it.
    ///
    /// # Errors
    /// `overloaded` where its turn does not come, `unavailable` where there is no webhook.
    pub(super) async fn post(&self, env: &Env, delivery: &Delivery) -> Result<Delivered, ChatError> {
        let settings = settings(env)?;
        let Some(webhook) = &settings.webhook else {
            return Err(ChatError::new(ErrorCode::Unavailable, "no webhook is set"));
        };
        let Delivery { id, body, .. } = delivery;
        self.held.set(self.held.get() + body.len());
        let _held = Held(self, body.len());
        let turn = within(TURN_WITHIN, self.turns.take()).await.ok().flatten();
        let _turn = turn.ok_or_else(|| {
            let message = "As many deliveries as can be are on their way.";
            ChatError::new(ErrorCode::Overloaded, message).retry_after(CROWDED)
        })?;
        let at = now() / 1_000;
        let signature = signatures(webhook, id, at, body);
        let answer = match posted(&webhook.url, body, id, &at.to_string(), &signature, ANSWER_WITHIN) {
            Ok(promise) => JsFuture::from(promise).await,
            Err(error) => Err(error),
        };
        Ok(answer.as_ref().ok().and_then(read).unwrap_or_else(|| later(answer.err().as_ref())))
    }
}

fn read(answer: &JsValue) -> Option<Delivered> {
    let answer: &js_sys::Array = answer.dyn_ref()?;
    let status = answer.get(0).as_f64()? as u16;
    Some(delivered(status, &answer.get(1).as_string()?, now()))
}

/// There is no answer; why, without the URL, which may let somebody in.
fn later(error: Option<&JsValue>) -> Delivered {
    let error: Option<&js_sys::Error> = error.and_then(JsCast::dyn_ref);
    if error.is_some_and(|error| error.name() == "TimeoutError") {
        return Delivered::Later { error: format!("no answer within {ANSWER_WITHIN} ms"), wait: HUNG };
    }
    let words = error.map(|error| String::from(error.message())).filter(|text| !text.contains("://"));
    Delivered::Later { error: words.unwrap_or_else(|| "no connection".into()), wait: 0 }
}
