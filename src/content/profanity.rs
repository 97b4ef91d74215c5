//! Swearing, slurs and sexual talk: a list of words decides what counts, rustrict whether a longer word only contains it.

use super::normal::Glyph;
use super::pattern::{Pattern, Text};
use super::terms::{covered, spans};
use rustrict::{Censor, Type};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::LazyLock;

/// How bad it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Said on television in the afternoon: damn, idiot.
    Mild,
    /// Swearing, insults and sexual words.
    #[default]
    Moderate,
    /// Slurs, and wishing somebody dead.
    Severe,
}

/// What kind of word it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ProfanityKind"))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A swear word.
    Profane,
    /// Against a group of people.
    Offensive,
    /// About sex.
    Sexual,
    /// Against one person.
    Mean,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Profanity {
    pub(super) severity: Severity,
    pub(super) kinds: Vec<Kind>,
    /// The shown characters to mask.
    pub(super) spans: Vec<Range<usize>>,
}

/// The words by severity and kind, written as a room's terms are, with `+` for the space in a phrase.
const WORDS: &[(Severity, Kind, &str)] = &[
    (
        Severity::Severe,
        Kind::Offensive,
        "*nigger* nigga* niggr* *faggot* fag fags fagg* kike kikes chink chinks spic spics wetback wetbacks tranny \
         trannies gook gooks paki pakis raghead* towelhead* darkie* jigaboo* porchmonkey* shemale* dyke dykes retard \
         retards retarded* libtard* fucktard*",
    ),
    (
        Severity::Severe,
        Kind::Mean,
        "kill+yourself kill+urself kill+ur+self kill+your+self killyourself kys hang+yourself hang+urself go+die \
         hope+you+die hope+u+die drink+bleach neck+yourself rape+you raped+you rape+u ill+kill+you i+will+kill+you",
    ),
    (Severity::Severe, Kind::Profane, "cunt cunts cunty cunting"),
    (
        Severity::Moderate,
        Kind::Profane,
        "*fuck* fuk fuking fukin fukking fucc phuck* fck fcking fcuk* fking stfu gtfo \
         shit shits shitty shittier shittiest shitting shitter* shithead* shitshow* shitpost* shitless shite shites \
         bullshit* horseshit dipshit* batshit apeshit sht shat *bitch* biatch* ass asses arse arses \
         *asshole* arsehole* asshol asshat* asswipe* assclown* dumbass* jackass* badass* smartass* fatass* lardass* \
         kickass bastard* prick pricks twat twats twatty douche* bugger buggers buggered bollocks bollox wanker* \
         wank wanks wanking wanked tosser tossers pissed pissing bellend* knobhead* dickhead* dickwad* dick dicks \
         dickish bollock felching phuk phuks phuked phuking fuks mothaf* muthaf* cockhead* cockface* goddamn goddamned goddamnit goddammit motherf*er motherf*ing mofo mofos",
    ),
    (
        Severity::Moderate,
        Kind::Sexual,
        "cock cocks cocksuck* cock+suck* pussy pussies cum cums cumming cumshot* jizz* blowjob* blow+job* handjob* \
         hand+job* rimjob* dildo* boner boners tits titties titty boobs boobies porn porno pornhub porns slut sluts \
         slutty whore whores whoring whorehouse whorehouses bunghole bungholes thot thots hentai milf milfs dilf gangbang* horny clit clits nutsack* ballsack* \
         bukkake creampie* deepthroat* cameltoe fap fapping masturbat* masterbat* jism jizm send+nudes nudes skank skanks skanky hoes \
         faggy jerk+off jerking+off suck+my suck+a+dick eat+my",
    ),
    (
        Severity::Mild,
        Kind::Profane,
        "damn damned dammit damnit dang hell crap crappy crapping piss bloody+hell heck wtf omfg lmfao frickin \
         freakin effing darn butt butthead butthole",
    ),
    (
        Severity::Mild,
        Kind::Mean,
        "idiot idiots idiotic moron morons moronic stupid dumb dumbest imbecile* loser losers scum scumbag* shut+up \
         screw+you jerk jerks trash+player you+suck u+suck ugly+ass fatty fatso weirdo*",
    ),
    (Severity::Mild, Kind::Sexual, "sexy nude nudity naked boob kinky sext sexting hooker* stripper*"),
];

/// Sound words and phrases that hold one of those above.
const SOUND: &str = "snigger* niggard* bastardi* chink+in chinks+in suck+my+blood suck+my+thumb eat+my+words eat+my+food \
                     eat+my+lunch eat+my+dinner eat+my+breakfast bloody+hell+week dick+van+dyke van+dyke moby+dick \
                     tom+dick+and+harry hitchcock* hancock* dickens* dickinson* dickson* cock+a+doodle* wankel* \
                     cunning* fagin* fagus faggots+of+wood fuchs* muckefuck*";

/// Stems that no sound word holds but those above: a longer word needs no second opinion.
const SURE: &[&str] = &["*fuck*", "phuck*", "mothaf*", "muthaf*", "masterbat*"];

/// Words that are ordinary in other languages, each with words that show that it is the other language.
const ELSEWHERE: &[(&str, &str)] = &[
    ("dick", "und ist nicht der das zu ein eine mit ich macht machen ganz wie sehr wird oder auf mm cm ungefähr dünn"),
    ("douche*", "la une ma ta sa il elle je tu se est les après bonne dans sous"),
    ("fag", "er jeg og det ikke mitt hvilket hvilke på har som til"),
    ("hoes", "de het een van mijn voor nieuwe deze die"),
    ("slut", "på är det och med snart till för inte nu att som er det"),
];

struct Word {
    severity: Severity,
    kind: Kind,
    pattern: Pattern,
    sure: bool,
}

struct Lists {
    bad: Vec<Word>,
    sound: Vec<Pattern>,
    /// Words, and what shows that each is of another language.
    elsewhere: Vec<(Pattern, Vec<Pattern>)>,
}

static LISTS: LazyLock<Lists> = LazyLock::new(|| {
    let compile = |term: &str| Pattern::parse(&term.replace('+', " ")).ok();
    let words = |&(severity, kind, list): &(Severity, Kind, &'static str)| {
        let word = move |term: &str| {
            let pattern = compile(term)?.with_hidden();
            Some(Word { severity, kind, pattern, sure: SURE.contains(&term) })
        };
        list.split_whitespace().filter_map(word)
    };
    let all = |list: &str| list.split_whitespace().filter_map(compile).collect();
    let elsewhere = ELSEWHERE.iter().filter_map(|(word, company)| Some((compile(word)?, all(company))));
    Lists { bad: WORDS.iter().flat_map(words).collect(), sound: all(SOUND), elsewhere: elsewhere.collect() }
});

/// The shown characters that are sound whatever else is said of them.
fn sound(views: &[Text<'_>]) -> Vec<Range<usize>> {
    let found = |pattern: &Pattern| views.iter().any(|view| pattern.find(view).next().is_some());
    let elsewhere = LISTS.elsewhere.iter().filter(|(_, company)| company.iter().any(found)).map(|(word, _)| word);
    LISTS.sound.iter().chain(elsewhere).flat_map(|word| spans(word, views)).collect()
}

/// What a text has of this severity or above, outside the shown characters in `allowed`. `views` are the text as it
/// reads.
pub(super) fn find(views: &[Text<'_>], at_least: Severity, allowed: &[Range<usize>]) -> Option<Profanity> {
    let mut found: Option<Profanity> = None;
    let mut known: Option<Vec<Range<usize>>> = None;
    for view in views {
        for word in LISTS.bad.iter().filter(|word| word.severity >= at_least) {
            for glyphs in word.pattern.find(view) {
                let shown = view.normal.shown(glyphs.clone());
                let known = known.get_or_insert_with(|| sound(views));
                if covered(&shown, allowed) || covered(&shown, known) {
                    continue;
                }
                // A longer word may merely contain this one.
                let glyphs = view.normal.glyphs().get(glyphs).unwrap_or_default();
                let longer = word.pattern.exceeded(glyphs).filter(|_| !word.sure);
                if longer.is_some_and(|longer| !confirmed(&longer)) {
                    continue;
                }
                let all = found.get_or_insert(Profanity { severity: word.severity, kinds: vec![], spans: vec![] });
                all.severity = all.severity.max(word.severity);
                if !all.kinds.contains(&word.kind) {
                    all.kinds.push(word.kind);
                }
                all.spans.push(shown);
            }
        }
    }
    if let Some(all) = &mut found {
        all.kinds.sort_unstable();
        all.spans = merged(std::mem::take(&mut all.spans));
    }
    found
}

/// Ranges in order, without overlaps.
pub(super) fn merged(mut spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    spans.sort_unstable_by_key(|span| (span.start, span.end));
    let mut all: Vec<Range<usize>> = Vec::with_capacity(spans.len());
    for span in spans {
        match all.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => all.push(span),
        }
    }
    all
}

/// Whether rustrict, which knows tens of thousands of words that only look bad, finds this word bad too.
fn confirmed(word: &[Glyph]) -> bool {
    let spelling = word.iter().flat_map(|glyph| std::iter::repeat_n(glyph.c, glyph.run.min(2)));
    let analysed = Censor::new(spelling).with_ignore_self_censoring(true).analyze();
    analysed.is((Type::PROFANE | Type::OFFENSIVE | Type::SEXUAL | Type::MEAN) & Type::MODERATE_OR_HIGHER)
}

#[cfg(test)]
mod tests {
    use super::super::normal::Normal;
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str, at_least: Severity) -> Option<Profanity> {
        let normal = Normal::of(text);
        let unspelled = normal.unspelled();
        let views: Vec<Text<'_>> = std::iter::once(&normal).chain(&unspelled).map(Text::new).collect();
        find(&views, at_least, &[])
    }

    #[test]
    fn bad_words_are_found_where_they_stand() {
        for (text, span) in [
            ("what the fuck", 9..13),
            ("FUUUUCK that", 0..7),
            ("you sh1thead", 4..12),
            ("f u c k you", 0..7),
            ("f.u.c.k you", 0..7),
            ("oh ｆｕｃｋ", 3..7),
            ("oh fu\u{200B}ck", 3..8),
            ("fuсk", 0..4),
            ("sh*t", 0..4),
            ("wet.back", 0..8),
            ("j a c k a s s", 0..13),
            ("a dick move", 2..6),
            ("clusterfucks", 0..12),
            ("f\u{336}u\u{336}c\u{336}k\u{336}", 0..7),
        ] {
            assert_eq!(found(text, Severity::Moderate).map(|bad| bad.spans), Some(vec![span]), "{text:?}");
        }
    }

    #[test]
    fn severities_and_kinds() {
        for (text, severity, kinds) in [
            ("damn", Severity::Mild, vec![Kind::Profane]),
            ("damn bitch", Severity::Moderate, vec![Kind::Profane]),
            ("kys", Severity::Severe, vec![Kind::Mean]),
            ("show tits, faggot", Severity::Severe, vec![Kind::Offensive, Kind::Sexual]),
        ] {
            let bad = found(text, Severity::Mild).unwrap();
            assert_eq!((bad.severity, bad.kinds), (severity, kinds), "{text:?}");
        }
        assert_eq!(found("damn", Severity::Moderate), None);
        assert_eq!(found("bitch", Severity::Severe), None);
    }

    #[test]
    fn words_that_only_look_bad_pass() {
        for text in [
            "Scunthorpe",
            "assassin",
            "cockpit",
            "Matsushita",
            "a niggling snigger",
            "Hitchcock",
            "classic",
            "455 7175",
            "he'll shell",
            "push it, this hit",
            "Penistone",
            "Сосна и рис",
            "das ist dick",
            "det är slut",
            "eine Tasse Muckefuck",
            "(um vieles",
            "a week in Phuket",
        ] {
            assert_eq!(found(text, Severity::Moderate), None, "{text:?}");
        }
    }

    #[test]
    fn every_word_of_the_lists_is_found() {
        for (severity, kind, list) in WORDS {
            for term in list.split_whitespace() {
                let text = term.replace('+', " ").replace('*', "");
                let bad = found(&text, *severity).unwrap_or_else(|| panic!("{term}"));
                assert!(bad.kinds.contains(kind), "{term}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn any_text_has_sound_spans(
            words in proptest::collection::vec("fuck|sh[i1!]t|a[s$]s|[fuckshitn1gerb*. $@]{0,12}|\\PC{0,6}|[ \n]", 0..24)
        ) {
            let text = words.concat();
            if let Some(bad) = found(&text, Severity::Mild) {
                let chars = text.chars().count();
                prop_assert!(bad.spans.iter().all(|span| span.start < span.end && span.end <= chars));
                prop_assert!(bad.spans.windows(2).all(|two| matches!(two, [a, b] if a.end < b.start)));
            }
            // What rustrict is asked in production is less than this.
            Censor::from_str(&text).analyze();
        }
    }
}
