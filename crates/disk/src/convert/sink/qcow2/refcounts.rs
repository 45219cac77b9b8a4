//! The reference counts of a file that is written forwards: 16 bits for each cluster, in blocks of one
//! cluster. A block is held until nothing that it counts can change.

use std::collections::VecDeque;

use super::CLUSTER;

/// Clusters that one block counts.
pub(super) const COUNTED: u64 = CLUSTER / 2;

/// Counts that are not written yet, and where those are that were.
#[derive(Default)]
pub(super) struct Refcounts {
    /// Blocks from the one after those in the table.
    open: VecDeque<Vec<u16>>,
    /// Where each written block is, by its number.
    table: Vec<u64>,
}

impl Refcounts {
    /// Counts one more use of `clusters` clusters from `start`, none of them in a block that was written.
    pub(super) fn add(&mut self, start: u64, clusters: u64) {
        for cluster in start..start + clusters {
            let block = (cluster / COUNTED) as usize - self.table.len();
            while self.open.len() <= block {
                self.open.push_back(vec![0; COUNTED as usize]);
            }
            let count = &mut self.open[block][(cluster % COUNTED) as usize];
            *count = count.saturating_add(1);
        }
    }

    /// The first block that is held, if it counts only clusters before `open`.
    pub(super) fn settled(&self, open: u64) -> Option<Vec<u8>> {
        let end = (self.table.len() as u64 + 1) * COUNTED;
        (end <= open && !self.open.is_empty()).then(|| self.first())
    }

    /// The bytes of the first block that is held.
    pub(super) fn first(&self) -> Vec<u8> {
        let counts = self.open.front().map_or(&[][..], Vec::as_slice);
        let mut bytes: Vec<u8> = counts.iter().flat_map(|n| n.to_be_bytes()).collect();
        bytes.resize(CLUSTER as usize, 0);
        bytes
    }

    /// The first block that is held was written here.
    pub(super) fn written(&mut self, at: u64) {
        self.open.pop_front();
        self.table.push(at);
    }

    /// How many blocks and clusters of their table are still needed for a file that has `clusters` so far:
    /// they count themselves as well.
    pub(super) fn left(&self, clusters: u64) -> (u64, u64) {
        let (mut blocks, mut table) = (0, 1);
        loop {
            let all = (clusters + blocks + table).div_ceil(COUNTED);
            let now = (all - self.table.len() as u64, (all * 8).div_ceil(CLUSTER));
            if now == (blocks, table) {
                return now;
            }
            (blocks, table) = now;
        }
    }

    /// Where the blocks are.
    pub(super) fn table(&self) -> &[u64] {
        &self.table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_counts_itself() {
        for clusters in [
            1,
            2,
            COUNTED - 3,
            COUNTED - 2,
            COUNTED - 1,
            COUNTED,
            9 * COUNTED,
        ] {
            let (blocks, table) = Refcounts::default().left(clusters);
            let all = clusters + blocks + table;
            assert_eq!(blocks, all.div_ceil(COUNTED));
            assert!(table * CLUSTER >= blocks * 8);
        }
    }
}
