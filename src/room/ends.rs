//! The ends of the log as they were read or written: who reads the last rows a moment later, as the drain does, or the
//! first one again, need not ask the storage.

use super::{Read, Room, Row, Write};
use std::collections::VecDeque;

/// Bytes of rows, as they are stored, that are kept at most: what PostgreSQL lacks yet where people talk. While it is away
/// each room of a process keeps as much.
const KEPT: usize = 64 * 1024;

/// What is known of a log's rows without asking the storage.
#[derive(Debug, Default)]
pub struct Ends {
    first: Option<Row>,
    /// The last ones, each with its bytes; there is no row between them, nor after them.
    last: VecDeque<(Row, usize)>,
    bytes: usize,
}

impl Ends {
    /// Follows what was written; `bytes` are those of the appended events.
    pub fn follow(&mut self, write: Write, bytes: usize) {
        let changed = write.rewrite.iter().map(|row| row.last).max();
        let done = Room::drained_in(&write).max(write.forget_to).max(changed);
        if write.forget_to.is_some() {
            self.first = None;
        }
        let first = self.first.as_ref().map(|first| first.last);
        if write.rewrite.iter().any(|row| Some(row.last) == first) {
            self.first = None;
        }
        if let Some(row) = write.append {
            self.last.push_back((row, bytes));
            self.bytes += bytes;
        }
        while self.bytes > KEPT || self.last.front().is_some_and(|(row, _)| Some(row.last) <= done) {
            let Some((_, bytes)) = self.last.pop_front() else { break };
            self.bytes -= bytes;
        }
    }

    /// As [`super::Log::rows_after`]; none where the storage has to be asked.
    pub fn rows_after(&self, seq: u64, limit: u32) -> Option<Vec<Row>> {
        let (first, _) = self.last.front()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let from = self.last.partition_point(|(row, _)| row.last <= seq);
        let rows = self.last.iter().skip(from).take(limit).map(|(row, _)| row.clone());
        (first.first() <= seq.saturating_add(1)).then(|| rows.collect())
    }

    /// As [`super::Log::row_with`]; `read` asks the storage.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn row_with(&mut self, seq: u64, read: impl FnOnce() -> Read<Option<Row>>) -> Read<Option<Row>> {
        if let Some(first) = self.first.as_ref().filter(|first| seq <= first.last) {
            return Ok(Some(first.clone()));
        }
        if self.last.front().is_some_and(|(row, _)| row.first() <= seq) {
            let at = self.last.partition_point(|(row, _)| row.last < seq);
            return Ok(self.last.get(at).map(|(row, _)| row.clone()));
        }
        let found = read()?;
        // The row of a busy step is large, and stays in the storage.
        if let Some(row) = found.as_ref().filter(|row| seq == 0 && row.events.len() == 1) {
            self.first = Some(row.clone());
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Audience, Body, LogEvent};
    use proptest::prelude::*;

    fn row(first: u64, last: u64, text: &str) -> Row {
        let event =
            |seq| LogEvent { seq, at: seq, visible_at: seq, audience: Audience::All, body: Body::Unknown(text.into()) };
        Row { last, no: last, events: (first..=last).map(event).collect() }
    }

    /// The same by a list of all rows.
    fn stored(rows: &mut Vec<Row>, write: &Write) {
        for row in &write.rewrite {
            rows.iter_mut().filter(|known| known.last == row.last).for_each(|known| known.clone_from(row));
        }
        rows.extend(write.append.clone());
        rows.retain(|row| write.forget_to.is_none_or(|to| row.last > to));
    }

    #[derive(Clone, Debug)]
    enum Act {
        Append(u64, usize),
        Rewrite(usize),
        Forget(usize),
        Drained(usize),
        Read(u64, u32),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            6 => (1..4u64, prop_oneof![Just(10), Just(KEPT / 3)]).prop_map(|(events, bytes)| Act::Append(events, bytes)),
            1 => (0..9usize).prop_map(Act::Rewrite),
            1 => (0..9usize).prop_map(Act::Forget),
            1 => (0..9usize).prop_map(Act::Drained),
            6 => (0..40u64, 0..9u32).prop_map(|(seq, limit)| Act::Read(seq, limit)),
        ]
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_is_stored(acts in proptest::collection::vec(act(), 0..40), woke in 0..9u64) {
            let mut rows: Vec<_> = (1..=woke).map(|seq| row(seq, seq, "before")).collect();
            let (mut ends, mut seq) = (Ends::default(), woke);
            for (n, act) in acts.into_iter().enumerate() {
                let mut write = Write::default();
                let mut size = 0;
                match act {
                    Act::Append(events, bytes) => {
                        write.append = Some(row(seq + 1, seq + events, "new"));
                        (seq, size) = (seq + events, bytes);
                    }
                    Act::Rewrite(at) => {
                        let old = rows.get(at).map(|old| row(old.first(), old.last, &format!("again {n}")));
                        write.rewrite.extend(old);
                    }
                    Act::Forget(at) => write.forget_to = rows.get(at).map(|row| row.last),
                    Act::Drained(at) => {
                        let to = rows.get(at).map(|row| ("cursor:postgres".to_owned(), Some(row.last.to_string())));
                        write.state.extend(to);
                    }
                    Act::Read(seq, limit) => {
                        let after: Vec<_> = rows.iter().filter(|row| row.last > seq).cloned().collect();
                        let with = rows.iter().find(|row| row.last >= seq).cloned();
                        if let Some(known) = ends.rows_after(seq, limit) {
                            let limit = usize::try_from(limit).unwrap();
                            prop_assert_eq!(&known[..], &after[..limit.min(after.len())]);
                        }
                        let known = ends.row_with(seq, || Ok(with.clone())).unwrap();
                        prop_assert_eq!(known, with);
                    }
                }
                stored(&mut rows, &write);
                ends.follow(write, size);
                prop_assert!(ends.bytes <= KEPT);
            }
        }
    }

    #[test]
    fn what_postgres_lacks_is_read_without_the_storage_and_what_it_has_is_not_kept() {
        let mut ends = Ends::default();
        for seq in 8..=10 {
            ends.follow(Write { append: Some(row(seq, seq, "x")), ..Write::default() }, 100);
        }
        assert_eq!(ends.rows_after(7, 500).unwrap().len(), 3);
        assert_eq!(ends.rows_after(6, 500), None);
        let drained = ("cursor:postgres".to_owned(), Some("9".to_owned()));
        ends.follow(Write { state: vec![drained], ..Write::default() }, 0);
        assert_eq!((ends.rows_after(9, 500).unwrap().len(), ends.bytes), (1, 100));
        assert_eq!(ends.rows_after(8, 500), None);
    }

    #[test]
    fn the_first_row_is_read_once_and_anew_after_it_was_changed() {
        let mut ends = Ends::default();
        let asked = |ends: &mut Ends, stored: &Row| {
            let mut asked = false;
            let found = ends.row_with(0, || {
                asked = true;
                Ok(Some(stored.clone()))
            });
            assert_eq!(found.unwrap().as_ref(), Some(stored));
            asked
        };
        let rewritten = |row: &Row| Write { rewrite: vec![row.clone()], ..Write::default() };
        let (old, new, large) = (row(1, 1, "old"), row(1, 1, "new"), row(2, 3, "large"));
        assert!(asked(&mut ends, &old) && !asked(&mut ends, &old));
        ends.follow(rewritten(&large), 0);
        assert!(!asked(&mut ends, &old), "another one was changed");
        ends.follow(rewritten(&new), 0);
        assert!(asked(&mut ends, &new) && !asked(&mut ends, &new));
        ends.follow(Write { forget_to: Some(1), ..Write::default() }, 0);
        assert!(asked(&mut ends, &large) && asked(&mut ends, &large), "a large row stays in the storage");
    }
}
