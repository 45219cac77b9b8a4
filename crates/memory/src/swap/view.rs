//! What was seen of the host before anything is decided.

use std::path::PathBuf;

use kinglet_model::Size;

use super::{Refusal, Slot, SwapHeader, SwapPath};
use crate::boot::BootEntry;
use crate::proc::ActiveSwap;

/// Everything that a plan depends on. Gathered once, so that deciding is pure.
#[derive(Debug, Clone)]
pub struct HostView {
    /// The page size in bytes.
    pub page_size: u64,
    /// All memory.
    pub memory_total: Size,
    /// What programs could still have.
    pub memory_available: Size,
    /// Whether the kernel has swap.
    pub kernel_has_swap: bool,
    /// Whether this process may switch it.
    pub permitted: bool,
    /// The place that is wanted, where one is.
    pub place: Option<Result<Place, Refusal>>,
    /// Swap files of ours that exist, at any place that was ever used.
    pub own: Vec<OwnFile>,
    /// Places that are recorded as used.
    pub recorded: Vec<SwapPath>,
    /// Entries of ours that the host boots with.
    pub boot: Vec<BootEntry>,
    /// Whether such an entry can carry a priority.
    pub boot_keeps_priority: bool,
    /// Why the wanted entry could not be written, where it could not.
    pub boot_fault: Option<String>,
    /// Swap that is not ours.
    pub others: Vec<ActiveSwap>,
}

/// A place for a swap file, with what is already known to be right about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The path without symbolic links in it.
    pub path: SwapPath,
    /// The folder's file system.
    pub file_system: FileSystem,
    /// What is free there for this process.
    pub free: Size,
    /// The file system's size.
    pub total: Size,
    /// Disks of a Btrfs; 1 elsewhere.
    pub devices: u64,
    /// What has one of the two names and is not ours, as words for a person: `a directory`.
    pub foreign: Vec<(Slot, String)>,
}

/// A file system, by what that means for swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSystem {
    /// Files can be swapped to.
    Fit(Kind),
    /// They cannot, and why.
    Unfit {
        /// Its name.
        name: String,
        /// Why not.
        why: &'static str,
    },
}

/// A file system that can hold a swap file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ext2, ext3 or ext4; they share a number.
    Ext4,
    /// XFS.
    Xfs,
    /// Btrfs: needs files that are not copied on write.
    Btrfs,
}

/// A swap file of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnFile {
    /// Where it is.
    pub slot: Slot,
    /// Its length.
    pub size: Size,
    /// Its header, where it is whole.
    pub header: Option<SwapHeader>,
    /// Whether parts of it were never allocated, so that the kernel will not swap to it.
    pub holes: bool,
    /// What the kernel says of it where it is on.
    pub active: Option<ActiveSwap>,
}

impl FileSystem {
    /// What the magic number of `statfs(2)` means for swap.
    #[must_use]
    pub fn of(magic: u64) -> Self {
        let unfit = |name: &str, why| Self::Unfit {
            name: name.to_owned(),
            why,
        };
        const MEMORY: &str = "it is itself in memory";
        const NETWORK: &str = "swapping over a network can stop the host for good";
        const LAYERED: &str = "its files have no fixed place on a disk";
        const UNTRIED: &str = "the kernel does not swap to its files, or not safely";
        match magic {
            0xef53 => Self::Fit(Kind::Ext4),
            0x5846_5342 => Self::Fit(Kind::Xfs),
            0x9123_683e => Self::Fit(Kind::Btrfs),
            0x0102_1994 => unfit("tmpfs", MEMORY),
            0x8584_58f6 => unfit("ramfs", MEMORY),
            0x9584_58f6 => unfit("hugetlbfs", MEMORY),
            0x794c_7630 => unfit("overlayfs", LAYERED),
            0x6969 => unfit("NFS", NETWORK),
            0xff53_4d42 | 0xfe53_4d42 => unfit("SMB", NETWORK),
            0x0102_1997 => unfit("9p", NETWORK),
            0x00c3_6400 => unfit("Ceph", NETWORK),
            0x6573_5546 => unfit("FUSE", LAYERED),
            0x2011_bab0 => unfit("exFAT", UNTRIED),
            0x4d44 => unfit("FAT", UNTRIED),
            0x2fc1_2fc1 => unfit("ZFS", LAYERED),
            0xca45_1a4e => unfit("bcachefs", UNTRIED),
            0xf2f5_2010 => unfit("F2FS", UNTRIED),
            0x7366_746e => unfit("NTFS", UNTRIED),
            0x7371_7368 => unfit("squashfs", "it can only be read"),
            0xe0f5_e1e2 => unfit("EROFS", "it can only be read"),
            0x9660 => unfit("ISO 9660", "it can only be read"),
            other => Self::Unfit {
                name: format!("file system {other:#x}"),
                why: "it is not one that swap files are known to work on",
            },
        }
    }
}

impl Place {
    /// What always stays free there: 5 %, at least 128 MiB.
    #[must_use]
    pub fn reserve(&self) -> Size {
        Size((self.total.0 / 20).max(128 << 20))
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.path.folder().to_owned()
    }
}

impl OwnFile {
    /// Whether the kernel would take it as swap of this size.
    #[must_use]
    pub fn is_whole(&self, size: Size, page_size: u64) -> bool {
        let pages = self.header.as_ref().map(|header| header.pages);
        !self.holes && self.size == size && pages == size.0.checked_div(page_size)
    }
}
