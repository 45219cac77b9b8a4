//! Writing a new file so that it appears whole or not at all, also across a power cut: a temporary
//! name in the same folder, then a rename that never replaces anything.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Creates `path` with what `write` puts into it, readable by its owner only.
///
/// # Errors
/// `AlreadyExists` when there is such a file; else what creating, writing or renaming said. The
/// temporary file is gone then.
pub(crate) fn create(path: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let folder = folder_of(path);
    let temporary = Temporary::in_folder(&folder);
    let file = OpenOptions::new()
        .write(true)
        .read(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary.path)?;
    write(&file)?;
    file.sync_all()?;
    rename_new(&temporary.path, path)?;
    File::open(&folder)?.sync_all()
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Renames without replacing. Where the file system cannot promise that, looks first.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) if to.symlink_metadata().is_err() => fs::rename(from, to),
        Err(Errno::INVAL | Errno::NOSYS) => Err(io::ErrorKind::AlreadyExists.into()),
        other => Ok(other?),
    }
}

/// A name that is removed again unless the file was renamed.
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    fn in_folder(folder: &Path) -> Self {
        let name = OsString::from(format!(".kinglet-{}.tmp", uuid::Uuid::new_v4()));
        Self {
            path: folder.join(name),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Gone already when it was renamed.
        let _ = fs::remove_file(&self.path);
    }
}
