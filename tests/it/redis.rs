//! Redis as the bridge's script uses it, without Redis: one room's stream, and what was published.

use edge_chat::host::Drained;
use edge_chat::sinks::Applied;
use edge_chat::sinks::redis::{Reply, stands};
use serde_json::Value;
use std::collections::BTreeMap;

/// An entry's fields by name.
pub type Entry = BTreeMap<String, String>;

/// What a broken Redis does wrong; for the tests of the simulator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flaw {
    #[default]
    None,
    /// It does not look whether the stream holds what the batch goes on from.
    AppendsAnyway,
}

#[derive(Clone, Debug, Default)]
pub struct Redis {
    pub flaw: Flaw,
    /// By (epoch, seq).
    pub stream: BTreeMap<(u64, u64), Entry>,
    /// The largest id there ever was.
    pub last: (u64, u64),
    pub published: Vec<Value>,
    pub down: bool,
    /// How many commands came, answered or not.
    pub asked: usize,
}

/// The words of one command.
pub fn words(command: &str) -> Vec<String> {
    let mut rest = command;
    let number = |kind: char| {
        let (head, tail) = rest.split_once("\r\n").unwrap();
        let number: usize = head.strip_prefix(kind).unwrap().parse().unwrap();
        (number, tail)
    };
    let (count, mut tail) = number('*');
    let mut words = Vec::new();
    for _ in 0..count {
        rest = tail;
        let (head, after) = rest.split_once("\r\n").unwrap();
        let length: usize = head.strip_prefix('$').unwrap().parse().unwrap();
        words.push(after[..length].to_owned());
        tail = after[length..].strip_prefix("\r\n").unwrap();
    }
    assert!(tail.is_empty());
    words
}

impl Redis {
    /// As the script: all or nothing.
    pub fn eval(&mut self, command: &str) -> Drained {
        self.asked += 1;
        if self.down {
            return Drained::Failed("no connection".into());
        }
        let words = words(command);
        assert_eq!((words[0].as_str(), words[2].as_str()), ("EVAL", "1"));
        let number = |index: usize| words[index].parse::<u64>().unwrap();
        let (epoch, holds, to, keep_from) = (number(4), number(5), number(6), number(7));
        if self.last.0 > epoch {
            return Drained::Cursor { epoch: self.last.0, seq: self.last.1 };
        }
        let last = if self.last.0 == epoch { self.last.1 } else { 0 };
        if last < holds && self.flaw != Flaw::AppendsAnyway {
            return Drained::Cursor { epoch, seq: last };
        }
        let mut at = 10;
        while at < words.len() {
            let (seq, count) = (number(at), words[at + 2].parse::<usize>().unwrap());
            let fields = &words[at + 3..at + 3 + count];
            if seq > last {
                assert!(self.last < (epoch, seq), "ids grow");
                self.last = (epoch, seq);
                let entry = fields.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
                self.stream.insert((epoch, seq), entry);
                self.published.push(serde_json::from_str(&words[at + 1]).unwrap());
            }
            at += 3 + count;
        }
        if keep_from > 0 {
            self.stream.retain(|id, _| *id >= (epoch, keep_from));
        }
        let Applied::Cursor { epoch, seq } = stands(&Reply::Text(format!("{epoch}-{to}"))) else { panic!() };
        Drained::Cursor { epoch, seq }
    }

    /// It comes back without its data.
    pub fn forget(&mut self) {
        (self.stream, self.last) = (BTreeMap::new(), (0, 0));
    }

    pub fn events(&self) -> Vec<(u64, &str)> {
        self.stream.iter().map(|((_, seq), entry)| (*seq, entry["event"].as_str())).collect()
    }

    /// What the entries say stood before them is what stands there.
    pub fn is_whole(&self) -> bool {
        let mut before = None;
        self.stream.iter().all(|((epoch, seq), entry)| {
            let after: u64 = entry["after"].parse().unwrap();
            let linked = before.is_none_or(|(last_epoch, last)| last_epoch != *epoch || last == after);
            before = Some((*epoch, *seq));
            linked
        })
    }
}
