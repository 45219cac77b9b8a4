//! The file: creating, checking, locking and connecting. What is not a sound registry is refused
//! before SQLite may change a byte of it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::{
    Options, backup,
    fault::Site,
    header,
    lock::Lock,
    read,
    rows::{APPLICATION_ID, FORMAT, SCHEMA, revision_of, signed},
};
use crate::error::RegistryError;

/// Up to this size (256 MiB) the whole file is checked at opening. Larger ones are checked by what
/// is read; SQLite reports damage then.
const CHECK_UPTO: u64 = 256 << 20;

/// The size of a page; set when the file is made, so that it is the same everywhere.
pub(super) const PAGE_SIZE: u64 = 4096;

/// How long a writer of another program (a person with `sqlite3`) is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// A registry that is locked, checked and ready to be written.
pub(super) struct Opened {
    pub(super) db: Connection,
    /// Held as long as the registry is open.
    pub(super) lock: Lock,
}

/// Opens or creates the file.
pub(super) fn open(path: &Path, options: &Options) -> Result<Opened, RegistryError> {
    let site = Site::new(path);
    let lock = Lock::take(&site)?;
    match fs::metadata(path) {
        Ok(_) => header::check(&site)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(&site)?,
        Err(error) => return Err(site.io(&error)),
    }
    let db = connect(&site)?;
    check(&db, &site)?;
    configure(&db, options).map_err(|error| site.sql(&error))?;
    if options.backup {
        backup::renew(&db, &site);
    }
    Ok(Opened { db, lock })
}

/// A second connection, which cannot write.
pub(super) fn connect_to_read(site: &Site) -> Result<Connection, RegistryError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connect = || {
        let db = Connection::open_with_flags(site.path(), flags)?;
        db.busy_timeout(PATIENCE)?;
        bound_memory(&db)?;
        Ok(db)
    };
    connect().map_err(|error| site.sql(&error))
}

/// Only the daemon's user may read what the registry holds.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Makes an empty registry under another name and renames it, so that a file with the final name
/// is always a whole one: a crash here cannot look like damage later.
fn create(site: &Site) -> Result<(), RegistryError> {
    if header::has_log(site.path()) {
        return Err(site.corrupt("the file is gone, but its write-ahead log (-wal) is there"));
    }
    let new = site.path().with_extension("new.db");
    write_empty(&new).map_err(|error| site.io(&error))?;
    fill(&new).map_err(|error| site.sql(&error))?;
    settle(&new, site.path()).map_err(|error| site.io(&error))
}

/// An empty file with the right mode; SQLite gives its companions the same.
pub(super) fn write_empty(path: &Path) -> io::Result<()> {
    private()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .map(drop)
}

fn fill(path: &Path) -> rusqlite::Result<()> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.pragma_update(None, "page_size", signed(PAGE_SIZE))?;
    db.pragma_update(None, "application_id", APPLICATION_ID)?;
    db.pragma_update(None, "user_version", FORMAT)?;
    db.execute_batch(&format!("BEGIN; {SCHEMA} COMMIT;"))?;
    db.pragma_update(None, "journal_mode", "wal")?;
    db.close().map_err(|(_, error)| error)
}

/// Makes `from` durable under the name `to`.
pub(super) fn settle(from: &Path, to: &Path) -> io::Result<()> {
    File::open(from)?.sync_all()?;
    fs::rename(from, to)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn connect(site: &Site) -> Result<Connection, RegistryError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(site.path(), flags).map_err(|error| site.sql(&error))?;
    // Should the checks fail, closing must not write the log into a damaged file.
    let kept = db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    kept.and_then(|_| db.busy_timeout(PATIENCE))
        .and_then(|()| bound_memory(&db))
        .map_err(|error| site.sql(&error))?;
    Ok(db)
}

fn check(db: &Connection, site: &Site) -> Result<(), RegistryError> {
    let sql = |error: rusqlite::Error| site.sql(&error);
    let pragma = |name| {
        db.pragma_query_value(None, name, |row| row.get::<_, u32>(0))
            .map_err(sql)
    };
    header::check_identity(site, pragma("application_id")?, pragma("user_version")?)?;
    let size = fs::metadata(site.path())
        .map_err(|error| site.io(&error))?
        .len();
    if size <= CHECK_UPTO {
        let first = db.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        let first = first.map_err(sql)?;
        if first != "ok" {
            return Err(site.corrupt(format!("it is damaged ({})", first.replace('\n', " "))));
        }
    }
    check_counters(db, site)
}

fn check_counters(db: &Connection, site: &Site) -> Result<(), RegistryError> {
    let counters = read::counters(db).map_err(|error| match error {
        rusqlite::Error::QueryReturnedNoRows => site.corrupt("its counters are missing"),
        error => site.sql(&error),
    })?;
    let last: Option<i64> = db
        .query_row("SELECT max(id) FROM log", [], |row| row.get(0))
        .map_err(|error| site.sql(&error))?;
    if counters.compacted > counters.revision
        || last.is_some_and(|last| revision_of(last) > counters.revision)
    {
        return Err(site.corrupt("its log reaches beyond its revision"));
    }
    Ok(())
}

fn configure(db: &Connection, options: &Options) -> rusqlite::Result<()> {
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "trusted_schema", false)?;
    if let Some(bytes) = options.max_bytes {
        let pages = signed((bytes / PAGE_SIZE).max(1));
        db.pragma_update(None, "max_page_count", pages)?;
    }
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}

/// 256 KiB of cached pages for each of the two connections, and no mapping of the file.
fn bound_memory(db: &Connection) -> rusqlite::Result<()> {
    db.pragma_update(None, "cache_size", -256)?;
    db.pragma_update(None, "mmap_size", 0)
}
