//! Bodies of requests, read no further than they may be long.

use crate::protocol::{ChatError, ErrorCode};
use futures::StreamExt;
use worker::Request;

/// The longest body where nothing else is said, bytes.
pub(super) const MOST: usize = 64 * 1024;

/// The body as text, of at most so many bytes. `what` it has to be goes into the error.
///
/// # Errors
/// `frame_too_large`; `bad_request` where it is no UTF-8 or does not arrive.
pub(super) async fn text(req: &mut Request, what: &str, most: usize) -> Result<String, ChatError> {
    let too_large = || ChatError::new(ErrorCode::FrameTooLarge, format!("A body is at most {} KiB.", most / 1024));
    let broken = |_| ChatError::new(ErrorCode::BadRequest, "The body cannot be read.");
    let announced = req.headers().get("content-length").ok().flatten();
    let announced = announced.and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let bytes = if announced.is_some() || req.inner().body().is_none() {
        req.bytes().await.map_err(broken)?
    } else {
        // Of a body that comes in chunks nobody has said how long it is.
        let (mut bytes, mut chunks) = (Vec::new(), req.stream().map_err(broken)?);
        while let Some(chunk) = chunks.next().await {
            bytes.extend(chunk.map_err(broken)?);
            if bytes.len() > most {
                return Err(too_large());
            }
        }
        bytes
    };
    // What was announced need not be what came.
    if bytes.len() > most {
        return Err(too_large());
    }
    let unread = || ChatError::new(ErrorCode::BadRequest, format!("The body has to be {what} in UTF-8."));
    String::from_utf8(bytes).map_err(|_| unread())
}
