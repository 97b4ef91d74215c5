//! What a gateway holds in memory for its sessions, in bytes, counted for as long as anybody holds it.

use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;

/// What a packet takes besides its text, bytes.
const WRAPPING: usize = 64;

/// A sum of what is held.
#[derive(Clone, Debug, Default)]
pub struct Held(Rc<Cell<usize>>);

impl Held {
    /// The sum, bytes.
    pub fn bytes(&self) -> usize {
        self.0.get()
    }

    /// Something that is held until it is dropped; it weighs nothing yet.
    pub fn weight(&self) -> Weight {
        Weight { bytes: 0, of: self.clone() }
    }

    /// A packet for clients, which counts once however many of them it waits for.
    pub fn outgoing(&self, packet: impl Into<Box<str>>) -> Outgoing {
        let (packet, mut weight) = (packet.into(), self.weight());
        weight.set(packet.len() + WRAPPING);
        Outgoing(Rc::new((packet, weight)))
    }
}

/// What one thing adds to a [`Held`].
#[derive(Debug)]
pub struct Weight {
    bytes: usize,
    of: Held,
}

impl Weight {
    /// What it adds, bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// It is so many bytes now.
    pub fn set(&mut self, bytes: usize) {
        let others = self.of.bytes().saturating_sub(self.bytes);
        self.of.0.set(others.saturating_add(bytes));
        self.bytes = bytes;
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// How much each of these may have at most, so that all have `most` together: what some do not need is others'.
pub fn level(weights: &mut [usize], most: usize) -> usize {
    weights.sort_unstable();
    let mut left = most;
    for (n, weight) in weights.iter().enumerate() {
        let share = left / (weights.len() - n);
        if *weight > share {
            return share;
        }
        left -= weight;
    }
    usize::MAX
}

/// A packet of Engine.IO's for clients.
#[derive(Clone, Debug)]
pub struct Outgoing(Rc<(Box<str>, Weight)>);

impl Deref for Outgoing {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0.0
    }
}

impl PartialEq for Outgoing {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Outgoing {}

#[cfg(test)]
impl From<&str> for Outgoing {
    fn from(packet: &str) -> Self {
        Held::default().outgoing(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_counts_once_until_the_last_lets_it_go() {
        let held = Held::default();
        let packet = held.outgoing("4abc");
        let same = packet.clone();
        let mut other = held.weight();
        other.set(100);
        assert_eq!(held.bytes(), WRAPPING + 104);
        drop(packet);
        other.set(10);
        assert_eq!(held.bytes(), WRAPPING + 14);
        drop(same);
        assert_eq!(held.bytes(), 10);
        drop(other);
        assert_eq!(held.bytes(), 0);
    }

    #[test]
    fn who_has_the_most_gives_way_and_nobody_else() {
        assert_eq!(level(&mut [30, 10, 20], 60), usize::MAX);
        assert_eq!(level(&mut [50, 10, 20], 60), 30, "the largest alone");
        assert_eq!(level(&mut [50, 10, 70], 60), 25);
        assert_eq!(level(&mut [50, 50, 50], 60), 20);
        assert_eq!(level(&mut [], 60), usize::MAX);
    }
}
