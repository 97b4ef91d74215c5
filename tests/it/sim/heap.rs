//! Virtual time: a heap of events, and links that keep their order. Knows nothing of chats: any node can be added.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What happens when, and in equal moments in the order in which it was asked for.
pub(super) struct Heap<E> {
    /// ms since 1970.
    pub now: u64,
    count: u64,
    order: BinaryHeap<Reverse<(u64, u64, usize)>>,
    slots: Vec<Option<E>>,
    free: Vec<usize>,
}

impl<E> Heap<E> {
    pub(super) fn new(now: u64) -> Self {
        Self { now, count: 0, order: BinaryHeap::new(), slots: Vec::new(), free: Vec::new() }
    }

    /// `event` happens at `at` (ms), or now where that has passed.
    pub(super) fn at(&mut self, at: u64, event: E) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(event);
        self.count += 1;
        self.order.push(Reverse((at.max(self.now), self.count, slot)));
    }

    /// `event` happens in `ms`.
    pub(super) fn after(&mut self, ms: u64, event: E) {
        self.at(self.now + ms, event);
    }

    /// The next event at or before `until`; time goes there, or to `until`.
    pub(super) fn next(&mut self, until: u64) -> Option<E> {
        let due = self.order.peek().is_some_and(|Reverse((at, ..))| *at <= until);
        if !due {
            self.now = self.now.max(until);
            return None;
        }
        let Reverse((at, _, slot)) = self.order.pop()?;
        self.now = at;
        self.free.push(slot);
        self.slots[slot].take()
    }
}

/// One direction of a connection: what is sent later arrives later.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Link {
    last: u64,
}

impl Link {
    /// When something that is sent now and takes `delay` ms arrives.
    pub(super) fn arrives(&mut self, now: u64, delay: u64) -> u64 {
        self.last = self.last.max(now + delay);
        self.last
    }
}
