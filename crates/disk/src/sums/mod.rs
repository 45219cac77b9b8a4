//! Sums of an image's chunks, made in the same pass as its SHA-256, so that a later check can say *where*
//! a file changed by itself (bit rot), not only that it did.
//!
//! The SHA-256 of the whole file stays what proves an image to others. The list here is for this host's
//! own later look: BLAKE3, cut to 128 bits, of each chunk. It is small enough to be kept beside the image
//! for any size: a chunk is 4 MiB, and of files above 256 GiB as much as makes 65,536 chunks at most
//! (1 MiB of sums).
//!
//! [`Summer`] takes the bytes in order; [`Sums`] is the result, comparable ([`Sums::differences`]) and
//! storable ([`Sums::to_bytes`], [`Sums::from_bytes`]).

mod stored;

use std::ops::Range;

pub use stored::StoredError;

/// Bytes of the smallest chunk.
pub const CHUNK: u64 = 4 << 20;
/// Chunks of the largest list.
pub const CHUNKS_MAX: u64 = 65_536;

/// Bytes of a sum.
const SUM: usize = 16;
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// The sum of one chunk.
pub type Sum = [u8; SUM];

/// The sums of a file's chunks, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    length: u64,
    chunk: u64,
    sums: Vec<Sum>,
}

impl Sums {
    /// Bytes of the file.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of a chunk; the last one may be shorter.
    #[must_use]
    pub const fn chunk(&self) -> u64 {
        self.chunk
    }

    /// The sums, of the first chunk first.
    #[must_use]
    pub fn as_slice(&self) -> &[Sum] {
        &self.sums
    }

    /// Where in the file the chunk of this index lies.
    #[must_use]
    pub fn range(&self, index: usize) -> Range<u64> {
        let start = (index as u64).saturating_mul(self.chunk).min(self.length);
        start..start.saturating_add(self.chunk).min(self.length)
    }

    /// Whether `bytes`, all of the chunk of this index, are still what they were. `false` also where
    /// there is no such chunk.
    #[must_use]
    pub fn matches(&self, index: usize, bytes: &[u8]) -> bool {
        let range = self.range(index);
        self.sums.get(index) == Some(&sum_of(bytes))
            && bytes.len() as u64 == range.end - range.start
    }

    /// Where `now` differs from this list, neighbours joined, in order. `None` where the two cannot be
    /// compared: files of different lengths, or chunks of different sizes.
    #[must_use]
    pub fn differences(&self, now: &Self) -> Option<Vec<Range<u64>>> {
        if (self.length, self.chunk) != (now.length, now.chunk) {
            return None;
        }
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for (index, (before, after)) in self.sums.iter().zip(&now.sums).enumerate() {
            if before == after {
                continue;
            }
            let range = self.range(index);
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => ranges.push(range),
            }
        }
        Some(ranges)
    }
}

/// Takes a file's bytes in order and makes its [`Sums`].
#[derive(Debug, Clone)]
pub struct Summer {
    hasher: blake3::Hasher,
    /// Bytes in the chunk that is being summed.
    filled: u64,
    /// Whether they are all zeros that came by [`Summer::zeros`], not yet hashed.
    only_zeros: bool,
    zero_chunk: Option<Sum>,
    done: Sums,
}

impl Summer {
    /// For a file of `length` bytes, which decides how large a chunk is. It may turn out longer or shorter;
    /// then the list is longer or shorter.
    #[must_use]
    pub fn new(length: u64) -> Self {
        Self::with_chunk(chunk_for(length))
    }

    fn with_chunk(chunk: u64) -> Self {
        Self {
            hasher: blake3::Hasher::new(),
            filled: 0,
            only_zeros: true,
            zero_chunk: None,
            done: Sums {
                length: 0,
                chunk,
                sums: Vec::new(),
            },
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.hash_held_zeros();
            let count = (self.room() as usize).min(bytes.len());
            self.hasher.update(&bytes[..count]);
            self.advance(count as u64);
            bytes = &bytes[count..];
        }
    }

    /// Takes as many zeros, as `update` would; a chunk of nothing else is hashed only once.
    pub fn zeros(&mut self, mut count: u64) {
        while count > 0 {
            let part = count.min(self.room());
            if !self.only_zeros {
                hash_zeros(&mut self.hasher, part);
            }
            self.advance(part);
            count -= part;
        }
    }

    /// The list.
    #[must_use]
    pub fn finish(mut self) -> Sums {
        if self.filled > 0 {
            self.end_chunk();
        }
        self.done
    }

    fn room(&self) -> u64 {
        self.done.chunk - self.filled
    }

    fn hash_held_zeros(&mut self) {
        if self.only_zeros {
            hash_zeros(&mut self.hasher, self.filled);
            self.only_zeros = false;
        }
    }

    fn advance(&mut self, count: u64) {
        self.filled += count;
        self.done.length += count;
        if self.filled == self.done.chunk {
            self.end_chunk();
        }
    }

    fn end_chunk(&mut self) {
        let whole_of_zeros = self.only_zeros && self.filled == self.done.chunk;
        let sum = match self.zero_chunk {
            Some(sum) if whole_of_zeros => sum,
            _ => {
                self.hash_held_zeros();
                cut(self.hasher.finalize())
            }
        };
        if whole_of_zeros {
            self.zero_chunk = Some(sum);
        }
        self.done.sums.push(sum);
        self.hasher.reset();
        self.filled = 0;
        self.only_zeros = true;
    }
}

/// Bytes of a chunk for a file of this length.
fn chunk_for(length: u64) -> u64 {
    let mut chunk = CHUNK;
    while length.div_ceil(chunk) > CHUNKS_MAX {
        chunk *= 2;
    }
    chunk
}

fn sum_of(bytes: &[u8]) -> Sum {
    cut(blake3::hash(bytes))
}

fn cut(hash: blake3::Hash) -> Sum {
    let mut sum = [0; SUM];
    sum.copy_from_slice(&hash.as_bytes()[..SUM]);
    sum
}

fn hash_zeros(hasher: &mut blake3::Hasher, mut count: u64) {
    while count > 0 {
        let part = count.min(ZEROS.len() as u64) as usize;
        hasher.update(&ZEROS[..part]);
        count -= part as u64;
    }
}

#[cfg(test)]
#[allow(
    clippy::single_range_in_vec_init,
    reason = "a list of one range is meant"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMALL: u64 = 1000;

    /// Pieces of bytes and of zeros, of any lengths.
    fn pieces() -> impl Strategy<Value = Vec<Result<Vec<u8>, u16>>> {
        let piece = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..1500).prop_map(Ok),
            (0u16..4000).prop_map(Err),
        ];
        prop::collection::vec(piece, 0..12)
    }

    proptest! {
        #[test]
        fn sums_do_not_depend_on_how_the_bytes_came(pieces in pieces()) {
            let mut summer = Summer::with_chunk(SMALL);
            let mut all = Vec::new();
            for piece in pieces {
                match piece {
                    Ok(bytes) => {
                        summer.update(&bytes);
                        all.extend(bytes);
                    }
                    Err(zeros) => {
                        summer.zeros(u64::from(zeros));
                        all.resize(all.len() + usize::from(zeros), 0);
                    }
                }
            }
            let expected: Vec<Sum> = all.chunks(SMALL as usize).map(sum_of).collect();
            let sums = summer.finish();
            prop_assert_eq!(sums.as_slice(), expected);
            prop_assert_eq!(sums.length(), all.len() as u64);
            for (index, chunk) in all.chunks(SMALL as usize).enumerate() {
                prop_assert!(sums.matches(index, chunk));
            }
        }

        #[test]
        fn differences_name_the_changed_chunk(at in 0usize..10_500, bit in 0u8..8) {
            let mut bytes: Vec<u8> = (0..10_500u32).map(|n| n as u8).collect();
            let sums = |bytes: &[u8]| {
                let mut summer = Summer::with_chunk(SMALL);
                summer.update(bytes);
                summer.finish()
            };
            let before = sums(&bytes);
            bytes[at] ^= 1 << bit;
            let found = before.differences(&sums(&bytes));
            let start = at as u64 / SMALL * SMALL;
            prop_assert_eq!(found, Some(vec![start..(start + SMALL).min(10_500)]));
        }
    }

    #[test]
    fn neighbouring_differences_are_joined() {
        let mut before = Summer::with_chunk(SMALL);
        before.zeros(5 * SMALL);
        let mut after = Summer::with_chunk(SMALL);
        after.zeros(SMALL);
        after.update(&[1; 2 * SMALL as usize]);
        after.zeros(2 * SMALL);
        let (before, after) = (before.finish(), after.finish());
        assert_eq!(before.differences(&after), Some(vec![SMALL..3 * SMALL]));
        assert_eq!(before.differences(&before), Some(Vec::new()));
        assert_eq!(before.differences(&Summer::new(0).finish()), None);
    }

    #[test]
    fn chunks_grow_so_that_lists_stay_small() {
        assert_eq!(chunk_for(0), CHUNK);
        assert_eq!(chunk_for(CHUNK * CHUNKS_MAX), CHUNK);
        assert_eq!(chunk_for(CHUNK * CHUNKS_MAX + 1), 2 * CHUNK);
        assert!(u64::MAX.div_ceil(chunk_for(u64::MAX)) <= CHUNKS_MAX);
    }
}
