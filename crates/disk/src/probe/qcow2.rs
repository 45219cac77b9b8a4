//! qcow2: header, names of other files, and every table and cluster inside the file.
//!
//! Specification: QEMU's `docs/interop/qcow2.txt`.

use super::damage::{Damage, shown_name};
use super::source::{Examined, Source, Trouble};
use super::{Facts, ProbeError};
use crate::fields::{be16, be32, be64};
use crate::qcow2::{
    ALL_ZEROS, COMPRESSED, EXTENSION_DATA_FILE, Header, HeaderError, MAGIC, OFFSET_MASK, V2_LENGTH,
    incompatible,
};

const SECTOR: u64 = 512;

pub(super) fn recognises(source: &Source<'_>) -> Result<bool, ProbeError> {
    source.has(0, &MAGIC)
}

pub(super) fn examine(source: &Source<'_>, facts: &mut Facts) -> Examined {
    let header = header(source)?;
    facts.virtual_size = Some(header.virtual_size);
    facts.refers_to = other_files(source, &header)?;
    if !facts.refers_to.is_empty() {
        return Ok(());
    }
    check_features(&header)?;
    Walk::new(source, &header).run()
}

fn header(source: &Source<'_>) -> Examined<Header> {
    let mut bytes = source.read(0, V2_LENGTH as usize)?;
    if be32(&bytes, 4) == 3 {
        bytes = source.read(0, Header::PREFIX)?;
    }
    Header::parse(&bytes).map_err(|error| Trouble::Damage(header_damage(&error)))
}

fn header_damage(error: &HeaderError) -> Damage {
    match error {
        HeaderError::Version(1) => Damage::new(
            "it is an image of the old qcow format, version 1",
            "convert it: qemu-img convert -f qcow -O qcow2 OLD NEW",
        ),
        HeaderError::Version(_) | HeaderError::Features(_) => Damage::new(
            error.to_string(),
            "convert it with the program that made it: qemu-img convert -O qcow2 OLD NEW",
        ),
        HeaderError::NotQcow2 | HeaderError::Field(_) => Damage::broken(error.to_string()),
    }
}

fn other_files(source: &Source<'_>, header: &Header) -> Examined<Vec<String>> {
    let mut names = Vec::new();
    let (offset, length) = header.backing_name;
    if offset != 0 && length != 0 {
        names.push(shown_name(&source.read(offset, length as usize)?));
    }
    if header.incompatible & incompatible::DATA_FILE != 0 {
        let name = data_file_name(source, header)?;
        names.push(name.unwrap_or_else(|| "an external data file without a name".to_owned()));
    }
    Ok(names)
}

fn data_file_name(source: &Source<'_>, header: &Header) -> Examined<Option<String>> {
    let end = match header.backing_name.0 {
        0 => header.cluster_size(),
        offset => offset.min(header.cluster_size()),
    };
    let mut at = u64::from(header.header_length);
    while at + 8 <= end {
        let head: [u8; 8] = source.array(at)?;
        let (kind, length) = (be32(&head, 0), be32(&head, 4));
        let next = at + 8 + u64::from(length).next_multiple_of(8);
        if kind == 0 || next > end {
            break;
        }
        if kind == EXTENSION_DATA_FILE {
            return Ok(Some(shown_name(&source.read(at + 8, length as usize)?)));
        }
        at = next;
    }
    Ok(None)
}

fn check_features(header: &Header) -> Examined {
    const REPAIR: &str =
        "repair it where it came from: qemu-img check -r all FILE; then copy it again";
    let has = |bit| header.incompatible & bit != 0;
    if has(incompatible::CORRUPT) {
        return Err(Damage::new("it is marked as corrupt", REPAIR).into());
    }
    if has(incompatible::DIRTY) {
        return Err(Damage::new("it was in use when it was copied (dirty)", REPAIR).into());
    }
    if header.encryption != 0 {
        return Err(Damage::new(
            "it is encrypted inside (qcow2)",
            "decrypt it where its key is, with qemu-img convert",
        )
        .into());
    }
    Ok(())
}

/// One pass over the tables. Remembers the farthest byte that anything needs, so that the message can
/// say how much is missing.
struct Walk<'a, 'b> {
    source: &'a Source<'b>,
    header: &'a Header,
    farthest: u64,
}

impl<'a, 'b> Walk<'a, 'b> {
    fn new(source: &'a Source<'b>, header: &'a Header) -> Self {
        Self {
            source,
            header,
            farthest: 0,
        }
    }

    fn run(mut self) -> Examined {
        self.refcounts()?;
        self.snapshots()?;
        self.active_disk()?;
        if self.farthest > self.source.len() {
            return Err(Trouble::Short {
                needed: self.farthest,
            });
        }
        Ok(())
    }

    /// Notes that `size` bytes at `offset` are needed. Whether they are there.
    fn need(&mut self, offset: u64, size: u64) -> bool {
        let end = offset.saturating_add(size);
        self.farthest = self.farthest.max(end);
        end <= self.source.len()
    }

    fn refcounts(&mut self) -> Examined {
        let (source, header) = (self.source, self.header);
        let size = u64::from(header.refcount_table_clusters) * header.cluster_size();
        if !self.need(header.refcount_table_offset, size) {
            return Ok(());
        }
        source.table(header.refcount_table_offset, size / 8, 8, |_, entry| {
            let block = be64(entry, 0) & OFFSET_MASK;
            if block != 0 {
                self.need(block, header.cluster_size());
            }
            Ok(())
        })
    }

    fn snapshots(&mut self) -> Examined {
        let mut at = self.header.snapshots_offset;
        for _ in 0..self.header.snapshots {
            if !self.need(at, 40) {
                return Ok(());
            }
            let entry: [u8; 40] = self.source.array(at)?;
            self.need(be64(&entry, 0), u64::from(be32(&entry, 8)) * 8);
            let names = u64::from(be16(&entry, 12)) + u64::from(be16(&entry, 14));
            let size = 40 + u64::from(be32(&entry, 36)) + names;
            at = at.saturating_add(size.next_multiple_of(8));
        }
        Ok(())
    }

    fn active_disk(&mut self) -> Examined {
        let (source, header) = (self.source, self.header);
        let entries = u64::from(header.l1_entries);
        if !self.need(header.l1_offset, entries * 8) {
            return Ok(());
        }
        source.table(header.l1_offset, entries, 8, |index, entry| {
            let table = be64(entry, 0) & OFFSET_MASK;
            if table == 0 {
                return Ok(());
            }
            if !table.is_multiple_of(header.cluster_size()) {
                return Err(
                    Damage::broken("its L1 table is wrong (an entry is not aligned)").into(),
                );
            }
            self.l2_table(index, table)
        })
    }

    fn l2_table(&mut self, l1_index: u64, offset: u64) -> Examined {
        let (source, header) = (self.source, self.header);
        if !self.need(offset, header.cluster_size()) {
            return Ok(());
        }
        let width = header.l2_entry_size();
        let first = l1_index.saturating_mul(header.l2_reach());
        source.table(
            offset,
            header.cluster_size() / width,
            width as usize,
            |index, entry| {
                let guest = first.saturating_add(index << header.cluster_bits);
                self.cluster(guest, be64(entry, 0))
            },
        )
    }

    fn cluster(&mut self, guest: u64, entry: u64) -> Examined {
        let header = self.header;
        if entry & COMPRESSED != 0 {
            let bits = 62 - (header.cluster_bits - 8);
            let offset = entry & ((1 << bits) - 1);
            let sectors = ((entry & !(3 << 62)) >> bits) + 1;
            // Whole sectors: QEMU pads the file to them.
            let end = (offset & !(SECTOR - 1)).saturating_add(sectors * SECTOR);
            self.need(offset, end.saturating_sub(offset));
            return Ok(());
        }
        let offset = entry & OFFSET_MASK;
        let zeros = !header.extended_l2() && header.version >= 3 && entry & ALL_ZEROS != 0;
        if offset == 0 || zeros {
            return Ok(());
        }
        if !offset.is_multiple_of(header.cluster_size()) {
            return Err(Damage::broken("its L2 tables are wrong (an entry is not aligned)").into());
        }
        // The last cluster of the disk may be written only as far as the disk goes.
        let used = header
            .virtual_size
            .saturating_sub(guest)
            .min(header.cluster_size());
        self.need(offset, used);
        Ok(())
    }
}
