//! The shape of an object's SQLite, by number: what brings an earlier one to this build's, and which are too new for it.
//!
//! A storage that says nothing is of shape 1. docs/upgrade.md has how a shape is added.

use super::{Read, StorageFault};
use crate::protocol::wire::json;
use serde::{Deserialize, Serialize};

/// Where a storage says its shape, among the other keys of its object.
pub const KEY_SHAPE: &str = "shape";

/// What brings a storage from one shape to the next.
pub struct Upgrade {
    /// Statements of SQLite.
    pub sql: &'static str,
    /// The earliest shape whose builds still use the storage rightly afterwards: 1 where the step only adds.
    pub needs: u32,
}

#[derive(Serialize, Deserialize)]
struct Shape {
    is: u32,
    needs: u32,
}

/// What of `all` is due in a storage that says `found` of itself, and what it says afterwards. A build knows the shapes
/// of its steps; it leaves one alone that is newer and only has more.
///
/// # Errors
/// The storage takes a newer build, or does not say what can be read.
pub fn due<'a>(found: Option<&str>, all: &'a [Upgrade]) -> Read<Option<(&'a [Upgrade], String)>> {
    let shape = match found {
        None => Shape { is: 1, needs: 1 },
        Some(text) => serde_json::from_str(text).map_err(|_| StorageFault("its shape cannot be read".into()))?,
    };
    let known = u32::try_from(all.len()).unwrap_or(u32::MAX).saturating_add(1);
    if shape.needs > known {
        let Shape { is, needs } = shape;
        let why = format!("it is of shape {is}, which takes a build that knows {needs}; this one knows {known}");
        return Err(StorageFault(format!("a newer version wrote this storage: {why}")));
    }
    let done = usize::try_from(shape.is.saturating_sub(1)).unwrap_or(usize::MAX);
    let Some(steps) = all.get(done..).filter(|steps| !steps.is_empty()) else { return Ok(None) };
    let needs = steps.iter().map(|step| step.needs).fold(shape.needs, u32::max);
    Ok(Some((steps, json(&Shape { is: known, needs }))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDS: Upgrade = Upgrade { sql: "add", needs: 1 };
    const TAKES: Upgrade = Upgrade { sql: "take", needs: 2 };

    fn steps(found: Option<&str>, all: &[Upgrade]) -> Option<(Vec<&'static str>, String)> {
        due(found, all).unwrap().map(|(steps, says)| (steps.iter().map(|step| step.sql).collect(), says))
    }

    #[test]
    fn a_storage_is_brought_to_this_builds_shape_once() {
        assert_eq!(steps(None, &[]), None);
        let two = r#"{"is":2,"needs":1}"#.to_owned();
        assert_eq!(steps(None, &[ADDS]), Some((vec!["add"], two.clone())));
        assert_eq!(steps(Some(&two), &[ADDS]), None);
        let three = r#"{"is":3,"needs":2}"#.to_owned();
        assert_eq!(steps(Some(&two), &[ADDS, TAKES]), Some((vec!["take"], three.clone())));
        assert_eq!(steps(None, &[ADDS, TAKES]), Some((vec!["add", "take"], three)));
    }

    #[test]
    fn one_that_only_has_more_is_left_alone_and_one_that_lacks_something_refused() {
        assert_eq!(steps(Some(r#"{"is":2,"needs":1}"#), &[]), None);
        assert_eq!(steps(Some(r#"{"is":3,"needs":2,"more":0}"#), &[ADDS]), None);
        let refused = due(Some(r#"{"is":3,"needs":2}"#), &[]).err().unwrap().to_string();
        assert!(refused.contains("of shape 3, which takes a build that knows 2; this one knows 1"), "{refused}");
        assert!(due(Some("2"), &[]).is_err());
    }
}
