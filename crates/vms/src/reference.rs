//! A VM's own hold on an image's file, so that renaming, replacing or deleting the file in the
//! library does the VM no harm, also while it is off.
//!
//! A reflink clone where the file system can, else a hard link of the very file that was opened,
//! else (another file system) a symbolic link to where it lies, which protects a running VM only.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::Path;

use rustix::fs::{AtFlags, CWD};

/// How an image's file is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// A clone that shares its blocks; later writes to the original do not reach it.
    Clone,
    /// A second name of the same file.
    Link,
    /// Only its place.
    Place,
}

/// Holds `file`, which lies at `place`, as `target`.
pub(crate) fn hold(file: &File, place: &Path, target: &Path) -> io::Result<Hold> {
    remove_if_there(target)?;
    if clone(file, target)? {
        return Ok(Hold::Clone);
    }
    let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
    match rustix::fs::linkat(CWD, &opened, CWD, target, AtFlags::SYMLINK_FOLLOW) {
        Ok(()) => Ok(Hold::Link),
        Err(error) => {
            tracing::debug!(%error, place = %place.display(), "the image cannot be linked");
            symlink(place, target)?;
            Ok(Hold::Place)
        }
    }
}

/// Whether the file system made a clone. Any failure leaves nothing behind.
fn clone(file: &File, target: &Path) -> io::Result<bool> {
    let copy = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(target)?;
    if rustix::fs::ioctl_ficlone(&copy, file).is_ok() {
        return Ok(true);
    }
    fs::remove_file(target)?;
    Ok(false)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_survives_replacing_and_deleting_the_original() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        fs::write(&image, "before").unwrap();
        let held = folder.path().join("held");
        let how = hold(&File::open(&image).unwrap(), &image, &held).unwrap();
        assert_ne!(how, Hold::Place);
        fs::write(folder.path().join("new"), "after").unwrap();
        fs::rename(folder.path().join("new"), &image).unwrap();
        assert_eq!(fs::read_to_string(&held).unwrap(), "before");
        fs::remove_file(&image).unwrap();
        assert_eq!(fs::read_to_string(&held).unwrap(), "before");
    }

    #[test]
    fn hold_takes_the_file_that_was_opened_not_the_one_that_has_its_name_now() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        fs::write(&image, "opened").unwrap();
        let file = File::open(&image).unwrap();
        fs::rename(&image, folder.path().join("moved")).unwrap();
        fs::write(&image, "another").unwrap();
        let held = folder.path().join("held");
        hold(&file, &image, &held).unwrap();
        assert_eq!(fs::read_to_string(&held).unwrap(), "opened");
    }
}
