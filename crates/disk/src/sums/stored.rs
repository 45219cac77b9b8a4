//! How a list of sums is stored: 32 bytes of header, the sums, and a sum over all of it, so that rot in
//! the list is not taken for rot in the image.
//!
//! | bytes | what |
//! |---|---|
//! | 0–7 | `KSUMS\0\0\x01`: the magic and version 1 |
//! | 8–15 | bytes of the file, little-endian |
//! | 16–23 | bytes of a chunk, little-endian |
//! | 24–31 | zeros |
//! | then | 16 bytes for each chunk |
//! | last 16 | the sum of everything before |

use thiserror::Error;

use super::{CHUNK, CHUNKS_MAX, SUM, Sum, Sums, sum_of};
use crate::fields::le64;

const MAGIC: [u8; 8] = *b"KSUMS\0\0\x01";
const HEADER: usize = 32;

/// Why bytes are not a list of sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StoredError {
    /// No list of this version.
    #[error("not a list of chunk sums")]
    NotSums,
    /// The list itself changed.
    #[error("the list of chunk sums is damaged; make it anew by checking the image")]
    Damaged,
}

impl Sums {
    /// The list for a file of its own: at most a mebibyte and 48 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + (self.sums.len() + 1) * SUM);
        bytes.extend(MAGIC);
        bytes.extend(self.length.to_le_bytes());
        bytes.extend(self.chunk.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(self.sums.as_flattened());
        let own = sum_of(&bytes);
        bytes.extend(own);
        bytes
    }

    /// The list that [`Sums::to_bytes`] stored.
    ///
    /// # Errors
    /// See [`StoredError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoredError> {
        if bytes.len() < HEADER + SUM || !bytes.starts_with(&MAGIC) {
            return Err(StoredError::NotSums);
        }
        let (body, own) = bytes.split_at(bytes.len() - SUM);
        let (length, chunk) = (le64(body, 8), le64(body, 16));
        let (sums, rest) = body[HEADER..].as_chunks::<SUM>();
        let sound = own == sum_of(body)
            && rest.is_empty()
            && chunk >= CHUNK
            && sums.len() as u64 <= CHUNKS_MAX
            && sums.len() as u64 == length.div_ceil(chunk);
        if !sound {
            return Err(StoredError::Damaged);
        }
        let sums: Vec<Sum> = sums.to_vec();
        Ok(Self {
            length,
            chunk,
            sums,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Summer;
    use super::*;

    fn list(length: u64) -> Sums {
        let mut summer = Summer::new(length);
        summer.update(b"an image");
        summer.zeros(length - 8);
        summer.finish()
    }

    #[test]
    fn a_stored_list_comes_back() {
        for sums in [Summer::new(0).finish(), list(9), list(9 * CHUNK + 1)] {
            assert_eq!(Sums::from_bytes(&sums.to_bytes()), Ok(sums));
        }
    }

    proptest! {
        #[test]
        fn a_changed_list_is_refused(at in 0usize..224, bit in 0u8..8, cut in 0usize..224) {
            let mut bytes = list(10 * CHUNK + 5).to_bytes();
            prop_assert_eq!(bytes.len(), 224);
            prop_assert!(Sums::from_bytes(&bytes[..cut]).is_err());
            bytes[at] ^= 1 << bit;
            prop_assert!(Sums::from_bytes(&bytes).is_err());
        }

        #[test]
        fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(Sums::from_bytes(&bytes).is_err());
        }
    }
}
