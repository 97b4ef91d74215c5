//! Links in a text, also such as are written to be overlooked.

/// Endings that make `name.ending` a link without anything before it. Not a list of all there are: words that a
/// forgotten space glues together (`done.then`) are no links.
const ENDINGS: &str = " com net org io gg tv me co xyz ru info biz link click top shop live app dev site online store \
                       club pro vip fun win bet casino ly cc to be uk de fr eu us ca it nl pl es jp cn kr br in au ai ";
/// File names (`main.rs`) and the like are no links, and neither are these.
const NO_LINKS: &str = " node.js vue.js next.js asp.net ";

/// How many links a plain text has: with a scheme, with `www.`, a bare `example.com/x`, `example dot com`, or
/// `example[.]com`. E-mail addresses are none.
pub(super) fn count(text: &str) -> usize {
    let text =
        text.to_lowercase().replace(" (dot) ", ".").replace("(dot)", ".").replace("[.]", ".").replace("[dot]", ".");
    let text = text.replace(" dot com", ".com").replace("hxxp", "http");
    text.split(|c: char| c.is_whitespace() || "\"'`<>()[]{},;|".contains(c)).filter(|word| is_link(word)).count()
}

fn is_link(word: &str) -> bool {
    if let Some((scheme, rest)) = word.split_once("://") {
        return matches!(scheme.rsplit(|c: char| !c.is_ascii_alphanumeric()).next(), Some("http" | "https" | "ftp"))
            && !rest.is_empty();
    }
    let host = word.split(['/', '?', '#', ':']).next().unwrap_or_default().trim_matches(['.', '!', '*', '_', '~']);
    if word.contains('@') || NO_LINKS.contains(&format!(" {host} ")) {
        return false;
    }
    if host.starts_with("www.") {
        return true;
    }
    let Some((name, ending)) = host.rsplit_once('.') else { return false };
    let named = name.chars().filter(|c| c.is_alphanumeric()).count() >= 2;
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '-');
    // `so.me` and `go.to` are sentences without a space more often than links, so a short ending needs a path.
    let whole = ending.len() > 2 || word.contains('/') || matches!(ending, "gg" | "tv" | "io" | "ly" | "ru" | "co");
    named && whole && name.split('.').all(plain) && ENDINGS.contains(&format!(" {ending} "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_counted() {
        for (text, links) in [
            ("see https://example.org/x and http://e.org", 2),
            ("www.example.de", 1),
            ("(example.com), twitch.tv/ada! youtu.be/x", 3),
            ("example dot com, example[.]com hxxps://e.org", 3),
            ("wait.what no.me a.b main.rs node.js 3.14 v1.2.0 e.g. i.e. ok...", 0),
            ("ada@example.com", 0),
            ("://x http:// javascript://x", 0),
        ] {
            assert_eq!(count(text), links, "{text:?}");
        }
    }
}
