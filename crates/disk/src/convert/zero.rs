//! Whether bytes are all zeros.

/// Whether all of `bytes` are 0. Looks at 128 at a time, which the compiler turns into vectors; data is
/// told from zeros by its first ones.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    let (chunks, rest) = bytes.as_chunks::<128>();
    chunks
        .iter()
        .all(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0)
        && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_anywhere_is_found() {
        for length in [0, 1, 127, 128, 129, 1000] {
            let mut bytes = vec![0; length];
            assert!(is_zero(&bytes));
            for at in 0..length {
                bytes[at] = 1;
                assert!(!is_zero(&bytes));
                bytes[at] = 0;
            }
        }
    }
}
