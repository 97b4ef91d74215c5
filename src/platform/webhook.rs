//! The drain's way to the webhook's back end: a request for each room's batch, several rooms at once.

use super::util::{now, settings};
use crate::protocol::{ChatError, ErrorCode};
use crate::sinks::webhook::{Delivered, Delivery, delivered, signatures};
use std::cell::Cell;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::Env;
use worker::js_sys::{self, Promise};
use worker::wasm_bindgen_futures::JsFuture;

/// Requests at once; beyond them rooms are told to wait.
const MOST: usize = 64;
/// The answer has to be there in this time, ms: below the rooms' own 20 s.
const ANSWER_WITHIN: u32 = 10_000;
/// How long a room waits that comes when all are taken, ms.
const CROWDED: u64 = 1_000;

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
#[derive(Default)]
pub(super) struct Poster {
    under_way: Cell<usize>,
    held: Cell<usize>,
}

/// One request, counted as long as it lasts.
struct Slot<'a>(&'a Poster, usize);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let Self(poster, bytes) = self;
        poster.under_way.set(poster.under_way.get().saturating_sub(1));
        poster.held.set(poster.held.get().saturating_sub(*bytes));
    }
}

impl Poster {
    /// Bytes of bodies that are on their way.
    pub(super) fn held(&self) -> usize {
        self.held.get()
    }

    /// Posts one room's batch; what became of it.
    ///
    /// # Errors
    /// `overloaded` where too many are on their way, `unavailable` where there is no webhook.
    pub(super) async fn post(&self, env: &Env, delivery: &Delivery) -> Result<Delivered, ChatError> {
        let settings = settings(env)?;
        let Some(webhook) = &settings.webhook else {
            return Err(ChatError::new(ErrorCode::Unavailable, "no webhook is set"));
        };
        if self.under_way.get() >= MOST {
            let message = "As many deliveries as can be are on their way.";
            return Err(ChatError::new(ErrorCode::Overloaded, message).retry_after(CROWDED));
        }
        let Delivery { id, body, .. } = delivery;
        self.under_way.set(self.under_way.get() + 1);
        self.held.set(self.held.get() + body.len());
        let _slot = Slot(self, body.len());
        let at = now() / 1_000;
        let signature = signatures(webhook, id, at, body);
        let answer = match posted(&webhook.url, body, id, &at.to_string(), &signature, ANSWER_WITHIN) {
            Ok(promise) => JsFuture::from(promise).await,
            Err(error) => Err(error),
        };
        Ok(answer.as_ref().ok().and_then(read).unwrap_or_else(|| Delivered::Later {
            error: answer.err().as_ref().map(words).unwrap_or_default(),
            wait: 0,
        }))
    }
}

fn read(answer: &JsValue) -> Option<Delivered> {
    let answer: &js_sys::Array = answer.dyn_ref()?;
    let status = answer.get(0).as_f64()? as u16;
    Some(delivered(status, &answer.get(1).as_string()?, now()))
}

/// What went wrong, without the URL, which may let somebody in.
fn words(error: &JsValue) -> String {
    let Some(error) = error.dyn_ref::<js_sys::Error>() else { return "no connection".into() };
    if error.name() == "TimeoutError" {
        return format!("no answer within {ANSWER_WITHIN} ms");
    }
    Some(String::from(error.message())).filter(|text| !text.contains("://")).unwrap_or_else(|| "no connection".into())
}
