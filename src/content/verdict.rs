//! What becomes of a message: the room's modes, its terms, profanity and spam, in this order, in one call.

use super::normal::Normal;
use super::pattern::Text;
use super::profanity::{self, Kind, Severity};
use super::spam::{self, History, SPAM_POINTS, Said, SpamReason};
use super::terms::Terms;
use super::{emoji, links};
use crate::auth::Role;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What is done with a message that a filter objects to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FilterAction"))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing: the filter is not asked.
    #[default]
    Off,
    /// What it objects to is shown as asterisks; for spam, which is no single word, the same as `hold`.
    Mask,
    /// A moderator decides.
    Hold,
    /// It is not sent.
    Reject,
}

/// Who may post links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Links {
    /// Everybody.
    #[default]
    On,
    /// Moderators and above.
    Moderators,
    /// Nobody.
    Off,
}

/// The profanity filter's setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ProfanitySetting {
    /// What is done.
    pub action: Action,
    /// From which severity on.
    pub severity: Severity,
}

/// The spam filter's setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SpamSetting {
    /// What is done.
    pub action: Action,
}

/// What a room's filters are set to.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    /// Swearing, slurs and sexual talk.
    pub profanity: ProfanitySetting,
    /// Repeats, floods and advertisements.
    pub spam: SpamSetting,
    /// The room's own terms.
    pub terms: Terms,
    /// What is done about a blocked term; `off` leaves the terms out.
    pub terms_action: Action,
    /// Who may post links.
    pub links: Links,
    /// Only emoji and shortcodes.
    pub emote_only: bool,
    /// Nobody may say the same twice within a minute.
    pub no_repeats: bool,
}

impl Filters {
    /// Whether anything is on that has to read a message, and not only to look for links and emoji.
    pub fn look_at_text(&self) -> bool {
        let terms = self.terms_action != Action::Off && !self.terms.block_nothing();
        let filters = [self.profanity.action, self.spam.action];
        terms || self.no_repeats || filters.iter().any(|action| *action != Action::Off)
    }
}

/// A message to be judged.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    /// The plain text (`Clean::plain`).
    pub text: &'a str,
    /// Its author.
    pub user: &'a str,
    /// The author's role in the room. Moderators and above are not filtered, but where links are off for all.
    pub role: Role,
    /// Whether it is the author's first message in the room; asked only where that decides.
    pub first: &'a dyn Fn() -> bool,
    /// Whether it replaces the text of an earlier message: it is not compared with what was said before.
    pub edit: bool,
    /// Ms since 1970.
    pub now: u64,
}

/// Why a message did not pass as it was. On the wire `{"code": "term", "term": "…"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Reason {
    /// The room takes emoji only.
    EmoteOnly,
    /// Links are not allowed here, or not to this author.
    Links,
    /// The author said the same within the last minute.
    NoRepeats,
    /// A term that the room blocks.
    Term {
        /// The term as the room's list has it: for moderators; for the author it is empty.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        term: String,
    },
    /// Swearing, slurs or sexual talk.
    Profanity {
        /// The worst that was found.
        severity: Severity,
        /// What kinds were found.
        kinds: Vec<Kind>,
    },
    /// It looks like spam.
    Spam {
        /// Why; the weightiest first.
        because: SpamReason,
    },
}

impl Reason {
    /// Whether a mode of the room objects, and not what was said.
    pub fn is_mode(&self) -> bool {
        matches!(self, Self::EmoteOnly | Self::Links | Self::NoRepeats)
    }

    /// The reason as the author may know it: without the room's term.
    pub fn for_author(&self) -> Self {
        match self {
            Self::Term { .. } => Self::Term { term: String::new() },
            other => other.clone(),
        }
    }

    /// The reason in words that a moderator understands.
    pub fn sentence(&self) -> String {
        match self {
            Self::EmoteOnly => "The room takes nothing but emoji for now.".to_owned(),
            Self::Links => "Links are not allowed here.".to_owned(),
            Self::NoRepeats => "The author said the same less than a minute ago.".to_owned(),
            Self::Term { term } if term.is_empty() => "The room blocks a word or phrase in it.".to_owned(),
            Self::Term { term } => format!("The room blocks the term \"{term}\"."),
            Self::Profanity { severity, kinds } => {
                let severity = match severity {
                    Severity::Mild => "mild",
                    Severity::Moderate => "strong",
                    Severity::Severe => "severe",
                };
                let kind = |kind: &Kind| match kind {
                    Kind::Profane => "swearing",
                    Kind::Offensive => "slurs",
                    Kind::Sexual => "sexual words",
                    Kind::Mean => "insults or threats",
                };
                format!(
                    "The message has {severity} language: {}.",
                    kinds.iter().map(kind).collect::<Vec<_>>().join(", ")
                )
            }
            Self::Spam { because } => because.sentence().to_owned(),
        }
    }
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is sent as it is.
    Pass,
    /// It is sent with these characters (not bytes) of the plain text masked: in order, without overlaps, not empty.
    Mask {
        /// What to mask: see `Clean::masked`.
        spans: Vec<Range<usize>>,
        /// Why.
        reasons: Vec<Reason>,
    },
    /// A moderator decides.
    Hold {
        /// Why; not empty.
        reasons: Vec<Reason>,
    },
    /// It is not sent.
    Reject {
        /// Why; not empty.
        reasons: Vec<Reason>,
    },
}

/// Judges a message that [`clean`](super::clean) let through, and remembers in `history` what a filter has read, also
/// where it does not pass: call it once for each message that the rate limit let through.
///
/// In order: modes (emote-only, links, no repeats; they reject), terms, profanity, spam. A rejection ends it; of the
/// others all are asked, the strictest action counts, and the reasons are those of that action, or, where something is
/// held, of all that was found. Never fails. 200 bytes take some 0.1 ms; the first doubtful word in a process takes
/// another 35 ms or so and, for good, 11 MB (as wasm), for rustrict's lists.
pub fn judge(message: &Message<'_>, filters: &Filters, history: &mut History) -> Verdict {
    if let Some(reason) = broken_mode(message, filters) {
        return Verdict::Reject { reasons: vec![reason] };
    }
    if message.role.at_least(Role::Moderator) || !filters.look_at_text() {
        return Verdict::Pass;
    }
    let normal = Normal::of(message.text);
    let linked = links::count(message.text) > 0;
    let said = (!message.edit).then(|| Said::of(message.user, &normal, linked, message.now));
    let verdict = judged(message, &normal, said.as_ref(), filters, history);
    if let Some(said) = said {
        history.remember(said);
    }
    verdict
}

/// The mode that does not let this message through, of those that need not read it.
fn broken_mode(message: &Message<'_>, filters: &Filters) -> Option<Reason> {
    let bound = !message.role.at_least(Role::Moderator);
    if bound && filters.emote_only && !emoji::is_emote(message.text) {
        return Some(Reason::EmoteOnly);
    }
    let no_links = filters.links == Links::Off || bound && filters.links == Links::Moderators;
    (no_links && links::count(message.text) > 0).then_some(Reason::Links)
}

fn judged(
    message: &Message<'_>,
    normal: &Normal,
    said: Option<&Said>,
    filters: &Filters,
    history: &History,
) -> Verdict {
    if filters.no_repeats && said.is_some_and(|said| history.repeats(said)) {
        return Verdict::Reject { reasons: vec![Reason::NoRepeats] };
    }
    let (unspelled, text) = (normal.unspelled(), Text::new(normal));
    let views: Vec<Text<'_>> = std::iter::once(text).chain(unspelled.iter().map(Text::new)).collect();
    let allowed = filters.terms.allowed(&views);
    let mut found = Found::default();
    if filters.terms_action != Action::Off {
        for (term, spans) in filters.terms.blocked(&views, &allowed) {
            found.add(filters.terms_action, Reason::Term { term: term.to_owned() }, spans);
        }
    }
    if filters.profanity.action != Action::Off
        && found.action < Action::Reject
        && let Some(bad) = profanity::find(&views, filters.profanity.severity, &allowed)
    {
        let reason = Reason::Profanity { severity: bad.severity, kinds: bad.kinds };
        found.add(filters.profanity.action, reason, bad.spans);
    }
    if filters.spam.action != Action::Off
        && found.action < Action::Reject
        && let Some(text) = views.first()
    {
        let score = spam::score(message.text, text, message.first, said.map(|said| (said, history)));
        if score.points >= SPAM_POINTS {
            for because in score.reasons {
                found.add(filters.spam.action.max(Action::Hold), Reason::Spam { because }, Vec::new());
            }
        }
    }
    found.verdict()
}

#[derive(Default)]
struct Found {
    action: Action,
    reasons: Vec<(Action, Reason)>,
    spans: Vec<Range<usize>>,
}

impl Found {
    fn add(&mut self, action: Action, reason: Reason, spans: Vec<Range<usize>>) {
        self.action = self.action.max(action);
        self.reasons.push((action, reason));
        self.spans.extend(spans);
    }

    fn verdict(self) -> Verdict {
        let least = if self.action == Action::Hold { Action::Mask } else { self.action };
        let reasons =
            self.reasons.into_iter().filter(|(action, _)| *action >= least).map(|(_, reason)| reason).collect();
        match self.action {
            Action::Off => Verdict::Pass,
            Action::Mask => Verdict::Mask { spans: profanity::merged(self.spans), reasons },
            Action::Hold => Verdict::Hold { reasons },
            Action::Reject => Verdict::Reject { reasons },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::clean;
    use super::*;
    use proptest::prelude::*;

    fn filters(profanity: Action, spam: Action) -> Filters {
        Filters {
            profanity: ProfanitySetting { action: profanity, severity: Severity::Moderate },
            spam: SpamSetting { action: spam },
            terms: Terms::compile(["spoil*"], ["holy shit"]).unwrap(),
            terms_action: Action::Reject,
            ..Filters::default()
        }
    }

    fn member(text: &str) -> Message<'_> {
        Message { text, user: "ada", role: Role::Member, first: &|| false, edit: false, now: 0 }
    }

    fn judged(message: Message<'_>, filters: &Filters) -> Verdict {
        judge(&message, filters, &mut History::default())
    }

    const ADS: &str = "cheap viewers and followers, dm me, click here";

    #[test]
    fn each_action_does_what_it_says() {
        let bad = Reason::Profanity { severity: Severity::Moderate, kinds: vec![Kind::Profane] };
        let reasons = vec![bad];
        let span = 7..11;
        for (action, verdict) in [
            (Action::Off, Verdict::Pass),
            (Action::Mask, Verdict::Mask { spans: vec![span], reasons: reasons.clone() }),
            (Action::Hold, Verdict::Hold { reasons: reasons.clone() }),
            (Action::Reject, Verdict::Reject { reasons }),
        ] {
            assert_eq!(judged(member("what a shit day"), &filters(action, Action::Off)), verdict);
        }
        let ads = vec![Reason::Spam { because: SpamReason::Advertising }];
        assert_eq!(judged(member(ADS), &filters(Action::Off, Action::Mask)), Verdict::Hold { reasons: ads.clone() });
        assert_eq!(judged(member(ADS), &filters(Action::Off, Action::Reject)), Verdict::Reject { reasons: ads });
    }

    #[test]
    fn terms_come_first_and_allowed_ones_silence_the_rest() {
        let filters = filters(Action::Mask, Action::Hold);
        let term = Reason::Term { term: "spoil*".to_owned() };
        assert_eq!(judged(member("fuck SPOILERS"), &filters), Verdict::Reject { reasons: vec![term] });
        assert_eq!(judged(member("holy shit"), &filters), Verdict::Pass);
        let verdict = judged(member("holy shit you shit"), &filters);
        assert!(matches!(verdict, Verdict::Mask { spans, .. } if spans.first() == Some(&(14..18)) && spans.len() == 1));
    }

    #[test]
    fn what_is_held_says_also_what_would_have_been_masked() {
        let text = format!("shit, {ADS}");
        let verdict = judged(member(&text), &filters(Action::Mask, Action::Hold));
        assert!(matches!(verdict, Verdict::Hold { reasons } if reasons.len() == 2));
    }

    #[test]
    fn modes_reject_and_moderators_may() {
        let link = "see https://example.org";
        let only = |mode: fn(&mut Filters)| {
            let mut filters = Filters::default();
            mode(&mut filters);
            filters
        };
        let emote_only = only(|filters| filters.emote_only = true);
        assert_eq!(judged(member("hi"), &emote_only), Verdict::Reject { reasons: vec![Reason::EmoteOnly] });
        assert_eq!(judged(member("👍"), &emote_only), Verdict::Pass);
        let moderators = only(|filters| filters.links = Links::Moderators);
        let off = only(|filters| filters.links = Links::Off);
        let rejected = Verdict::Reject { reasons: vec![Reason::Links] };
        let moderator = Message { role: Role::Moderator, ..member(link) };
        assert_eq!(judged(member(link), &moderators), rejected);
        assert_eq!(judged(moderator, &moderators), Verdict::Pass);
        assert_eq!(judged(moderator, &off), rejected);
        let no_repeats = only(|filters| filters.no_repeats = true);
        let mut history = History::default();
        assert_eq!(judge(&member("hi all"), &no_repeats, &mut history), Verdict::Pass);
        let again = Message { now: 30_000, ..member("HI  all") };
        assert_eq!(judge(&again, &no_repeats, &mut history), Verdict::Reject { reasons: vec![Reason::NoRepeats] });
        assert_eq!(judge(&Message { edit: true, ..again }, &no_repeats, &mut history), Verdict::Pass);
        assert_eq!(judge(&Message { now: 100_000, ..again }, &no_repeats, &mut history), Verdict::Pass);
    }

    #[test]
    fn reasons_have_a_code_and_a_sentence() {
        let profanity = Reason::Profanity { severity: Severity::Severe, kinds: vec![Kind::Offensive] };
        assert_eq!(
            serde_json::to_value(&profanity).unwrap(),
            serde_json::json!({"code": "profanity", "severity": "severe", "kinds": ["offensive"]})
        );
        let spam = Reason::Spam { because: SpamReason::Raid };
        assert_eq!(serde_json::to_value(&spam).unwrap(), serde_json::json!({"code": "spam", "because": "raid"}));
        for reason in [profanity, spam, Reason::Links, Reason::EmoteOnly, Reason::NoRepeats] {
            assert!(reason.sentence().ends_with('.'));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn masking_keeps_the_length(
            words in proptest::collection::vec("fuck |f u c k |sh1t\n|ｓｈｉｔ|<b>|&amp;|@ada |\\PC{0,5}|[a-z ]{0,8}", 1..24)
        ) {
            let Ok(clean) = clean(&words.concat(), 10_000) else { return Ok(()) };
            let filters = filters(Action::Mask, Action::Off);
            if let Verdict::Mask { spans, reasons } = judged(member(clean.plain()), &filters) {
                prop_assert!(!spans.is_empty() && !reasons.is_empty());
                let masked = clean.masked(&spans);
                prop_assert_eq!(masked.plain().chars().count(), clean.plain().chars().count());
                prop_assert!(!masked.content.contains(['<', '>']));
                for (before, after) in clean.plain().chars().zip(masked.plain().chars()) {
                    prop_assert!(before == after || after == '*');
                }
            }
        }
    }
}
