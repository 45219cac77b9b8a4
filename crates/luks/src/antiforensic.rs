//! The anti-forensic splitter: a key blown up to many blocks, all of which are needed to get it
//! back, so that wiping any one of them is enough to lose it.
//!
//! Specification: *LUKS1 On-Disk Format*, 2.4.

use std::io;

use crate::hash::Hash;
use crate::secret::{Secret, fill_random};

/// Stripes of a key on disk, as every writer of LUKS has it.
pub(crate) const STRIPES: u32 = 4000;

/// Splits `key` into `stripes` blocks of its length.
pub(crate) fn split(key: &Secret, stripes: u32, hash: Hash) -> io::Result<Secret> {
    let length = key.len();
    let mut blocks = Secret::zeroed(length * stripes as usize);
    let last = length * (stripes as usize - 1);
    fill_random(&mut blocks.expose_mut()[..last])?;
    let mut state = diffused(&blocks.expose()[..last], length, hash);
    xor(state.expose_mut(), key.expose());
    blocks.expose_mut()[last..].copy_from_slice(state.expose());
    Ok(blocks)
}

/// The key of `length` bytes that was split into `blocks`.
pub(crate) fn merge(blocks: &Secret, length: usize, hash: Hash) -> Secret {
    let last = blocks.len().saturating_sub(length);
    let mut key = diffused(&blocks.expose()[..last], length, hash);
    xor(key.expose_mut(), &blocks.expose()[last..]);
    key
}

fn diffused(blocks: &[u8], length: usize, hash: Hash) -> Secret {
    let mut state = Secret::zeroed(length);
    let mut before = Secret::zeroed(length);
    for block in blocks.chunks_exact(length) {
        xor(state.expose_mut(), block);
        before.expose_mut().copy_from_slice(state.expose());
        diffuse(before.expose(), state.expose_mut(), hash);
    }
    state
}

/// Every piece of digest length becomes the hash of its number and itself.
fn diffuse(input: &[u8], output: &mut [u8], hash: Hash) {
    let pieces = input.chunks(hash.length());
    for ((number, piece), place) in (0_u32..).zip(pieces).zip(output.chunks_mut(hash.length())) {
        hash.digest(&[&number.to_be_bytes(), piece], place);
    }
}

fn xor(into: &mut [u8], with: &[u8]) {
    for (byte, other) in into.iter_mut().zip(with) {
        *byte ^= other;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn split_merged_is_the_key(
            bytes in prop::collection::vec(any::<u8>(), 1..80),
            stripes in 1_u32..40,
            hash in prop::sample::select(vec![Hash::Sha1, Hash::Sha256, Hash::Sha512]),
        ) {
            let key = Secret::copy_of(&bytes);
            let mut blocks = split(&key, stripes, hash).unwrap();
            prop_assert_eq!(blocks.len(), bytes.len() * stripes as usize);
            prop_assert!(merge(&blocks, bytes.len(), hash).matches(&bytes));
            // Any one lost bit loses the key.
            blocks.expose_mut()[0] ^= 1;
            prop_assert!(!merge(&blocks, bytes.len(), hash).matches(&bytes));
        }
    }

    #[test]
    fn split_one_stripe_is_the_key_itself() {
        let blocks = split(&Secret::copy_of(b"key"), 1, Hash::Sha256).unwrap();
        assert!(blocks.matches(b"key"));
    }
}
