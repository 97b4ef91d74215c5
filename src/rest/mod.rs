//! REST as rules: which path means what, what a query may say, how an error looks. No request, no response type.

mod address;
#[cfg(feature = "openapi")]
mod openapi;
mod origin;
mod problem;
mod query;
mod route;
mod shield;

pub use address::client_address;
#[cfg(feature = "openapi")]
pub use openapi::openapi_json;
pub use origin::{allowed_origin, is_same_origin};
pub use problem::{problem, problem_page, title};
pub use query::{after, audit, holds, members, mine, page, reason, reports};
pub use route::{Method, Route, route};
pub use shield::{Quota, Shield, counted};
