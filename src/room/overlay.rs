//! The log as it will be once a write that is still being put together is done: several commands, one transaction.

use super::reactions::key as reaction_key;
use super::{Log, Read, Row, Write};
use std::collections::BTreeMap;

/// A log with a pending write over it. [`Write::forget_to`] is not looked at: what is forgotten is old.
pub struct Overlay<'a> {
    log: &'a dyn Log,
    write: &'a Write,
}

impl<'a> Overlay<'a> {
    /// `log` with `write` over it.
    pub fn new(log: &'a dyn Log, write: &'a Write) -> Self {
        Self { log, write }
    }

    fn pending(&self, wanted: impl Fn(&Row) -> bool) -> Option<&'a Row> {
        self.write.append.as_ref().filter(|row| wanted(row))
    }

    /// The row as it is after the pending write.
    fn rewritten(&self, row: Row) -> Row {
        self.write.rewrite.iter().find(|known| known.last == row.last).cloned().unwrap_or(row)
    }

    fn later(&self, key: &str) -> Option<&'a Option<String>> {
        self.write.state.iter().rev().find(|(known, _)| known == key).map(|(_, value)| value)
    }
}

impl Log for Overlay<'_> {
    fn row_with(&self, seq: u64) -> Read<Option<Row>> {
        let row = self.log.row_with(seq)?.map(|row| self.rewritten(row));
        Ok(row.or_else(|| self.pending(|row| row.last >= seq).cloned()))
    }

    fn rows_after(&self, seq: u64, limit: u32) -> Read<Vec<Row>> {
        let mut rows: Vec<_> = self.log.rows_after(seq, limit)?.into_iter().map(|row| self.rewritten(row)).collect();
        if rows.len() < usize::try_from(limit).unwrap_or(usize::MAX) {
            rows.extend(self.pending(|row| row.last > seq).cloned());
        }
        Ok(rows)
    }

    fn rows_before(&self, seq: u64, limit: u32) -> Read<Vec<Row>> {
        let mut rows: Vec<_> = self.pending(|row| row.last < seq).cloned().into_iter().collect();
        let left = limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        rows.extend(self.log.rows_before(seq, left)?.into_iter().map(|row| self.rewritten(row)));
        Ok(rows)
    }

    fn state(&self) -> Read<Vec<(String, String)>> {
        let mut state: BTreeMap<_, _> = self.log.state()?.into_iter().collect();
        let apart = |key: &str| key.starts_with("react:") || key.starts_with("quote:");
        for (key, value) in self.write.state.iter().filter(|(key, _)| !apart(key)) {
            match value {
                Some(value) => state.insert(key.clone(), value.clone()),
                None => state.remove(key),
            };
        }
        Ok(state.into_iter().collect())
    }

    fn value(&self, key: &str) -> Read<Option<String>> {
        self.later(key).map_or_else(|| self.log.value(key), |value| Ok(value.clone()))
    }

    fn reactions(&self, from: u64, to: u64) -> Read<Vec<(u64, String)>> {
        let mut all: BTreeMap<_, _> = self.log.reactions(from, to)?.into_iter().collect();
        let ends = reaction_key(from)..=reaction_key(to);
        for (key, value) in self.write.state.iter().filter(|(key, _)| ends.contains(key)) {
            let Some(seq) = key.rsplit(':').next().and_then(|digits| digits.parse().ok()) else { continue };
            match value {
                Some(value) => all.insert(seq, value.clone()),
                None => all.remove(&seq),
            };
        }
        Ok(all.into_iter().collect())
    }

    fn dedupe(&self, before: u64, limit: u32) -> Read<Vec<(u64, u64, Vec<u64>)>> {
        let pending = self.pending(|row| row.last < before && !self.write.dedupe.is_empty());
        let at = |row: &Row| row.events.last().map_or(0, |event| event.at);
        let mut rows: Vec<_> = pending.map(|row| (row.last, at(row), self.write.dedupe.clone())).into_iter().collect();
        let left = limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        rows.extend(self.log.dedupe(before, left)?);
        Ok(rows)
    }

    fn bytes(&self) -> u64 {
        self.log.bytes()
    }
}
