//! The only unsafe code of this crate: the system calls that no safe crate wraps.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::ioctl::{self, Getter, opcode};

/// `SWAP_FLAG_PREFER` of `linux/swap.h`: the low bits are a priority.
const PREFER: i32 = 0x8000;
/// `SWAP_FLAG_PRIO_MASK`.
const PRIORITY: u16 = 0x7fff;

/// `swapon(2)` of an open file, so that what was checked is what is switched on.
pub(crate) fn swapon(file: BorrowedFd<'_>, priority: Option<u16>) -> io::Result<()> {
    let path = fd_path(file)?;
    let flags = priority.map_or(0, |priority| PREFER | i32::from(priority & PRIORITY));
    // SAFETY: the path is a NUL-terminated string that lives across the call.
    done(unsafe { libc::swapon(path.as_ptr(), flags) })
}

/// `swapoff(2)` of an open file. Blocks until all that is swapped there is back in memory; a signal
/// ends it with `EINTR`, and the swap stays on.
pub(crate) fn swapoff(file: BorrowedFd<'_>) -> io::Result<()> {
    let path = fd_path(file)?;
    swapoff_path(&path)
}

/// Whether the kernel was built with swap. `swapoff` of nothing says so without touching anything.
pub(crate) fn kernel_has_swap() -> bool {
    !matches!(swapoff_path(c""), Err(error) if error.raw_os_error() == Some(libc::ENOSYS))
}

fn swapoff_path(path: &CStr) -> io::Result<()> {
    // SAFETY: the path is a NUL-terminated string that lives across the call.
    done(unsafe { libc::swapoff(path.as_ptr()) })
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// The kernel's own name of an open file; never goes by the file's path again.
fn fd_path(file: BorrowedFd<'_>) -> io::Result<CString> {
    CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(io::Error::other)
}

/// Locks a file for this open description of it, until that is closed. `false` where another holds it.
pub(crate) fn try_lock(file: BorrowedFd<'_>) -> io::Result<bool> {
    match lock_call(file, libc::F_OFD_SETLK) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Whether another open description holds the lock. Asks without taking it for a moment, which could
/// make who wants it fail.
pub(crate) fn is_locked(file: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(lock_call(file, libc::F_OFD_GETLK)?.l_type != libc::F_UNLCK as libc::c_short)
}

fn lock_call(file: BorrowedFd<'_>, command: libc::c_int) -> io::Result<libc::flock> {
    // SAFETY: a structure of integers, for which zeros are valid: the whole file, by no process.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    // SAFETY: both commands take a pointer to such a structure, which lives across the call and which
    // the second one writes to; the descriptor is open.
    done(unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) })?;
    Ok(lock)
}

/// `struct btrfs_ioctl_fs_info_args` of `linux/btrfs.h`, as far as it is read here.
#[repr(C)]
struct BtrfsFsInfo {
    max_id: u64,
    num_devices: u64,
    rest: [u64; 126],
}

/// How many disks the Btrfs that the file lies on spans.
pub(crate) fn btrfs_devices(file: impl AsFd) -> io::Result<u64> {
    const FS_INFO: ioctl::Opcode = opcode::read::<BtrfsFsInfo>(0x94, 31);
    // SAFETY: the opcode's direction and size are those of the structure, which has no invalid
    // values, so whatever the kernel writes there can be read.
    let getter = unsafe { Getter::<FS_INFO, BtrfsFsInfo>::new() };
    // SAFETY: the call only fills the getter's own buffer.
    let info = unsafe { ioctl::ioctl(file, getter) }?;
    Ok(info.num_devices)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn kernel_of_this_machine_has_swap() {
        assert!(kernel_has_swap());
    }

    #[test]
    fn lock_is_held_by_one_and_seen_by_others() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let mut options = std::fs::File::options();
            options
                .create(true)
                .truncate(false)
                .write(true)
                .open(folder.path().join("lock"))
                .unwrap()
        };
        let (one, other) = (open(), open());
        assert!(!is_locked(other.as_fd()).unwrap());
        assert!(try_lock(one.as_fd()).unwrap());
        assert!(is_locked(other.as_fd()).unwrap() && !try_lock(other.as_fd()).unwrap());
        drop(one);
        assert!(!is_locked(other.as_fd()).unwrap() && try_lock(other.as_fd()).unwrap());
    }

    #[test]
    fn swapon_of_an_ordinary_file_is_refused_by_the_kernel() {
        let file = tempfile::tempfile().unwrap();
        assert!(swapon(file.as_fd(), Some(1)).is_err());
        assert!(swapoff(file.as_fd()).is_err());
        assert!(btrfs_devices(&file).is_err());
    }
}
