//! Why a swap file is not made, changed or taken away: each reason in words and figures.

use std::path::PathBuf;

use kinglet_model::problem::ProblemKind;
use kinglet_model::{Problem, Size};
use thiserror::Error;

use super::path::PathError;

/// A refusal: nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The kernel was built without swap.
    #[error(
        "This kernel has no swap (CONFIG_SWAP is off), so there can be no swap file; boot another \
         kernel."
    )]
    NoKernelSupport,
    /// The capability is missing.
    #[error(
        "Kinglet may not switch swap here: it lacks CAP_SYS_ADMIN. Run it as root, outside of a \
         container."
    )]
    NotPermitted,
    /// Another change is under way.
    #[error("The swap file is being changed already; wait until that is done.")]
    Busy,
    /// A size of nothing.
    #[error("A swap file needs a size; 0 was asked for. To remove it, switch it off.")]
    NoSize,
    /// Less than the kernel takes, or than makes sense.
    #[error("A swap file of {asked} is too small; the least is {least}.")]
    TooSmall {
        /// What was asked for.
        asked: Size,
        /// The least.
        least: Size,
    },
    /// More than its header can count.
    #[error("A swap file of {asked} is too large; the most that its header can count is {most}.")]
    TooLarge {
        /// What was asked for.
        asked: Size,
        /// The most.
        most: Size,
    },
    /// Not enough room on the disk.
    #[error(
        "A swap file of {asked} does not fit {folder}: {free} of {total} are free, {reserve} of \
         which stay reserved{}. Ask for {most} at most, or choose another place.",
        if *.beside { ", and the old swap file stays until the new one is on" } else { "" },
        folder = folder.display(),
    )]
    NoRoom {
        /// What was asked for.
        asked: Size,
        /// Where.
        folder: PathBuf,
        /// What is free.
        free: Size,
        /// The file system's size.
        total: Size,
        /// What stays free.
        reserve: Size,
        /// The largest that fits.
        most: Size,
        /// An old swap file takes room meanwhile.
        beside: bool,
    },
    /// A priority outside its range.
    #[error("A priority of {0} is out of range; it is a number from 0 to 32767.")]
    Priority(u16),
    /// Not a path.
    #[error("{0}.")]
    Path(#[from] PathError),
    /// A place where no swap file may be.
    #[error("{} is no place for a swap file: {why}. Choose another place.", path.display())]
    Place {
        /// Where it really leads.
        path: PathBuf,
        /// Why not there.
        why: String,
    },
    /// The folder is missing or cannot be opened.
    #[error("The folder {} cannot be opened: {why}. Create it, or choose another place.", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// There is something of that name that Kinglet did not make.
    #[error(
        "{path} is {what}, which Kinglet did not make and does not touch. Choose another name."
    )]
    Occupied {
        /// The path.
        path: String,
        /// What is there.
        what: String,
    },
    /// A file system that cannot hold swap.
    #[error("{} lies on {kind}, which cannot hold a swap file: {why}. Choose a place on ext4, XFS or Btrfs.", path.display())]
    FileSystem {
        /// The folder.
        path: PathBuf,
        /// The file system.
        kind: String,
        /// Why it cannot.
        why: &'static str,
    },
    /// A Btrfs on several disks.
    #[error("{} lies on a Btrfs of {devices} disks; the kernel swaps only to one that has a single disk. Choose another place.", path.display())]
    ManyDevices {
        /// The folder.
        path: PathBuf,
        /// How many.
        devices: u64,
    },
    /// The boot configuration cannot hold it.
    #[error(
        "The swap file cannot be kept across reboots: {0}. Choose another path, or ask for one that is not persistent."
    )]
    Boot(String),
    /// What is swapped would not fit in memory.
    #[error(
        "Swap cannot be switched off now: {used} are swapped to {path}, but there is room for {room} \
         only ({available} of memory are available, {margin} of which stay reserved, and {elsewhere} \
         of other swap are free). It lacks {lacking}: stop a VM first, or add other swap."
    )]
    WouldNotFit {
        /// The swap file.
        path: String,
        /// What is swapped to it.
        used: Size,
        /// Where it could go.
        room: Size,
        /// Available memory.
        available: Size,
        /// What of that stays reserved.
        margin: Size,
        /// Free swap elsewhere.
        elsewhere: Size,
        /// The difference.
        lacking: Size,
    },
}

impl Refusal {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoKernelSupport => "no-kernel-swap",
            Self::NotPermitted => "swap-not-permitted",
            Self::Busy => "swap-busy",
            Self::NoSize => "swap-no-size",
            Self::TooSmall { .. } => "swap-too-small",
            Self::TooLarge { .. } => "swap-too-large",
            Self::NoRoom { .. } => "no-space",
            Self::Priority(_) => "swap-priority",
            Self::Path(_) => "swap-path",
            Self::Place { .. } => "swap-place",
            Self::Folder { .. } => "swap-folder",
            Self::Occupied { .. } => "swap-occupied",
            Self::FileSystem { .. } => "swap-file-system",
            Self::ManyDevices { .. } => "swap-many-devices",
            Self::Boot(_) => "swap-boot",
            Self::WouldNotFit { .. } => "swapoff-does-not-fit",
        }
    }

    /// What kind of problem it is for who asked.
    #[must_use]
    pub const fn kind(&self) -> ProblemKind {
        match self {
            Self::NoSize
            | Self::TooSmall { .. }
            | Self::TooLarge { .. }
            | Self::Priority(_)
            | Self::Path(_) => ProblemKind::Invalid,
            Self::NoKernelSupport | Self::NotPermitted | Self::NoRoom { .. } => {
                ProblemKind::Lacking
            }
            _ => ProblemKind::Refused,
        }
    }
}

impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Self {
        Self::new(refusal.kind(), refusal.code(), refusal.to_string())
    }
}
