//! Which firmware a disk needs, where nobody said.
//!
//! UEFI when the disk can only boot so: it has a GPT with an EFI system partition, and neither a BIOS
//! boot partition nor code in its first sector. Everything else gets BIOS, which starts at once and
//! boots most disks that can do both.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use kinglet_model::image::Format;

const SECTOR: usize = 512;
/// The first sector, the GPT's header, and 128 entries.
const LOOKED_AT: usize = 34 * SECTOR;
/// C12A7328-F81F-11D2-BA4B-00A0C93EC93B as it lies on a disk.
const EFI_SYSTEM: [u8; 16] = [
    0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
];
/// 21686148-6449-6E6F-744E-656564454649, chosen to be readable.
const BIOS_BOOT: [u8; 16] = *b"Hah!IdontNeedEFI";

/// Whether the disk in `file` boots by UEFI only. What cannot be told is not.
pub(crate) fn needs_uefi(file: &File, format: Format) -> bool {
    let beginning = match format {
        Format::Raw => read(file, 0, LOOKED_AT),
        Format::Qcow2 => qcow2_beginning(file),
        _ => return false,
    };
    beginning.is_ok_and(|bytes| only_uefi(&bytes))
}

fn only_uefi(disk: &[u8]) -> bool {
    let Some((first, rest)) = disk.split_at_checked(SECTOR) else {
        return false;
    };
    let Some((header, entries)) = rest.split_at_checked(SECTOR) else {
        return false;
    };
    let has = |kind: &[u8; 16]| {
        entries
            .chunks_exact(128)
            .any(|entry| entry.starts_with(kind))
    };
    let boots_by_code = first[..440].iter().any(|byte| *byte != 0);
    header.starts_with(b"EFI PART") && has(&EFI_SYSTEM) && !has(&BIOS_BOOT) && !boots_by_code
}

/// The beginning of the disk inside a qcow2 image. Compressed clusters are not read.
fn qcow2_beginning(file: &File) -> io::Result<Vec<u8>> {
    const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
    const COMPRESSED: u64 = 1 << 62;
    let header = read(file, 0, 48)?;
    let cluster_bits = u32::from_be_bytes([header[20], header[21], header[22], header[23]]);
    if !(9..=21).contains(&cluster_bits) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let number = |at: u64| -> io::Result<u64> {
        let bytes = read(file, at, 8)?;
        bytes
            .try_into()
            .map(u64::from_be_bytes)
            .map_err(|_| io::ErrorKind::InvalidData.into())
    };
    let second_level = number(number(40)?)? & OFFSET;
    let cluster = 1_usize << cluster_bits;
    let mut disk = Vec::new();
    for index in 0.. {
        if disk.len() >= LOOKED_AT || second_level == 0 {
            break;
        }
        let entry = number(second_level + index * 8)?;
        if entry & COMPRESSED != 0 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        match entry & OFFSET {
            0 => disk.resize(disk.len() + cluster, 0),
            at => disk.extend(read(file, at, cluster)?),
        }
    }
    disk.truncate(LOOKED_AT);
    Ok(disk)
}

fn read(file: &File, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(types: &[[u8; 16]], code: u8) -> Vec<u8> {
        let mut disk = vec![0; LOOKED_AT];
        disk[0] = code;
        disk[SECTOR..SECTOR + 8].copy_from_slice(b"EFI PART");
        for (index, kind) in types.iter().enumerate() {
            let at = 2 * SECTOR + index * 128;
            disk[at..at + 16].copy_from_slice(kind);
        }
        disk
    }

    #[test]
    fn uefi_is_chosen_only_where_nothing_else_boots() {
        assert!(only_uefi(&disk(&[EFI_SYSTEM], 0)));
        assert!(!only_uefi(&disk(&[EFI_SYSTEM, BIOS_BOOT], 0)));
        assert!(!only_uefi(&disk(&[EFI_SYSTEM], 0xeb)));
        assert!(!only_uefi(&disk(&[], 0)));
        assert!(!only_uefi(&[0; LOOKED_AT]));
        assert!(!only_uefi(b"short"));
    }
}
