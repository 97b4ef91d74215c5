//! What a drain was told of who is in rooms, on its way to PostgreSQL.

use super::drain_link::within;
use super::postgres::one;
use crate::protocol::{ChatError, ErrorCode};
use crate::sinks::PRESENCE;
use std::cell::RefCell;
use tokio_postgres::{Client, types::Type};

/// What is held at most, in bytes of reports.
const HELD: usize = 4 << 20;
/// What goes into one statement at most, and how long that may take, ms.
const TOGETHER: usize = 64;
const STATEMENT_WITHIN: u64 = 15_000;

/// Reports of rooms that PostgreSQL does not have yet.
#[derive(Default)]
pub(super) struct Reports {
    waiting: RefCell<Vec<String>>,
}

impl Reports {
    /// Takes one in; whether it is the first, so that somebody has to call [`Reports::write`].
    pub(super) fn add(&self, report: String) -> Result<bool, ChatError> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.iter().map(String::len).sum::<usize>() + report.len() > HELD {
            return Err(ChatError::new(ErrorCode::Overloaded, "The drain holds as much as it can.").retry_after(1_000));
        }
        waiting.push(report);
        Ok(waiting.len() == 1)
    }

    /// Writes all that there are. What does not work is let go of: newer reports follow.
    pub(super) async fn write(&self, client: &Client) -> Result<(), String> {
        let reports = self.waiting.take();
        for reports in reports.chunks(TOGETHER) {
            let reports: Vec<&str> = reports.iter().map(String::as_str).collect();
            within(STATEMENT_WITHIN, one(client, PRESENCE, &[(&reports, Type::TEXT_ARRAY)])).await??;
        }
        Ok(())
    }

    /// Lets go of them, because of this.
    pub(super) fn drop_all(&self, error: String) -> Result<(), String> {
        self.waiting.take();
        Err(error)
    }
}
