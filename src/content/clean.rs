//! What was typed becomes a message's `content` (safe as HTML) and `text` (plain), or a name.

use super::{markup, scrub};
use crate::protocol::{ChatError, ErrorCode};
use ammonia::Builder;
use std::ops::Range;
use std::sync::LazyLock;
use unicode_segmentation::UnicodeSegmentation;

/// Kept, since making one costs four times what cleaning a message does.
static NO_TAGS: LazyLock<Builder<'static>> = LazyLock::new(Builder::empty);

/// The longest name, in characters.
const MAX_USERNAME_CHARS: usize = 64;
/// What a longer one is cut to before it is looked at: markup that never ends costs its length squared.
const MAX_RAW_USERNAME_CHARS: usize = 4_096;

/// A message's text in its two forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clean {
    /// Safe as the content of an HTML element (not in an attribute: quotes stay).
    pub content: String,
    /// The same as plain text, present only where it differs. Not to be put into a page as HTML.
    pub text: Option<String>,
}

impl Clean {
    /// The plain text.
    pub fn plain(&self) -> &str {
        self.text.as_deref().unwrap_or(&self.content)
    }

    /// The same with the characters (not bytes) of these ranges of the plain text as asterisks. White space stays, so
    /// that the plain text keeps its length in characters and its lines.
    pub fn masked(&self, spans: &[Range<usize>]) -> Self {
        let masks = |at: usize, c: char| !c.is_whitespace() && spans.iter().any(|span| span.contains(&at));
        let masked = |(at, c): (usize, char)| if masks(at, c) { '*' } else { c };
        let text: String = self.plain().chars().enumerate().map(masked).collect();
        let content = html(&text);
        Self { text: (content != text).then_some(text), content }
    }
}

/// Cleans what somebody typed: control characters, bidi overrides and markup go, the rest is trimmed and escaped.
/// References (`&amp;`) count as the character that they stand for, so cleaning `content` again yields it again.
///
/// # Errors
/// `message_too_long` above `max_chars` Unicode scalar values, counted as typed: markup included, control characters
/// and the white space around not. `message_empty` where nothing to be seen is left.
pub fn clean(raw: &str, max_chars: usize) -> Result<Clean, ChatError> {
    let typed = scrub::scrub(raw);
    let typed = typed.trim_matches(scrub::is_blank);
    let chars = typed.chars().count();
    if chars > max_chars {
        return Err(ChatError::new(
            ErrorCode::MessageTooLong,
            format!("A message has at most {max_chars} characters, and this one has {chars}. Shorten it or send two."),
        )
        .field("content"));
    }
    let text = plain(typed);
    let text = text.trim_matches(scrub::is_blank);
    if !scrub::is_visible(text) {
        return Err(ChatError::new(
            ErrorCode::MessageEmpty,
            "Nothing is left of the message: it needs at least one character that is neither white space nor markup.",
        )
        .field("content"));
    }
    let content = html(text);
    Ok(Clean { text: (content != text).then(|| text.to_owned()), content })
}

/// A name to show: one line without markup, 1–64 characters (longer ones are cut), safe as HTML element content.
/// None where nothing to be seen is left.
pub fn username(raw: &str) -> Option<String> {
    let raw: String = raw.chars().take(MAX_RAW_USERNAME_CHARS).collect();
    let text = plain(&scrub::scrub(&raw)).replace(scrub::is_direction_mark, "");
    let line = text.split(scrub::is_blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let mut chars = 0;
    let name: String = line
        .graphemes(true)
        .take_while(|cluster| {
            chars += cluster.chars().count();
            chars <= MAX_USERNAME_CHARS
        })
        .collect();
    // What a joiner joined may have been cut off.
    let name = scrub::scrub(&name);
    let name = name.trim_end();
    (!name.is_empty()).then(|| html(name))
}

/// The plain text of what ammonia wrote: it makes these references and no others.
fn plain_text(content: &str) -> String {
    content.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", "\u{A0}").replace("&amp;", "&")
}

/// What was typed, scrubbed already, without markup and with references resolved; those may bring forth what is to be
/// scrubbed again.
fn plain(typed: &str) -> String {
    if is_itself(typed) { typed.to_owned() } else { parsed(typed) }
}

fn parsed(typed: &str) -> String {
    scrub::scrub(&plain_text(&NO_TAGS.clean(&markup::strip(typed)).to_string()))
}

fn html(text: &str) -> String {
    if is_itself(text) { text.to_owned() } else { escaped(text) }
}

fn escaped(text: &str) -> String {
    NO_TAGS.clean(&text.replace('&', "&amp;").replace('<', "&lt;")).to_string()
}

/// Whether scrubbed text holds nothing that a parser of HTML reads, or its writer writes, as anything but itself: most
/// messages, and to parse one costs more than all the rest that is done to it.
fn is_itself(text: &str) -> bool {
    !text.contains(['<', '>', '&', '\u{A0}'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cleaned(raw: &str) -> (String, String) {
        let clean = clean(raw, 1000).unwrap();
        (clean.content.clone(), clean.plain().to_owned())
    }

    #[test]
    fn content_is_safe_and_text_is_what_was_meant() {
        for (typed, content, text) in [
            ("hello", "hello", "hello"),
            ("  two words\n", "two words", "two words"),
            ("<b>bold</b> & more", "bold &amp; more", "bold & more"),
            ("if a<b then ok", "if a&lt;b then ok", "if a<b then ok"),
            ("a<b>c", "ac", "ac"),
            ("a<b and c>d", "a&lt;b and c&gt;d", "a<b and c>d"),
            ("1 < 2 > 0", "1 &lt; 2 &gt; 0", "1 < 2 > 0"),
            ("I <3 you", "I &lt;3 you", "I <3 you"),
            ("&amp;", "&amp;", "&"),
            ("&lt;script&gt;", "&lt;script&gt;", "<script>"),
            ("&amp;lt;", "&amp;lt;", "&lt;"),
            ("Tom & Jerry", "Tom &amp; Jerry", "Tom & Jerry"),
            ("it's \"quoted\"", "it's \"quoted\"", "it's \"quoted\""),
            ("hi<script>alert(1)</script>", "hi", "hi"),
            ("<img src=x onerror=alert(1)>hi", "hi", "hi"),
            ("<svg/onload=alert(1)>hi", "hi", "hi"),
            ("<a href=javascript:alert(1)>go</a>", "go", "go"),
            ("<template>kept</template> too", "kept too", "kept too"),
            ("<table>a<tr><td>b</td></tr>c</table>", "abc", "abc"),
            ("<plaintext>a<b>c</b>", "ac", "ac"),
            ("<textarea>a", "a", "a"),
            ("https://e.org/?a=1&copy=2", "https://e.org/?a=1&amp;copy=2", "https://e.org/?a=1&copy=2"),
            ("a\0b\u{202E}c", "abc", "abc"),
            ("a&#8238;b&#0;c", "ab\u{FFFD}c", "ab\u{FFFD}c"),
            ("a&#13;&#10;b", "a\nb", "a\nb"),
            ("line one\r\nline two\ttab", "line one\nline two\ttab", "line one\nline two\ttab"),
            ("a&nbsp;b", "a&nbsp;b", "a\u{A0}b"),
            ("👩🏽\u{200D}🚀 1\u{FE0F}\u{20E3}", "👩🏽\u{200D}🚀 1\u{FE0F}\u{20E3}", "👩🏽\u{200D}🚀 1\u{FE0F}\u{20E3}"),
            ("مرحبا بالعالم", "مرحبا بالعالم", "مرحبا بالعالم"),
            ("می\u{200C}خواهم", "می\u{200C}خواهم", "می\u{200C}خواهم"),
            ("e\u{301}\u{323}", "e\u{301}\u{323}", "e\u{301}\u{323}"),
            ("`Vec<u8, A>`", "`Vec&lt;u8, A&gt;`", "`Vec<u8, A>`"),
            ("{{7*7}} ${x}", "{{7*7}} ${x}", "{{7*7}} ${x}"),
        ] {
            assert_eq!(cleaned(typed), (content.to_owned(), text.to_owned()), "{typed:?}");
        }
    }

    #[test]
    fn text_is_there_only_where_it_differs() {
        assert_eq!(clean("plain", 10).unwrap().text, None);
        assert_eq!(clean("<b>plain</b>", 100).unwrap().text, None);
        assert_eq!(clean("a&b", 10).unwrap().text.as_deref(), Some("a&b"));
    }

    #[test]
    fn length_is_counted_in_characters_as_typed() {
        assert!(clean("👍👍👍", 3).is_ok());
        assert!(clean("\u{202A}  abc\0 ", 3).is_ok());
        assert!(clean("<<<", 3).is_ok());
        let error = clean("<b>a</b>", 7).unwrap_err();
        assert_eq!(error.code, ErrorCode::MessageTooLong);
        assert_eq!(error.field.as_deref(), Some("content"));
        assert!(error.message.contains("at most 7 characters, and this one has 8"));
        assert_eq!(clean("e\u{301}", 1).unwrap_err().code, ErrorCode::MessageTooLong);
    }

    #[test]
    fn nothing_left_is_an_error() {
        for raw in
            ["", " \n\t ", "\0\u{202E}", "<b></b>", "<script>x</script>", "\u{200F}", "\u{3164}", "&nbsp;", "&#8238;"]
        {
            assert_eq!(clean(raw, 100).unwrap_err().code, ErrorCode::MessageEmpty, "{raw:?}");
        }
    }

    #[test]
    fn names_are_one_line_of_at_most_64_characters() {
        for (raw, name) in [
            ("Ada", Some("Ada")),
            ("  Ada\n\tLovelace ", Some("Ada Lovelace")),
            ("<b>Ada</b>", Some("Ada")),
            ("Tom & Jerry <3", Some("Tom &amp; Jerry &lt;3")),
            ("A\u{202E}da\u{200F}", Some("Ada")),
            ("", None),
            ("<i></i>", None),
            ("\u{3164}", None),
            ("李小龍", Some("李小龍")),
        ] {
            assert_eq!(username(raw).as_deref(), name, "{raw:?}");
        }
        assert_eq!(username(&"x".repeat(70)).unwrap().len(), 64);
        let families = username(&"👩\u{200D}👩\u{200D}👧".repeat(20)).unwrap();
        assert_eq!(families.chars().count(), 60);
        let cut = username(&format!("{}🏽\u{200D}🚀", "x".repeat(62))).unwrap();
        assert_eq!(username(&cut).unwrap(), cut);
        let endless = "<a ".repeat(20_000);
        assert_eq!(username(&endless), username(&endless[..6_000]));
    }

    /// What breaks sanitisers more than letters do.
    fn soup() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[<>/!?&;=\"' -]",
            "&(lt|gt|amp|nbsp|copy|#60|#x3c|#8238|#0);?",
            "</?(b|script|style|svg|math|table|td|template|textarea|title|select|plaintext|noscript|a href=x)>?",
            "(<!--|-->|<!\\[CDATA\\[|\\]\\]>)",
            "\\PC{0,3}",
            "[\\x00-\\x1F\u{A0}\u{200B}-\u{200F}\u{202A}-\u{202E}\u{2066}-\u{2069}\u{FE0F}\u{FEFF}\u{FFFF}❤🏴👍ك]",
            "[a-z ]{1,4}",
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn what_ammonia_is_spared_it_would_not_change(text in "[^<>&\\u{A0}\\r\\x00\\u{FEFF}]{0,40}") {
            prop_assert_eq!(NO_TAGS.clean(&text).to_string(), text);
        }

        #[test]
        fn any_content_is_stable_and_has_no_tag(raw in soup()) {
            if let Ok(clean_once) = clean(&raw, 10_000) {
                prop_assert!(!clean_once.content.contains(['<', '>']));
                prop_assert_eq!(ammonia::clean(&clean_once.content), clean_once.content.clone());
                prop_assert_eq!(plain_text(&clean_once.content), clean_once.plain());
                prop_assert_eq!(&clean(&clean_once.content, usize::MAX).unwrap(), &clean_once);
            }
        }

        #[test]
        fn what_is_not_parsed_would_come_out_the_same(raw in soup()) {
            let typed = scrub::scrub(&raw.replace(['<', '>', '&', '\u{A0}'], ""));
            let typed = typed.trim_matches(scrub::is_blank);
            prop_assert!(is_itself(typed));
            prop_assert_eq!(parsed(typed), typed);
            prop_assert_eq!(escaped(typed), typed);
        }

        #[test]
        fn what_follows_is_never_eaten(raw in soup()) {
            let content = clean(&format!("{raw} the end"), 10_000).unwrap().content;
            prop_assert!(content.ends_with("the end"), "{content:?}");
        }

        #[test]
        fn any_name_is_short_stable_and_one_line(raw in soup()) {
            if let Some(name) = username(&raw) {
                prop_assert!((1..=64).contains(&plain_text(&name).chars().count()));
                prop_assert!(!name.contains(['<', '>', '\n', '\t']));
                prop_assert_eq!(username(&name), Some(name));
            }
        }
    }
}
