//! What a file looked like from outside: enough to say "this is the same file" and "it has not
//! changed since", without reading it.

use std::fmt;
use std::str::FromStr;

use rustix::fs::{Statx, StatxFlags, StatxTimestamp};

/// What is asked of the kernel for a fingerprint.
pub(crate) const MASK: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME);

/// A file's identity and state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint {
    /// Inode number.
    pub(crate) ino: u64,
    /// When the inode was made, in nanoseconds since 1970; 0 where the filesystem does not say. With
    /// the inode number it names a file for ever, as inode numbers are used again.
    pub(crate) born: i64,
    /// Bytes.
    pub(crate) size: u64,
    /// When the content was last written, in nanoseconds since 1970.
    pub(crate) modified: i64,
    /// When content or attributes last changed. Cannot be set back by a program.
    pub(crate) changed: i64,
}

impl Fingerprint {
    /// From what the kernel says.
    pub(crate) fn of(stat: &Statx) -> Self {
        let has_birth = stat.stx_mask & StatxFlags::BTIME.bits() != 0;
        Self {
            ino: stat.stx_ino,
            born: if has_birth {
                nanoseconds(stat.stx_btime)
            } else {
                0
            },
            size: stat.stx_size,
            modified: nanoseconds(stat.stx_mtime),
            changed: nanoseconds(stat.stx_ctime),
        }
    }

    /// Who the file is, whatever it is called.
    pub(crate) fn identity(&self) -> (u64, i64) {
        (self.ino, self.born)
    }

    /// Whether both are of one file. Without a time of birth, an inode number alone may have been
    /// given to another file in between; then the content must look the same too.
    pub(crate) fn same_file(&self, other: &Self) -> bool {
        self.identity() == other.identity() && (self.born != 0 || self.same_content(other))
    }

    /// Whether nothing was written in between, so far as size and time tell.
    pub(crate) fn same_content(&self, other: &Self) -> bool {
        (self.size, self.modified) == (other.size, other.modified)
    }
}

fn nanoseconds(time: StatxTimestamp) -> i64 {
    time.tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(i64::from(time.tv_nsec))
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ino,
            born,
            size,
            modified,
            changed,
        } = self;
        write!(f, "{ino}:{born}:{size}:{modified}:{changed}")
    }
}

/// A text that is not a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotAFingerprint;

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        fn next<'a, T: FromStr>(
            parts: &mut impl Iterator<Item = &'a str>,
        ) -> Result<T, NotAFingerprint> {
            parts
                .next()
                .and_then(|part| part.parse().ok())
                .ok_or(NotAFingerprint)
        }
        let mut parts = text.split(':');
        let print = Self {
            ino: next(&mut parts)?,
            born: next(&mut parts)?,
            size: next(&mut parts)?,
            modified: next(&mut parts)?,
            changed: next(&mut parts)?,
        };
        parts
            .next()
            .is_none()
            .then_some(print)
            .ok_or(NotAFingerprint)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fingerprint_reads_back(ino: u64, born: i64, size: u64, modified: i64, changed: i64) {
            let print = Fingerprint { ino, born, size, modified, changed };
            prop_assert_eq!(print.to_string().parse(), Ok(print));
            let longer = format!("{print}:1");
            prop_assert!(longer.parse::<Fingerprint>().is_err());
        }
    }

    #[test]
    fn inode_number_alone_is_not_an_identity() {
        let old = Fingerprint {
            ino: 7,
            born: 0,
            size: 1,
            modified: 1,
            changed: 1,
        };
        assert!(!old.same_file(&Fingerprint { size: 2, ..old }));
        assert!(old.same_file(&Fingerprint { changed: 2, ..old }));
        let old = Fingerprint { born: 5, ..old };
        assert!(old.same_file(&Fingerprint {
            size: 2,
            modified: 9,
            ..old
        }));
        assert!(!old.same_file(&Fingerprint { born: 6, ..old }));
    }
}
