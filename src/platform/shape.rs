//! Brings an object's SQLite to this build's shape, when it wakes.

use super::binding::RawState;
use crate::room::{KEY_SHAPE, Read, StorageFault, Upgrade, due};
use worker::SqlStorage;

/// Does what is due of `steps` in a storage that says `found` of itself, all or none; whether anything was. `set` is the
/// statement that writes a key and its value.
pub(super) fn upgrade(
    (sql, raw): (&SqlStorage, &RawState),
    found: Option<&str>,
    steps: &[Upgrade],
    set: &str,
) -> Read<bool> {
    let Some((due, shape)) = due(found, steps)? else { return Ok(false) };
    let work = || {
        for step in due {
            sql.exec(step.sql, None)?;
        }
        sql.exec(set, vec![KEY_SHAPE.into(), shape.as_str().into()]).map(|_| ())
    };
    raw.transaction(work).map_err(StorageFault)?;
    Ok(true)
}
