//! A qcow2 image in a file: version 3, clusters of 64 KiB, plain or compressed.
//!
//! Written forwards, in the order of the disk: data clusters, and after those that it maps each L2 table;
//! reference count blocks when nothing that they count can change any more; last the L1 table, the
//! reference count table, and only when all that is on the medium the header. Until then the file begins
//! with zeros, and nobody takes it for an image.
//!
//! What is held does not grow with the disk, apart from the L1 table (8 bytes for 512 MiB of disk).

mod pack;
mod refcounts;

use crate::convert::encode::{Encode, Encoded, FindZeros, Kind};
use crate::convert::feed::{Feed, Piece, Shape};
use crate::convert::{ClusterCompression, ConvertError, Made, Options, Report, pump};
use crate::qcow2::{COMPRESSED, COPIED, NewHeader};
use crate::write::WriteAt;
use pack::PackClusters;
use refcounts::Refcounts;

/// Log2 of a cluster.
const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
const L2_ENTRIES: u64 = CLUSTER / 8;
/// Bytes of the disk that one L2 table maps.
const L2_REACH: u64 = L2_ENTRIES * CLUSTER;
const LARGEST_DISK: u64 = 1 << 50;
const SECTOR: u64 = 512;
/// Bytes after which their write-back begins.
const SETTLED: u64 = 16 << 20;

pub(in crate::convert) const SHAPE: Shape = Shape {
    align: CLUSTER,
    piece: 1 << 20,
    zeros: 1 << 40,
};

pub(in crate::convert) fn write(
    feed: Feed<'_>,
    to: &dyn WriteAt,
    compression: Option<ClusterCompression>,
    options: &Options,
    report: Report<'_, '_>,
) -> Result<Made, ConvertError> {
    if report.now.total.is_some_and(|total| total > LARGEST_DISK) {
        return Err(ConvertError::TooLargeForQcow2);
    }
    let mut writer = Writer::new(to, compression, report);
    let threads = options.threads;
    let take = |piece: &Encoded| writer.piece(piece);
    match compression {
        None => pump::run(feed, threads, || Ok(ClusterZeros), take)?,
        Some(compression) => {
            pump::run(feed, threads, || PackClusters::new(compression), take)?;
        }
    }
    writer.finish()
}

/// Plain clusters.
struct ClusterZeros;

impl Encode for ClusterZeros {
    fn encode(&mut self, piece: Piece) -> Result<Encoded, ConvertError> {
        let mut find = FindZeros {
            block: CLUSTER as usize,
        };
        find.encode(piece)
    }
}

struct Writer<'a, 'b, 'c> {
    to: &'a dyn WriteAt,
    compression: Option<ClusterCompression>,
    report: Report<'b, 'c>,
    /// The first cluster of the file that is free, and all after it.
    next: u64,
    /// Where compressed clusters go on, in a cluster that they share; a multiple of its size when there is
    /// none.
    packed_at: u64,
    settled: u64,
    l1: Vec<u64>,
    /// The L2 table that is being filled, and its place in the L1 table.
    l2: Vec<u64>,
    l2_index: u64,
    refcounts: Refcounts,
}

impl<'a, 'b, 'c> Writer<'a, 'b, 'c> {
    fn new(
        to: &'a dyn WriteAt,
        compression: Option<ClusterCompression>,
        report: Report<'b, 'c>,
    ) -> Self {
        let mut refcounts = Refcounts::default();
        refcounts.add(0, 1);
        Self {
            to,
            compression,
            report,
            next: 1,
            packed_at: 0,
            settled: 0,
            l1: Vec::new(),
            l2: Vec::new(),
            l2_index: 0,
            refcounts,
        }
    }

    fn piece(&mut self, piece: &Encoded) -> Result<(), ConvertError> {
        let mut at = piece.offset;
        for part in &piece.parts {
            let bytes = &piece.bytes[part.start..part.start + part.size];
            match part.kind {
                Kind::Zeros => {}
                Kind::Plain => self.plain(at, bytes)?,
                Kind::Packed => self.packed(at, bytes)?,
            }
            at += part.length;
        }
        self.settle()?;
        self.report.reached(at)
    }

    /// Whole clusters; the last one of the disk may be short.
    fn plain(&mut self, disk_at: u64, bytes: &[u8]) -> Result<(), ConvertError> {
        let (mut at, mut rest) = (disk_at, bytes);
        while !rest.is_empty() {
            // As many as one table maps.
            let room = (L2_REACH - at % L2_REACH).min(rest.len() as u64);
            let (now, after) = rest.split_at(room as usize);
            self.enter(at)?;
            let clusters = room.div_ceil(CLUSTER);
            let start = self.allocate(clusters);
            for index in 0..clusters {
                let entry = ((start + index) * CLUSTER) | COPIED;
                self.map(at + index * CLUSTER, entry);
            }
            self.put(start * CLUSTER, now)?;
            let missing = (clusters * CLUSTER - room) as usize;
            if missing > 0 {
                self.put(start * CLUSTER + room, &vec![0; missing])?;
            }
            (at, rest) = (at + room, after);
        }
        Ok(())
    }

    /// One compressed cluster. It may go on from the cluster that others share into the next one.
    fn packed(&mut self, disk_at: u64, bytes: &[u8]) -> Result<(), ConvertError> {
        self.enter(disk_at)?;
        let size = bytes.len() as u64;
        let left = self.packed_at.next_multiple_of(CLUSTER) - self.packed_at;
        if size > left {
            let fresh = self.allocate_unowned() * CLUSTER;
            let goes_on = left > 0 && self.packed_at + left == fresh;
            if !goes_on {
                self.packed_at = fresh;
            }
        }
        let at = self.packed_at;
        let end = at + size;
        for cluster in at / CLUSTER..=(end - 1) / CLUSTER {
            self.refcounts.add(cluster, 1);
        }
        let more_sectors = (end - 1) / SECTOR - at / SECTOR;
        const SECTORS_AT: u32 = 62 - (CLUSTER_BITS - 8);
        self.map(disk_at, COMPRESSED | more_sectors << SECTORS_AT | at);
        self.packed_at = end;
        self.put(at, bytes)
    }

    /// Makes the L2 table of this place the one that is filled.
    fn enter(&mut self, disk_at: u64) -> Result<(), ConvertError> {
        if disk_at >= LARGEST_DISK {
            return Err(ConvertError::TooLargeForQcow2);
        }
        let index = disk_at / L2_REACH;
        if index != self.l2_index || self.l2.is_empty() {
            self.end_l2()?;
            self.l2_index = index;
            self.l2.resize(L2_ENTRIES as usize, 0);
        }
        Ok(())
    }

    fn map(&mut self, disk_at: u64, entry: u64) {
        self.l2[(disk_at % L2_REACH / CLUSTER) as usize] = entry;
    }

    /// Writes the L2 table, if there is one.
    fn end_l2(&mut self) -> Result<(), ConvertError> {
        if self.l2.is_empty() {
            return Ok(());
        }
        let at = self.allocate(1) * CLUSTER;
        let table = std::mem::take(&mut self.l2);
        self.put(at, &big_endian(&table))?;
        self.l1.resize(self.l2_index as usize + 1, 0);
        self.l1[self.l2_index as usize] = at | COPIED;
        Ok(())
    }

    /// So many neighbouring clusters, used once; the number of the first.
    fn allocate(&mut self, clusters: u64) -> u64 {
        let start = self.next;
        self.next += clusters;
        self.refcounts.add(start, clusters);
        start
    }

    /// A cluster that is counted by those who use it.
    fn allocate_unowned(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn put(&mut self, at: u64, bytes: &[u8]) -> Result<(), ConvertError> {
        self.report.wrote(bytes.len() as u64)?;
        self.to.write_all_at(bytes, at).map_err(ConvertError::Write)
    }

    /// Writes what cannot change any more.
    fn settle(&mut self) -> Result<(), ConvertError> {
        if self.next > self.packed_at / CLUSTER + refcounts::COUNTED / 4 {
            // Nothing was compressed for long: do not hold counts for the room that is left there.
            self.packed_at = self.packed_at.next_multiple_of(CLUSTER);
        }
        let open = if self.packed_at.is_multiple_of(CLUSTER) {
            self.next
        } else {
            self.packed_at / CLUSTER
        };
        while let Some(block) = self.refcounts.settled(open) {
            let at = self.allocate(1) * CLUSTER;
            self.put(at, &block)?;
            self.refcounts.written(at);
        }
        let end = open * CLUSTER;
        if end >= self.settled + SETTLED {
            self.to.settled(self.settled, end - self.settled);
            self.settled = end;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Made, ConvertError> {
        self.end_l2()?;
        let disk = self.report.now.done;
        self.l1.resize(disk.div_ceil(L2_REACH) as usize, 0);
        let l1_clusters = (self.l1.len() as u64 * 8).div_ceil(CLUSTER).max(1);
        let l1_at = self.allocate(l1_clusters) * CLUSTER;
        let l1 = big_endian(&self.l1);
        self.put(l1_at, &l1)?;
        let table = self.end_refcounts()?;
        let end = self.next * CLUSTER;
        self.to.set_length(end).map_err(ConvertError::Write)?;
        self.to.sync().map_err(ConvertError::Write)?;
        let header = NewHeader {
            virtual_size: disk.next_multiple_of(SECTOR),
            l1: (l1_at, self.l1.len() as u32),
            refcount_table: table,
            zstd: self.compression == Some(ClusterCompression::Zstd),
            backing: None,
        };
        self.put(0, &header.bytes())?;
        self.to.sync().map_err(ConvertError::Write)?;
        self.report.reached(disk)?;
        Ok(Made {
            disk,
            written: self.report.now.written,
            sha256: None,
            sums: None,
        })
    }

    /// Writes the blocks that are left and their table, which count themselves. The table's offset and
    /// clusters.
    fn end_refcounts(&mut self) -> Result<(u64, u32), ConvertError> {
        let (blocks, table) = self.refcounts.left(self.next);
        let blocks_at = self.allocate(blocks);
        let table_at = self.allocate(table) * CLUSTER;
        for index in 0..blocks {
            let block = self.refcounts.first();
            let at = (blocks_at + index) * CLUSTER;
            self.put(at, &block)?;
            self.refcounts.written(at);
        }
        let entries = big_endian(self.refcounts.table());
        self.put(table_at, &entries)?;
        Ok((table_at, table as u32))
    }
}

fn big_endian(entries: &[u64]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|entry| entry.to_be_bytes())
        .collect()
}
