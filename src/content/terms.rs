//! A room's own words and phrases: which are not to be said in it, and which are all right whatever the filters think.

use super::pattern::{Pattern, Text};
use std::ops::Range;

/// The most terms of a room, blocked and allowed together.
pub const MAX_TERMS: usize = 500;
/// The longest term, in characters.
pub const MAX_TERM_CHARS: usize = 64;
/// The most wildcards in a term.
const MAX_WILDCARDS: usize = 4;

/// Why a list of terms is refused: a sentence that names the bad one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct BadTerm {
    /// The term as it was given; none where the list itself is too long.
    pub term: Option<String>,
    /// What is wrong with it and what to do.
    pub sentence: String,
}

/// Blocked and allowed terms, compiled: make it once when a room's settings change, not per message.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    blocked: Vec<(String, Pattern)>,
    allowed: Vec<Pattern>,
}

impl Terms {
    /// Compiles lists of words and phrases.
    ///
    /// A term matches whole words, whatever their case, accents, look-alikes, drawn-out letters or digits for letters;
    /// `*` stands for up to 32 characters of a word (`spoil*`, `*coin`); words of a phrase may have any white space or
    /// punctuation between them. A place that an allowed term covers is not matched by a blocked one, nor by the
    /// profanity filter.
    ///
    /// # Errors
    /// More than 500 terms; a term of more than 64 characters, of nothing but wildcards and space, with more than four
    /// `*`, or with a control character.
    pub fn compile<'a>(
        blocked: impl IntoIterator<Item = &'a str>,
        allowed: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, BadTerm> {
        let blocked = blocked.into_iter().map(|term| Ok((term.to_owned(), compile(term)?)));
        let blocked: Vec<_> = blocked.take(MAX_TERMS + 1).collect::<Result<_, _>>()?;
        let allowed: Vec<_> = allowed.into_iter().map(compile).take(MAX_TERMS + 1).collect::<Result<_, _>>()?;
        if blocked.len() + allowed.len() > MAX_TERMS {
            return Err(BadTerm {
                term: None,
                sentence: format!("A room has at most {MAX_TERMS} terms, blocked and allowed together. Remove some."),
            });
        }
        Ok(Self { blocked, allowed })
    }

    /// Whether there is no blocked term.
    pub(super) fn block_nothing(&self) -> bool {
        self.blocked.is_empty()
    }

    /// The blocked terms in a text, each once, with the shown characters that they are found in.
    pub(super) fn blocked(&self, views: &[Text<'_>], allowed: &[Range<usize>]) -> Vec<(&str, Vec<Range<usize>>)> {
        let mut all: Vec<(&str, Vec<Range<usize>>)> = Vec::new();
        for (term, pattern) in &self.blocked {
            let mut spans = spans(pattern, views);
            spans.retain(|span| !covered(span, allowed));
            if !spans.is_empty() {
                all.push((term, spans));
            }
        }
        all
    }

    /// The shown characters that allowed terms cover.
    pub(super) fn allowed(&self, views: &[Text<'_>]) -> Vec<Range<usize>> {
        self.allowed.iter().flat_map(|pattern| spans(pattern, views)).collect()
    }
}

/// Whether one of the ranges holds all of this one.
pub(super) fn covered(span: &Range<usize>, by: &[Range<usize>]) -> bool {
    by.iter().any(|range| range.start <= span.start && span.end <= range.end)
}

pub(super) fn spans(pattern: &Pattern, views: &[Text<'_>]) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for view in views {
        for found in pattern.find(view) {
            let shown = view.normal.shown(found);
            if !spans.contains(&shown) {
                spans.push(shown);
            }
        }
    }
    spans
}

fn compile(term: &str) -> Result<Pattern, BadTerm> {
    let bad = |sentence: String| BadTerm { term: Some(term.to_owned()), sentence };
    let chars = term.chars().count();
    if chars > MAX_TERM_CHARS {
        let start: String = term.chars().take(MAX_TERM_CHARS).collect();
        return Err(bad(format!(
            "The term \"{start}…\" has {chars} characters; at most {MAX_TERM_CHARS} are allowed."
        )));
    }
    if term.chars().any(char::is_control) {
        return Err(bad("A term holds no control characters; this one does.".to_owned()));
    }
    if term.matches('*').count() > MAX_WILDCARDS {
        return Err(bad(format!("The term \"{term}\" has more than {MAX_WILDCARDS} wildcards. Use fewer `*`.")));
    }
    let nothing = |_| bad(format!("The term \"{term}\" matches nothing: give it at least one letter, digit or sign."));
    Pattern::parse(term).map_err(nothing)
}

#[cfg(test)]
mod tests {
    use super::super::normal::Normal;
    use super::*;

    fn blocked(terms: &Terms, text: &str) -> Vec<String> {
        let normal = Normal::of(text);
        let joined = normal.unspelled();
        let views: Vec<Text<'_>> = std::iter::once(&normal).chain(&joined).map(Text::new).collect();
        let allowed = terms.allowed(&views);
        terms.blocked(&views, &allowed).into_iter().map(|(term, _)| term.to_owned()).collect()
    }

    #[test]
    fn blocked_unless_allowed() {
        let terms = Terms::compile(["spoil*", "the end"], ["spoiled milk"]).unwrap();
        assert_eq!(blocked(&terms, "no SPOILERS please"), ["spoil*"]);
        assert_eq!(blocked(&terms, "s p o i l e r"), ["spoil*"]);
        assert_eq!(blocked(&terms, "ѕроilеr, then the… end"), ["spoil*", "the end"]);
        assert!(blocked(&terms, "spoiled milk, they endured").is_empty());
        assert_eq!(blocked(&terms, "spoiled milk and spoilers"), ["spoil*"]);
    }

    #[test]
    fn bad_terms_are_named() {
        let long = "x".repeat(65);
        for term in ["", " ** ", "a*b*c*d*e*f", &long] {
            let error = Terms::compile(["fine", term], []).unwrap_err();
            assert_eq!(error.term.as_deref(), Some(term));
            assert!(error.sentence.ends_with('.'), "{error}");
        }
        let many: Vec<String> = (0..501).map(|n| format!("word{n}")).collect();
        assert_eq!(Terms::compile(many.iter().map(String::as_str), []).unwrap_err().term, None);
        assert!(Terms::compile(many.iter().skip(1).map(String::as_str), []).is_ok());
    }
}
