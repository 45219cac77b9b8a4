//! Where unfinished uploads lie: a hidden folder in each watched one, so that the finished file takes
//! its place by a rename. The catalogue never looks into hidden folders.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use kinglet_model::Id;
use rustix::fs::{self as sys, AtFlags, Dir, FallocateFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::folder::{FileStat, Root, open_directory, stat_open};
use crate::path::RelPath;

/// The hidden folder's name.
const FOLDER: &str = ".kinglet-uploads";

/// The ending of a record.
const RECORD: &str = ".record";

/// The hidden folder of one watched folder.
#[derive(Debug)]
pub(crate) struct Store(OwnedFd);

impl Store {
    /// Opens it, if it is there.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn open(root: &Root) -> io::Result<Self> {
        let path = RelPath::root().child(FOLDER.as_bytes());
        open_directory(root.directory()?.as_fd(), &path).map(Self)
    }

    /// Opens it, and makes it where it is not there, for its owner only.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn make(root: &Root) -> io::Result<Self> {
        let directory = root.directory()?;
        match sys::mkdirat(&directory, FOLDER, Mode::RWXU) {
            Ok(()) => sys::fsync(&directory)?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        Self::open(root)
    }

    /// Makes the two files of a new upload and reserves its bytes on disk.
    ///
    /// # Errors
    /// The system's; nothing is left then.
    pub(crate) fn create(&self, id: Id, length: u64) -> io::Result<(File, File)> {
        let made = self.create_files(id, length);
        if made.is_err() {
            // What was not made is not there; what cannot be removed is swept at the next start.
            let _ = self.remove(id);
        }
        made
    }

    fn create_files(&self, id: Id, length: u64) -> io::Result<(File, File)> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let open = |name: String| sys::openat(&self.0, name, flags, Mode::from_raw_mode(0o644));
        let data = File::from(open(id.to_string())?);
        let record = File::from(open(record_name(id))?);
        if length > 0 {
            match sys::fallocate(&data, FallocateFlags::KEEP_SIZE, 0, length) {
                // Such a file system cannot reserve: what is free now has to do.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) | Ok(()) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok((data, record))
    }

    /// Opens the bytes of an upload for writing, and its record.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn files(&self, id: Id) -> io::Result<(File, File)> {
        Ok((self.file(&id.to_string())?, self.record(id)?))
    }

    /// Opens the record of an upload.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn record(&self, id: Id) -> io::Result<File> {
        self.file(&record_name(id))
    }

    /// The state of an upload's bytes; `None` where they are not there.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn stat(&self, id: Id) -> io::Result<Option<FileStat>> {
        match self.file(&id.to_string()) {
            Ok(file) => stat_open(file.as_fd()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes everything in the folder durable.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(sys::fsync(&self.0)?)
    }

    /// Moves an upload's bytes to their place, which must be free; durable on return.
    ///
    /// # Errors
    /// The system's; `AlreadyExists` where the place is taken.
    pub(crate) fn place(&self, id: Id, root: BorrowedFd<'_>, path: &RelPath) -> io::Result<()> {
        let parent = open_directory(root, &path.parent())?;
        let (from, to) = (id.to_string(), path.file_name());
        let moved = sys::renameat_with(&self.0, from.as_str(), &parent, to, RenameFlags::NOREPLACE);
        match moved {
            Ok(()) => {}
            // Not every file system can: a second name, which never replaces, then not the first.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                sys::linkat(&self.0, from.as_str(), &parent, to, AtFlags::empty())?;
                sys::unlinkat(&self.0, from.as_str(), AtFlags::empty())?;
            }
            Err(error) => return Err(error.into()),
        }
        sys::fsync(&parent)?;
        self.sync()
    }

    /// Removes what is left of an upload.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn remove(&self, id: Id) -> io::Result<()> {
        // The bytes first: a record alone is nothing to anybody.
        for name in [id.to_string(), record_name(id)] {
            match sys::unlinkat(&self.0, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The uploads of which something lies here.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn list(&self) -> io::Result<Vec<Id>> {
        let mut ids = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_str().unwrap_or_default();
            let id = name.strip_suffix(RECORD).unwrap_or(name).parse::<Id>();
            // Anything else is somebody else's.
            ids.extend(id.ok());
        }
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    fn file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(sys::openat(
            &self.0,
            name,
            flags,
            Mode::empty(),
        )?))
    }
}

fn record_name(id: Id) -> String {
    format!("{id}{RECORD}")
}
