//! The backup beside the registry: a whole copy, renewed at opening when it is older than a day.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use kinglet_model::Revision;
use rusqlite::{Connection, OpenFlags};

use super::{
    fault::{Site, backup_path},
    file, read,
};
use crate::error::RegistryError;

const MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// Renews the backup if it is due. That it fails is no reason not to start: it is logged.
pub(super) fn renew(db: &Connection, site: &Site) {
    let path = backup_path(site.path());
    if is_young(&path) {
        return;
    }
    let copy = site.path().with_extension("backup.new.db");
    if let Err(error) = replace(db, site, &copy, &path) {
        tracing::warn!(%error, backup = %path.display(), "the registry was not backed up");
        // What is left of the copy would take the space that may be missing.
        let _ = fs::remove_file(&copy);
    }
}

/// A time of change in the future (a clock that was set back) counts as old.
fn is_young(path: &Path) -> bool {
    let changed = fs::metadata(path).and_then(|backup| backup.modified());
    let age = changed
        .ok()
        .and_then(|changed| SystemTime::now().duration_since(changed).ok());
    age.is_some_and(|age| age < MAX_AGE)
}

fn replace(db: &Connection, site: &Site, copy: &Path, path: &Path) -> Result<(), RegistryError> {
    let sql = |error: rusqlite::Error| site.sql(&error);
    // A registry that was lost and begun anew must not take the place of the last good copy.
    if revision_in(path).is_some_and(|kept| read::counters(db).is_ok_and(|c| c.revision < kept)) {
        tracing::warn!(
            backup = %path.display(),
            "the backup holds later revisions than the registry; it is kept as it is"
        );
        return Ok(());
    }
    let io = |error| site.io(&error);
    file::write_empty(copy).map_err(io)?;
    let Some(target) = copy.to_str() else {
        return Err(RegistryError::Io {
            path: copy.to_path_buf(),
            reason: "the path is not UTF-8".to_owned(),
        });
    };
    db.execute("VACUUM INTO ?1", [target]).map_err(sql)?;
    file::settle(copy, path).map_err(io)
}

fn revision_in(path: &Path) -> Option<Revision> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    read::counters(&db).ok().map(|counters| counters.revision)
}
