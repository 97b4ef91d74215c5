//! A word or phrase to look for in a text as it reads: whole words, `*` as a wildcard, letters written as digits.

use super::normal::{Glyph, Normal};
use std::ops::Range;

/// The most characters that one `*` stands for. It bounds what a search costs.
const WILDCARD_REACH: usize = 32;
/// Repeated so often, a letter is drawn out, not doubled: `booook` reads as `bok` and as `book`.
const DRAWN_OUT: usize = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Element {
    Char(char, usize),
    /// What stands between two words.
    Gap,
    /// Nothing or some characters of the same word.
    Any,
}

/// Why a term cannot be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// Nothing but wildcards and space.
    NoCharacters,
}

/// A compiled word or phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    elements: Vec<Element>,
    open_start: bool,
    open_end: bool,
    /// Whether letters may be hidden (`b*d`) or parted (`b.ad`).
    hidden: bool,
    letters: u64,
}

impl Pattern {
    pub(super) fn parse(term: &str) -> Result<Self, Unfit> {
        let term = term.trim();
        let mut elements = Vec::new();
        for (index, part) in term.split('*').enumerate() {
            if index > 0 && elements.last() != Some(&Element::Any) {
                elements.push(Element::Any);
            }
            let normal = Normal::of(part);
            let glyphs = normal.glyphs();
            for (at, glyph) in glyphs.iter().enumerate() {
                let within = |glyph: Option<&Glyph>| glyph.is_none_or(|glyph| glyph.is_word() || glyph.c == ' ');
                let before = at.checked_sub(1).and_then(|before| glyphs.get(before));
                let joins = !glyph.is_word() && within(before) && within(glyphs.get(at + 1));
                let inside = at > 0 && at + 1 < glyphs.len();
                match (glyph.c == ' ' || joins && inside, elements.last()) {
                    (true, Some(Element::Gap)) => {}
                    (true, _) => elements.push(Element::Gap),
                    (false, _) => elements.push(Element::Char(glyph.c, glyph.run)),
                }
            }
        }
        let open_start = elements.first() == Some(&Element::Any);
        let open_end = elements.last() == Some(&Element::Any);
        let is_char = |element: &Element| matches!(element, Element::Char(..));
        let first = elements.iter().position(is_char).ok_or(Unfit::NoCharacters)?;
        let last = elements.iter().rposition(is_char).ok_or(Unfit::NoCharacters)?;
        elements = elements.drain(first..=last).collect();
        let letters = elements.iter().fold(0, |letters, element| match element {
            Element::Char(c, _) => letters | 1 << bit(*c),
            _ => letters,
        });
        Ok(Self { elements, open_start, open_end, hidden: false, letters })
    }

    /// The same, also found where a letter within it is hidden or parted from the next.
    pub(super) fn with_hidden(mut self) -> Self {
        let chars = |element: &Element| if let Element::Char(_, run) = element { *run } else { 1 };
        self.hidden = self.elements.iter().map(chars).sum::<usize>() >= 4;
        self
    }

    /// The glyphs that it is found in, whole words where it ends in a wildcard.
    pub(super) fn find<'a>(&'a self, text: &'a Text<'a>) -> impl Iterator<Item = Range<usize>> + 'a {
        let glyphs = text.normal.glyphs();
        let possible = self.hidden || self.letters & !text.letters == 0;
        let first = if let Some(Element::Char(c, _)) = self.elements.first() { bit(*c) } else { 0 };
        let places = if self.open_start { &text.places } else { &text.starts };
        let places = places.get(first).filter(|_| possible).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(move |&start| {
            let mut found = start..self.match_at(glyphs, start)?;
            let word = |at: usize| glyphs.get(at).is_some_and(Glyph::is_word);
            if self.open_end {
                found.end += (found.end..found.end + WILDCARD_REACH).take_while(|at| word(*at)).count();
            }
            if self.open_start {
                let before = (found.start.saturating_sub(WILDCARD_REACH)..found.start).rev();
                found.start -= before.take_while(|at| word(*at)).count();
            }
            Some(found)
        })
    }

    fn match_at(&self, glyphs: &[Glyph], start: usize) -> Option<usize> {
        let (mut e, mut g) = (0, start);
        let mut star: Option<(usize, usize)> = None;
        let mut reach = 0;
        loop {
            let step = match self.elements.get(e) {
                None if self.open_end || is_edge(glyphs, g) => {
                    return self.has_letters(glyphs.get(start..g)?).then_some(g);
                }
                None => None,
                Some(Element::Any) => {
                    star = Some((e + 1, g));
                    reach = 0;
                    Some((1, 0))
                }
                Some(Element::Gap) => {
                    let gap = glyphs.iter().skip(g).take_while(|glyph| !glyph.is_word()).count();
                    (gap > 0).then_some((1, gap))
                }
                Some(Element::Char(c, run)) => {
                    match alike(glyphs.get(g..).unwrap_or_default(), *c, *run, self.may_go_on(e)) {
                        Some(taken) => Some((1, taken)),
                        None => glyphs.get(g).and_then(|glyph| self.hides(e, glyph)),
                    }
                }
            };
            if let Some((elements, taken)) = step {
                e += elements;
                g += taken;
                continue;
            }
            let (after, at) = star?;
            reach += 1;
            if reach > WILDCARD_REACH || !glyphs.get(at).is_some_and(Glyph::is_word) {
                return None;
            }
            star = Some((after, at + 1));
            (e, g) = (after, at + 1);
        }
    }

    /// Whether the word may go on with the same letter: `spot*` is found in `spotted`.
    fn may_go_on(&self, e: usize) -> bool {
        self.open_start && e == 0 || self.open_end && e + 1 == self.elements.len()
    }

    /// Where what it was found in has more than it, a longer word or a phrase with signs between its words: that, without
    /// what a word is parted with.
    pub(super) fn exceeded(&self, found: &[Glyph]) -> Option<Vec<Glyph>> {
        let phrase = self.elements.contains(&Element::Gap);
        let kept: Vec<Glyph> = found.iter().filter(|glyph| phrase || !is_separator(glyph.c)).cloned().collect();
        (kept.len() > self.elements.len()).then_some(kept)
    }

    /// How many elements and glyphs a sign that stands for letters, or parts them, takes.
    fn hides(&self, e: usize, glyph: &Glyph) -> Option<(usize, usize)> {
        let within = self.hidden && e > 0;
        match glyph.c {
            '*' | '#' | '%' | '&' | '@' | '$' if within && e + glyph.run < self.elements.len() => Some((glyph.run, 1)),
            c if is_separator(c) && within && glyph.run == 1 => Some((0, 1)),
            _ => None,
        }
    }

    /// Numbers alone are no word: `455` may read as one, and is a number.
    fn has_letters(&self, found: &[Glyph]) -> bool {
        let lettered = |element: &&Element| matches!(element, Element::Char(c, _) if c.is_alphabetic());
        let needed = self.elements.iter().filter(lettered).count().min(if self.elements.len() <= 3 { 2 } else { 1 });
        found.iter().filter(|glyph| glyph.c.is_alphabetic()).map(|glyph| glyph.run).sum::<usize>() >= needed
    }
}

/// A text that patterns are looked for in: made once, searched for many.
pub(super) struct Text<'a> {
    /// What it was made of.
    pub(super) normal: &'a Normal,
    letters: u64,
    /// Where a letter stands that has this bit.
    places: [Vec<usize>; 64],
    /// Those of them where a word can begin.
    starts: [Vec<usize>; 64],
}

impl<'a> Text<'a> {
    pub(super) fn new(normal: &'a Normal) -> Self {
        let (places, starts) = ([const { Vec::new() }; 64], [const { Vec::new() }; 64]);
        let mut text = Self { normal, letters: 0, places, starts };
        for (at, glyph) in normal.glyphs().iter().enumerate() {
            let starts = is_edge(normal.glyphs(), at);
            // A bracket opens what is said in brackets, but for one within a word.
            let before = at.checked_sub(1).and_then(|before| normal.glyphs().get(before));
            let bracket = matches!(glyph.c, '(' | '<') && !before.is_some_and(Glyph::is_word);
            for c in std::iter::once(&glyph.c).chain(leet(glyph.c).iter().filter(|_| !bracket)) {
                text.letters |= 1 << bit(*c);
                if let Some(places) = text.places.get_mut(bit(*c)) {
                    places.push(at);
                }
                if let Some(places) = text.starts.get_mut(bit(*c)).filter(|_| starts) {
                    places.push(at);
                }
            }
        }
        text
    }
}

/// What a word is parted with.
fn is_separator(c: char) -> bool {
    matches!(c, '.' | '-' | '_' | ',' | '~' | '|' | '+')
}

fn bit(c: char) -> usize {
    c as usize % 64
}

/// Whether a word can begin or end before this glyph. Scripts that write without spaces have no such places, so there
/// any place is one.
fn is_edge(glyphs: &[Glyph], at: usize) -> bool {
    let part = |glyph: Option<&Glyph>| glyph.is_some_and(|glyph| glyph.is_word() && !is_unspaced(glyph.c));
    !(part(at.checked_sub(1).and_then(|before| glyphs.get(before))) && part(glyphs.get(at)))
}

fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{3040}'..='\u{30FF}'
        | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{323AF}')
}

/// How many glyphs from the first on read as a letter so many times, or `more` times, in one spelling or several (`s$`).
fn alike(glyphs: &[Glyph], c: char, run: usize, more: bool) -> Option<usize> {
    let mut total = 0;
    for (taken, glyph) in glyphs.iter().enumerate() {
        if total >= run || !reads_as(glyph.c, c) {
            return (total == run || more && total > run).then_some(taken);
        }
        if glyph.run >= DRAWN_OUT {
            return Some(taken + 1);
        }
        total += glyph.run;
    }
    (total == run || more && total > run).then_some(glyphs.len())
}

fn reads_as(glyph: char, c: char) -> bool {
    glyph == c || leet(glyph).contains(&c)
}

/// The letters that a digit or sign is written for.
pub(super) fn leet(c: char) -> &'static [char] {
    match c {
        '0' => &['o'],
        '1' | '|' => &['i', 'l'],
        '!' => &['i'],
        '3' | '€' => &['e'],
        '4' | '@' => &['a'],
        '5' | '$' => &['s'],
        '7' | '+' => &['t'],
        '8' => &['b'],
        '6' | '9' => &['g'],
        '(' | '<' => &['c'],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(term: &str, text: &str) -> Vec<String> {
        let pattern = Pattern::parse(term).unwrap();
        let normal = Normal::of(text);
        let text_glyphs = Text::new(&normal);
        let cut = |range: Range<usize>| {
            let shown = normal.shown(range);
            text.chars().skip(shown.start).take(shown.len()).collect()
        };
        pattern.find(&text_glyphs).map(cut).collect()
    }

    #[test]
    fn words_phrases_and_wildcards() {
        for (term, text, expected) in [
            ("spoiler", "a Spoiler! spoilers", vec!["Spoiler"]),
            ("spoil*", "spoil spoilers spoilt x", vec!["spoil", "spoilers", "spoilt"]),
            ("spot*", "spotted spots", vec!["spotted", "spots"]),
            ("*spoil*", "nospoilers", vec!["nospoilers"]),
            ("b*d", "bad bd bread bath d", vec!["bad", "bd", "bread"]),
            ("two words", "two, words two  words twowords", vec!["two, words", "two  words"]),
            ("book", "boooook bok", vec!["boooook"]),
            ("spoiler", "sp0il3r 5poiler", vec!["sp0il3r", "5poiler"]),
            ("ass", "455 a55 as$ assets", vec!["as$"]),
            ("cup", "(up) (up", vec![]),
            ("c++", "I like c++ a lot", vec!["c++"]),
            ("坏人", "他是坏人吗", vec!["坏人"]),
            ("example.com", "see example.com", vec!["example.com"]),
            ("cafe", "Café", vec!["Café"]),
            ("Привет", "привет мир", vec!["привет"]),
        ] {
            assert_eq!(found(term, text), expected, "{term:?} in {text:?}");
        }
        for term in ["", "*", " * "] {
            assert_eq!(Pattern::parse(term), Err(Unfit::NoCharacters), "{term:?}");
        }
    }

    proptest! {
        #[test]
        fn any_pattern_is_searched_to_an_end(term in "[a*b .]{1,12}", text in "[ab. *1@]{0,60}") {
            if let Ok(pattern) = Pattern::parse(&term) {
                let normal = Normal::of(&text);
                let pattern = pattern.with_hidden();
                let len = normal.glyphs().len();
                for found in pattern.find(&Text::new(&normal)) {
                    prop_assert!(found.start < found.end && found.end <= len);
                }
            }
        }
    }
}
