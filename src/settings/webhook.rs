//! The settings of the webhook.

use super::{Misconfigured, switch};
use ammonia::Url;
use base64ct::{Base64, Encoding};
use std::fmt;
use std::net::IpAddr;

/// How many secrets sign at once, while one is rotated.
const MOST_SECRETS: usize = 4;

/// What one word in `WEBHOOK_EVENTS` stands for.
const GROUPS: [(&str, &[&str]); 3] = [
    (
        "messages",
        &["new_message", "message_edited", "message_deleted", "messages_deleted", "messages_expired", "user_erased"],
    ),
    ("reports", &["message_reported", "report_resolved"]),
    ("bans", &["user_banned", "user_unbanned"]),
];
/// Every other event that a log has.
const OTHERS: [&str; 10] = [
    "message_held",
    "message_released",
    "message_denied",
    "message_pinned",
    "message_unpinned",
    "reaction_updated",
    "role_set",
    "room_updated",
    "room_deleted",
    "terms_updated",
];
/// What nobody below moderator, but for the one whom it is about, ever sees.
const MODERATORS: [&str; 6] =
    ["message_reported", "report_resolved", "message_held", "message_released", "message_denied", "terms_updated"];

const URL: &str = "WEBHOOK_URL has to be an https URL without a user, a password and a fragment; http is for localhost, \
                   names without a dot or in .internal, and private addresses alone.";
const SECRET: &str = "WEBHOOK_SECRET has to be whsec_ and the base64 of 24 to 64 random bytes, or up to four of them \
                      with commas between: make one with `echo whsec_$(openssl rand -base64 32)`.";
const EVENTS: &str = "WEBHOOK_EVENTS has to be a list of messages, reports, bans and names of events such as \
                      new_message, with commas between.";

/// Where events are posted, and which.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// `WEBHOOK_URL`.
    pub url: String,
    /// `WEBHOOK_SECRET`: each signs, as the bytes that it stands for.
    pub keys: Vec<Vec<u8>>,
    /// `WEBHOOK_EVENTS`, by their names on the wire; default those of messages, reports and bans.
    pub events: Vec<&'static str>,
    /// `WEBHOOK_MODERATION`: whether what only moderators see goes out too; default false.
    pub moderation: bool,
}

/// Shows no key, and of the URL, whose path or query may let somebody in, the host alone.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("host", &Url::parse(&self.url).ok().and_then(|url| url.host_str().map(str::to_owned)))
            .field("events", &self.events)
            .field("moderation", &self.moderation)
            .finish_non_exhaustive()
    }
}

impl Webhook {
    /// Reads and checks the webhook's settings; none where `WEBHOOK_URL` is not there.
    pub(super) fn from_lookup(read: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Misconfigured> {
        let Some(url) = read("WEBHOOK_URL") else {
            let others = ["WEBHOOK_SECRET", "WEBHOOK_EVENTS", "WEBHOOK_MODERATION"];
            return match others.into_iter().find(|name| read(name).is_some()) {
                None => Ok(None),
                Some(name) => Err(Misconfigured(format!("{name} is of the webhook: set WEBHOOK_URL too."))),
            };
        };
        let url = address(&url).ok_or_else(|| Misconfigured::new(URL))?;
        let Some(secrets) = read("WEBHOOK_SECRET") else {
            return Err(Misconfigured::new(
                "WEBHOOK_URL needs WEBHOOK_SECRET beside it: make one with `echo whsec_$(openssl rand -base64 32)`.",
            ));
        };
        let keys: Option<Vec<_>> = secrets.split(',').map(|secret| key(secret.trim())).collect();
        let keys = keys.filter(|keys| keys.len() <= MOST_SECRETS).ok_or_else(|| Misconfigured::new(SECRET))?;
        let moderation = switch(&read, "WEBHOOK_MODERATION", false)?;
        let events = match read("WEBHOOK_EVENTS") {
            Some(list) => events(&list, moderation)?,
            None => GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect(),
        };
        Ok(Some(Self { url, keys, events, moderation }))
    }

    /// Whether an event of this name is posted.
    pub fn wants(&self, event: &str) -> bool {
        self.events.contains(&event)
    }
}

fn address(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str()?;
    let near = match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local(),
        Err(_) => !host.contains('.') || host.ends_with(".localhost") || host.ends_with(".internal"),
    };
    let scheme = url.scheme() == "https" || url.scheme() == "http" && near;
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (scheme && bare).then(|| url.to_string())
}

fn key(secret: &str) -> Option<Vec<u8>> {
    let key = Base64::decode_vec(secret.strip_prefix("whsec_")?).ok()?;
    (24..=64).contains(&key.len()).then_some(key)
}

fn events(list: &str, moderation: bool) -> Result<Vec<&'static str>, Misconfigured> {
    let mut all = Vec::new();
    for word in list.split(',').map(str::trim) {
        let group = GROUPS.iter().find(|(name, _)| *name == word).map(|(_, names)| *names);
        let known = GROUPS.iter().flat_map(|(_, names)| names.iter()).chain(&OTHERS).find(|name| **name == word);
        let names = group.or(known.map(std::slice::from_ref)).ok_or_else(|| Misconfigured::new(EVENTS))?;
        if !moderation && names.iter().any(|name| MODERATORS.contains(name)) {
            return Err(Misconfigured(format!(
                "WEBHOOK_EVENTS names {word}, which only moderators see: set WEBHOOK_MODERATION to true, or leave it out."
            )));
        }
        all.extend(names);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

    fn webhook(set: &[(&str, &str)]) -> Result<Option<Webhook>, Misconfigured> {
        Webhook::from_lookup(|name| set.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned()))
    }

    fn at(url: &str) -> Result<Option<Webhook>, Misconfigured> {
        webhook(&[("WEBHOOK_URL", url), ("WEBHOOK_SECRET", SECRET)])
    }

    #[test]
    fn h1_every_event_of_a_log_can_be_named() {
        let named: BTreeSet<_> = GROUPS.iter().flat_map(|(_, names)| names.iter()).chain(&OTHERS).copied().collect();
        let types = include_str!("../../client/types/protocol.d.ts");
        let events = types.split_once("export interface RoomEvents {").unwrap().1.split_once("\n}").unwrap().0;
        let events = events.lines().filter_map(|line| Some(line.strip_prefix("  ")?.split_once(':')?.0));
        let live = ["user_joined", "user_left", "user_typing", "room_stats", "probe", "error", "goodbye"];
        assert_eq!(named, events.filter(|event| !live.contains(event)).collect());
    }

    #[test]
    fn h1_what_is_set_is_taken() {
        assert_eq!(webhook(&[]).unwrap(), None);
        let plain = at("https://hooks.example/chat?v=1").unwrap().unwrap();
        assert_eq!(
            (plain.url.as_str(), plain.keys.len(), plain.moderation),
            ("https://hooks.example/chat?v=1", 1, false)
        );
        assert_eq!(plain.keys[0].len(), 32);
        assert!(plain.wants("new_message") && plain.wants("user_banned") && plain.wants("message_reported"));
        assert!(plain.wants("messages_expired") && plain.wants("user_erased"));
        assert!(!plain.wants("reaction_updated"));
        for url in [
            "http://localhost:9000/",
            "http://127.0.0.1:1/a",
            "http://10.0.0.7/",
            "http://[::1]:80/x",
            "http://backend/",
        ] {
            assert!(at(url).unwrap().is_some(), "{url}");
        }
        let two = format!("{SECRET}, {SECRET}");
        let more = webhook(&[
            ("WEBHOOK_URL", "https://hooks.example/"),
            ("WEBHOOK_SECRET", &two),
            ("WEBHOOK_EVENTS", "bans, reaction_updated,user_banned,reports"),
            ("WEBHOOK_MODERATION", "true"),
        ]);
        let more = more.unwrap().unwrap();
        assert_eq!((more.keys.len(), more.moderation), (2, true));
        assert_eq!(
            more.events,
            ["message_reported", "reaction_updated", "report_resolved", "user_banned", "user_unbanned"]
        );
    }

    #[test]
    fn h1_a_bad_setting_of_the_webhook_is_named_and_no_secret_is_shown() {
        let url = ("WEBHOOK_URL", "https://hooks.example/hunter22");
        let secret = ("WEBHOOK_SECRET", SECRET);
        for (set, name) in [
            (vec![url], "WEBHOOK_SECRET"),
            (vec![secret], "WEBHOOK_SECRET"),
            (vec![("WEBHOOK_EVENTS", "bans")], "WEBHOOK_EVENTS"),
            (vec![("WEBHOOK_MODERATION", "true")], "WEBHOOK_MODERATION"),
            (vec![("WEBHOOK_URL", "http://hooks.example/"), secret], "WEBHOOK_URL"),
            (vec![("WEBHOOK_URL", "http://8.8.8.8/"), secret], "WEBHOOK_URL"),
            (vec![("WEBHOOK_URL", "ftp://localhost/"), secret], "WEBHOOK_URL"),
            (vec![("WEBHOOK_URL", "hooks.example"), secret], "WEBHOOK_URL"),
            (vec![("WEBHOOK_URL", "https://me:hunter22@hooks.example/"), secret], "WEBHOOK_URL"),
            (vec![("WEBHOOK_URL", "https://hooks.example/#a"), secret], "WEBHOOK_URL"),
            (vec![url, ("WEBHOOK_SECRET", "hunter22")], "WEBHOOK_SECRET"),
            (vec![url, ("WEBHOOK_SECRET", "whsec_hunter22")], "WEBHOOK_SECRET"),
            (vec![url, ("WEBHOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=,")], "WEBHOOK_SECRET"),
            (vec![url, secret, ("WEBHOOK_MODERATION", "yes")], "WEBHOOK_MODERATION"),
            (vec![url, secret, ("WEBHOOK_EVENTS", "messages,hunter22")], "WEBHOOK_EVENTS"),
            (vec![url, secret, ("WEBHOOK_EVENTS", "messages,reports")], "WEBHOOK_MODERATION"),
            (vec![url, secret, ("WEBHOOK_EVENTS", "message_held")], "WEBHOOK_MODERATION"),
        ] {
            let sentence = webhook(&set).unwrap_err().to_string();
            assert!(sentence.contains(name) && sentence.ends_with('.'), "{set:?}: {sentence}");
            assert!(!sentence.contains("hunter22") && !sentence.contains("MfKQ9r8G"), "{sentence}");
        }
        let shown = format!("{:?}", webhook(&[url, secret]).unwrap());
        assert!(shown.contains("hooks.example") && !shown.contains("hunter22") && !shown.contains("keys"), "{shown}");
    }
}
