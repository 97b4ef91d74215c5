//! Which characters stay: no control, no bidi override, nothing invisible but where a script or an emoji needs it.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeEmoji, UnicodeGeneralCategory};

/// Removes what is not to be seen and turns every line end into `\n`. Doing it twice changes nothing.
///
/// Stays: `\n` and `\t`; joiners between letters of other scripts than ASCII's or within an emoji; variation selectors
/// after what they vary; the tags of a well-formed subdivision flag; single direction marks (U+200E, U+200F, U+061C),
/// which right-to-left text needs and which, unlike overrides and isolates, reach no further than their place.
pub fn scrub(raw: &str) -> String {
    if raw.bytes().all(|byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~')) {
        return raw.to_owned();
    }
    let mut out = String::with_capacity(raw.len());
    let mut previous = None;
    let mut rest = raw.chars();
    while let Some(c) = rest.next() {
        let next = rest.clone().next();
        let c = match c {
            '\r' if next == Some('\n') => continue,
            '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => '\n',
            c => c,
        };
        if !stays(previous, c, next) {
            continue;
        }
        out.push(c);
        previous = Some(c);
        if c == '\u{1F3F4}' {
            for tag in flag_tags(rest.clone()) {
                out.push(tag);
                rest.next();
            }
        }
    }
    out
}

/// Whether somebody would see something of this text.
pub(super) fn is_visible(text: &str) -> bool {
    !text.chars().all(|c| is_blank(c) || is_direction_mark(c))
}

/// White space, and letters and symbols that are drawn as nothing.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{FFA0}')
}

/// A mark that says only which way its neighbours run.
pub(super) fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{61C}')
}

fn stays(previous: Option<char>, c: char, next: Option<char>) -> bool {
    match c {
        '\n' | '\t' | ' '..='~' => true,
        '\u{200C}' | '\u{200D}' | '\u{180E}' => previous.is_some_and(|before| {
            // Legacy Indic spelling ends words with virama and joiner.
            // A selector after it would have nothing to vary, and goes.
            is_mark(before) || (joins(before) && next.is_some_and(|next| joins(next) && !is_selector(next)))
        }),
        _ if is_selector(c) => previous.is_some_and(|before| {
            let keycap = matches!(before, '0'..='9' | '#' | '*') && matches!(c, '\u{FE0E}' | '\u{FE0F}');
            keycap || joins(before) && !is_selector(before) || is_mark(before) || is_symbol(before)
        }),
        _ if is_direction_mark(c) => previous != Some(c),
        // Arabic and Syriac number signs count as format characters and are seen.
        '\u{600}'..='\u{605}'
        | '\u{6DD}'
        | '\u{70F}'
        | '\u{890}'
        | '\u{891}'
        | '\u{8E2}'
        | '\u{110BD}'
        | '\u{110CD}' => true,
        _ => !matches!(c.general_category(), GeneralCategory::Control | GeneralCategory::Format),
    }
}

/// The tag characters of a flag such as England's, where they are well formed: any others could hide a text.
fn flag_tags(rest: impl Iterator<Item = char> + Clone) -> impl Iterator<Item = char> {
    let count = rest.clone().take_while(|c| matches!(c, '\u{E0030}'..='\u{E0039}' | '\u{E0061}'..='\u{E007A}')).count();
    let whole = (3..=6).contains(&count) && rest.clone().nth(count) == Some('\u{E007F}');
    rest.take(if whole { count + 1 } else { 0 })
}

fn joins(c: char) -> bool {
    !c.is_ascii() && !is_blank(c) && (c.is_alphanumeric() || is_selector(c) || is_mark(c) || c.is_emoji_char())
}

fn is_selector(c: char) -> bool {
    matches!(c, '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}')
}

fn is_mark(c: char) -> bool {
    c.general_category_group() == GeneralCategoryGroup::Mark && !is_selector(c) && !is_blank(c)
}

fn is_symbol(c: char) -> bool {
    !c.is_ascii() && !is_blank(c) && c.general_category_group() == GeneralCategoryGroup::Symbol
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_scripts_and_emoji_need_stays() {
        for text in [
            "\u{645}\u{6CC}\u{200C}\u{62E}\u{648}\u{627}\u{647}\u{645}", // Persian with ZWNJ
            "\u{915}\u{94D}\u{200D}\u{937}",                             // Devanagari half form
            "\u{D28}\u{D4D}\u{200D} x",                                  // legacy Malayalam chillu at a word's end
            "👩\u{200D}👩\u{200D}👧\u{200D}👦",
            "❤\u{FE0F}\u{200D}🔥",
            "🏳\u{FE0F}\u{200D}🌈",
            "👩🏽\u{200D}🚀",
            "1\u{FE0F}\u{20E3}",
            "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F}",
            "葛\u{E0100}",
            "∩\u{FE00}",
            "e\u{301} n\u{303}",
            "שלום!\u{200F}",
            "a\n\tb",
            "\u{1820}\u{180E}\u{1820}",
            "\u{600}\u{661}",
        ] {
            assert_eq!(scrub(text), text, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_to_be_seen_goes() {
        for (typed, left) in [
            ("a\0b\u{7}c\u{1B}[31m\u{7F}\u{9B}", "abc[31m"),
            ("\u{202E}evil\u{202C} \u{2066}x\u{2069}", "evil x"),
            ("a\r\nb\rc\u{85}d\u{2028}e\u{2029}f", "a\nb\nc\nd\ne\nf"),
            ("f\u{200D}u\u{200B}n\u{2060}\u{FEFF}\u{AD}", "fun"),
            ("\u{200D}x\u{FE0F}", "x"),
            ("👍\u{200D}", "👍"),
            ("🏴\u{200C}\u{FE0F}", "🏴\u{FE0F}"),
            ("👍\u{FE0F}\u{FE0F}", "👍\u{FE0F}"),
            ("א\u{200F}\u{200F}\u{200F}", "א\u{200F}"),
            ("🏴\u{E0068}\u{E0069}", "🏴"),
            ("hi\u{E0068}\u{E0069}", "hi"),
        ] {
            assert_eq!(scrub(typed), left, "{typed:?}");
        }
    }

    #[test]
    fn nothing_to_see_is_known() {
        for text in ["", " \n\t", "\u{200F}", "\u{3164}", "\u{2800} \u{115F}", "\u{A0}"] {
            assert!(!is_visible(text), "{text:?}");
        }
        assert!(is_visible(" . "));
    }

    proptest! {
        #[test]
        fn twice_is_once(text in "(\\PC|[\\x00-\\x1F\u{200B}-\u{200F}\u{202A}-\u{202E}\u{2060}-\u{2069}\u{FE00}-\u{FE0F}\u{E0020}-\u{E007F}❤👍🏴يक्]){0,40}") {
            let once = scrub(&text);
            prop_assert_eq!(scrub(&once), once.clone());
            let no_control = once.chars().all(|c| !c.is_control() || c == '\n' || c == '\t');
            prop_assert!(no_control);
        }
    }
}
