//! Pages of history: ranges of message numbers, the part of them that the log holds.

use super::{Log, Read, Room, Row, SCAN, Viewer, view};
use crate::protocol::Body;
use crate::protocol::call::{Page, PageQuery};
use std::collections::BTreeMap;

/// Numbers of the first and last message of a page, both inclusive; none where the page is empty.
fn range(query: PageQuery, (first_no, last_no): (u64, u64)) -> Option<(u64, u64)> {
    let (low, high) = match query {
        PageQuery::Page { page, limit } => {
            let skipped = page.saturating_sub(1).saturating_mul(limit);
            let high = last_no.saturating_sub(skipped);
            (high.saturating_sub(limit) + 1, high)
        }
        PageQuery::Before { no, limit } => {
            let high = last_no.min(no.saturating_sub(1));
            (high.saturating_sub(limit) + 1, high)
        }
        PageQuery::After { no, limit } => {
            let before = no.max(first_no.saturating_sub(1));
            (before.saturating_add(1), last_no.min(before.saturating_add(limit)))
        }
    };
    let low = low.max(first_no);
    (low <= high).then_some((low, high))
}

pub(super) fn messages_in(row: &Row) -> u64 {
    let messages = row.events.iter().filter(|event| matches!(event.body, Body::NewMessage(_))).count();
    u64::try_from(messages).unwrap_or(u64::MAX)
}

/// The number of the first message that the log still holds, or that the next one will have.
///
/// # Errors
/// The log cannot be read.
pub fn first_held_no(log: &dyn Log) -> Read<u64> {
    Ok(log.row_with(0)?.map_or(1, |row| row.no.saturating_sub(messages_in(&row)) + 1))
}

impl Room {
    /// The page of history that `query` names, as far as the log holds it.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn page(&self, log: &dyn Log, query: PageQuery, viewer: Viewer<'_>, now: u64) -> Read<Page> {
        let newest_first = !matches!(query, PageQuery::After { .. });
        let mut page = Page {
            epoch: self.epoch,
            total: self.message_count(),
            has_more: false,
            newest_first,
            held: Vec::new(),
            missing: None,
            my_reactions: BTreeMap::new(),
            moderator: viewer.role.at_least(crate::auth::Role::Moderator),
            user_id: viewer.user_id.map(str::to_owned),
            blocks: viewer.blocks.clone(),
        };
        let Some((low, high)) = range(query, (self.first_no(), self.last_no)) else { return Ok(page) };
        page.has_more = if newest_first { low > self.first_no() } else { high < self.last_no };
        let first_held = first_held_no(log)?;
        if low < first_held {
            page.missing = Some((low, high.min(first_held - 1)));
        }
        if high < first_held {
            return Ok(page);
        }
        let mut rows = Vec::new();
        let mut after = self.seq_before(log, low.max(first_held))?;
        'read: loop {
            let batch = log.rows_after(after, SCAN)?;
            let Some(last) = batch.last() else { break };
            after = last.last;
            for row in batch {
                let enough = row.no >= high;
                rows.push(row);
                if enough {
                    break 'read;
                }
            }
        }
        let events = rows.iter().flat_map(|row| &row.events);
        let wanted = events.filter(|event| match &event.body {
            Body::NewMessage(message) => message.no >= low && message.no <= high && view(event, viewer, now).is_some(),
            _ => false,
        });
        let wanted: Vec<_> = wanted.collect();
        let shown = self.messages(log, &wanted, viewer)?;
        page.held = shown.messages;
        page.my_reactions = shown.mine.into_iter().map(|(id, mine)| (id.to_string(), mine)).collect();
        if newest_first {
            page.held.reverse();
        }
        Ok(page)
    }

    /// The end of the last row before the one in which the message `no` was published, found by halving.
    pub(super) fn seq_before(&self, log: &dyn Log, no: u64) -> Read<u64> {
        let (mut low, mut high) = (log.row_with(0)?.map_or(0, |row| row.first()), self.last_seq);
        while low < high {
            let middle = low + (high - low) / 2;
            match log.row_with(middle)? {
                Some(row) if row.no < no => low = row.last + 1,
                Some(row) => high = row.first(),
                None => high = middle,
            }
        }
        Ok(low.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let page = |page, limit| range(PageQuery::Page { page, limit }, (1, 120));
        assert_eq!(page(1, 50), Some((71, 120)));
        assert_eq!(page(3, 50), Some((1, 20)));
        assert_eq!(page(4, 50), None);
        assert_eq!(page(u64::MAX, 100), None);
        assert_eq!(range(PageQuery::Page { page: 1, limit: 50 }, (1, 0)), None);
        assert_eq!(range(PageQuery::Before { no: 21, limit: 10 }, (1, 120)), Some((11, 20)));
        assert_eq!(range(PageQuery::Before { no: 1, limit: 10 }, (1, 120)), None);
        assert_eq!(range(PageQuery::Before { no: 999, limit: 10 }, (1, 120)), Some((111, 120)));
        assert_eq!(range(PageQuery::After { no: 115, limit: 10 }, (1, 120)), Some((116, 120)));
        assert_eq!(range(PageQuery::After { no: u64::MAX, limit: 10 }, (1, 120)), None);
        let kept = (101, 120);
        assert_eq!(range(PageQuery::Page { page: 1, limit: 50 }, kept), Some((101, 120)));
        assert_eq!(range(PageQuery::Page { page: 2, limit: 20 }, kept), None);
        assert_eq!(range(PageQuery::Before { no: 103, limit: 10 }, kept), Some((101, 102)));
        assert_eq!(range(PageQuery::Before { no: 101, limit: 10 }, kept), None);
        assert_eq!(range(PageQuery::After { no: 0, limit: 10 }, kept), Some((101, 110)));
        assert_eq!(range(PageQuery::After { no: 110, limit: 10 }, kept), Some((111, 120)));
        assert_eq!(range(PageQuery::Page { page: 1, limit: 10 }, (121, 120)), None);
    }
}
