//! Frames of one socket that came while an earlier one is being handled: bounded, in order.

use std::collections::VecDeque;

/// How many may wait, and how many bytes of text they may have together.
const MOST: usize = 300;
const MOST_BYTES: usize = 256 * 1024;

/// What waits behind a frame that is being handled.
#[derive(Debug)]
pub struct Behind<T> {
    frames: VecDeque<(T, usize)>,
    bytes: usize,
}

impl<T> Default for Behind<T> {
    fn default() -> Self {
        Self { frames: VecDeque::new(), bytes: 0 }
    }
}

impl<T> Behind<T> {
    /// Whether there is room for a frame with so many bytes of text: 300 frames, 256 KiB together. One that does not fit
    /// is dropped.
    pub fn takes(&mut self, frame: T, bytes: usize) -> bool {
        let sum = self.bytes.saturating_add(bytes);
        let fits = self.frames.len() < MOST && sum <= MOST_BYTES;
        if fits {
            self.bytes = sum;
            self.frames.push_back((frame, bytes));
        }
        fits
    }

    /// The one that came first.
    pub fn pop(&mut self) -> Option<T> {
        let (frame, bytes) = self.frames.pop_front()?;
        self.bytes = self.bytes.saturating_sub(bytes);
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_wait_in_order_up_to_a_number_and_a_size() {
        let mut behind = Behind::default();
        assert!((0..MOST).all(|n| behind.takes(n, 10)));
        assert!(!behind.takes(MOST, 0), "one too many, however small");
        assert_eq!(behind.pop(), Some(0));
        assert!(behind.takes(MOST, 0));
        assert_eq!(std::iter::from_fn(|| behind.pop()).collect::<Vec<_>>(), (1..=MOST).collect::<Vec<_>>());

        assert!(behind.takes(1, MOST_BYTES - 1));
        assert!(!behind.takes(2, 2), "too large together");
        assert!(behind.takes(3, 1), "what did not fit takes no room");
        assert_eq!((behind.pop(), behind.pop(), behind.pop()), (Some(1), Some(3), None));
        assert!(behind.takes(4, MOST_BYTES), "all of it is free again");
    }
}
