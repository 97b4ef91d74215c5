//! What the filters find and what they wrongly object to, on texts of which half are held out by hash.
//!
//! Words, names, places, sentences and quotations are Debian's and npm's, from people who never saw the filters. Lines of
//! chats, of spam and of profanity are written for this, by whoever wrote the filters' lists, as are the rules that
//! disguise words and make whole chats: high figures there say less. Nothing is tuned to the held-out half.
//!
//! usage: moderation [--tune] LISTS
//! LISTS is the file of npm's words and sentences that bench/moderation.mjs makes, which also prints all this as a table.
//! Prints the held-out half as JSON; with `--tune` the other half, and on stderr each text that was judged wrongly.

mod chats;
mod disguise;
mod sets;
mod sources;

use edge_chat::content::{Filters, History, Verdict};
use filters::{filters, verdict};
use serde::Serialize;
use std::time::Instant;

/// A set's texts and what is wanted of them.
pub struct Set {
    name: &'static str,
    /// Each with what decides which half it is in: texts made of one line, and words of one family, are in the same.
    texts: Vec<(String, String)>,
    /// Whether the filters are to object.
    bad: bool,
    /// The share that may be objected to (clean sets) or has to be (bad ones).
    aim: Option<f64>,
}

/// A line of the table.
#[derive(Serialize)]
struct Row {
    set: &'static str,
    texts: usize,
    objected: usize,
    bad: bool,
    aim: Option<f64>,
    /// Of a row that has an aim.
    met: Option<bool>,
}

impl Row {
    fn new(set: &'static str, texts: usize, objected: usize, bad: bool, aim: Option<f64>) -> Self {
        let share = objected as f64 / texts.max(1) as f64;
        let met = aim.map(|aim| texts > 0 && if bad { share >= aim } else { share <= aim });
        Self { set, texts, objected, bad, aim, met }
    }
}

#[derive(Serialize)]
struct Figures {
    rows: Vec<Row>,
    /// The time of a message, µs.
    p50_us: f64,
    p99_us: f64,
    /// Texts of some 200 bytes: to be timed elsewhere too.
    timed: Vec<String>,
}

/// FNV-1a; the half that a text belongs to never changes.
fn is_held_out(text: &str) -> bool {
    let hash =
        text.bytes().fold(0xCBF2_9CE4_8422_2325u64, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3));
    hash >> 32 & 1 == 1
}

fn main() {
    let (flags, files): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|argument| argument.starts_with('-'));
    let tune = flags.iter().any(|flag| flag == "--tune");
    let [lists] = files.as_slice() else { fail("usage: moderation [--tune] LISTS") };
    let filters = filters();
    let mut rows = Vec::new();
    for set in sets::all(lists).unwrap_or_else(|sentence| fail(&sentence)) {
        let half = set.texts.iter().filter(|(key, _)| is_held_out(key) != tune);
        let texts: Vec<&String> = half.map(|(_, text)| text).collect();
        let mut hits = 0;
        for text in &texts {
            let verdict = verdict(text, "ada", true, 0, &filters, &mut History::default());
            hits += usize::from(verdict != Verdict::Pass);
            if tune && (verdict != Verdict::Pass) != set.bad {
                eprintln!("{}: {text}\t{verdict:?}", set.name);
            }
        }
        rows.push(Row::new(set.name, texts.len(), hits, set.bad, set.aim));
    }
    for chat in chats::all(|line| is_held_out(line) != tune) {
        let mut history = History::default();
        let (mut texts, mut hits) = (0, 0);
        for said in &chat.said {
            let verdict = verdict(&said.text, &said.user, said.first, said.at, &filters, &mut history);
            if said.counts {
                texts += 1;
                hits += usize::from(verdict != Verdict::Pass);
                if tune && (verdict != Verdict::Pass) != chat.bad {
                    eprintln!("{}: {}: {}\t{verdict:?}", chat.name, said.user, said.text);
                }
            }
        }
        rows.push(Row::new(chat.name, texts, hits, chat.bad, Some(chat.aim)));
    }
    let timed = sets::texts_of_200_bytes();
    let (p50_us, p99_us) = micros(&timed, &filters);
    match serde_json::to_string(&Figures { rows, p50_us, p99_us, timed }) {
        Ok(figures) => println!("{figures}"),
        Err(error) => fail(&error.to_string()),
    }
}

/// The time that a message takes, µs: median and 99th percentile of the messages, of each the median of nine calls, so
/// that what else the machine does hardly counts.
fn micros(texts: &[String], filters: &Filters) -> (f64, f64) {
    let mut history = History::default();
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); texts.len()];
    for now in 0..9 {
        for ((text, times), user) in texts.iter().zip(&mut times).zip(0u64..) {
            let name = (user % 200).to_string();
            let start = Instant::now();
            std::hint::black_box(verdict(text, &name, false, (now * 1_000 + user) * 1_000, filters, &mut history));
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    let share = |mut times: Vec<f64>, percent: usize| {
        times.sort_by(f64::total_cmp);
        times.get(times.len() * percent / 100).copied().unwrap_or_default()
    };
    let medians: Vec<f64> = times.into_iter().map(|times| share(times, 50)).collect();
    (share(medians.clone(), 50), share(medians, 99))
}

fn fail(sentence: &str) -> ! {
    eprintln!("{sentence}");
    std::process::exit(2);
}
