//! Lists a folder with all its sub-folders. What cannot be read is counted and passed over; it spoils
//! nothing else.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Dir, FileType};

use crate::folder::{FileStat, Look, is_absent, look_in, open_directory};
use crate::kind::{Kind, is_entered, kind};
use crate::path::RelPath;

/// How deep sub-folders are looked into.
pub(crate) const MAX_DEPTH: usize = 16;

/// How many files of a folder are catalogued.
pub(crate) const MAX_FILES: usize = 500_000;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Images, whole or on their way.
    pub(crate) files: Vec<(RelPath, FileStat)>,
    /// Lists of digests.
    pub(crate) sums: Vec<(RelPath, FileStat)>,
    /// Directories and files that could not be looked at, and why.
    pub(crate) unreadable: Vec<(RelPath, io::Error)>,
    /// Symbolic links, pipes, sockets, devices, and what lies too deep: not images.
    pub(crate) passed_over: usize,
}

/// Walks from `start`. `enter` is called with each directory, open, before it is listed: what
/// appears in it after that is the watcher's to tell.
pub(crate) fn walk(
    root: BorrowedFd<'_>,
    start: &RelPath,
    enter: &mut dyn FnMut(BorrowedFd<'_>, &RelPath),
) -> Walk {
    let mut walk = Walk::default();
    let mut waiting = vec![(start.clone(), 0)];
    while let Some((path, depth)) = waiting.pop() {
        let mut below = Vec::new();
        match walk.list(root, &path, enter, &mut below) {
            Ok(()) => {}
            // Gone again: the parent's watch tells.
            Err(error) if is_absent(&error) && depth > 0 => {}
            Err(error) => walk.unreadable.push((path, error)),
        }
        if depth + 1 < MAX_DEPTH {
            waiting.extend(below.into_iter().map(|path| (path, depth + 1)));
        } else {
            walk.passed_over += below.len();
        }
    }
    walk
}

impl Walk {
    fn list(
        &mut self,
        root: BorrowedFd<'_>,
        path: &RelPath,
        enter: &mut dyn FnMut(BorrowedFd<'_>, &RelPath),
        below: &mut Vec<RelPath>,
    ) -> io::Result<()> {
        let directory = open_directory(root, path)?;
        enter(directory.as_fd(), path);
        let mut entries = Dir::read_from(&directory)?;
        while let Some(entry) = entries.read() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            match entry.file_type() {
                _ if matches!(name, b"." | b"..") => {}
                FileType::Directory => enter_later(path, name, below),
                FileType::RegularFile | FileType::Unknown => {
                    self.take(directory.as_fd(), path, name, below);
                }
                _ => self.passed_over += 1,
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        directory: BorrowedFd<'_>,
        path: &RelPath,
        name: &[u8],
        below: &mut Vec<RelPath>,
    ) {
        let kind = kind(name);
        // A hidden directory is not entered either, so nothing is lost where the type is unknown.
        if kind == Kind::Ignored && !is_entered(name) {
            return;
        }
        match look_in(directory, name) {
            Look::Directory => enter_later(path, name, below),
            Look::File(_) if kind == Kind::Ignored => {}
            Look::File(stat) if kind == Kind::Sums => self.sums.push((path.child(name), stat)),
            Look::File(stat) if self.files.len() < MAX_FILES => {
                self.files.push((path.child(name), stat));
            }
            Look::File(_) | Look::Symlink | Look::Special => self.passed_over += 1,
            Look::Absent => {}
            Look::Failed(error) => self.unreadable.push((path.child(name), error)),
        }
    }
}

fn enter_later(path: &RelPath, name: &[u8], below: &mut Vec<RelPath>) {
    if is_entered(name) {
        below.push(path.child(name));
    }
}
