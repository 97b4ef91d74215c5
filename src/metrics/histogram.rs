//! How long something took, counted by bounds that never change, so that what two builds counted can be added.

use serde::{Deserialize, Serialize};

/// Upper bounds in ms; the last bucket is for what took longer. Others under the same name would be added wrongly.
pub const BOUNDS_MS: [u64; 12] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];
/// What is above counts as this, ms.
const MOST_MS: u64 = 60_000;

/// Times in ms, by [`BOUNDS_MS`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Histogram {
    /// How many were in each bucket, not summed up; empty while there are none.
    #[serde(default)]
    buckets: Vec<u64>,
    /// All of them together, ms.
    #[serde(default)]
    sum_ms: u64,
}

impl Histogram {
    /// Counts one.
    pub fn observe(&mut self, ms: u64) {
        let ms = ms.min(MOST_MS);
        self.buckets.resize(BOUNDS_MS.len() + 1, 0);
        let bucket = BOUNDS_MS.iter().position(|bound| ms <= *bound).unwrap_or(BOUNDS_MS.len());
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
        }
        self.sum_ms += ms;
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        self.buckets.resize(BOUNDS_MS.len() + 1, 0);
        for (own, count) in self.buckets.iter_mut().zip(&other.buckets) {
            *own = own.saturating_add(*count);
        }
        self.sum_ms = self.sum_ms.saturating_add(other.sum_ms);
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// All of them together, ms.
    pub fn sum_ms(&self) -> u64 {
        self.sum_ms
    }

    /// How many took at most so long, for each of [`BOUNDS_MS`].
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        let counts = self.buckets.iter().copied().chain(std::iter::repeat(0));
        BOUNDS_MS.into_iter().zip(counts).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((bound, *sum))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_added_and_summed_up() {
        let (mut one, mut two) = (Histogram::default(), Histogram::default());
        assert!(one.is_empty());
        [0, 5, 6, 30_000].into_iter().for_each(|ms| one.observe(ms));
        [30_001, u64::MAX].into_iter().for_each(|ms| two.observe(ms));
        one.merge(&two);
        assert_eq!((one.count(), one.sum_ms()), (6, 30_011 + 30_001 + MOST_MS));
        let counts: Vec<_> = one.cumulative().collect();
        assert_eq!(counts[..3], [(5, 2), (10, 3), (25, 3)]);
        assert_eq!(counts[11], (30_000, 4));
    }

    #[test]
    fn one_of_another_build_with_fewer_bounds_does_no_harm() {
        let mut one: Histogram = serde_json::from_str(r#"{"buckets":[1,2],"sum_ms":9}"#).unwrap();
        one.observe(7);
        assert_eq!((one.count(), one.sum_ms()), (4, 16));
        one.merge(&serde_json::from_str(r#"{"more":[]}"#).unwrap());
        assert_eq!(one.count(), 4);
    }
}
