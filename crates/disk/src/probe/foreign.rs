//! What is evidently something else than a raw disk, so that a person is told what to do instead of
//! getting a VM that does not boot.

use super::damage::Damage;
use super::source::{Examined, Source, Trouble};

struct Foreign {
    offset: u64,
    magic: &'static [u8],
    what: &'static str,
    remedy: &'static str,
}

const UNPACK: &str = "unpack it first and copy in the disk image that it holds";
const CONVERT: &str = "convert it: qemu-img convert -O qcow2 OLD NEW";

const KINDS: &[Foreign] = &[
    kind(
        0x40,
        &[0x7f, 0x10, 0xda, 0xbe],
        "a VirtualBox disk (VDI)",
        CONVERT,
    ),
    kind(0, b"WithoutFreeSpace", "a Parallels disk", CONVERT),
    kind(0, b"WithouFreSpacExt", "a Parallels disk", CONVERT),
    kind(0, b"QED\0", "a QED disk", CONVERT),
    kind(0, b"PK\x03\x04", "a zip archive", UNPACK),
    kind(0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    kind(0, b"Rar!\x1a\x07", "a rar archive", UNPACK),
    kind(
        0,
        b"BZh",
        "compressed with bzip2",
        "unpack it first: bzip2 -d",
    ),
    kind(
        0,
        b"\x04\x22\x4d\x18",
        "compressed with lz4",
        "unpack it first: lz4 -d",
    ),
    kind(
        0,
        b"\x89LZO\0\r\n\x1a\n",
        "compressed with lzop",
        "unpack it first: lzop -d",
    ),
    kind(257, b"ustar", "a tar archive", UNPACK),
];

const fn kind(
    offset: u64,
    magic: &'static [u8],
    what: &'static str,
    remedy: &'static str,
) -> Foreign {
    Foreign {
        offset,
        magic,
        what,
        remedy,
    }
}

/// Refuses what is known to be no raw disk. A boot sector may hold anything, so a disk that has its
/// signature is not refused.
pub(super) fn refuse(source: &Source<'_>) -> Examined {
    if source.has(510, &[0x55, 0xAA]).map_err(Trouble::Read)? {
        return Ok(());
    }
    for foreign in KINDS {
        if source
            .has(foreign.offset, foreign.magic)
            .map_err(Trouble::Read)?
        {
            return Err(Damage::not_an_image(foreign.what, foreign.remedy).into());
        }
    }
    Ok(())
}
