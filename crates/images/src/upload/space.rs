//! Whether a file system has room for an upload.

use std::io;
use std::os::fd::AsFd;

use kinglet_model::Size;
use rustix::fs::fstatvfs;

/// The most that is left free for everything else.
const RESERVE: u64 = 1 << 30;

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    /// Bytes that this process may still write.
    pub(crate) free: u64,
    /// Bytes of these that uploads leave: 1 GiB or a twentieth of the file system, whichever is less.
    pub(crate) reserve: u64,
}

impl Space {
    /// Asks the file system that the directory or file is on.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn of(place: impl AsFd) -> io::Result<Self> {
        let stat = fstatvfs(place)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Self {
            free: bytes(stat.f_bavail),
            reserve: RESERVE.min(bytes(stat.f_blocks) / 20),
        })
    }

    /// Whether so many bytes fit.
    pub(crate) fn holds(self, length: u64) -> bool {
        self.free.saturating_sub(self.reserve) >= length
    }
}

impl std::fmt::Display for Space {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} are free there, of which {} stay reserved",
            Size(self.free),
            Size(self.reserve)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_never_used() {
        let space = Space {
            free: 100,
            reserve: 30,
        };
        assert!(space.holds(70));
        assert!(!space.holds(71));
        let full = Space {
            free: 10,
            reserve: 30,
        };
        assert!(full.holds(0));
        assert!(!full.holds(1));
        assert!(!full.holds(u64::MAX));
    }
}
