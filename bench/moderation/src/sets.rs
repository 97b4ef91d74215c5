//! The sets: lists of Debian's packages, and lines written for this.

use crate::{Set, disguise};
use std::collections::HashSet;
use std::ops::RangeInclusive;

const HAM: &str = include_str!("../data/ham.txt");
const SPAM: &str = include_str!("../data/spam.txt");
const PROFANE: &str = include_str!("../data/profane.txt");
const PROFANE_WORDS: &str = include_str!("../data/profane-words.txt");
const AMBIGUOUS_WORDS: &str = include_str!("../data/ambiguous-words.txt");

/// All sets.
///
/// # Errors
/// A sentence that names the package that is not installed.
pub fn all() -> Result<Vec<Set>, String> {
    let listed = |file| lines(file).flat_map(str::split_whitespace).collect::<HashSet<&str>>();
    let (profane, ambiguous) = (listed(PROFANE_WORDS), listed(AMBIGUOUS_WORDS));
    let has = |list: &HashSet<&str>, text: &str| {
        let word = |word: &str| stems(&word.to_lowercase()).any(|stem| list.contains(stem.as_str()));
        text.split(|c: char| !c.is_alphabetic()).any(word)
    };
    let parted = |texts: Vec<String>| -> (Vec<String>, Vec<String>) {
        let (bad, other): (Vec<_>, Vec<_>) = texts.into_iter().partition(|text| has(&profane, text));
        (bad, other.into_iter().filter(|text| !has(&ambiguous, text)).collect())
    };
    let (bad_words, words) = parted(dictionary()?);
    let (bad_quotations, quotations) = parted(fortunes("\n", 4..=200)?);
    let (_, long) = parted(fortunes("\n%\n", 300..=1000)?);
    let (_, places) = parted(places()?);
    let profane = |make: &dyn Fn(&str) -> String| -> Vec<(String, String)> {
        lines(PROFANE).map(|line| (line.to_owned(), make(line))).collect()
    };
    let plain = profane(&|line| line.replace(['{', '}'], ""));
    let mut all = vec![
        clean("chat, ordinary", keyed(lines(HAM), str::to_owned), Some(0.02)),
        clean("words (wamerican)", keyed(words, family), Some(0.001)),
        clean("names of places (iso-codes)", keyed(places, str::to_owned), Some(0.001)),
        clean("lines of quotations (fortunes)", keyed(quotations, str::to_owned), Some(0.02)),
        clean("quotations of 300 to 1,000 characters (fortunes)", keyed(long, str::to_owned), Some(0.02)),
        bad("words, profane (wamerican)", keyed(bad_words, family), None),
        bad("lines of quotations, profane (fortunes)", keyed(bad_quotations, str::to_owned), None),
        bad("chat, profane, plain", plain, Some(0.92)),
        bad("chat, spam", keyed(lines(SPAM), str::to_owned), Some(0.92)),
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

/// Ordinary lines put together to about 200 bytes each.
pub fn chat_of_200_bytes() -> Vec<String> {
    let mut all = vec![String::new()];
    for line in lines(HAM).chain(lines(PROFANE).step_by(20)) {
        if let Some(last) = all.last_mut() {
            last.push_str(line);
            last.push(' ');
            if last.len() >= 200 {
                all.push(String::new());
            }
        }
    }
    all.retain(|text| text.len() >= 200);
    all
}

fn keyed(texts: impl IntoIterator<Item = impl Into<String>>, key: impl Fn(&str) -> String) -> Vec<(String, String)> {
    texts.into_iter().map(Into::into).map(|text| (key(&text), text)).collect()
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

fn lines(file: &'static str) -> impl Iterator<Item = &'static str> {
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

fn read(path: &str, package: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|_| format!("There is no {path}: install Debian's package {package}."))
}

fn dictionary() -> Result<Vec<String>, String> {
    Ok(read("/usr/share/dict/american-english", "wamerican")?.lines().map(str::to_owned).collect())
}

fn places() -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for (file, key) in [("iso_3166-1", "3166-1"), ("iso_3166-2", "3166-2"), ("iso_3166-3", "3166-3")] {
        let json = read(&format!("/usr/share/iso-codes/json/{file}.json"), "iso-codes")?;
        let json: serde_json::Value = serde_json::from_str(&json).map_err(|error| format!("{file}.json: {error}."))?;
        let names = json[key].as_array().into_iter().flatten();
        all.extend(names.filter_map(|place| place["name"].as_str()).map(str::to_owned));
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// What stands between separators and has so many bytes.
fn fortunes(separator: &str, bytes: RangeInclusive<usize>) -> Result<Vec<String>, String> {
    let folder = "/usr/share/games/fortunes";
    let missing = |_| format!("There is no {folder}: install Debian's package fortunes.");
    let mut all = Vec::new();
    for file in std::fs::read_dir(folder).map_err(missing)?.flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        // Drawings are no sentences.
        if name.contains('.') || name == "ascii-art" {
            continue;
        }
        let text = String::from_utf8_lossy(&std::fs::read(file.path()).map_err(missing)?).into_owned();
        let lines = text.split(separator).map(str::trim);
        all.extend(lines.filter(|line| bytes.contains(&line.len()) && !line.contains('\u{8}')).map(str::to_owned));
    }
    all.sort_unstable();
    all.dedup();
    if all.is_empty() {
        Err(format!("There is nothing in {folder}: install Debian's package fortunes."))
    } else {
        Ok(all)
    }
}
