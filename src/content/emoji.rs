//! What is an emoji: reactions, and messages that are nothing else.

use super::scrub;
use crate::protocol::{ChatError, ErrorCode};
use unicode_properties::{GeneralCategoryGroup, UnicodeEmoji, UnicodeGeneralCategory};
use unicode_segmentation::UnicodeSegmentation;

/// The longest reaction, in bytes.
const MAX_REACTION_BYTES: usize = 32;

/// Checks a reaction: one extended grapheme cluster (an emoji with all its modifiers, or a letter) of at most 32 bytes.
/// No white space, nothing invisible, and none of `< > & " '`, since a reaction is put into pages as it is.
///
/// # Errors
/// `invalid_reaction`.
pub fn reaction(raw: &str) -> Result<&str, ChatError> {
    let visible = scrub::scrub(raw) == raw && scrub::is_visible(raw);
    let first_is_mark = raw.chars().next().is_none_or(|c| c.general_category_group() == GeneralCategoryGroup::Mark);
    let forbidden = |c: char| scrub::is_blank(c) || scrub::is_direction_mark(c) || "<>&\"'".contains(c);
    let one_cluster = raw.graphemes(true).nth(1).is_none();
    if raw.len() > MAX_REACTION_BYTES || !visible || first_is_mark || raw.contains(forbidden) || !one_cluster {
        return Err(ChatError::new(
            ErrorCode::InvalidReaction,
            "A reaction is one emoji or character of at most 32 bytes, without spaces.",
        )
        .field("reaction"));
    }
    Ok(raw)
}

/// Whether a plain text is nothing but emoji and `:name:` shortcodes, with white space between them as it likes.
pub fn is_emote(text: &str) -> bool {
    let mut rest = text.trim();
    let any = !rest.is_empty();
    while let Some(cluster) = rest.graphemes(true).next() {
        rest = if let Some(after) = after_shortcode(rest) {
            after
        } else if is_emoji(cluster) {
            rest.split_at(cluster.len()).1
        } else {
            return false;
        }
        .trim_start();
    }
    any
}

fn after_shortcode(text: &str) -> Option<&str> {
    let (name, after) = text.strip_prefix(':')?.split_once(':')?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'-');
    ((1..=32).contains(&name.len()) && name.bytes().all(allowed)).then_some(after)
}

fn is_emoji(cluster: &str) -> bool {
    let keycap = cluster.contains('\u{20E3}');
    cluster.chars().next().is_some_and(|c| c.is_emoji_char() && (keycap || !c.is_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMOJI: [&str; 9] = [
        "👍",
        "👍🏽",
        "❤\u{FE0F}",
        "❤\u{FE0F}\u{200D}🔥",
        "👩\u{200D}👩\u{200D}👧\u{200D}👦",
        "🇩🇪",
        "1\u{FE0F}\u{20E3}",
        "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
        "🏳\u{FE0F}\u{200D}🌈",
    ];

    #[test]
    fn one_cluster_is_a_reaction() {
        for good in EMOJI.into_iter().chain(["e\u{301}", "क्षि", "+", "字"]) {
            assert_eq!(reaction(good).unwrap(), good);
        }
    }

    #[test]
    fn anything_else_is_none() {
        let long = format!("a{}", "\u{301}".repeat(16));
        for bad in [
            "",
            " ",
            "👍👍",
            "ab",
            "👍 ",
            "\n",
            "\0",
            "<",
            "&",
            "\"",
            "\u{202E}",
            "\u{200D}",
            "\u{301}",
            "\u{3164}",
            "👍\u{200D}",
            "\u{200F}",
            &long,
        ] {
            let error = reaction(bad).unwrap_err();
            assert_eq!((error.code, error.field.as_deref()), (ErrorCode::InvalidReaction, Some("reaction")), "{bad:?}");
        }
    }

    #[test]
    fn emotes_are_emoji_and_shortcodes_only() {
        for text in EMOJI.into_iter().chain(["👍👍 ❤\u{FE0F}", ":wave:", ":+1::tada: 🎉", " 🎉\n🎉 "]) {
            assert!(is_emote(text), "{text:?}");
        }
        for text in ["", "  ", "hi", "👍 ok", "1", "#", ":no", ":a b:", "::", "12:30:45", "/me waves"] {
            assert!(!is_emote(text), "{text:?}");
        }
    }
}
