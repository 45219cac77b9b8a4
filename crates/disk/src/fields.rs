//! Numbers in the bytes of a header. A field beyond the end reads as 0: the callers hold a header of
//! the full size, and a mistake in an offset must not become a panic.

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    at.checked_add(N)
        .and_then(|end| bytes.get(at..end))
        .and_then(|part| part.try_into().ok())
        .unwrap_or([0; N])
}

macro_rules! number {
    ($name:ident, $kind:ty, $from:ident) => {
        pub(crate) fn $name(bytes: &[u8], at: usize) -> $kind {
            <$kind>::$from(field(bytes, at))
        }
    };
}

number!(be16, u16, from_be_bytes);
number!(be32, u32, from_be_bytes);
number!(be64, u64, from_be_bytes);
number!(le16, u16, from_le_bytes);
number!(le32, u32, from_le_bytes);
number!(le64, u64, from_le_bytes);
