//! Where a client comes from, as far as limits count it.

use crate::settings::ClientIp;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// What limits count a client under: an IPv4 address, or the /64 of an IPv6 one, which is what one subscriber has.
///
/// It is read where the setting `CLIENT_IP` says and nowhere else; every other header is the client's own word.
/// `header` gives a request's header by its name (several of one name joined by commas), `cf_client_ip` is what the
/// runtime says of the connection.
///
/// None where that place holds no single address: on Cloudflare never; behind proxies where a request came past them.
/// Whoever counts decides what none means. Over REST all of them share one count, which a client escapes by its token.
/// Joins of them are not counted by address: that would let anybody keep everybody out of the chat.
pub fn client_address(
    from: ClientIp,
    header: impl Fn(&str) -> Option<String>,
    cf_client_ip: impl FnOnce() -> Option<String>,
) -> Option<String> {
    let text = match from {
        ClientIp::CfConnectingIp => header("cf-connecting-ip"),
        ClientIp::CfClientIp => cf_client_ip(),
        ClientIp::XForwardedFor(hops) => {
            let proxies = header("x-forwarded-for")?;
            // Each proxy appends the address of its peer: what stands further left, a client may have made up.
            proxies.rsplit(',').nth(usize::from(hops.saturating_sub(1))).map(str::to_owned)
        }
    }?;
    Some(match parse(text.trim())? {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    })
}

/// `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:443`.
fn parse(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text).parse().ok();
    let address: IpAddr = text.parse::<SocketAddr>().map(|socket| socket.ip()).ok().or_else(bare)?;
    // An IPv4 address in IPv6 clothes is itself; by its /64 all of them would be one.
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPOOFED: [&str; 6] =
        ["x-forwarded-for", "forwarded", "true-client-ip", "x-real-ip", "x-client-ip", "cf-connecting-ipv6"];

    fn read(from: ClientIp, headers: &[(&str, &str)], cf: Option<&str>) -> Option<String> {
        let header = |name: &str| headers.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        client_address(from, header, || cf.map(str::to_owned))
    }

    #[test]
    fn no_other_header_counts() {
        let spoofed = SPOOFED.map(|name| (name, "6.6.6.6"));
        assert_eq!(read(ClientIp::CfConnectingIp, &spoofed, Some("7.7.7.7")), None);
        let mut all = spoofed.to_vec();
        all.push(("cf-connecting-ip", "192.0.2.1"));
        assert_eq!(read(ClientIp::CfConnectingIp, &all, Some("7.7.7.7")).as_deref(), Some("192.0.2.1"));
        assert_eq!(read(ClientIp::CfClientIp, &all, Some("7.7.7.7:80")).as_deref(), Some("7.7.7.7"));
        assert_eq!(read(ClientIp::CfClientIp, &all, None), None);
        all.remove(0);
        assert_eq!(read(ClientIp::XForwardedFor(1), &all, Some("7.7.7.7")), None);
    }

    #[test]
    fn a_proxys_word_counts_and_what_a_client_put_before_it_does_not() {
        let read = |hops, value| read(ClientIp::XForwardedFor(hops), &[("x-forwarded-for", value)], None);
        assert_eq!(read(1, "192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(read(1, "6.6.6.6, 192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(read(2, "6.6.6.6,192.0.2.1 , 10.0.0.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(read(3, "192.0.2.1, 10.0.0.1"), None);
        assert_eq!(read(1, "192.0.2.1, unknown"), None);
        assert_eq!(read(1, ""), None);
    }

    #[test]
    fn ports_are_cut_off_and_ipv6_counts_by_its_64() {
        for (text, counted) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:50312", Some("192.0.2.1")),
            ("2001:db8:1:2:3:4:5:6", Some("2001:db8:1:2::/64")),
            ("[2001:DB8:1:2::9]:50312", Some("2001:db8:1:2::/64")),
            ("[2001:db8:1:3::9]", Some("2001:db8:1:3::/64")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("[::ffff:192.0.2.1]:1", Some("192.0.2.1")),
            ("", None),
            ("192.0.2.1, 192.0.2.2", None),
            ("192.0.2.1:99999", None),
            ("example.org", None),
        ] {
            assert_eq!(read(ClientIp::CfClientIp, &[], Some(text)).as_deref(), counted, "{text}");
        }
    }
}
