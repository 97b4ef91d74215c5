//! What an object reads and writes: a room its log in SQLite; a shard the end of it in memory, and of its own only whom
//! its viewers block.

use super::super::binding::RawState;
use super::super::sqlite::Sqlite;
use crate::room::{Log, Replica, Room, Write};
use std::rc::Rc;

pub(super) enum Storage {
    Room(Rc<Sqlite>),
    /// Until it has begun there is nothing but its own.
    Shard(Rc<Sqlite>, Option<Replica>),
}

impl Storage {
    pub(super) fn own(&self) -> &Rc<Sqlite> {
        match self {
            Self::Room(own) | Self::Shard(own, _) => own,
        }
    }

    pub(super) fn log(&self) -> &dyn Log {
        match self {
            Self::Shard(_, Some(replica)) => replica,
            Self::Room(own) | Self::Shard(own, None) => own.as_ref(),
        }
    }

    /// A handle on the same storage whose log is `replica` from now on.
    pub(super) fn following(&self, replica: Replica) -> Self {
        Self::Shard(self.own().clone(), Some(replica))
    }

    /// Carries a step's writes out, all or none.
    pub(super) fn write(&self, raw: &RawState, write: Write) -> Result<(), String> {
        let (own, replica) = match self {
            Self::Room(own) => return own.write(raw, write),
            Self::Shard(own, replica) => (own, replica),
        };
        if write.is_empty() {
            return Ok(());
        }
        let state = write.state.iter().filter(|(key, _)| Room::is_blocks_key(key)).cloned().collect();
        own.write(raw, Write { state, ..Write::default() })?;
        if let Some(replica) = replica {
            replica.write(&write);
        }
        Ok(())
    }
}
