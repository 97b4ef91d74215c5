//! `@name` in a text.

use unicode_segmentation::UnicodeSegmentation;

/// The most different names that one message mentions.
const MAX_MENTIONS: usize = 20;
/// Longer than any name is.
const MAX_NAME_CHARS: usize = 64;

/// The names that a plain text mentions as `@name`, in lower case, without duplicates, in their order, at
/// most 20.
///
/// A name is the longest run of letters and digits of any script (with their marks), `_`, `.` and `-`; dots and dashes
/// at its end belong to the sentence. An `@` right after what may be an e-mail address's beginning mentions nobody.
pub fn mention_names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut before = "";
    for (index, after) in text.split('@').enumerate() {
        let in_address = ends_in_address(before);
        before = after;
        if index == 0 || in_address {
            continue;
        }
        let name = run(after).to_lowercase();
        let fits = (1..=MAX_NAME_CHARS).contains(&name.chars().count());
        if fits && !names.contains(&name) {
            names.push(name);
        }
        if names.len() == MAX_MENTIONS {
            break;
        }
    }
    names
}

/// The longest beginning that may be a name.
fn run(text: &str) -> &str {
    let mut clusters = text.grapheme_indices(true);
    let end = clusters.find(|(_, cluster)| !is_name_part(cluster)).map_or(text.len(), |(index, _)| index);
    text.get(..end).unwrap_or_default().trim_end_matches(['.', '-'])
}

fn ends_in_address(before: &str) -> bool {
    before.ends_with(|c: char| c.is_ascii_alphanumeric() || "._+-".contains(c))
}

/// A text with `@erased` in place of each `@name`, however that is written; names that begin with it, and addresses,
/// stay.
pub fn without_mention(text: &str, name: &str) -> String {
    let name = name.to_lowercase();
    let mut parts = text.split('@');
    let mut before = parts.next().unwrap_or_default();
    let mut out = before.to_owned();
    for part in parts {
        out.push('@');
        let in_address = ends_in_address(before);
        before = part;
        match after_name(part, &name).filter(|_| !in_address) {
            Some(rest) => {
                out.push_str("erased");
                out.push_str(rest);
            }
            None => out.push_str(part),
        }
    }
    out
}

/// What follows the name, which is in lower case, where the text begins with it and with no longer one. A name can hold
/// what no `@name` does, as blanks.
fn after_name<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let written = run(text);
    if !written.is_empty() && written.to_lowercase() == name {
        return text.get(written.len()..);
    }
    let mut left = name;
    let mut end = 0;
    for c in text.chars() {
        if left.is_empty() {
            break;
        }
        let lower: String = c.to_lowercase().collect();
        left = left.strip_prefix(lower.as_str())?;
        end += c.len_utf8();
    }
    let rest = text.get(end..).filter(|_| left.is_empty() && !name.is_empty())?;
    let whole = rest.is_empty() || text.grapheme_indices(true).any(|(index, _)| index == end);
    (whole && run(rest).is_empty()).then_some(rest)
}

fn is_name_part(cluster: &str) -> bool {
    cluster.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_out_however_it_is_written() {
        for (text, left) in [
            ("hi @ada, @ADA: @Ada.", "hi @erased, @erased: @erased."),
            ("@adam @ada_ @ada", "@adam @ada_ @erased"),
            ("ada a@ada.org, @ada.", "ada a@ada.org, @erased."),
            ("@ada and @ada.b, @ada-c, @ada..", "@erased and @ada.b, @ada-c, @erased.."),
            ("@ada@bob", "@erased@bob"),
            ("@ada\u{301} @ada", "@ada\u{301} @erased"),
            ("@", "@"),
            ("", ""),
        ] {
            assert_eq!(without_mention(text, "Ada"), left);
        }
        assert_eq!(without_mention("@ZOË and @李小龍", "Zoë"), "@erased and @李小龍");
        assert_eq!(without_mention("@ΟΔΟΣ @οδος", "Οδος"), "@erased @erased");
        assert_eq!(
            without_mention("@Ada Lovelace! @ada lovelaces @Ada", "Ada Lovelace"),
            "@erased! @ada lovelaces @Ada"
        );
        assert_eq!(without_mention("@ada. x", "ada."), "@erased x");
    }

    #[test]
    fn names_are_found() {
        for (text, names) in [
            ("hi @Ada!", vec!["ada"]),
            ("@ada @ADA, @bob.", vec!["ada", "bob"]),
            ("(@x_1.y-z)...", vec!["x_1.y-z"]),
            ("@Zoë and @李小龍, @Ёлка: @नमस्ते", vec!["zoë", "李小龍", "ёлка", "नमस्ते"]),
            ("你好@小明 再见", vec!["小明"]),
            ("@می\u{200C}نا", vec!["می\u{200C}نا"]),
            ("mail bob@example.com", vec![]),
            ("a.b+c@example.com @dan", vec!["dan"]),
            ("@@eve", vec!["eve"]),
            ("@ ada @... @- @", vec![]),
            ("@_under_", vec!["_under_"]),
            ("@ada@bob", vec!["ada"]),
            ("no one", vec![]),
        ] {
            assert_eq!(mention_names(text), names, "{text:?}");
        }
    }

    #[test]
    fn there_is_an_end_to_them() {
        let many: String = (0..30).map(|i| format!("@u{i} ")).collect();
        assert_eq!(mention_names(&many).len(), 20);
        assert_eq!(mention_names(&format!("@{}", "x".repeat(65))), Vec::<String>::new());
        assert_eq!(mention_names(&format!("@{}", "x".repeat(64))).len(), 1);
    }
}
