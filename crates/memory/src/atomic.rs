//! Changing a file of the host so that it is the old or the new one, also across a power cut.

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;

use rustix::fs::{Gid, Uid};
use uuid::Uuid;

use crate::folder::Folder;

/// No file that is changed here is longer: `fstab`, `inittab`, a unit.
const LONGEST: u64 = 1 << 20;
/// What temporary files are called, so that those of a killed daemon are known.
pub(crate) const TEMPORARY: &str = ".kinglet-swap-";

/// A fresh temporary name.
pub(crate) fn temporary() -> String {
    format!("{TEMPORARY}{}.tmp", Uuid::new_v4())
}

/// Whether a name is one of those.
pub(crate) fn is_temporary(name: &str) -> bool {
    name.starts_with(TEMPORARY) && name.ends_with(".tmp")
}

/// A file's bytes. `None` where it does not exist.
pub(crate) fn load(folder: &Folder, name: &str) -> io::Result<Option<Vec<u8>>> {
    match folder.stat(name)? {
        None => return Ok(None),
        Some(stat) if !is_file(stat.st_mode) => {
            return Err(io::Error::other("it is not an ordinary file"));
        }
        Some(_) => {}
    }
    let mut bytes = Vec::new();
    folder
        .read(name)?
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::other("it is longer than 1 MiB"));
    }
    Ok(Some(bytes))
}

/// Writes a file whole, keeping owner and mode of the one that it replaces.
pub(crate) fn store(folder: &Folder, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary();
    let written = write(folder, name, &temporary, bytes);
    if written.is_err() {
        // What failed is told; a temporary file that stays is swept at the next start.
        let _ = folder.remove(&temporary);
    }
    written
}

fn write(folder: &Folder, name: &str, temporary: &str, bytes: &[u8]) -> io::Result<()> {
    let old = folder.stat(name)?;
    if old.is_some_and(|stat| !is_file(stat.st_mode)) {
        return Err(io::Error::other(
            "it is not an ordinary file, and Kinglet does not write through links",
        ));
    }
    let mut file = folder.create(temporary)?;
    file.write_all(bytes)?;
    dress(&file, old.as_ref())?;
    file.sync_all()?;
    folder.replace(temporary, name)?;
    folder.sync()
}

fn dress(file: &File, old: Option<&rustix::fs::Stat>) -> io::Result<()> {
    let mode = old.map_or(0o644, |stat| stat.st_mode & 0o7777);
    if let Some(stat) = old {
        let (owner, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
        rustix::fs::fchown(file, Some(owner), Some(group))?;
    }
    file.set_permissions(Permissions::from_mode(mode))
}

/// Whether `st_mode` is an ordinary file's.
pub(crate) fn is_file(mode: u32) -> bool {
    mode & 0o170_000 == 0o100_000
}
