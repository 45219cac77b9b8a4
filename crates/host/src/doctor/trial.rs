//! Trials on a folder's file system with files that have no name and so leave nothing behind.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// A nameless file in `folder` (`O_TMPFILE`). Fails where the folder cannot be written to.
pub fn file(folder: &Path) -> Result<File, Errno> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR).map(File::from)
}

/// Clones a small file. `Ok(false)` where the file system does not share blocks.
pub fn reflink(folder: &Path) -> io::Result<bool> {
    let mut source = file(folder)?;
    source.write_all(&[0x6b; 64 << 10])?;
    source.sync_all()?;
    let target = file(folder)?;
    match rustix::fs::ioctl_ficlone(&target, &source) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::INVAL | Errno::XDEV | Errno::NOSYS) => {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

/// Takes a read lease on a file that nobody writes. `Ok(false)` where the file system has none.
pub fn lease(folder: &Path) -> io::Result<bool> {
    let writing = file(folder)?;
    let path = format!("/proc/self/fd/{}", writing.as_raw_fd());
    let reading = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    drop(writing);
    let reading = File::from(reading);
    // SAFETY: F_SETLEASE takes an integer and touches no memory of ours; `reading` is open during the
    // call. The lease ends with the descriptor at the end of this function, and since the file has no
    // name, nobody can open it and so break the lease with a signal.
    let result = unsafe { libc::fcntl(reading.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) };
    if result == 0 {
        return Ok(true);
    }
    match io::Error::last_os_error() {
        error if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EAGAIN)) => Ok(false),
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_leave_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        reflink(folder.path()).unwrap();
        lease(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn trials_fail_where_nothing_can_be_written() {
        assert!(reflink(Path::new("/proc")).is_err());
        assert!(lease(Path::new("/no/such/folder")).is_err());
    }
}
