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
        let in_address = before.ends_with(|c: char| c.is_ascii_alphanumeric() || "._+-".contains(c));
        before = after;
        if index == 0 || in_address {
            continue;
        }
        let run: String = after.graphemes(true).take_while(|cluster| is_name_part(cluster)).collect();
        let name = run.trim_end_matches(['.', '-']).to_lowercase();
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

/// A text with `@erased` in place of each `@name`, however that is written.
pub fn without_mention(text: &str, name: &str) -> String {
    let name = name.to_lowercase();
    let mut parts = text.split('@');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push('@');
        match after_name(part, &name).filter(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')) {
            Some(rest) => {
                out.push_str("erased");
                out.push_str(rest);
            }
            None => out.push_str(part),
        }
    }
    out
}

/// What follows the name, which is in lower case, where the text begins with it.
fn after_name<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut name = name;
    for (index, c) in text.char_indices() {
        if name.is_empty() {
            return text.get(index..);
        }
        let lower: String = c.to_lowercase().collect();
        name = name.strip_prefix(lower.as_str())?;
    }
    name.is_empty().then_some("")
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
            ("ada a@ada.org", "ada a@erased.org"),
            ("@", "@"),
            ("", ""),
        ] {
            assert_eq!(without_mention(text, "Ada"), left);
        }
        assert_eq!(without_mention("@ZOË and @李小龍", "Zoë"), "@erased and @李小龍");
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
