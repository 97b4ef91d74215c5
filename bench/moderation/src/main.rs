//! What the filters find and what they wrongly object to, on texts of which half are held out by hash.
//!
//! usage: moderation [--tune] [--json]
//! Prints the held-out half as a table in Markdown; `--tune` prints the other half, and each text that was judged
//! wrongly. Ends with status 1 where an aim is missed.

mod disguise;
mod sets;

use edge_chat::auth::Role;
use edge_chat::content::{Action, Filters, History, Message, ProfanitySetting, Severity, SpamSetting, Verdict, judge};
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

fn filters() -> Filters {
    Filters {
        profanity: ProfanitySetting { action: Action::Mask, severity: Severity::Moderate },
        spam: SpamSetting { action: Action::Hold },
        ..Filters::default()
    }
}

fn verdict(text: &str, filters: &Filters, history: &mut History) -> Verdict {
    let message = Message { text, user: "ada", role: Role::Member, first: &|| true, edit: false, now: 0 };
    judge(&message, filters, history)
}

/// FNV-1a; the half that a text belongs to never changes.
fn is_held_out(text: &str) -> bool {
    let hash =
        text.bytes().fold(0xCBF2_9CE4_8422_2325u64, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3));
    hash >> 32 & 1 == 1
}

fn main() {
    let tune = std::env::args().any(|argument| argument == "--tune");
    let json = std::env::args().any(|argument| argument == "--json");
    let filters = filters();
    let mut rows = Vec::new();
    for set in sets::all().unwrap_or_else(|sentence| fail(&sentence)) {
        let half = set.texts.iter().filter(|(key, _)| is_held_out(key) != tune);
        let texts: Vec<&String> = half.map(|(_, text)| text).collect();
        let objected = |text: &str| verdict(text, &filters, &mut History::default()) != Verdict::Pass;
        let hits: Vec<&&String> = texts.iter().filter(|text| objected(text)).collect();
        if tune {
            for text in texts.iter().filter(|text| objected(text) != set.bad) {
                println!("{}: {text}\t{:?}", set.name, verdict(text, &filters, &mut History::default()));
            }
        }
        let (of, hits) = (texts.len(), hits.len());
        let share = hits as f64 / of.max(1) as f64;
        let met = set.aim.is_none_or(|aim| if set.bad { share >= aim } else { share <= aim });
        rows.push((set, of, hits, share, met));
    }
    let (p50, p99) = micros(&filters);
    if json {
        let sets: Vec<serde_json::Value> = rows
            .iter()
            .map(|(set, of, hits, share, met)| {
                serde_json::json!({"set": set.name, "texts": of, "objected": hits, "share": share, "bad": set.bad,
                                   "aim": set.aim, "met": met})
            })
            .collect();
        println!("{}", serde_json::json!({"held_out": !tune, "sets": sets, "native_us": {"p50": p50, "p99": p99}}));
    } else {
        println!("| set | texts | objected to | share | aim | met |\n| --- | --- | --- | --- | --- | --- |");
        for (set, of, hits, share, met) in &rows {
            let percent = |share: f64| format!("{:.2} %", share * 100.0);
            let aim =
                set.aim.map_or(String::new(), |aim| format!("{} {}", if set.bad { "≥" } else { "≤" }, percent(aim)));
            let met = if set.aim.is_none() {
                ""
            } else if *met {
                "yes"
            } else {
                "**no**"
            };
            println!("| {} | {of} | {hits} | {} | {aim} | {met} |", set.name, percent(*share));
        }
        println!("\nA message of 200 bytes takes {p50:.0} µs natively (p99 {p99:.0} µs).");
    }
    if rows.iter().any(|(.., met)| !met) {
        std::process::exit(1);
    }
}

/// The time that judging messages of about 200 bytes takes, µs: median and 99th percentile.
fn micros(filters: &Filters) -> (f64, f64) {
    let lines = sets::chat_of_200_bytes();
    let mut history = History::default();
    let mut times: Vec<f64> = (0..5_000)
        .zip(lines.iter().cycle())
        .map(|(_, line)| {
            let start = Instant::now();
            std::hint::black_box(verdict(line, filters, &mut history));
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn fail(sentence: &str) -> ! {
    eprintln!("{sentence}");
    std::process::exit(2);
}
