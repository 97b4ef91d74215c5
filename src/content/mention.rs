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

fn is_name_part(cluster: &str) -> bool {
    cluster.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

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
