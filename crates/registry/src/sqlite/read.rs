//! Reading: single entries, ranges, history. Each function is one consistent view.

use kinglet_model::Revision;
use rusqlite::{Connection, OptionalExtension, params};

use super::rows::{ENTRY_COLUMNS, entry, entry_columns, log_id, revision_of, unsigned};
use crate::{
    entry::{Entry, Key, KeyRange, Page},
    watch::{Batch, EventKind, History, WatchEvent},
};

/// A page ends after an entry with which its values reach this many bytes (1 MiB).
const PAGE_BYTES: usize = 1 << 20;

/// Sorts after every key that is allowed: control characters are not, and this is beyond text.
const AFTER_ALL: &[u8] = b"";

pub(super) fn get(db: &Connection, key: &str) -> rusqlite::Result<Option<Entry>> {
    const SQL: &str = concat!(
        "SELECT ",
        entry_columns!("log"),
        " FROM entries JOIN log ON log.id = entries.log WHERE entries.key = ?1"
    );
    db.prepare_cached(SQL)?
        .query_row([key], |row| entry(row, 0))
        .optional()
}

pub(super) fn range(
    db: &Connection,
    range: &KeyRange,
    after: Option<&Key>,
    limit: usize,
) -> rusqlite::Result<Page> {
    const SQL: &str = concat!(
        "SELECT ",
        entry_columns!("log"),
        " FROM entries JOIN log ON log.id = entries.log",
        " WHERE entries.key >= ?1 AND entries.key > ?2 AND entries.key < ?3 ORDER BY entries.key"
    );
    let view = db.unchecked_transaction()?;
    let revision = counters(&view)?.revision;
    let mut statement = view.prepare_cached(SQL)?;
    // No key is empty, so "after the empty key" is no restriction.
    let after = after.map_or("", Key::as_str);
    let mut rows = match &range.end {
        Some(end) => statement.query(params![range.start, after, end])?,
        // Every blob sorts after every text.
        None => statement.query(params![range.start, after, AFTER_ALL])?,
    };
    let mut page = Page {
        entries: Vec::new(),
        revision,
        more: false,
    };
    let mut bytes = 0_usize;
    while let Some(row) = rows.next()? {
        if page.entries.len() >= limit || bytes >= PAGE_BYTES {
            page.more = true;
            break;
        }
        let entry = entry(row, 0)?;
        bytes = bytes.saturating_add(entry.value.len());
        page.entries.push(entry);
    }
    Ok(page)
}

pub(super) fn count(db: &Connection, range: &KeyRange) -> rusqlite::Result<u64> {
    const SQL: &str = "SELECT count(*) FROM entries WHERE key >= ?1 AND key < ?2";
    let mut statement = db.prepare_cached(SQL)?;
    match &range.end {
        Some(end) => statement.query_row(params![range.start, end], |row| unsigned(row, 0)),
        None => statement.query_row(params![range.start, AFTER_ALL], |row| unsigned(row, 0)),
    }
}

/// History from a revision on, or the compacted revision if it reaches beyond `from`.
pub(super) fn history(
    db: &Connection,
    range: &KeyRange,
    from: Revision,
    events: usize,
) -> rusqlite::Result<Result<History, Revision>> {
    const SQL: &str = concat!(
        "SELECT ",
        entry_columns!("log"),
        ", ",
        entry_columns!("before"),
        " FROM log LEFT JOIN log AS before ON before.id = log.previous",
        " WHERE log.id >= ?1 AND log.key >= ?2 AND log.key < ?3 ORDER BY log.id"
    );
    let view = db.unchecked_transaction()?;
    let counters = counters(&view)?;
    if from <= counters.compacted {
        return Ok(Err(counters.compacted));
    }
    let mut statement = view.prepare_cached(SQL)?;
    let first = log_id(from, 0);
    let mut rows = match &range.end {
        Some(end) => statement.query(params![first, range.start, end])?,
        None => statement.query(params![first, range.start, AFTER_ALL])?,
    };
    let mut batches: Vec<Batch> = Vec::new();
    let (mut count, mut bytes) = (0_usize, 0_usize);
    while let Some(row) = rows.next()? {
        let revision = revision_of(row.get(0)?);
        let full = count >= events || bytes >= PAGE_BYTES;
        let event = event(row)?;
        count += 1;
        let previous = event
            .previous
            .as_ref()
            .map_or(0, |previous| previous.value.len());
        bytes = bytes
            .saturating_add(event.entry.value.len())
            .saturating_add(previous);
        match batches.last_mut() {
            Some(batch) if batch.revision == revision => batch.events.push(event),
            // A page ends only between revisions.
            Some(batch) if full => {
                let next = batch.revision.next();
                return Ok(Ok(History { batches, next }));
            }
            _ => batches.push(Batch {
                revision,
                events: vec![event],
            }),
        }
    }
    Ok(Ok(History {
        batches,
        next: counters.revision.next(),
    }))
}

fn event(row: &rusqlite::Row<'_>) -> rusqlite::Result<WatchEvent> {
    let deleted = row.get_ref(2)? == rusqlite::types::ValueRef::Null;
    let before: Option<i64> = row.get(ENTRY_COLUMNS)?;
    Ok(WatchEvent {
        kind: if deleted {
            EventKind::Delete
        } else {
            EventKind::Put
        },
        entry: entry(row, 0)?,
        previous: before.map(|_| entry(row, ENTRY_COLUMNS)).transpose()?,
    })
}

/// The numbers that outlive the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) revision: Revision,
    pub(super) compacted: Revision,
    pub(super) last_lease: u64,
}

pub(super) fn counters(db: &Connection) -> rusqlite::Result<Counters> {
    const SQL: &str = "SELECT revision, compacted, last_lease FROM counters WHERE id = 1";
    db.prepare_cached(SQL)?.query_row([], |row| {
        Ok(Counters {
            revision: Revision(unsigned(row, 0)?),
            compacted: Revision(unsigned(row, 1)?),
            last_lease: unsigned(row, 2)?,
        })
    })
}
