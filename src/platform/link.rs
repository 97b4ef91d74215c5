//! A call from one object, or the Worker, to another: a request of our own, answered as JSON, with a time limit.

use super::drain_link::within;
use crate::protocol::call::{Answer, METRICS_HEADER};
use crate::protocol::json_fault;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use worker::{Env, Method, Request, RequestInit};

/// What a call carries.
#[derive(Clone, Copy, Default)]
pub(super) struct Load<'a> {
    /// Makes it a POST.
    pub(super) body: Option<&'a str>,
    /// What a room has counted.
    pub(super) metrics: Option<&'a str>,
}

/// A POST of this body.
pub(super) fn body(body: &str) -> Load<'_> {
    Load { body: Some(body), metrics: None }
}

/// Asks the object of this class and name. What went wrong is for the operator's log.
pub(super) async fn ask<T: DeserializeOwned>(
    env: &Env,
    to: (&str, &str),
    path: &str,
    load: Load<'_>,
    ms: u64,
) -> Result<Answer<T>, String> {
    let text = text(env, to, path, load, ms).await?;
    serde_json::from_str(&text).map_err(|error| json_fault(&error))
}

/// Boxed, so that a call is compiled once and not for each kind of answer.
fn text<'a>(
    env: &'a Env,
    (class, name): (&'a str, &'a str),
    path: &'a str,
    load: Load<'a>,
    ms: u64,
) -> LocalBoxFuture<'a, Result<String, String>> {
    let call = async move {
        let stub = env.durable_object(class)?.get_by_name(name)?;
        let mut init = RequestInit::new();
        if let Some(metrics) = load.metrics {
            init.headers.set(METRICS_HEADER, metrics)?;
        }
        if let Some(body) = load.body {
            init.with_method(Method::Post).with_body(Some(body.into()));
        }
        let request = Request::new_with_init(&format!("https://object{path}"), &init)?;
        stub.fetch_with_request(request).await?.text().await
    };
    async move { within(ms, call).await?.map_err(|error: worker::Error| error.to_string()) }.boxed_local()
}
