//! A watched folder, opened once: everything in it is reached from that descriptor, without
//! following symbolic links and without leaving it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use rustix::fs::{self as sys, AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::fingerprint::{Fingerprint, MASK};
use crate::path::RelPath;

/// A folder to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its name in image objects: `images`, or as configured.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// A regular file as it lies there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStat {
    /// Identity and state.
    pub(crate) print: Fingerprint,
    /// Bytes that it takes on its disk.
    pub(crate) allocated: u64,
}

/// What is found at a path.
#[derive(Debug)]
pub(crate) enum Look {
    /// A regular file.
    File(FileStat),
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A pipe, socket or device. Never opened.
    Special,
    /// Nothing.
    Absent,
    /// It cannot be looked at.
    Failed(io::Error),
}

/// A watched folder's descriptor, renewed when the folder itself is replaced.
#[derive(Debug)]
pub(crate) struct Root {
    /// The folder's configuration.
    pub(crate) folder: Folder,
    directory: RwLock<Option<Arc<OwnedFd>>>,
}

impl Root {
    /// Opens the folder. One that is not there (yet) is tried again at every scan.
    pub(crate) fn new(folder: Folder) -> Self {
        let root = Self {
            folder,
            directory: RwLock::new(None),
        };
        // Said at the first scan, which tries again.
        let _ = root.reopen();
        root
    }

    /// The folder's descriptor.
    ///
    /// # Errors
    /// The folder is not there.
    pub(crate) fn directory(&self) -> io::Result<Arc<OwnedFd>> {
        self.directory
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// Opens the folder anew where its path leads elsewhere than before (it was replaced, mounted or
    /// unmounted).
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) fn reopen(&self) -> io::Result<Arc<OwnedFd>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = sys::open(&self.folder.path, flags, Mode::empty());
        let mut held = self
            .directory
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                *held = None;
                return Err(error.into());
            }
        };
        if let Some(held) = held
            .as_ref()
            .filter(|held| is_same_directory(held, &opened))
        {
            return Ok(Arc::clone(held));
        }
        Ok(Arc::clone(held.insert(Arc::new(opened))))
    }
}

fn is_same_directory(a: &OwnedFd, b: &OwnedFd) -> bool {
    match (sys::fstat(a), sys::fstat(b)) {
        (Ok(a), Ok(b)) => (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino),
        _ => false,
    }
}

/// Opens a directory of the folder.
///
/// # Errors
/// The system's; `ELOOP` for a symbolic link on the way, `EXDEV` for a path that leaves the folder.
pub(crate) fn open_directory(root: BorrowedFd<'_>, path: &RelPath) -> io::Result<OwnedFd> {
    beneath(root, path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Opens a regular file of the folder for reading.
///
/// # Errors
/// The system's, or that it is not a regular file.
pub(crate) fn open_file(root: BorrowedFd<'_>, path: &RelPath) -> io::Result<File> {
    // Opening a pipe or a device can have effects, so it is looked at first. It may change in
    // between: hence NONBLOCK, and the second look.
    match look(root, path) {
        Look::File(_) => {}
        Look::Failed(error) => return Err(error),
        Look::Absent => return Err(io::ErrorKind::NotFound.into()),
        _ => return Err(not_a_file()),
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
    let file = beneath(root, path, flags)?;
    match stat_open(file.as_fd())? {
        Some(_) => Ok(File::from(file)),
        None => Err(not_a_file()),
    }
}

/// What lies at the path.
pub(crate) fn look(root: BorrowedFd<'_>, path: &RelPath) -> Look {
    match open_directory(root, &path.parent()) {
        Ok(parent) => look_in(parent.as_fd(), path.file_name()),
        Err(error) if is_absent(&error) => Look::Absent,
        Err(error) => Look::Failed(error),
    }
}

/// What lies in the directory under the name.
pub(crate) fn look_in(directory: BorrowedFd<'_>, name: &[u8]) -> Look {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    match sys::statx(directory, name, flags, MASK) {
        Ok(stat) => classify(&stat),
        Err(error) if is_absent(&error.into()) => Look::Absent,
        Err(error) => Look::Failed(error.into()),
    }
}

/// The state of an open file; `None` if it is not a regular one.
///
/// # Errors
/// The system's.
pub(crate) fn stat_open(file: BorrowedFd<'_>) -> io::Result<Option<FileStat>> {
    let stat = sys::statx(file, "", AtFlags::EMPTY_PATH, MASK)?;
    Ok(match classify(&stat) {
        Look::File(stat) => Some(stat),
        _ => None,
    })
}

/// Removes the file if it still is the one of this fingerprint; whether it did.
///
/// # Errors
/// The system's.
pub(crate) fn remove(
    root: BorrowedFd<'_>,
    path: &RelPath,
    print: &Fingerprint,
) -> io::Result<bool> {
    let parent = match open_directory(root, &path.parent()) {
        Ok(parent) => parent,
        Err(error) if is_absent(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    match look_in(parent.as_fd(), path.file_name()) {
        Look::File(stat) if stat.print.same_file(print) => {
            sys::unlinkat(&parent, path.file_name(), AtFlags::empty())?;
            // The deletion is acknowledged: it must not come back after a power cut.
            sys::fsync(&parent)?;
            Ok(true)
        }
        Look::Failed(error) => Err(error),
        _ => Ok(false),
    }
}

fn beneath(root: BorrowedFd<'_>, path: &RelPath, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = flags | OFlags::CLOEXEC;
    // EAGAIN: something was renamed during the resolution, and the kernel cannot tell whether the
    // path stays beneath.
    for _ in 0..64 {
        match sys::openat2(root, path.as_path(), flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
    Err(Errno::AGAIN.into())
}

fn classify(stat: &sys::Statx) -> Look {
    match FileType::from_raw_mode(u32::from(stat.stx_mode)) {
        FileType::RegularFile => Look::File(FileStat {
            print: Fingerprint::of(stat),
            allocated: stat.stx_blocks.saturating_mul(512),
        }),
        FileType::Directory => Look::Directory,
        FileType::Symlink => Look::Symlink,
        _ => Look::Special,
    }
}

/// Whether the error means that there is nothing (to us) at the path: a part of it is missing, is
/// not a directory any more, or is a symbolic link.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV)
    )
}

/// Whether the error says nothing of the file, but of what this host or process is short of just now.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN)
    )
}

fn not_a_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text).unwrap()
    }

    fn root(folder: &tempfile::TempDir) -> Arc<OwnedFd> {
        let folder = Folder {
            name: "images".into(),
            path: folder.path().into(),
        };
        Root::new(folder).directory().unwrap()
    }

    #[test]
    fn nothing_outside_the_folder_is_reached() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        let folder = tempfile::tempdir().unwrap();
        symlink(outside.path(), folder.path().join("out")).unwrap();
        symlink(outside.path().join("secret"), folder.path().join("link")).unwrap();
        let root = root(&folder);
        assert!(open_file(root.as_fd(), &path("out/secret")).is_err());
        assert!(open_file(root.as_fd(), &path("link")).is_err());
        assert!(matches!(
            look(root.as_fd(), &path("out/secret")),
            Look::Absent
        ));
        assert!(matches!(look(root.as_fd(), &path("link")), Look::Symlink));
    }

    #[test]
    fn special_files_are_never_opened() {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("mkfifo")
            .arg(folder.path().join("pipe"))
            .status()
            .unwrap();
        assert!(made.success());
        let root = root(&folder);
        assert!(matches!(look(root.as_fd(), &path("pipe")), Look::Special));
        assert!(open_file(root.as_fd(), &path("pipe")).is_err());
    }

    #[test]
    fn remove_spares_a_file_that_took_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "old").unwrap();
        let root = root(&folder);
        let Look::File(old) = look(root.as_fd(), &path("a")) else {
            panic!()
        };
        std::fs::write(folder.path().join("b"), "new!").unwrap();
        std::fs::rename(folder.path().join("b"), &file).unwrap();
        assert!(!remove(root.as_fd(), &path("a"), &old.print).unwrap());
        let Look::File(new) = look(root.as_fd(), &path("a")) else {
            panic!()
        };
        assert!(remove(root.as_fd(), &path("a"), &new.print).unwrap());
        assert!(!file.exists());
    }

    #[test]
    fn root_that_was_replaced_is_opened_anew() {
        let parent = tempfile::tempdir().unwrap();
        let place = parent.path().join("images");
        let root = Root::new(Folder {
            name: "images".into(),
            path: place.clone(),
        });
        assert!(root.directory().is_err());
        std::fs::create_dir(&place).unwrap();
        let first = root.reopen().unwrap();
        assert!(Arc::ptr_eq(&first, &root.reopen().unwrap()));
        std::fs::rename(&place, parent.path().join("old")).unwrap();
        std::fs::create_dir(&place).unwrap();
        assert!(!Arc::ptr_eq(&first, &root.reopen().unwrap()));
    }
}
