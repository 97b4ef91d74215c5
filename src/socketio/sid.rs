//! Ids of sessions: the gateway's number, so that any Worker finds it, and 128 random bits, so that nobody guesses it.

use base64ct::{Base64UrlUnpadded, Encoding};

/// How many characters 128 bits are.
const RANDOM: usize = 22;

/// An id for a session of this gateway.
pub fn sid(gateway: u32, entropy: &[u8; 32]) -> String {
    let random = Base64UrlUnpadded::encode_string(entropy.get(..16).unwrap_or_default());
    format!("{gateway}.{random}")
}

/// The gateway that made this id; none where nobody made it, with so many gateways.
pub fn gateway_of(sid: &str, gateways: u32) -> Option<u32> {
    let (gateway, random) = sid.split_once('.')?;
    let number: u32 = gateway.parse().ok().filter(|n: &u32| *n < gateways && n.to_string() == gateway)?;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (random.len() == RANDOM && random.bytes().all(known)).then_some(number)
}

/// Whether this has the form of an id.
pub fn is_sid(sid: &str) -> bool {
    gateway_of(sid, u32::MAX).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_to_its_gateway() {
        let own = sid(7, &[255; 32]);
        assert_eq!(gateway_of(&own, 8), Some(7));
        assert_eq!(gateway_of(&own, 7), None);
        for bad in [
            "",
            "7",
            "7.",
            "7.short",
            "07.______________________",
            "x.______________________",
            "-1.______________________",
            "7./_____________________",
        ] {
            assert_eq!(gateway_of(bad, 100), None, "{bad}");
        }
    }
}
