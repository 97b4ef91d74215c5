//! Times as they stand on the wire.

use chrono::{DateTime, SecondsFormat};

/// `ms` since 1970 as RFC 3339 in UTC with milliseconds, e.g. `2026-01-02T03:04:05.678Z`.
/// A time beyond the calendar's end becomes 1970.
pub fn rfc3339(ms: u64) -> String {
    i64::try_from(ms)
        .ok()
        .and_then(DateTime::from_timestamp_millis)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    #[test]
    fn milliseconds_and_utc() {
        assert_eq!(super::rfc3339(1_767_323_045_678), "2026-01-02T03:04:05.678Z");
        assert_eq!(super::rfc3339(u64::MAX), "1970-01-01T00:00:00.000Z");
    }
}
