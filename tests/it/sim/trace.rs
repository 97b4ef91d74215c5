//! What happened, line by line: hashed always, kept as text where somebody wants to read it.

use std::collections::VecDeque;
use std::fmt::Write;
use std::io::Write as _;

/// How many lines before a failure are shown.
const KEPT: usize = 60;
/// Longer lines are cut where they are shown.
const WIDTH: usize = 400;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The hash alone.
    Hash,
    /// The last lines too.
    Last,
    /// Every line, on standard error, as it happens.
    All,
}

pub(super) struct Trace {
    wanted: Wanted,
    hash: u64,
    line: String,
    last: VecDeque<String>,
}

impl Trace {
    pub(super) fn new(wanted: Wanted) -> Self {
        Self { wanted, hash: 0xcbf2_9ce4_8422_2325, line: String::new(), last: VecDeque::new() }
    }

    pub(super) fn say(&mut self, ms: u64, what: std::fmt::Arguments<'_>) {
        self.line.clear();
        writeln!(self.line, "{ms:>8} {what}").unwrap();
        for chunk in self.line.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.hash = (self.hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
        if self.wanted == Wanted::Hash {
            return;
        }
        let mut line: String = self.line.trim_end().chars().take(WIDTH).collect();
        if self.wanted == Wanted::All {
            line.push('\n');
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return;
        }
        self.last.push_back(line);
        if self.last.len() > KEPT {
            self.last.pop_front();
        }
    }

    /// Of every byte of the trace: equal runs have equal hashes.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn last(&self) -> String {
        self.last.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}
