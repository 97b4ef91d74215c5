//! Texts of others: Debian's lists, and npm's in the file that bench/moderation.mjs makes.

use serde::Deserialize;
use std::ops::RangeInclusive;
use std::path::Path;

/// npm's lists.
#[derive(Deserialize)]
pub struct Lists {
    /// Words that three lists of bad words have, the one with ratings as "likely profane".
    pub agreed: Vec<String>,
    /// Words that one of the lists has, however mild.
    pub any: Vec<String>,
    /// Sentences from many places: chats, reviews, laws, songs.
    pub sentences: Vec<String>,
    /// First names of people.
    pub names: Vec<String>,
}

/// Reads npm's lists.
///
/// # Errors
/// A sentence that names the file and what is wrong with it.
pub fn lists(path: &str) -> Result<Lists, String> {
    let json = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}."))?;
    serde_json::from_str(&json).map_err(|error| format!("{path}: {error}."))
}

/// Debian's list of a language's words.
///
/// # Errors
/// A sentence that names the package to install.
pub fn dictionary(language: &str, package: &str) -> Result<Vec<String>, String> {
    Ok(read(&format!("/usr/share/dict/{language}"), package)?.lines().map(str::to_owned).collect())
}

/// Names of countries and of their parts.
///
/// # Errors
/// A sentence that names the package to install.
pub fn places() -> Result<Vec<String>, String> {
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

/// Of the quotations in a folder below /usr/share/games/fortunes what stands between separators and has so many bytes.
///
/// # Errors
/// A sentence that names the package to install.
pub fn fortunes(
    folder: &str,
    package: &str,
    separator: &str,
    bytes: RangeInclusive<usize>,
) -> Result<Vec<String>, String> {
    let folder = Path::new("/usr/share/games/fortunes").join(folder);
    let missing = || format!("There is nothing in {}: install Debian's package {package}.", folder.display());
    let mut all = Vec::new();
    for file in std::fs::read_dir(&folder).map_err(|_| missing())?.flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        // The names of files in UTF-8 are linked to with ".u8"; drawings are no sentences.
        if !folder.join(format!("{name}.u8")).exists() || name == "ascii-art" {
            continue;
        }
        let text = std::fs::read_to_string(file.path()).unwrap_or_default();
        let lines = text.split(separator).map(str::trim);
        all.extend(lines.filter(|line| bytes.contains(&line.len()) && !line.contains('\u{8}')).map(str::to_owned));
    }
    all.sort_unstable();
    all.dedup();
    if all.is_empty() { Err(missing()) } else { Ok(all) }
}

fn read(path: &str, package: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|_| format!("There is no {path}: install Debian's package {package}."))
}
