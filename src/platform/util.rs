//! Clock, entropy and settings of the platform.

use super::log;
use crate::protocol::{ChatError, ErrorCode};
use crate::settings::Settings;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::JsValue;
use worker::{Date, Env, js_sys};

/// ms since 1970.
pub(super) fn now() -> u64 {
    Date::now().as_millis()
}

/// Has whoever awaits be woken by a promise: the platform's `queueMicrotask` makes a function template for each call, of
/// which there is one a frame.
pub(super) fn wake_by_promises() {
    let _ = js_sys::Reflect::set(&js_sys::global(), &"queueMicrotask".into(), &JsValue::UNDEFINED);
}

/// So many are fetched at once: a call to the platform costs more than the bytes.
const FETCHED: usize = 32;

thread_local! {
    static RANDOM: RefCell<Vec<[u8; 32]>> = const { RefCell::new(Vec::new()) };
}

/// Fresh random bytes from the platform; none of them are given twice.
pub(super) fn entropy() -> [u8; 32] {
    RANDOM.with_borrow_mut(|random| {
        if random.is_empty() {
            let mut bytes = [[0; 32]; FETCHED];
            match getrandom::getrandom(bytes.as_flattened_mut()) {
                Ok(()) => random.extend(bytes),
                Err(error) => log::error(&[], format_args!("entropy: {error}")),
            }
        }
        random.pop().unwrap_or_default()
    })
}

thread_local! {
    /// Parsed once an isolate: settings cannot change while it lives.
    static SETTINGS: RefCell<Option<Result<Rc<Settings>, String>>> = const { RefCell::new(None) };
}

/// The deployment's settings.
///
/// # Errors
/// `misconfigured`, with the sentence in the log and, since it names a setting and no value, in the answer.
pub(super) fn settings(env: &Env) -> Result<Rc<Settings>, ChatError> {
    let read = SETTINGS.with_borrow_mut(|settings| {
        settings
            .get_or_insert_with(|| {
                let lookup = |name: &str| env.var(name).ok().map(|value| value.to_string());
                Settings::from_lookup(lookup).map(Rc::new).map_err(|error| error.0)
            })
            .clone()
    });
    read.map_err(|sentence| {
        log::error(&[], format_args!("misconfigured: {sentence}"));
        ChatError::new(ErrorCode::Misconfigured, sentence)
    })
}
