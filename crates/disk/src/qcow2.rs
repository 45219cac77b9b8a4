//! The header of a qcow2 image: read (by the probe) and written (by [`crate::overlay`]).
//!
//! Specification: QEMU's `docs/interop/qcow2.txt`.

use thiserror::Error;

use crate::fields::{be32, be64};

/// The first four bytes of an image.
pub const MAGIC: [u8; 4] = *b"QFI\xfb";

/// Bytes of the header of version 2.
pub(crate) const V2_LENGTH: u32 = 72;
/// Bytes of the shortest header of version 3.
pub(crate) const V3_LENGTH: u32 = 104;

/// Header extension: the format of the backing file.
pub(crate) const EXTENSION_BACKING_FORMAT: u32 = 0xE279_2ACA;
/// Header extension: the name of the external data file.
pub(crate) const EXTENSION_DATA_FILE: u32 = 0x4441_5441;

/// Bits 9 to 55 of a table entry: an offset in the file.
pub(crate) const OFFSET_MASK: u64 = 0x00ff_ffff_ffff_fe00;
/// A table entry's cluster is used once.
pub(crate) const COPIED: u64 = 1 << 63;
/// An L2 entry's cluster is compressed.
pub(crate) const COMPRESSED: u64 = 1 << 62;
/// An L2 entry's cluster is zeros, whatever its offset.
pub(crate) const ALL_ZEROS: u64 = 1;

/// Incompatible features: a program that does not know one must not open the image.
pub mod incompatible {
    /// Not closed properly; the reference counts may be old.
    pub const DIRTY: u64 = 1;
    /// Its tables are known to be wrong.
    pub const CORRUPT: u64 = 1 << 1;
    /// The guest's data is in another file.
    pub const DATA_FILE: u64 = 1 << 2;
    /// Compressed clusters are not deflate.
    pub const COMPRESSION_TYPE: u64 = 1 << 3;
    /// 16-byte L2 entries with subclusters.
    pub const EXTENDED_L2: u64 = 1 << 4;
    /// All that this host's QEMU understands.
    pub const KNOWN: u64 = DIRTY | CORRUPT | DATA_FILE | COMPRESSION_TYPE | EXTENDED_L2;
}

/// A header, checked: every field is within what QEMU accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// 2 or 3.
    pub version: u32,
    /// Where the backing file's name is, and how long; both 0 when there is none.
    pub backing_name: (u64, u32),
    /// Log2 of the cluster size: 9 to 21.
    pub cluster_bits: u32,
    /// Bytes of the disk that a guest sees.
    pub virtual_size: u64,
    /// 0 none, 1 AES, 2 LUKS.
    pub encryption: u32,
    /// Entries in the active L1 table.
    pub l1_entries: u32,
    /// Where the active L1 table is.
    pub l1_offset: u64,
    /// Where the reference count table is.
    pub refcount_table_offset: u64,
    /// Its clusters.
    pub refcount_table_clusters: u32,
    /// Log2 of the bits of a reference count: 0 to 6.
    pub refcount_order: u32,
    /// Internal snapshots.
    pub snapshots: u32,
    /// Where their table is.
    pub snapshots_offset: u64,
    /// Feature bits, see [`incompatible`].
    pub incompatible: u64,
    /// Bytes of the header; the extensions follow.
    pub header_length: u32,
}

/// Why bytes are not a header that QEMU opens.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// No magic, or fewer bytes than a header.
    #[error("not a qcow2 header")]
    NotQcow2,
    /// Neither 2 nor 3.
    #[error("qcow2 version {0} is not known")]
    Version(u32),
    /// A field outside what the specification or QEMU allows.
    #[error("its qcow2 header is wrong: {0}")]
    Field(&'static str),
    /// Made by a newer program.
    #[error("it needs qcow2 features that are not known here (bits {0:#x})")]
    Features(u64),
}

/// QEMU's own bound for the L1 table.
pub(crate) const L1_MAX_BYTES: u64 = 32 << 20;
const REFCOUNT_TABLE_MAX_BYTES: u64 = 8 << 20;
const SNAPSHOTS_MAX: u32 = 65536;
const BACKING_NAME_MAX: u32 = 1023;

impl Header {
    /// Bytes that [`Header::parse`] needs: those of the shortest version 3 header.
    pub const PREFIX: usize = V3_LENGTH as usize;

    /// Parses the first bytes of an image. Version 2 needs 72 of them, version 3 104.
    ///
    /// # Errors
    /// See [`HeaderError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        if bytes.len() < V2_LENGTH as usize || !bytes.starts_with(&MAGIC) {
            return Err(HeaderError::NotQcow2);
        }
        let version = be32(bytes, 4);
        let mut header = Self {
            version,
            backing_name: (be64(bytes, 8), be32(bytes, 16)),
            cluster_bits: be32(bytes, 20),
            virtual_size: be64(bytes, 24),
            encryption: be32(bytes, 32),
            l1_entries: be32(bytes, 36),
            l1_offset: be64(bytes, 40),
            refcount_table_offset: be64(bytes, 48),
            refcount_table_clusters: be32(bytes, 56),
            snapshots: be32(bytes, 60),
            snapshots_offset: be64(bytes, 64),
            refcount_order: 4,
            incompatible: 0,
            header_length: V2_LENGTH,
        };
        match version {
            2 => {}
            3 if bytes.len() >= V3_LENGTH as usize => {
                header.incompatible = be64(bytes, 72);
                header.refcount_order = be32(bytes, 96);
                header.header_length = be32(bytes, 100);
            }
            3 => return Err(HeaderError::NotQcow2),
            other => return Err(HeaderError::Version(other)),
        }
        header.check()?;
        Ok(header)
    }

    /// Bytes of a cluster.
    #[must_use]
    pub const fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// Whether L2 entries are 16 bytes, with subclusters.
    #[must_use]
    pub const fn extended_l2(&self) -> bool {
        self.incompatible & incompatible::EXTENDED_L2 != 0
    }

    /// Bytes of an L2 entry.
    #[must_use]
    pub const fn l2_entry_size(&self) -> u64 {
        if self.extended_l2() { 16 } else { 8 }
    }

    /// Bytes of the disk that one L2 table maps.
    #[must_use]
    pub const fn l2_reach(&self) -> u64 {
        self.cluster_size() / self.l2_entry_size() * self.cluster_size()
    }

    fn check(&self) -> Result<(), HeaderError> {
        let field = |wrong: bool, what| {
            if wrong {
                Err(HeaderError::Field(what))
            } else {
                Ok(())
            }
        };
        field(!(9..=21).contains(&self.cluster_bits), "cluster size")?;
        let unknown = self.incompatible & !incompatible::KNOWN;
        if unknown != 0 {
            return Err(HeaderError::Features(unknown));
        }
        field(self.refcount_order > 6, "reference count width")?;
        field(
            self.version == 3
                && (self.header_length < V3_LENGTH
                    || u64::from(self.header_length) > self.cluster_size()),
            "header length",
        )?;
        field(self.encryption > 2, "encryption method")?;
        field(
            self.extended_l2() && self.cluster_bits < 14,
            "cluster size with subclusters",
        )?;
        field(self.virtual_size > i64::MAX as u64, "virtual size")?;
        field(
            self.backing_name.0 != 0 && self.backing_name.1 > BACKING_NAME_MAX,
            "backing file name",
        )?;
        self.check_tables(field)
    }

    fn check_tables(
        &self,
        field: impl Fn(bool, &'static str) -> Result<(), HeaderError>,
    ) -> Result<(), HeaderError> {
        let aligned = |offset: u64| offset.is_multiple_of(self.cluster_size());
        let needed = self.virtual_size.div_ceil(self.l2_reach());
        field(
            u64::from(self.l1_entries) * 8 > L1_MAX_BYTES || u64::from(self.l1_entries) < needed,
            "L1 table size",
        )?;
        field(!aligned(self.l1_offset), "L1 table offset")?;
        field(
            self.refcount_table_clusters == 0
                || u64::from(self.refcount_table_clusters) * self.cluster_size()
                    > REFCOUNT_TABLE_MAX_BYTES,
            "reference count table size",
        )?;
        field(
            !aligned(self.refcount_table_offset),
            "reference count table offset",
        )?;
        field(self.snapshots > SNAPSHOTS_MAX, "number of snapshots")
    }
}

/// An image without data, to be written: version 3, 64 KiB clusters, 16-bit reference counts.
///
/// Layout in clusters: header; reference count table; its one block; L1 table. One block counts 32,768
/// clusters, more than the largest L1 table has.
pub(crate) struct NewImage<'a> {
    /// Bytes of the disk; a multiple of 512.
    pub(crate) virtual_size: u64,
    /// Name and QEMU driver of the backing file.
    pub(crate) backing: Option<(&'a [u8], &'a str)>,
}

const NEW_CLUSTER_BITS: u32 = 16;
const NEW_CLUSTER: u64 = 1 << NEW_CLUSTER_BITS;
const REFCOUNT_TABLE_AT: u64 = NEW_CLUSTER;
const REFCOUNT_BLOCK_AT: u64 = 2 * NEW_CLUSTER;
const L1_AT: u64 = 3 * NEW_CLUSTER;

impl NewImage<'_> {
    /// What to write, and where. The rest of the file is zeros.
    pub(crate) fn pieces(&self) -> [(u64, Vec<u8>); 3] {
        let clusters = self.file_size() / NEW_CLUSTER;
        let counts = (0..clusters).flat_map(|_| 1u16.to_be_bytes()).collect();
        [
            (0, self.header()),
            (REFCOUNT_TABLE_AT, REFCOUNT_BLOCK_AT.to_be_bytes().to_vec()),
            (REFCOUNT_BLOCK_AT, counts),
        ]
    }

    /// Bytes of the whole file.
    pub(crate) fn file_size(&self) -> u64 {
        L1_AT
            + (self.l1_entries() * 8)
                .next_multiple_of(NEW_CLUSTER)
                .max(NEW_CLUSTER)
    }

    fn l1_entries(&self) -> u64 {
        const L2_REACH: u64 = NEW_CLUSTER / 8 * NEW_CLUSTER;
        self.virtual_size.div_ceil(L2_REACH)
    }

    fn header(&self) -> Vec<u8> {
        let header = NewHeader {
            virtual_size: self.virtual_size,
            l1: (L1_AT, self.l1_entries() as u32),
            refcount_table: (REFCOUNT_TABLE_AT, 1),
            zstd: false,
            backing: self.backing,
        };
        header.bytes()
    }
}

/// The header of an image that we write: version 3, 64 KiB clusters, 16-bit reference counts.
pub(crate) struct NewHeader<'a> {
    /// Bytes of the disk; a multiple of 512.
    pub(crate) virtual_size: u64,
    /// Where the L1 table is, and its entries.
    pub(crate) l1: (u64, u32),
    /// Where the reference count table is, and its clusters.
    pub(crate) refcount_table: (u64, u32),
    /// Compressed clusters are Zstandard, not deflate.
    pub(crate) zstd: bool,
    /// Name and QEMU driver of the backing file.
    pub(crate) backing: Option<(&'a [u8], &'a str)>,
}

impl NewHeader<'_> {
    /// Its bytes; they belong at the beginning of the file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut extensions = Vec::new();
        if let Some((_, format)) = self.backing {
            extend_with(&mut extensions, EXTENSION_BACKING_FORMAT, format.as_bytes());
        }
        extend_with(&mut extensions, 0, &[]);
        let (name, name_at) = match self.backing {
            Some((name, _)) => (name, u64::from(NEW_HEADER_LENGTH) + extensions.len() as u64),
            None => (&[][..], 0),
        };
        let incompatible = if self.zstd {
            incompatible::COMPRESSION_TYPE
        } else {
            0
        };
        let mut header = Vec::with_capacity(512);
        header.extend(MAGIC);
        header.extend(3u32.to_be_bytes());
        header.extend(name_at.to_be_bytes());
        header.extend((name.len() as u32).to_be_bytes());
        header.extend(NEW_CLUSTER_BITS.to_be_bytes());
        header.extend(self.virtual_size.to_be_bytes());
        header.extend(0u32.to_be_bytes());
        header.extend(self.l1.1.to_be_bytes());
        header.extend(self.l1.0.to_be_bytes());
        header.extend(self.refcount_table.0.to_be_bytes());
        header.extend(self.refcount_table.1.to_be_bytes());
        // No snapshots.
        header.extend([0; 4 + 8]);
        header.extend(incompatible.to_be_bytes());
        // No compatible (lazy reference counts) or autoclear features.
        header.extend([0; 8 + 8]);
        header.extend(4u32.to_be_bytes());
        header.extend(NEW_HEADER_LENGTH.to_be_bytes());
        // The compression's number and padding.
        header.push(u8::from(self.zstd));
        header.extend([0; 7]);
        header.extend(extensions);
        header.extend(name);
        header
    }
}

const NEW_HEADER_LENGTH: u32 = 112;

fn extend_with(extensions: &mut Vec<u8>, kind: u32, data: &[u8]) {
    extensions.extend(kind.to_be_bytes());
    extensions.extend((data.len() as u32).to_be_bytes());
    extensions.extend(data);
    extensions.resize(extensions.len().next_multiple_of(8), 0);
}
