//! Writing: what a transaction, a lease and a compaction do to the tables. Everything here runs
//! inside a SQLite transaction that the writer begins and commits.

use kinglet_model::Revision;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    read::{self, Counters},
    rows::{MAX_PLACES, log_id, revision_of, signed, unsigned},
};
use crate::{
    entry::{Key, LeaseId},
    error::{RegistryError, TxnError},
    txn::{Change, Committed, Expect, Txn},
};

/// Makes a transaction; `gone` is a lease it needs that does not exist. The outer error is SQLite's
/// and undoes everything, the inner one is an answer.
pub(super) fn txn(
    db: &Connection,
    counters: &mut Counters,
    txn: &Txn,
    gone: Option<LeaseId>,
) -> rusqlite::Result<Result<Committed, TxnError>> {
    for (key, expect) in &txn.requirements {
        if let Err(found) = check(db, key, expect)? {
            return Ok(Err(TxnError::Conflict {
                key: key.clone(),
                found,
            }));
        }
    }
    if let Some(lease) = gone {
        return Ok(Err(RegistryError::NoLease(lease).into()));
    }
    let revision = counters.revision.next();
    let mut place = 0;
    for (key, change) in &txn.changes {
        let changed = match change {
            Change::Put { value, lease } => put(db, log_id(revision, place), key, value, *lease)?,
            Change::Delete => delete(db, log_id(revision, place), key)?,
        };
        place += usize::from(changed);
    }
    if place > 0 {
        counters.revision = revision;
    }
    Ok(Ok(Committed {
        revision: counters.revision,
    }))
}

fn check(
    db: &Connection,
    key: &Key,
    expect: &Expect,
) -> rusqlite::Result<Result<(), Option<Revision>>> {
    let found = read::get(db, key.as_str())?;
    if expect.holds(found.as_ref()) {
        return Ok(Ok(()));
    }
    Ok(Err(found.map(|entry| entry.modified)))
}

fn put(
    db: &Connection,
    id: i64,
    key: &Key,
    value: &[u8],
    lease: Option<LeaseId>,
) -> rusqlite::Result<bool> {
    let present = present(db, key)?;
    let created = present
        .as_ref()
        .map_or(revision_of(id).0, |present| present.created);
    let version = present.as_ref().map_or(0, |present| present.version) + 1;
    let lease = lease.map(|lease| signed(lease.0));
    db.prepare_cached("INSERT INTO log VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![
            id,
            key.as_str(),
            value,
            signed(created),
            signed(version),
            lease,
            present.map(|present| present.log),
        ])?;
    db.prepare_cached(
        "INSERT INTO entries VALUES (?1, ?2, ?3)
         ON CONFLICT (key) DO UPDATE SET log = excluded.log, lease = excluded.lease",
    )?
    .execute(params![key.as_str(), id, lease])?;
    Ok(true)
}

fn delete(db: &Connection, id: i64, key: &Key) -> rusqlite::Result<bool> {
    let Some(present) = present(db, key)? else {
        return Ok(false);
    };
    db.prepare_cached("INSERT INTO log VALUES (?1, ?2, NULL, 0, 0, NULL, ?3)")?
        .execute(params![id, key.as_str(), present.log])?;
    db.prepare_cached("DELETE FROM entries WHERE key = ?1")?
        .execute([key.as_str()])?;
    Ok(true)
}

struct Present {
    log: i64,
    created: u64,
    version: u64,
}

fn present(db: &Connection, key: &Key) -> rusqlite::Result<Option<Present>> {
    const SQL: &str = "SELECT log.id, log.created, log.version
        FROM entries JOIN log ON log.id = entries.log WHERE entries.key = ?1";
    let present = |row: &rusqlite::Row<'_>| {
        Ok(Present {
            log: row.get(0)?,
            created: unsigned(row, 1)?,
            version: unsigned(row, 2)?,
        })
    };
    db.prepare_cached(SQL)?
        .query_row([key.as_str()], present)
        .optional()
}

/// Notes a new lease.
pub(super) fn grant(
    db: &Connection,
    counters: &mut Counters,
    ttl_ms: u64,
) -> rusqlite::Result<LeaseId> {
    counters.last_lease += 1;
    db.prepare_cached("INSERT INTO leases VALUES (?1, ?2)")?
        .execute([signed(counters.last_lease), signed(ttl_ms)])?;
    Ok(LeaseId(counters.last_lease))
}

/// Ends leases and deletes their keys as one revision.
pub(super) fn end_leases(
    db: &Connection,
    counters: &mut Counters,
    leases: &[LeaseId],
) -> rusqlite::Result<()> {
    let mut keys = Vec::new();
    for lease in leases {
        let id = signed(lease.0);
        db.prepare_cached("DELETE FROM leases WHERE id = ?1")?
            .execute([id])?;
        let mut statement = db.prepare_cached("SELECT key FROM entries WHERE lease = ?1")?;
        for key in statement.query_map([id], |row| row.get::<_, String>(0))? {
            keys.push(Key::from(key?));
        }
    }
    keys.sort_unstable();
    // A million keys is the most that one revision can number; more become several.
    for keys in keys.chunks(MAX_PLACES) {
        counters.revision = counters.revision.next();
        for (place, key) in keys.iter().enumerate() {
            delete(db, log_id(counters.revision, place), key)?;
        }
    }
    Ok(())
}

/// Forgets the history up to a revision: what was replaced by then, and deletions. The newest row
/// of each key that was present stays, so that later events still know what was before them.
pub(super) fn compact(
    db: &Connection,
    counters: &mut Counters,
    upto: Revision,
) -> rusqlite::Result<()> {
    if upto <= counters.compacted {
        return Ok(());
    }
    let span = [log_id(counters.compacted.next(), 0), log_id(upto.next(), 0)];
    db.execute(
        "DELETE FROM log WHERE id IN
         (SELECT previous FROM log WHERE id >= ?1 AND id < ?2 AND previous IS NOT NULL)",
        span,
    )?;
    db.execute(
        "DELETE FROM log WHERE id >= ?1 AND id < ?2 AND value IS NULL",
        span,
    )?;
    counters.compacted = upto;
    Ok(())
}

/// Writes the counters; the last step before a commit.
pub(super) fn store(db: &Connection, counters: &Counters) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE counters SET revision = ?1, compacted = ?2, last_lease = ?3")?
        .execute([
            signed(counters.revision.0),
            signed(counters.compacted.0),
            signed(counters.last_lease),
        ])
        .map(drop)
}
