//! What a text looks like to a reader, for matching only (never shown): tricks of spelling undone, places kept.

use decancer::Translation;
use std::ops::Range;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::decompose_canonical;

/// One character as it reads, with where it stands in the shown text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glyph {
    /// Lower case, without accents; a Latin letter where it looks like one. White space is one `' '`.
    pub(super) c: char,
    /// How many of it stand in a row.
    pub(super) run: usize,
    /// The characters (not bytes) of the shown text that it came from.
    pub(super) shown: Range<usize>,
}

impl Glyph {
    /// Whether it is part of a word.
    pub(super) fn is_word(&self) -> bool {
        self.c.is_alphanumeric()
    }
}

/// A text as it reads.
///
/// NFKC, without zero-width and other invisible characters, accents and stacked marks; look-alikes of other scripts as
/// the Latin letters that they pass for, but only in words that are Latin beside or else wholly look-alikes, so that
/// other languages stay what they are; lower case; runs of a character as one glyph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Normal {
    glyphs: Vec<Glyph>,
}

impl Normal {
    pub(super) fn of(text: &str) -> Self {
        let mut normal = Self { glyphs: Vec::with_capacity(text.len()) };
        let mut word: Vec<(char, usize)> = Vec::new();
        for (at, shown) in text.chars().enumerate() {
            if shown.is_ascii() && !shown.is_ascii_whitespace() && !shown.is_ascii_control() {
                word.push((shown, at));
                continue;
            }
            for c in std::iter::once(shown).nfkc() {
                if is_unseen(c) {
                    continue;
                }
                if c.is_whitespace() {
                    normal.push_word(&word);
                    word.clear();
                    normal.push(' ', at);
                } else {
                    word.push((without_accents(c), at));
                }
            }
        }
        normal.push_word(&word);
        normal
    }

    /// The glyphs, in the order of the text.
    pub(super) fn glyphs(&self) -> &[Glyph] {
        &self.glyphs
    }

    /// The same with words that are spelled out (`b a d`, `b.a.d`) written together: at least three single letters with
    /// one and the same separator between them, of which none begins or ends a longer word. None where there are none;
    /// a second one where the first letter may be a word of its own (`a b a d`).
    pub(super) fn unspelled(&self) -> Vec<Self> {
        let mut all: Vec<Self> = self.joined(0).into_iter().collect();
        if !all.is_empty() {
            all.extend(self.joined(1));
        }
        all
    }

    /// `letters_apart`: how many letters at the start of each word that is spelled out with spaces stay apart. With other
    /// separators it is one word from its first letter on.
    fn joined(&self, letters_apart: usize) -> Option<Self> {
        let mut glyphs = Vec::with_capacity(self.glyphs.len());
        let mut rest = self.glyphs.as_slice();
        let mut any = false;
        while let Some((first, after)) = rest.split_first() {
            let at_start = glyphs.last().is_none_or(|before: &Glyph| !before.is_word());
            let letters = if at_start { spelled(rest) } else { 0 };
            let apart = if rest.get(1).is_some_and(|separator| separator.c == ' ') { letters_apart } else { 0 };
            if letters >= 3 + apart {
                any |= apart == letters_apart;
                let (kept, word) = rest.split_at(apart * 2);
                glyphs.extend_from_slice(kept);
                let letters = letters - apart;
                for letter in word.iter().step_by(2).take(letters) {
                    match glyphs.last_mut() {
                        Some(last) if last.c == letter.c => {
                            last.run += letter.run;
                            last.shown.end = letter.shown.end;
                        }
                        _ => glyphs.push(letter.clone()),
                    }
                }
                rest = word.get(letters * 2 - 1..).unwrap_or_default();
            } else {
                glyphs.push(first.clone());
                rest = after;
            }
        }
        any.then_some(Self { glyphs })
    }

    /// The characters of the shown text behind a range of glyphs.
    pub(super) fn shown(&self, glyphs: Range<usize>) -> Range<usize> {
        match self.glyphs.get(glyphs) {
            Some([only]) => only.shown.clone(),
            Some([first, .., last]) => first.shown.start..last.shown.end,
            _ => 0..0,
        }
    }

    fn push_word(&mut self, word: &[(char, usize)]) {
        let latin = word.iter().any(|(c, _)| c.is_ascii_alphabetic());
        let fold = latin || word.iter().all(|(c, _)| !c.is_alphabetic() || passes_alone(*c));
        for &(c, at) in word {
            if c.is_ascii() {
                self.push(c.to_ascii_lowercase(), at);
                continue;
            }
            match ascii(c).filter(|_| fold) {
                Some(latin) => latin.chars().for_each(|c| self.push(c, at)),
                None => c.to_lowercase().for_each(|c| self.push(c, at)),
            }
        }
    }

    fn push(&mut self, c: char, at: usize) {
        match self.glyphs.last_mut() {
            Some(last) if last.c == c => {
                last.run += 1;
                last.shown.end = at + 1;
            }
            _ => self.glyphs.push(Glyph { c, run: 1, shown: at..at + 1 }),
        }
    }
}

/// How many single letters stand here, one separator between each.
fn spelled(glyphs: &[Glyph]) -> usize {
    let Some([_, separator]) = glyphs.get(..2) else { return 0 };
    if separator.is_word() {
        return 0;
    }
    let pairs = glyphs.chunks(2);
    let mut letters = 0;
    for pair in pairs {
        match pair {
            [letter, after] if letter.is_word() && after.c == separator.c => letters += 1,
            [letter, after] if letter.is_word() && !after.is_word() => return letters + 1,
            [letter] if letter.is_word() => return letters + 1,
            // The last letter begins a longer word: `a b crate`.
            _ => return letters,
        }
    }
    letters
}

/// What is drawn as nothing, or stacked onto a letter. The marks that scripts of India or Arabia need are kept.
fn is_unseen(c: char) -> bool {
    is_accent(c)
        || c.is_control() && !c.is_whitespace()
        || matches!(c,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}')
}

/// The marks that go onto any letter.
fn is_accent(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36F}' | '\u{483}'..='\u{489}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}')
}

fn without_accents(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    let (mut base, mut accented) = (None, true);
    decompose_canonical(c, |part| match base {
        None => base = Some(part),
        Some(_) => accented &= is_accent(part),
    });
    base.filter(|_| accented).unwrap_or(c)
}

/// Whether a letter makes a word look Latin that has no Latin letter: in scripts that people write, only the twins of
/// Latin letters do.
fn passes_alone(c: char) -> bool {
    let written = matches!(c, '\u{370}'..='\u{1CFF}' | '\u{1F00}'..='\u{1FFF}' | '\u{2C80}'..='\u{2CFF}' | '\u{2E80}'..='\u{A48F}'
        | '\u{AC00}'..='\u{D7FF}' | '\u{F900}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFF}' | '\u{20000}'..='\u{323AF}');
    !written || "аеорсухкіјѕԁһӏԛԝАВЕКМНОРСТУХІЈЅαικνορυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ".contains(c)
}

/// The Latin letters or digits that a character passes for.
fn ascii(c: char) -> Option<String> {
    let cured = match decancer::cure_char!(c) {
        Translation::Character(c) => c.to_string(),
        Translation::String(cured) => cured.to_string(),
        Translation::None => return None,
    };
    (!cured.is_empty() && cured.bytes().all(|b| b.is_ascii_alphanumeric())).then_some(cured)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(normal: &Normal) -> String {
        normal.glyphs().iter().map(|glyph| glyph.c).collect()
    }

    #[test]
    fn tricks_are_undone_and_other_languages_are_not() {
        for (text, reads) in [
            ("Hello  World", "helo world"),
            ("ｆｕｌｌ ｗｉｄｔｈ", "ful width"),
            ("𝐛𝐨𝐥𝐝 ⓒⓘⓡⓒⓛⓔ ﬁt", "bold circle fit"),
            ("ze\u{200B}ro\u{AD} w\u{2060}idth", "zero width"),
            ("z\u{300}\u{301}\u{35F}a\u{336}l\u{489}go", "zalgo"),
            ("раураl", "paypal"),
            ("Café naïve", "cafe naive"),
            ("Привет, мир", "привет, мир"),
            ("हिन्दी", "हिन्दी"),
            ("が", "が"),
        ] {
            assert_eq!(read(&Normal::of(text)), reads, "{text:?}");
        }
    }

    #[test]
    fn spelled_words_are_joined_with_and_without_their_first_letter() {
        let joined = |text: &str| Normal::of(text).unspelled().iter().map(read).collect::<Vec<_>>();
        assert_eq!(joined("so b.a.d it is"), ["so bad it is"]);
        assert_eq!(joined("b o o k"), ["bok", "b ok"]);
        assert_eq!(joined("that is a b a d x"), ["that is abadx", "that is a badx"]);
        assert_eq!(joined("a bad day, e.g. this"), Vec::<String>::new());
        assert_eq!(joined("plan b crate a"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn every_glyph_maps_back(
            text in "(\\PC|[a-cA-C .\\n]|[\u{300}-\u{310}\u{200B}-\u{200F}\u{FF41}\u{430}\u{FDFA}\u{1F1E6}]){0,40}"
        ) {
            let normal = Normal::of(&text);
            let chars = text.chars().count();
            for view in std::iter::once(&normal).chain(&normal.unspelled()) {
                prop_assert!(view.glyphs().iter().all(|glyph| !glyph.shown.is_empty() && glyph.shown.end <= chars));
                let ordered = view.glyphs().windows(2).all(|two| matches!(two, [a, b] if a.shown.end <= b.shown.start + 1));
                prop_assert!(ordered);
                prop_assert!(view.shown(0..view.glyphs().len()).end <= chars);
            }
            for (at, c) in text.chars().enumerate().filter(|(_, c)| c.is_ascii_lowercase()) {
                let found = normal.glyphs().iter().any(|glyph| glyph.c == c && glyph.shown.contains(&at));
                prop_assert!(found);
            }
        }
    }
}
