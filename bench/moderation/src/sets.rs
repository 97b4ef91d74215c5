//! The sets: what others wrote, and lines written for this.

use crate::sources::{dictionary, fortunes, lists, places};
use crate::{Set, disguise};
use std::collections::HashSet;

pub const HAM: &str = include_str!("../data/ham.txt");
pub const GAMES: &str = include_str!("../data/games.txt");
pub const LANGUAGES: &str = include_str!("../data/languages.txt");
const SPAM: &str = include_str!("../data/spam.txt");
const PROFANE: &str = include_str!("../data/profane.txt");
const PROFANE_WORDS: &str = include_str!("../data/profane-words.txt");
const AMBIGUOUS_WORDS: &str = include_str!("../data/ambiguous-words.txt");

/// Debian's dictionaries of other languages: file and package.
const DICTIONARIES: [(&str, &str); 5] = [
    ("french", "wfrench"),
    ("italian", "witalian"),
    ("ngerman", "wngerman"),
    ("portuguese", "wportuguese"),
    ("spanish", "wspanish"),
];
/// Debian's quotations in other languages: folder and package.
const QUOTATIONS: [(&str, &str); 3] = [("de", "fortunes-de"), ("es", "fortunes-es"), ("it", "fortunes-it")];

/// All sets; `npm` is the file of npm's lists.
///
/// # Errors
/// A sentence that names what is missing.
pub fn all(npm: &str) -> Result<Vec<Set>, String> {
    let listed = |file| lines(file).flat_map(str::split_whitespace).collect::<HashSet<&str>>();
    let (profane, ambiguous) = (listed(PROFANE_WORDS), listed(AMBIGUOUS_WORDS));
    let parted = |texts: Vec<String>| -> (Vec<String>, Vec<String>) {
        let clear = texts.into_iter().filter(|text| !has(&ambiguous, text));
        clear.partition(|text| has(&profane, text))
    };
    let (bad_words, words) = parted(dictionary("american-english", "wamerican")?);
    let (bad_quotations, quotations) = parted(fortunes("", "fortunes", "\n", 4..=200)?);
    let (_, long) = parted(fortunes("", "fortunes", "\n%\n", 300..=1000)?);
    let (_, places) = parted(places()?);
    let mut foreign_words = Vec::new();
    for (file, package) in DICTIONARIES {
        foreign_words.extend(dictionary(file, package)?.into_iter().step_by(20));
    }
    let mut foreign_quotations = Vec::new();
    for (folder, package) in QUOTATIONS {
        foreign_quotations.extend(fortunes(folder, package, "\n", 4..=200)?);
    }
    let npm = lists(npm)?;
    let (agreed, any) = (npm.agreed.iter().map(String::as_str).collect(), npm.any.iter().map(String::as_str).collect());
    let (bad_sentences, sentences): (Vec<_>, Vec<_>) = npm.sentences.iter().partition(|text| has_word(&agreed, text));
    let sentences = sentences.into_iter().filter(|text| !has(&any, text)).step_by(4);
    let profane = |make: &dyn Fn(&str) -> String| -> Vec<(String, String)> {
        lines(PROFANE).map(|line| (line.to_owned(), make(line))).collect()
    };
    let plain = profane(&|line| line.replace(['{', '}'], ""));
    let whole = str::to_owned;
    let mut all = vec![
        clean("chat, ordinary", keyed(lines(HAM), whole), Some(0.02)),
        clean("chat of players", keyed(lines(GAMES), whole), Some(0.02)),
        clean("chat in other languages", keyed(lines(LANGUAGES), whole), Some(0.02)),
        clean("sentences of all kinds (nlp-corpus)", keyed(sentences, whole), Some(0.02)),
        clean("words (wamerican)", keyed(words, family), Some(0.001)),
        clean("names of places (iso-codes)", keyed(places, whole), Some(0.001)),
        clean("first names (stdlib)", keyed(&npm.names, whole), Some(0.001)),
        clean("words of five other languages (wfrench …)", keyed(foreign_words, family), Some(0.001)),
        clean("lines of quotations (fortunes)", keyed(quotations, whole), Some(0.02)),
        clean("quotations of 300 to 1,000 characters (fortunes)", keyed(long, whole), Some(0.02)),
        clean("lines of quotations in other languages (fortunes-de …)", keyed(foreign_quotations, whole), Some(0.02)),
        bad("words that three lists call profane (cuss …)", keyed(&npm.agreed, family), None),
        bad("sentences with one of these (nlp-corpus)", keyed(bad_sentences, whole), None),
        bad("words, profane (wamerican)", keyed(bad_words, family), None),
        bad("lines of quotations, profane (fortunes)", keyed(bad_quotations, whole), None),
        bad("chat, profane, plain", plain, Some(0.92)),
        bad("chat, spam", keyed(lines(SPAM), whole), Some(0.92)),
    ];
    let mut disguised = Vec::new();
    for (name, rule) in disguise::RULES {
        let texts = profane(&|line| disguise::apply(line, *rule));
        disguised.extend(texts.iter().cloned());
        all.push(bad(name, texts, None));
    }
    all.push(bad("chat, profane, disguised: all", disguised, Some(0.80)));
    Ok(all)
}

/// What is said in chats, put together to some 200 bytes each: ordinary lines, among them now and then a profane one.
pub fn texts_of_200_bytes() -> Vec<String> {
    let ordinary = [HAM, GAMES, LANGUAGES].into_iter().flat_map(lines);
    let mut profane = lines(PROFANE);
    let mut all = Vec::new();
    for (n, line) in ordinary.enumerate() {
        if n % 20 == 0 {
            all.extend(profane.next().map(|line| line.replace(['{', '}'], "")));
        }
        all.push(line.to_owned());
    }
    let text = |start: usize| {
        let mut text = String::new();
        for line in all.iter().cycle().skip(start) {
            if text.len() + line.len() >= 210 {
                break;
            }
            text.push_str(line);
            text.push(' ');
        }
        text
    };
    (0..all.len()).map(text).filter(|text| text.len() >= 190).collect()
}

fn keyed(texts: impl IntoIterator<Item = impl AsRef<str>>, key: impl Fn(&str) -> String) -> Vec<(String, String)> {
    texts.into_iter().map(|text| (key(text.as_ref()), text.as_ref().to_owned())).collect()
}

/// What words that differ in their endings have in common.
fn family(word: &str) -> String {
    word.to_lowercase().chars().take(5).collect()
}

fn clean(name: &'static str, texts: Vec<(String, String)>, aim: Option<f64>) -> Set {
    Set { name, texts, bad: false, aim }
}

fn bad(name: &'static str, texts: Vec<(String, String)>, aim: Option<f64>) -> Set {
    Set { name, texts, bad: true, aim }
}

/// Whether a word of the text is in a list, in one form or another.
fn has(list: &HashSet<&str>, text: &str) -> bool {
    let word = |word: &str| stems(&word.to_lowercase()).any(|stem| list.contains(stem.as_str()));
    text.split(|c: char| !c.is_alphabetic()).any(word)
}

/// Whether a word of the text is in a list as it stands.
fn has_word(list: &HashSet<&str>, text: &str) -> bool {
    text.split(|c: char| !c.is_alphabetic()).any(|word| list.contains(word.to_lowercase().as_str()))
}

/// The lines of a file without its comments.
pub fn lines(file: &'static str) -> impl Iterator<Item = &'static str> {
    file.lines().filter(|line| !line.is_empty() && !line.starts_with("# "))
}

/// A word without what English puts at its end.
fn stems(word: &str) -> impl Iterator<Item = String> {
    let word = word.strip_suffix("'s").unwrap_or(word).to_owned();
    let endings = [
        "", "s", "es", "ed", "ing", "ings", "er", "ers", "y", "ier", "iest", "ish", "d", "r", "rs", "ty", "ted",
        "ting", "ter", "tier", "tiest",
    ];
    endings
        .into_iter()
        .filter_map(move |ending| word.strip_suffix(ending).map(str::to_owned))
        .flat_map(|stem| [format!("{stem}e"), stem])
}
