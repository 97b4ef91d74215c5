//! How far the webhook's back end has come.

use super::{Room, Step};
use crate::protocol::wire::json;
use serde::{Deserialize, Serialize};

/// State, where there is a webhook.
pub(super) const KEY_HOOKED: &str = "cursor:webhook";

/// The back end's cursor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hooked {
    /// Everything up to here is done with.
    pub seq: u64,
    /// The last body that was taken reached to here; what came after it was not for the back end, or is left out.
    pub told: u64,
    /// What is left out since then ends here; 0 where nothing is.
    pub lost: u64,
    /// The body that was not taken reaches to here; 0 where there is none.
    pub tried: u64,
    /// Since when that is refused, ms; 0 where it is not.
    pub refused_at: u64,
}

impl Room {
    /// How far the back end has come.
    pub fn hooked(&self) -> Hooked {
        self.hooked
    }

    /// Takes over how far the back end has come.
    pub fn set_hooked(&mut self, hooked: Hooked) -> Step {
        let mut step = Step::default();
        if hooked != self.hooked {
            self.hooked = hooked;
            step.write.state.push((KEY_HOOKED.into(), Some(json(&hooked))));
        }
        step
    }
}
