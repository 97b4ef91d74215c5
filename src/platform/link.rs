//! A call from one object, or the Worker, to another: a request of our own, answered as JSON, with a time limit.

use crate::protocol::call::Answer;
use crate::protocol::json_fault;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::js_sys::{self, Promise};
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Env, Response, web_sys};

// One promise a call: each that is awaited here costs as much as what is asked.
#[wasm_bindgen(inline_js = r#"
const within = (ms, work) => {
  let timer;
  const late = new Promise((_, no) => { timer = setTimeout(() => no(`no answer within ${ms} ms`), ms); });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
};
export const opened = (env, kind, name, url, headers, ms) =>
  within(ms, env[kind].getByName(name).fetch(url, { headers }));
export const asked = (env, kind, name, url, body, ms) => within(ms, (async () => {
  const init = body === undefined ? undefined : { method: "POST", body };
  return (await env[kind].getByName(name).fetch(url, init)).text();
})());
"#)]
extern "C" {
    #[wasm_bindgen(catch)]
    fn asked(env: &JsValue, kind: &str, name: &str, url: &str, body: Option<&str>, ms: u32)
    -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch)]
    fn opened(
        env: &JsValue,
        kind: &str,
        name: &str,
        url: &str,
        headers: &js_sys::Object,
        ms: u32,
    ) -> Result<Promise, JsValue>;
}

fn words(error: &JsValue) -> String {
    let message = || error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
    error.as_string().or_else(message).unwrap_or_else(|| format!("{error:?}"))
}

fn limit(ms: u64) -> u32 {
    u32::try_from(ms).unwrap_or(u32::MAX)
}

/// Asks the object of this class and name; a body makes it a POST. What went wrong is for the operator's log.
pub(super) async fn ask<T: DeserializeOwned>(
    env: &Env,
    (class, name): (&str, &str),
    path: &str,
    body: Option<&str>,
    ms: u64,
) -> Result<Answer<T>, String> {
    let call = asked(env, class, name, &format!("https://object{path}"), body, limit(ms));
    let text = JsFuture::from(call.map_err(|e| words(&e))?).await.map_err(|e| words(&e))?;
    serde_json::from_str(&text.as_string().unwrap_or_default()).map_err(|error| json_fault(&error))
}

/// Asks the object of this class and name with these headers, and hands its answer on as it is.
pub(super) async fn open(
    env: &Env,
    (class, name): (&str, &str),
    path: &str,
    headers: &[(&str, &str)],
    ms: u64,
) -> Result<Response, String> {
    let object = js_sys::Object::new();
    for (key, value) in headers {
        js_sys::Reflect::set(&object, &JsValue::from_str(key), &JsValue::from_str(value)).map_err(|e| words(&e))?;
    }
    let call = opened(env, class, name, &format!("https://object{path}"), &object, limit(ms));
    let response = JsFuture::from(call.map_err(|e| words(&e))?).await.map_err(|e| words(&e))?;
    Ok(response.dyn_into::<web_sys::Response>().map_err(|_| "no response")?.into())
}
