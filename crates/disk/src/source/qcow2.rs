//! Where the bytes of a qcow2 image's active disk are.
//!
//! Specification: QEMU's `docs/interop/qcow2.txt`.

use super::inflate::{Method, Packed};
use super::mapped::{At, Lookup, Place};
use super::tables::Tables;
use super::{Bytes, SourceError, fill, length_of};
use crate::fields::be64;
use crate::qcow2::{
    ALL_ZEROS, COMPRESSED, Header, HeaderError, OFFSET_MASK, V2_LENGTH, incompatible,
};

const SECTOR: u64 = 512;
/// Subclusters in a cluster.
const SUBCLUSTERS: u64 = 32;

/// The map of an image.
pub(super) struct Map {
    header: Header,
    tables: Tables,
    image_length: u64,
    method: Method,
}

impl Map {
    /// Of an image that has (`over_another`) or does not have a backing file.
    pub(super) fn open(bytes: &Bytes, over_another: bool) -> Result<Self, SourceError> {
        let image_length = length_of(bytes)?;
        let (header, method) = read_header(bytes, image_length)?;
        check(&header, over_another)?;
        Ok(Self {
            header,
            tables: Tables::new(bytes.clone(), image_length),
            image_length,
            method,
        })
    }

    /// A cluster whose entry is `entry`, from `within`.
    fn cluster(&self, entry: u64, within: u64) -> Result<At, SourceError> {
        if entry & COMPRESSED != 0 {
            return Ok(self.packed(entry, within));
        }
        let offset = entry & OFFSET_MASK;
        if self.header.version >= 3 && entry & ALL_ZEROS != 0 {
            return Ok(At::Zeros);
        }
        if offset == 0 {
            return Ok(At::Beneath);
        }
        self.check_aligned(offset)?;
        Ok(At::Stored(offset.saturating_add(within)))
    }

    fn packed(&self, entry: u64, within: u64) -> At {
        let bits = 62 - (self.header.cluster_bits - 8);
        let at = entry & ((1 << bits) - 1);
        let sectors = ((entry & !(3 << 62)) >> bits) + 1;
        // Two clusters at most: the field has no more bits.
        let size = sectors * SECTOR - at % SECTOR;
        At::Packed {
            block: Packed {
                at,
                size: size as usize,
                unpacked: self.header.cluster_size() as usize,
                method: self.method,
            },
            within,
        }
    }

    /// The subclusters from `within` that have the same state, given the entry's two halves.
    fn subclusters(&self, entry: u64, bitmap: u64, within: u64) -> Result<Place, SourceError> {
        let size = self.header.cluster_size() / SUBCLUSTERS;
        let first = within / size;
        let state = |index: u64| (bitmap >> index & 1, bitmap >> (index + 32) & 1);
        let last = (first..SUBCLUSTERS)
            .take_while(|index| state(*index) == state(first))
            .last()
            .unwrap_or(first);
        let offset = entry & OFFSET_MASK;
        let at = match state(first) {
            (0, 0) => At::Beneath,
            (0, _) => At::Zeros,
            (_, 0) if offset != 0 => {
                self.check_aligned(offset)?;
                At::Stored(offset.saturating_add(within))
            }
            _ => return Err(SourceError::damaged("its subclusters (qcow2) are wrong")),
        };
        Ok(Place {
            at,
            length: (last + 1) * size - within,
        })
    }

    fn check_aligned(&self, offset: u64) -> Result<(), SourceError> {
        if offset.is_multiple_of(self.header.cluster_size()) {
            return Ok(());
        }
        Err(SourceError::damaged(
            "its tables (qcow2) are wrong: an entry is not aligned",
        ))
    }
}

impl Lookup for Map {
    fn disk_length(&self) -> u64 {
        self.header.virtual_size
    }

    fn image_length(&self) -> u64 {
        self.image_length
    }

    fn place(&self, offset: u64) -> Result<Place, SourceError> {
        let header = &self.header;
        let reach = header.l2_reach();
        let entry: [u8; 8] = self.tables.entry(header.l1_offset, offset / reach)?;
        let table = be64(&entry, 0) & OFFSET_MASK;
        if table == 0 {
            return Ok(Place {
                at: At::Beneath,
                length: reach - offset % reach,
            });
        }
        self.check_aligned(table)?;
        let within = offset % header.cluster_size();
        let index = offset % reach / header.cluster_size();
        let length = header.cluster_size() - within;
        if header.extended_l2() {
            let entry: [u8; 16] = self.tables.entry(table, index)?;
            let (entry, bitmap) = (be64(&entry, 0), be64(&entry, 8));
            if entry & COMPRESSED == 0 {
                return self.subclusters(entry, bitmap, within);
            }
            let at = self.packed(entry, within);
            return Ok(Place { at, length });
        }
        let entry: [u8; 8] = self.tables.entry(table, index)?;
        let at = self.cluster(be64(&entry, 0), within)?;
        Ok(Place { at, length })
    }
}

fn read_header(bytes: &Bytes, image_length: u64) -> Result<(Header, Method), SourceError> {
    /// Where the compression's number is, in headers that reach so far.
    const METHOD_AT: u64 = 104;
    let prefix = image_length.min(Header::PREFIX as u64) as usize;
    let mut start = vec![0; prefix.max(V2_LENGTH as usize)];
    fill(bytes, image_length, &mut start, 0)?;
    let header = Header::parse(&start).map_err(|error| match error {
        HeaderError::Version(_) | HeaderError::Features(_) => SourceError::refused(
            error.to_string(),
            "convert it with the program that made it: qemu-img convert -O qcow2 OLD NEW",
        ),
        HeaderError::NotQcow2 | HeaderError::Field(_) => SourceError::damaged(error.to_string()),
    })?;
    let mut number = [0; 1];
    if header.incompatible & incompatible::COMPRESSION_TYPE != 0
        && u64::from(header.header_length) > METHOD_AT
    {
        fill(bytes, image_length, &mut number, METHOD_AT)?;
    }
    let method = match number {
        [0] => Method::Deflate,
        [1] => Method::Zstd,
        [other] => {
            return Err(SourceError::refused(
                format!("its compression (qcow2, number {other}) is not known"),
                "convert it with the program that made it: qemu-img convert -O qcow2 OLD NEW",
            ));
        }
    };
    Ok((header, method))
}

fn check(header: &Header, over_another: bool) -> Result<(), SourceError> {
    let has = |bit| header.incompatible & bit != 0;
    let refers = header.backing_name.0 != 0 && header.backing_name.1 != 0;
    let (reason, remedy) = if has(incompatible::CORRUPT) {
        return Err(SourceError::Damaged {
            reason: "it is marked as corrupt".into(),
            remedy: "repair it first: qemu-img check -r all FILE".into(),
        });
    } else if header.encryption != 0 {
        (
            "it is encrypted inside (qcow2)",
            "decrypt it where its key is, with qemu-img convert",
        )
    } else if has(incompatible::DATA_FILE) {
        (
            "its data is in another file",
            "convert it where that file is: qemu-img convert -O qcow2 OLD NEW",
        )
    } else if refers && !over_another {
        (
            "it lies over another image",
            "flatten it first, where that image is: qemu-img convert -O qcow2 OLD NEW",
        )
    } else if !refers && over_another {
        ("it lies over no other image", "convert it by itself")
    } else {
        return Ok(());
    };
    Err(SourceError::refused(reason, remedy))
}
