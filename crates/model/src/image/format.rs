//! What a file can be, told by its content.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// The bytes of a disk, nothing around them.
    Raw,
    /// QEMU copy-on-write, version 2 or 3.
    Qcow2,
    /// VMware virtual disk.
    Vmdk,
    /// Microsoft Virtual PC / Hyper-V generation 1 disk.
    Vhd,
    /// Hyper-V disk.
    Vhdx,
    /// ISO 9660 or UDF disc.
    Iso,
    /// EROFS, a read-only file system.
    Erofs,
    /// squashfs, a read-only file system.
    Squashfs,
    /// A Linux kernel (bzImage) for direct boot.
    Kernel,
    /// A cpio archive: an initial RAM file system for direct boot.
    Initramfs,
    /// A LUKS container: an encrypted disk. What is inside shows when it is unlocked.
    Luks,
}

impl Format {
    /// The name used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Iso => "iso",
            Self::Erofs => "erofs",
            Self::Squashfs => "squashfs",
            Self::Kernel => "kernel",
            Self::Initramfs => "initramfs",
            Self::Luks => "luks",
        }
    }

    /// Whether it is a disk that a VM can be made from.
    #[must_use]
    pub const fn is_disk(self) -> bool {
        matches!(
            self,
            Self::Raw
                | Self::Qcow2
                | Self::Vmdk
                | Self::Vhd
                | Self::Vhdx
                | Self::Erofs
                | Self::Squashfs
        )
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A compression around an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// gzip (RFC 1952).
    Gzip,
    /// xz.
    Xz,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Compression {
    /// The name used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }

    /// The command that takes it off.
    #[must_use]
    pub const fn unpack_command(self) -> &'static str {
        match self {
            Self::Gzip => "gzip -d",
            Self::Xz => "xz -d",
            Self::Zstd => "zstd -d",
        }
    }
}

/// How a disk is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionTable {
    /// GUID partition table.
    Gpt,
    /// Master boot record.
    Mbr,
    /// None found.
    None,
}
