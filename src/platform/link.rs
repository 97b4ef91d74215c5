//! A call from one object, or the Worker, to another: a request of our own, answered as JSON, with a time limit.

use super::drain_link::within;
use crate::protocol::call::Answer;
use crate::protocol::json_fault;
use serde::de::DeserializeOwned;
use worker::js_sys::futures::JsFuture;
use worker::{Env, Method, Request, RequestInit, Response, ResponseBody, web_sys};

/// The body of an object's answer. One wait: the crate's own reads it piece by piece, and each is one.
pub(super) async fn text(mut response: Response) -> worker::Result<String> {
    let ResponseBody::Stream(stream) = response.body() else { return response.text().await };
    let whole = web_sys::Response::new_with_opt_readable_stream(Some(stream))?.text()?;
    Ok(JsFuture::from(whole).await?.as_string().unwrap_or_default())
}

/// Asks the object of this class and name; a body makes it a POST. What went wrong is for the operator's log.
pub(super) async fn ask<T: DeserializeOwned>(
    env: &Env,
    (class, name): (&str, &str),
    path: &str,
    body: Option<&str>,
    ms: u64,
) -> Result<Answer<T>, String> {
    let call = async {
        let stub = env.durable_object(class)?.get_by_name(name)?;
        let mut init = RequestInit::new();
        if let Some(body) = body {
            init.with_method(Method::Post).with_body(Some(body.into()));
        }
        let request = Request::new_with_init(&format!("https://object{path}"), &init)?;
        text(stub.fetch_with_request(request).await?).await
    };
    let text = within(ms, call).await?.map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| json_fault(&error))
}
