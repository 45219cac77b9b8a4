//! What only the kernel can do and no safe crate asks it for: telling whether anybody has a file open
//! for writing (by taking a read lease on it), beginning to write a part of a file to disk without
//! waiting for it, and waiting for a descriptor on tokio.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What a lease attempt says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    /// Nobody has the file open for writing.
    None,
    /// Somebody has.
    Present,
    /// The kernel does not say: the filesystem has no leases (NFS, FUSE), or the file is another
    /// user's and this process lacks `CAP_LEASE`.
    Unknown,
}

/// Whether anybody has the file, which is open for reading only, open for writing (also through a
/// shared mapping). `fcntl(2)`, `F_SETLEASE`.
///
/// Somebody who opens the file for writing in the moment between the two calls makes the kernel
/// send SIGIO, which would end the process: the library keeps a handler for it.
pub(crate) fn writer(file: &File) -> Writer {
    match set_lease(file, libc::F_RDLCK) {
        Ok(()) => {
            // Given back at once. If it fails, closing the file gives it back.
            let _ = set_lease(file, libc::F_UNLCK);
            Writer::None
        }
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Writer::Present,
        Err(_) => Writer::Unknown,
    }
}

fn set_lease(file: &File, kind: i32) -> io::Result<()> {
    // SAFETY: F_SETLEASE takes an integer and touches no memory of ours; the descriptor is open for
    // the whole call because `file` is borrowed.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Has the kernel begin to write a part of the file to disk, without waiting: a sync after that finds
/// little left to do. A hint; it says nothing about what is durable.
pub(crate) fn begin_writeback(file: &File, at: u64, length: u64) {
    let (Ok(at), Ok(length)) = (i64::try_from(at), i64::try_from(length)) else {
        return;
    };
    // SAFETY: sync_file_range takes numbers and touches no memory of ours; the descriptor is open for
    // the whole call because `file` is borrowed.
    unsafe {
        libc::sync_file_range(file.as_raw_fd(), at, length, libc::SYNC_FILE_RANGE_WRITE);
    }
}

/// A descriptor that can be waited for to become readable.
///
/// # Errors
/// The system's. Must be called on a tokio runtime.
pub(crate) fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned by the AsyncFd from here on, so it stays open and the same for
    // as long as that lives; an OwnedFd always tells the same number.
    let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    registered.map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lease_sees_a_writer_and_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk.raw");
        let writing = File::create(&path).unwrap();
        let reading = File::open(&path).unwrap();
        assert_eq!(writer(&reading), Writer::Present);
        drop(writing);
        assert_eq!(writer(&reading), Writer::None);
        // And it is not kept: a second writer is not held up.
        drop(File::options().write(true).open(&path).unwrap());
        assert_eq!(writer(&reading), Writer::None);
    }
}
