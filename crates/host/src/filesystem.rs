//! Which file system a folder lies on, and what follows from that.

use std::io;
use std::path::{Path, PathBuf};

use kinglet_model::Size;

/// A kind of file system, by its magic number (`statfs(2)`, `linux/magic.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    magic: u64,
    /// Its name for a person.
    pub name: &'static str,
    /// Whether others can change files without this kernel's inotify seeing it.
    pub changes_unseen: bool,
    /// Whether its files are gone after a reboot.
    pub volatile: bool,
}

const fn local(magic: u64, name: &'static str) -> Kind {
    Kind {
        magic,
        name,
        changes_unseen: false,
        volatile: false,
    }
}

const fn shared(magic: u64, name: &'static str) -> Kind {
    Kind {
        changes_unseen: true,
        ..local(magic, name)
    }
}

const fn volatile(magic: u64, name: &'static str) -> Kind {
    Kind {
        volatile: true,
        ..local(magic, name)
    }
}

const KINDS: [Kind; 23] = [
    local(0xef53, "ext4"),
    local(0x5846_5342, "XFS"),
    local(0x9123_683e, "Btrfs"),
    local(0x2fc1_2fc1, "ZFS"),
    local(0xf2f5_2010, "F2FS"),
    local(0xca45_1a4e, "bcachefs"),
    local(0x4d44, "FAT"),
    local(0x2011_bab0, "exFAT"),
    local(0x7366_746e, "NTFS"),
    local(0xf15f, "eCryptfs"),
    local(0x3153_464a, "JFS"),
    volatile(0x0102_1994, "tmpfs"),
    volatile(0x8584_58f6, "ramfs"),
    shared(0x794c_7630, "overlayfs"),
    shared(0x6969, "NFS"),
    shared(0xff53_4d42, "CIFS"),
    shared(0xfe53_4d42, "SMB"),
    shared(0x6573_5546, "FUSE"),
    shared(0x0102_1997, "9p"),
    shared(0x00c3_6400, "Ceph"),
    shared(0x0116_1970, "GFS2"),
    shared(0x7461_636f, "OCFS2"),
    shared(0x0bd0_0bd0, "Lustre"),
];

/// What lies under a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// Its kind; `None` where it is not a known one.
    pub kind: Option<Kind>,
    /// Its magic number.
    pub magic: u64,
    /// What is free for this user.
    pub free: Size,
    /// All of it.
    pub total: Size,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}

impl FileSystem {
    /// The file system of an existing folder.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let kind = rustix::fs::statfs(folder)?;
        let space = rustix::fs::statvfs(folder)?;
        // The field is signed, and 32 bits wide on some machines.
        let magic = kind.f_type as u64 & 0xffff_ffff;
        Ok(Self {
            kind: Self::kind_of(magic),
            magic,
            free: Size(space.f_bavail.saturating_mul(space.f_frsize)),
            total: Size(space.f_blocks.saturating_mul(space.f_frsize)),
            read_only: space.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        })
    }

    /// Its name for a person.
    pub fn name(&self) -> String {
        self.kind.map_or_else(
            || format!("file system {:#x}", self.magic),
            |kind| kind.name.to_owned(),
        )
    }

    /// Whether inotify misses what others change.
    pub fn changes_unseen(&self) -> bool {
        self.kind.is_some_and(|kind| kind.changes_unseen)
    }

    fn kind_of(magic: u64) -> Option<Kind> {
        KINDS.iter().find(|kind| kind.magic == magic).copied()
    }
}

/// The folder itself, or the nearest one above it that exists.
pub fn nearest_existing(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    absolute
        .ancestors()
        .find(|place| place.is_dir())
        .map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magic_numbers_are_told_apart() {
        for (index, kind) in KINDS.iter().enumerate() {
            assert_eq!(FileSystem::kind_of(kind.magic), Some(*kind));
            assert!(
                KINDS[..index].iter().all(|other| other.magic != kind.magic),
                "{}",
                kind.name
            );
        }
        assert_eq!(FileSystem::kind_of(0x1234_5678), None);
    }

    #[test]
    fn proc_is_no_place_for_images_but_has_a_name() {
        let proc = FileSystem::of(Path::new("/proc")).unwrap();
        assert!(proc.name().contains("0x9fa0"), "{}", proc.name());
    }

    #[test]
    fn nearest_existing_climbs() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            nearest_existing(&folder.path().join("a/b/c")),
            folder.path()
        );
        assert_eq!(nearest_existing(folder.path()), folder.path());
    }
}
