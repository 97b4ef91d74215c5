//! The one way into the log: a line is one JSON object with `level`, `msg` and ids to search by.
//!
//! No line holds a token, a secret or what somebody said; a test reads all lines of people who tried.
#![expect(clippy::disallowed_macros, reason = "everybody else comes here")]

use serde_json::{Map, Value};
use std::fmt::Display;
use worker::{console_error, console_log};

/// Ids by which a line is found: `room`, `socket`, `request`, `drain`, `error_id`.
pub(super) type About<'a> = &'a [(&'static str, &'a str)];

/// Something that an operator may have to look after.
pub(super) fn error(about: About<'_>, msg: impl Display) {
    console_error!("{}", line("error", about, &msg));
}

/// Something that is as it should be.
pub(super) fn info(about: About<'_>, msg: impl Display) {
    console_log!("{}", line("info", about, &msg));
}

fn line(level: &str, about: About<'_>, msg: &dyn Display) -> Value {
    let own = [("level", level.to_owned()), ("msg", msg.to_string())];
    let ids = about.iter().filter(|(_, id)| !id.is_empty()).map(|(name, id)| (*name, (*id).to_owned()));
    Value::Object(own.into_iter().chain(ids).map(|(name, text)| (name.to_owned(), text.into())).collect::<Map<_, _>>())
}
