//! Whole chats made by rule, with users and time: what the filters make of repeats, which no single line shows.

use crate::sets::{GAMES, HAM, LANGUAGES, lines};

const BUSY: &str = include_str!("../data/busy.txt");
const ATTACKS: &str = include_str!("../data/attacks.txt");

/// A chat, to be judged in its order.
pub struct Chat {
    pub name: &'static str,
    pub said: Vec<Said>,
    pub bad: bool,
    pub aim: f64,
}

/// What somebody says.
pub struct Said {
    pub user: String,
    /// Ms.
    pub at: u64,
    pub text: String,
    /// Whether it is their first message.
    pub first: bool,
    /// Whether it is in the figure: of an attack neither its start nor what others say meanwhile.
    pub counts: bool,
}

/// All chats, of the lines that `half` takes.
pub fn all(half: impl Fn(&str) -> bool) -> Vec<Chat> {
    let section = |file: &'static str, name: &str| -> Vec<&'static str> {
        let from = lines(file).skip_while(|line| line.strip_prefix("== ") != Some(name)).skip(1);
        from.take_while(|line| !line.starts_with("== ")).filter(|line| half(line)).collect()
    };
    let mut dice = Dice(if half("dice") { 1 } else { 2 });
    let ordinary: Vec<&str> = [HAM, GAMES, LANGUAGES].into_iter().flat_map(lines).filter(|line| half(line)).collect();
    let talk = Talk {
        ordinary,
        emotes: section(BUSY, "emotes"),
        cheers: section(BUSY, "cheers"),
        events: section(BUSY, "events"),
        pastes: section(BUSY, "pastes"),
    };
    let busy = |name, event_every| Chat {
        name,
        said: talk.busy(&mut Dice(event_every), 2_000, event_every),
        bad: false,
        aim: 0.02,
    };
    let mut chats = vec![
        busy("a busy chat: 2,000 messages of 200 users", 120_000),
        busy("a final: the same, with something to cheer every 20 s", 20_000),
    ];
    let mut attack = |name, lines: Vec<&str>, make: &dyn Fn(&str, &mut Dice) -> Vec<Said>| {
        let mut said = Vec::new();
        for line in lines {
            let start = said.last().map_or(0, |last: &Said| last.at) + 120_000;
            let others = talk.busy(&mut dice, 240, 120_000).into_iter().map(|said| Said { counts: false, ..said });
            let mut both: Vec<Said> = make(line, &mut dice).into_iter().chain(others).collect();
            both.sort_by_key(|said| said.at);
            said.extend(both.into_iter().map(|said| Said { at: said.at + start, ..said }));
        }
        chats.push(Chat { name, said, bad: true, aim: 0.92 });
    };
    attack("raids: 50 users paste a line, after the first 5", section(ATTACKS, "raids"), &raid);
    attack("bots that say the same in other words, after the first 3", section(ATTACKS, "bots"), &bot);
    attack("floods of links by one user, after the first 3", section(ATTACKS, "links"), &links);
    chats
}

/// What people say on an ordinary evening.
struct Talk {
    ordinary: Vec<&'static str>,
    emotes: Vec<&'static str>,
    cheers: Vec<&'static str>,
    /// What many say at once when something happens.
    events: Vec<&'static str>,
    pastes: Vec<&'static str>,
}

impl Talk {
    /// Four messages a second. Some users say much more than others, none more than the rate limit allows.
    fn busy(&self, dice: &mut Dice, messages: usize, event_every: u64) -> Vec<Said> {
        let mut said: Vec<Said> = Vec::with_capacity(messages);
        let mut at = 0;
        while said.len() < messages {
            at += 100 + dice.below(300) as u64;
            let user = format!("viewer{}", dice.below(200).min(dice.below(200)));
            let own = || said.iter().rev().filter(|said| said.user == user);
            if own().take_while(|said| said.at + 60_000 > at).count() >= 10 {
                continue;
            }
            // For 8 s nearly everybody says one of a few things.
            let event = at % event_every < 8_000 && at > event_every && dice.below(10) < 8;
            let text = match dice.below(100) {
                _ if event => dice.spelled(self.events[(at / event_every) as usize % self.events.len()]),
                0..30 => {
                    let (emote, other) = (dice.of(&self.emotes), dice.of(&self.emotes));
                    match dice.below(6) {
                        0 => format!("{emote} {other}"),
                        times => vec![emote; times].join(" "),
                    }
                }
                30..55 => {
                    let cheer = dice.of(&self.cheers);
                    dice.spelled(cheer)
                }
                55..57 => own().find(|said| said.at + 60_000 > at).map_or("?".to_owned(), |said| said.text.clone()),
                57 => format!("{} https://clips.example/{}", dice.of(&self.cheers), dice.below(5)),
                58 => format!("@viewer{} {}", dice.below(200), dice.of(&self.ordinary)),
                59 if dice.below(4) == 0 => dice.of(&self.pastes).to_owned(),
                _ => dice.of(&self.ordinary).to_owned(),
            };
            let first = own().next().is_none();
            said.push(Said { user, at, text, first, counts: true });
        }
        said
    }
}

/// 50 users who never were here paste a line within 25 s, some with a small change.
fn raid(line: &str, dice: &mut Dice) -> Vec<Said> {
    let say = |n: u64| {
        let text = if dice.below(3) == 0 { dice.varied(line) } else { line.to_owned() };
        Said { user: format!("raider{n} {line}"), at: 20_000 + n * 500, text, first: true, counts: n >= 5 }
    };
    (0..50).map(say).collect()
}

/// A user who says the same 16 times in two minutes, each time a bit differently.
fn bot(line: &str, dice: &mut Dice) -> Vec<Said> {
    let say = |n: u64| {
        let text = dice.varied(line);
        Said { user: format!("bot {line}"), at: 1_000 + n * 7_000, text, first: n == 0, counts: n >= 3 }
    };
    (0..16).map(say).collect()
}

/// A user with link after link, each to somewhere else.
fn links(line: &str, dice: &mut Dice) -> Vec<Said> {
    let say = |n: u64| {
        let text = line.replace("{}", &format!("https://{}.example/{}", dice.word(), dice.word()));
        Said { user: format!("flooder {line}"), at: 1_000 + n * 7_000, text, first: n == 0, counts: n >= 3 }
    };
    (0..16).map(say).collect()
}

/// Chance that is the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn of(&mut self, lines: &[&'static str]) -> &'static str {
        lines[self.below(lines.len())]
    }

    fn word(&mut self) -> String {
        (0..7).map(|_| char::from(b'a' + self.below(26) as u8)).collect()
    }

    /// As people type what others type too: capitals, drawn-out ends, exclamation marks.
    fn spelled(&mut self, line: &str) -> String {
        let last = line.chars().last().unwrap_or('!').to_string();
        match self.below(5) {
            0 => line.to_uppercase(),
            1 => format!("{line}{}", last.repeat(self.below(6))),
            2 => format!("{line}{}", "!".repeat(self.below(5))),
            _ => line.to_owned(),
        }
    }

    /// As those write who hope that no two of their messages are the same.
    fn varied(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let at = self.below(words.len());
        match self.below(8) {
            0 => line.to_uppercase(),
            1 => format!("{line} {}", self.below(1_000)),
            2 => format!("{line}{}", "!".repeat(1 + self.below(4))),
            3 => format!("{} {line}", ["hey", "guys", "🔥", "yo", "👉👉"][self.below(5)]),
            4 => line.replace('o', "0").replace('e', "3"),
            5 => words[..at].iter().chain(&words[(at + 1).min(words.len())..]).copied().collect::<Vec<_>>().join(" "),
            6 => line.replacen(' ', "   ", 3),
            _ => format!("{line} {}", self.word()),
        }
    }
}
