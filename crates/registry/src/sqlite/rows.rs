//! The tables, and how a row becomes an entry.
//!
//! Values are stored once, in `log`, which has one row for each change. A row's id is its revision
//! and its place in the transaction (`revision << 20 | place`), so that the order of ids is the
//! order of history. `entries` points from each present key to its row in the log. `previous` is
//! the row of the same key before; compaction keeps it as long as a row that names it is kept.

use kinglet_model::Revision;
use rusqlite::Row;

use crate::entry::{Entry, Key, LeaseId};

/// "KngR" in the header of the file: tells our files from those of others.
pub(super) const APPLICATION_ID: u32 = 0x4b6e_6752;

/// The format of the tables below.
pub(super) const FORMAT: u32 = 1;

pub(super) const SCHEMA: &str = "
    CREATE TABLE log (
        id       INTEGER PRIMARY KEY,
        key      TEXT NOT NULL,
        value    BLOB,
        created  INTEGER NOT NULL,
        version  INTEGER NOT NULL,
        lease    INTEGER,
        previous INTEGER
    ) STRICT;
    CREATE TABLE entries (
        key   TEXT PRIMARY KEY,
        log   INTEGER NOT NULL,
        lease INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX entries_by_lease ON entries (lease) WHERE lease IS NOT NULL;
    CREATE TABLE leases (
        id     INTEGER PRIMARY KEY,
        ttl_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE counters (
        id         INTEGER PRIMARY KEY CHECK (id = 1),
        revision   INTEGER NOT NULL,
        compacted  INTEGER NOT NULL,
        last_lease INTEGER NOT NULL
    ) STRICT;
    INSERT INTO counters VALUES (1, 0, 0, 0);
";

const PLACE_BITS: u32 = 20;

/// The most changes one revision can have.
pub(super) const MAX_PLACES: usize = 1 << PLACE_BITS;

/// The id of the change at `place` of a revision. Later than any real row for revisions that
/// cannot be reached.
pub(super) fn log_id(revision: Revision, place: usize) -> i64 {
    let id = revision
        .0
        .checked_shl(PLACE_BITS)
        .filter(|id| id >> PLACE_BITS == revision.0);
    let id = id.and_then(|id| i64::try_from(id).ok());
    id.zip(i64::try_from(place).ok())
        .and_then(|(id, place)| id.checked_add(place))
        .unwrap_or(i64::MAX)
}

/// The revision of a row of the log.
pub(super) fn revision_of(id: i64) -> Revision {
    Revision(u64::try_from(id).unwrap_or(0) >> PLACE_BITS)
}

/// What [`entry`] reads, in its order; `log` may be an alias.
macro_rules! entry_columns {
    ($log:literal) => {
        concat!(
            $log,
            ".id, ",
            $log,
            ".key, ",
            $log,
            ".value, ",
            $log,
            ".created, ",
            $log,
            ".version, ",
            $log,
            ".lease"
        )
    };
}
pub(super) use entry_columns;

/// How many columns [`entry_columns`] names.
pub(super) const ENTRY_COLUMNS: usize = 6;

/// The entry whose columns begin at `at`.
pub(super) fn entry(row: &Row<'_>, at: usize) -> rusqlite::Result<Entry> {
    Ok(Entry {
        key: Key::from(row.get::<_, String>(at + 1)?),
        value: row
            .get::<_, Option<Vec<u8>>>(at + 2)?
            .unwrap_or_default()
            .into(),
        created: Revision(unsigned(row, at + 3)?),
        modified: revision_of(row.get(at)?),
        version: unsigned(row, at + 4)?,
        lease: row
            .get::<_, Option<i64>>(at + 5)?
            .map(|id| LeaseId(id.unsigned_abs())),
    })
}

/// A number that is never negative.
pub(super) fn unsigned(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(at)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(at, number))
}

/// A count as SQLite stores it.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_id_orders_and_returns_its_revision() {
        assert!(log_id(Revision(1), MAX_PLACES - 1) < log_id(Revision(2), 0));
        assert_eq!(revision_of(log_id(Revision(77), 5)), Revision(77));
        assert_eq!(log_id(Revision(u64::MAX), 0), i64::MAX);
        assert_eq!(log_id(Revision(1 << 43), 0), i64::MAX);
    }
}
