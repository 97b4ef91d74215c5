//! `METRICS_TOKEN`: who may read `/metrics`.

use super::Misconfigured;
use std::fmt;
use std::ops::RangeInclusive;
use subtle::ConstantTimeEq;

/// Characters.
const LENGTH: RangeInclusive<usize> = 16..=256;

/// The bearer token for `/metrics`.
#[derive(Clone)]
pub struct MetricsToken(String);

impl MetricsToken {
    /// # Errors
    /// It is too short, too long, or holds what no header may.
    pub(super) fn parse(value: String) -> Result<Self, Misconfigured> {
        let fits = LENGTH.contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then_some(Self(value)).ok_or_else(|| {
            Misconfigured::new(
                "METRICS_TOKEN has to be 16 to 256 visible ASCII characters, which `openssl rand -hex 32` makes; leave \
                 it out for no /metrics.",
            )
        })
    }

    /// Whether `given` is it, in a time that tells nothing but whether it is as long.
    pub fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for MetricsToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MetricsToken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_enough_hidden_and_equal_to_itself_alone() {
        let token = MetricsToken::parse("0123456789abcdef".into()).unwrap();
        assert!(token.is("0123456789abcdef"));
        assert!(!token.is("0123456789abcdeF") && !token.is("0123456789abcdef0") && !token.is(""));
        assert_eq!(format!("{token:?}"), "MetricsToken");
        for bad in ["0123456789abcde", "0123456789 abcdef", "0123456789äbcdef", &"x".repeat(257)] {
            let sentence = MetricsToken::parse(bad.into()).unwrap_err().0;
            assert!(sentence.contains("METRICS_TOKEN") && !sentence.contains(bad), "{sentence}");
        }
    }
}
