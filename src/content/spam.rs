//! How much a message looks like spam: points with named reasons, from the message and what was lately said in the room.

use super::links;
use super::normal::Normal;
use super::pattern::{Pattern, Text, leet};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::sync::LazyLock;

/// From this many points on a message is spam.
pub(super) const SPAM_POINTS: u32 = 100;
/// Users whose last messages are remembered; the one that was silent longest is forgotten.
const MAX_USERS: usize = 512;
/// Messages remembered of each user.
const PER_USER: usize = 8;
/// Messages of all users that are remembered to notice a raid.
const MAX_TEXTS: usize = 256;
/// For how long a user's own messages are compared with each other, ms.
const REPEAT_MS: u64 = 60_000;
/// For how long the messages of different users are compared, ms.
const RAID_MS: u64 = 30_000;
/// Shorter texts (`gg`, `hello`) are said by everybody at once without harm, in letters and digits.
const SHORT: usize = 12;
/// Fingerprints of like texts differ in at most so many of 64 bits.
const LIKE_BITS: u32 = 12;
/// Groups of letters that a fingerprint is made of: what comes later in a text costs nothing.
const MAX_GROUPS: usize = 128;
/// How much of a text is looked at for what is said over and over, in characters.
const BEGINNING: usize = 200;

/// Why a message looks like spam.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SpamReason {
    /// The same user said the same within a minute.
    Repeat,
    /// The same user said nearly the same within a minute.
    NearRepeat,
    /// Several users say the same at once.
    Raid,
    /// Several links, in the message or in the user's messages within a minute.
    LinkFlood,
    /// Many mentions.
    MentionFlood,
    /// Nearly all in capitals.
    Shouting,
    /// One character, or a few in turn, over and over.
    CharacterRun,
    /// The user's first message in the room has a link.
    FirstLink,
    /// Many messages in a few seconds.
    Speed,
    /// Words that advertise.
    Advertising,
}

impl SpamReason {
    /// The reason in words that a moderator understands.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Repeat => "The user said exactly this several times within a minute.",
            Self::NearRepeat => "The user said nearly this several times within a minute.",
            Self::Raid => "Several users are saying this at the same time, as in a raid.",
            Self::LinkFlood => "The user is sending several links.",
            Self::MentionFlood => "The message mentions many people.",
            Self::Shouting => "The message is long and almost all in capitals.",
            Self::CharacterRun => "The message repeats the same characters over and over.",
            Self::FirstLink => "It is the user's first message in this room, and it has a link.",
            Self::Speed => "The user is sending messages faster than people write.",
            Self::Advertising => "The message reads like an advertisement or a scam.",
        }
    }
}

/// A message as it is remembered: hashes, no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    user: u64,
    at: u64,
    /// Of the text exactly as it reads.
    exact: u64,
    /// Alike for like texts.
    like: u64,
    /// Letters and digits of its words, of each word once.
    len: usize,
    links: bool,
}

impl Said {
    /// What `user` says at `at` (ms), with or without links.
    pub(super) fn of(user: &str, normal: &Normal, links: bool, at: u64) -> Self {
        let glyphs = normal.glyphs();
        let letter = |c: char| leet(c).first().copied().unwrap_or(c);
        let letters: Vec<char> = glyphs.iter().filter(|glyph| glyph.is_word()).map(|glyph| letter(glyph.c)).collect();
        let all = glyphs.iter().filter(|glyph| glyph.c != ' ').map(|glyph| glyph.c);
        let words = glyphs.split(|glyph| !glyph.is_word()).filter(|word| !word.is_empty());
        let mut words: Vec<(u64, usize)> =
            words.map(|word| (hash(word.iter().map(|glyph| glyph.c)), word.len())).collect();
        words.sort_unstable();
        words.dedup();
        let len = words.iter().map(|(_, len)| len).sum();
        Self { user: hash(user.chars()), at, exact: hash(all), like: similarity(&letters), len, links }
    }

    fn is_like(&self, other: &Self) -> bool {
        self.len >= SHORT && other.len >= SHORT && (self.like ^ other.like).count_ones() <= LIKE_BITS
    }
}

/// What was lately said in a room. Memory only, at most about 200 KB; a room that wakes recalls it from its log.
#[derive(Clone, Debug, Default)]
pub struct History {
    users: HashMap<u64, VecDeque<Said>>,
    texts: VecDeque<Said>,
}

impl History {
    /// How far back anything is compared, ms.
    pub const SPAN_MS: u64 = REPEAT_MS;
    /// So many messages are compared at most.
    pub const MOST: usize = MAX_TEXTS;

    /// Remembers what `user` said at `at` (ms): older messages first.
    pub fn recall(&mut self, user: &str, text: &str, at: u64) {
        self.remember(Said::of(user, &Normal::of(text), links::count(text) > 0, at));
    }

    /// Whether its author said exactly this within the last minute.
    pub(super) fn repeats(&self, said: &Said) -> bool {
        self.recent(said).any(|before| before.exact == said.exact)
    }

    /// Remembers a message.
    pub(super) fn remember(&mut self, said: Said) {
        if self.users.len() >= MAX_USERS && !self.users.contains_key(&said.user) {
            let last = |said: &VecDeque<Said>| said.back().map_or(0, |last| last.at);
            if let Some(silent) = self.users.iter().min_by_key(|(_, said)| last(said)).map(|(user, _)| *user) {
                self.users.remove(&silent);
            }
        }
        let own = self.users.entry(said.user).or_default();
        if own.len() == PER_USER {
            own.pop_front();
        }
        own.push_back(said);
        if self.texts.len() == MAX_TEXTS {
            self.texts.pop_front();
        }
        self.texts.push_back(said);
    }

    fn recent(&self, said: &Said) -> impl Iterator<Item = &Said> {
        let all = self.users.get(&said.user).into_iter().flatten();
        all.filter(move |before| said.at.saturating_sub(before.at) <= REPEAT_MS)
    }

    fn others_saying(&self, said: &Said) -> usize {
        let alike = |text: &&Said| {
            let soon = said.at.saturating_sub(text.at) <= RAID_MS;
            text.user != said.user && soon && (text.exact == said.exact || text.is_like(said))
        };
        let mut others: Vec<u64> = self.texts.iter().filter(alike).map(|text| text.user).collect();
        others.sort_unstable();
        others.dedup();
        others.len()
    }
}

/// A message's points, with what gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Score {
    /// [`SPAM_POINTS`] or more: spam.
    pub(super) points: u32,
    /// Most points first.
    pub(super) reasons: Vec<SpamReason>,
}

/// Scores a plain text, given also as it reads; `first` says whether it is its author's first message in the room, and
/// is asked only where that decides. `before` is the message and what was said before it; none for an edit, which is
/// like its message by nature.
pub(super) fn score(text: &str, read: &Text<'_>, first: &dyn Fn() -> bool, before: Option<(&Said, &History)>) -> Score {
    let links = links::count(text);
    let mut flood = steps(links, &[(2, 40), (3, 100)]);
    let advertising = match (advertising(read), links > 0) {
        (0, _) => 0,
        (groups, link) => {
            steps(groups, &[(1, 40), (2, 70), (3, 100)]) + if link { 30 } else { 0 } + if first() { 30 } else { 0 }
        }
    };
    let mut parts = vec![
        (SpamReason::MentionFlood, steps(mentions(text), &[(5, 50), (8, 100)])),
        (SpamReason::Shouting, shouting(text)),
        (SpamReason::CharacterRun, runs(text, read.normal)),
        (SpamReason::FirstLink, if links > 0 && first() { 50 } else { 0 }),
        (SpamReason::Advertising, advertising),
    ];
    if let Some((said, history)) = before {
        let recent: Vec<&Said> = history.recent(said).collect();
        let exact = recent.iter().filter(|before| before.exact == said.exact).count();
        let like = recent.iter().filter(|before| before.exact != said.exact && before.is_like(said)).count();
        let quick = recent.iter().filter(|before| said.at.saturating_sub(before.at) < 5_000).count();
        let others = history.others_saying(said);
        let repeat: &[(usize, u32)] =
            if said.len < SHORT { &[(3, 40), (4, 70), (5, 100)] } else { &[(1, 40), (2, 100)] };
        // What regulars cheer with is short; a raid is of users who were never here.
        let raid: &[(usize, u32)] = match (links, said.len) {
            (1.., _) => &[(2, 60), (3, 100)],
            (0, 30..) => &[(3, 60), (4, 100)],
            (0, SHORT..) if others >= 5 && first() => &[(5, 60), (9, 100)],
            _ => &[],
        };
        if links > 0 {
            let linked = recent.iter().filter(|before| before.links).count();
            flood = flood.max(steps(linked, &[(2, 50), (3, 100)]));
        }
        parts.extend([
            (SpamReason::Repeat, steps(exact, repeat)),
            (SpamReason::NearRepeat, steps(like, &[(1, 30), (2, 60), (3, 100)])),
            (SpamReason::Raid, steps(others, raid)),
            (SpamReason::Speed, steps(quick, &[(4, 60), (6, 100)])),
        ]);
    }
    parts.push((SpamReason::LinkFlood, flood));
    parts.retain(|(_, points)| *points > 0);
    parts.sort_by_key(|(_, points)| std::cmp::Reverse(*points));
    Score {
        points: parts.iter().map(|(_, points)| points).sum(),
        reasons: parts.into_iter().map(|(reason, _)| reason).collect(),
    }
}

/// The points of the highest step that is reached.
fn steps(count: usize, steps: &[(usize, u32)]) -> u32 {
    steps.iter().rev().find(|(from, _)| count >= *from).map_or(0, |(_, points)| *points)
}

fn mentions(text: &str) -> usize {
    let starts = |word: &&str| word.len() > 1 && word.starts_with('@');
    text.split_whitespace().filter(starts).count()
}

fn shouting(text: &str) -> u32 {
    let cased = text.chars().filter(|c| c.is_lowercase() || c.is_uppercase()).count();
    let capitals = text.chars().filter(|c| c.is_uppercase()).count();
    let words = text.split_whitespace().count();
    if capitals * 10 < cased * 8 || words < 4 { 0 } else { steps(cased, &[(30, 50), (120, 100)]) }
}

fn runs(text: &str, normal: &Normal) -> u32 {
    let longest = normal.glyphs().iter().filter(|glyph| glyph.c != ' ').map(|glyph| glyph.run).max().unwrap_or(0);
    let longest = steps(longest, &[(20, 40), (40, 100)]);
    // A short thing over and over: few different pairs of neighbours. Of the beginning only, since a long text has few
    // for its length in any language.
    let beginning = normal.glyphs().iter().take(BEGINNING);
    let next = beginning.clone().skip(1);
    let mut pairs: Vec<u64> = beginning.zip(next).map(|(a, b)| u64::from(a.c) << 32 | u64::from(b.c)).collect();
    let all = pairs.len();
    pairs.sort_unstable();
    pairs.dedup();
    let few = all >= 60 && pairs.len() * 5 < all;
    // Marks stacked so that a text runs over its neighbours.
    let chars = text.chars().count();
    let marks = text.chars().filter(|c| matches!(c, '\u{300}'..='\u{36F}' | '\u{483}'..='\u{489}')).count();
    let zalgo = marks >= 12 && marks * 2 > chars;
    longest.max(if few || zalgo { 100 } else { 0 })
}

/// What advertisers in chats say, group by group; each group counts once.
const ADVERTISING: &[&[&str]] = &[
    &["followers", "viewers", "subs", "primes", "engagement", "views"],
    &["cheap", "best price", "lowest price", "discount", "for sale", "promo code", "coupon"],
    &[
        "buy now",
        "buy followers",
        "buy viewers",
        "order now",
        "sign up now",
        "join now",
        "limited time",
        "act now",
        "hurry",
    ],
    &["click here", "click my", "click the link", "check my profile", "check my bio", "link in bio", "visit my"],
    &[
        "free money",
        "free gift",
        "free robux",
        "free vbucks",
        "free nitro",
        "free skins",
        "giveaway",
        "you won",
        "you have won",
        "claim your",
    ],
    &[
        "earn money",
        "make money",
        "passive income",
        "work from home",
        "per day",
        "per week",
        "a week from home",
        "double your",
        "guaranteed profit",
        "profits daily",
    ],
    &["crypto", "bitcoin", "btc", "airdrop", "forex", "investment", "wallet", "nft"],
    &["whatsapp", "telegram", "dm me", "text me", "message me on", "contact me", "add me on"],
    &[
        "casino",
        "betting",
        "viagra",
        "cialis",
        "loan",
        "weight loss",
        "onlyfans",
        "hot girls",
        "hot singles",
        "adult",
        "dating",
    ],
    &[
        "want to become famous",
        "become famous",
        "grow your channel",
        "promote your",
        "boost your",
        "bigfollows",
        "rank up your",
    ],
];

static COMPILED: LazyLock<Vec<Vec<Pattern>>> = LazyLock::new(|| {
    let phrases = |group: &&[&str]| group.iter().filter_map(|phrase| Pattern::parse(phrase).ok()).collect();
    ADVERTISING.iter().map(phrases).collect()
});

fn advertising(text: &Text<'_>) -> usize {
    let said = |phrase: &Pattern| phrase.find(text).next().is_some();
    COMPILED.iter().filter(|group| group.iter().any(said)).count()
}

/// FNV-1a, the same at every wake.
fn hash(chars: impl Iterator<Item = char>) -> u64 {
    chars.fold(0xCBF2_9CE4_8422_2325, |hash, c| (hash ^ u64::from(c)).wrapping_mul(0x0100_0000_01B3))
}

/// A similarity hash: each bit is what most of the text's groups of three letters have there.
fn similarity(letters: &[char]) -> u64 {
    let mut votes = [0i32; 64];
    for group in letters.windows(3).take(MAX_GROUPS) {
        // Mixed once more, since FNV's high bits say little about three characters.
        let hash = hash(group.iter().copied()).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let hash = hash ^ (hash >> 29);
        for (bit, vote) in votes.iter_mut().enumerate() {
            *vote += if hash >> bit & 1 == 1 { 1 } else { -1 };
        }
    }
    votes.iter().enumerate().fold(0, |like, (bit, vote)| like | u64::from(*vote > 0) << bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(history: &mut History, user: &str, text: &str, now: u64) -> Score {
        let normal = Normal::of(text);
        let said = Said::of(user, &normal, links::count(text) > 0, now);
        let score = score(text, &Text::new(&normal), &|| false, Some((&said, history)));
        history.remember(said);
        score
    }

    fn alone(text: &str) -> Score {
        score(text, &Text::new(&Normal::of(text)), &|| false, None)
    }

    #[test]
    fn repeats_of_one_user_are_noticed_and_forgotten() {
        let mut history = History::default();
        let text = "what time does the race start today";
        assert_eq!(scored(&mut history, "ada", text, 0).points, 0);
        assert_eq!(scored(&mut history, "bob", text, 1_000).points, 0);
        assert_eq!(
            scored(&mut history, "ada", "What time does the RACE start today", 8_000).reasons,
            [SpamReason::Repeat]
        );
        assert!(scored(&mut history, "ada", text, 16_000).points >= SPAM_POINTS);
        assert_eq!(scored(&mut history, "ada", text, 90_000).points, 0);
    }

    #[test]
    fn near_repeats_are_noticed_and_other_texts_are_not() {
        let mut history = History::default();
        scored(&mut history, "ada", "please come and see the new channel everyone it is great", 0);
        let near = scored(&mut history, "ada", "please come and see the new channel everyone, it is great 2", 9_000);
        assert!(near.reasons.contains(&SpamReason::NearRepeat), "{near:?}");
        let other = scored(&mut history, "ada", "that overtake in the last corner was really brave of him", 18_000);
        assert_eq!(other.points, 0, "{other:?}");
    }

    #[test]
    fn a_raid_is_many_users_with_one_text_and_short_cheers_are_none() {
        let mut history = History::default();
        let text = "this streamer is a fraud, everybody go and watch somebody else";
        let points: Vec<u32> = (0..6).map(|n| scored(&mut history, &format!("u{n}"), text, n * 1_000).points).collect();
        assert!(points.first() == Some(&0) && points.last().unwrap() >= &SPAM_POINTS, "{points:?}");
        for n in 0..30 {
            assert_eq!(scored(&mut history, &format!("v{n}"), "GG", 10_000 + n * 10).points, 0);
        }
    }

    #[test]
    fn a_text_of_short_words_over_and_over_is_short_and_digits_for_letters_change_little() {
        let said = |text: &str| Said::of("ada", &Normal::of(text), false, 0);
        assert_eq!(said("LUL LUL LUL LUL LUL").len, 3);
        assert!(said("please look at my other channel").is_like(&said("pl3as3 l00k at my 0th3r chann3l")));
    }

    #[test]
    fn link_after_link_is_a_flood() {
        let mut history = History::default();
        let say =
            |n: u64| scored(&mut history, "ada", &format!("look https://site{n}.example/{}", n * 7919), n * 9_000);
        let last = (0..4).map(say).last().unwrap();
        assert!(last.points >= SPAM_POINTS && last.reasons.contains(&SpamReason::LinkFlood), "{last:?}");
    }

    #[test]
    fn speed_links_mentions_shouting_and_runs() {
        let mut history = History::default();
        let last =
            (0..8).map(|n| scored(&mut history, "ada", &format!("{n} {n} different {n}"), n * 300)).last().unwrap();
        assert!(last.reasons.contains(&SpamReason::Speed));
        let mentions: String = (0..9).map(|n| format!("@user{n} ")).collect();
        for (text, reason) in [
            ("https://a.example https://b.example https://c.example", SpamReason::LinkFlood),
            (mentions.as_str(), SpamReason::MentionFlood),
            (&"THIS IS ALL VERY LOUD INDEED ".repeat(6), SpamReason::Shouting),
            (&"a".repeat(50), SpamReason::CharacterRun),
            (&"spam ham ".repeat(20), SpamReason::CharacterRun),
            (&"Z\u{300}\u{301}\u{302}\u{303}".repeat(6), SpamReason::CharacterRun),
            ("buy followers cheap, best price, dm me on telegram", SpamReason::Advertising),
        ] {
            let score = alone(text);
            assert!(score.points >= SPAM_POINTS && score.reasons.contains(&reason), "{text:?} {score:?}");
        }
        for text in ["LETS GO", "hahahahaha", "WHAT A GOAL", "nooooooooo", "https://example.org look", "@ada @bob hi"] {
            assert!(alone(text).points < SPAM_POINTS, "{text:?}");
        }
        let first = score("see example.com", &Text::new(&Normal::of("see example.com")), &|| true, None);
        assert_eq!(first.reasons, [SpamReason::FirstLink]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut history = History::default();
        for n in 0..5_000u64 {
            history.remember(Said::of(&format!("u{}", n % 1_500), &Normal::of(&format!("text {n}")), false, n));
        }
        assert!(history.users.len() <= MAX_USERS && history.texts.len() <= MAX_TEXTS);
        assert!(history.users.values().all(|said| said.len() <= PER_USER));
    }
}
