//! gzip (RFC 1952), xz (the .xz file format 1.2) and Zstandard (RFC 8878) around an image: what is
//! inside is told from the beginning of it, unpacked.

use kinglet_model::image::Compression;

use super::damage::Damage;
use super::source::{Source, Trouble};
use super::{Limits, Probe, ProbeError, probe_plain};
use crate::unpack::{StreamError, Unpacker};

const MAGICS: [(Compression, &[u8]); 3] = [
    (Compression::Gzip, &[0x1f, 0x8b, 8]),
    (Compression::Xz, b"\xfd7zXZ\0"),
    (Compression::Zstd, &[0x28, 0xb5, 0x2f, 0xfd]),
];

/// The compression around the image, where there is one.
pub(super) fn detect(source: &Source<'_>) -> Result<Option<Compression>, ProbeError> {
    for (compression, magic) in MAGICS {
        if source.has(0, magic)? {
            return Ok(Some(compression));
        }
    }
    Ok(None)
}

/// Bytes of the file that are read at a time.
const PIECE: u64 = 64 << 10;

/// Unpacks the beginning and looks at it. Whether the stream is whole, only reading it through tells.
pub(super) fn probe(
    source: &Source<'_>,
    compression: Compression,
    limits: &Limits,
) -> Result<Probe, ProbeError> {
    let (beginning, trouble) = beginning(source, compression, limits)?;
    let inner = Source::beginning(&beginning, None, limits.metadata);
    let mut probe = probe_plain(&inner)?;
    probe.compression = Some(compression);
    if let Some(damage) = trouble {
        probe.wholeness = damage.into();
    }
    Ok(probe)
}

fn beginning(
    source: &Source<'_>,
    compression: Compression,
    limits: &Limits,
) -> Result<(Vec<u8>, Option<Damage>), ProbeError> {
    let mut unpacker = match Unpacker::new(compression, limits.window, limits.prefix) {
        Ok(unpacker) => unpacker,
        Err(error) => return Ok((Vec::new(), Some(error.into()))),
    };
    let mut at = 0;
    while at < source.len() && !unpacker.beginning_is_full() {
        let size = (source.len() - at).min(PIECE);
        let piece = match source.read(at, size as usize) {
            Ok(piece) => piece,
            Err(Trouble::Read(error)) => return Err(error),
            Err(_) => break,
        };
        if let Err(error) = unpacker.push(&piece) {
            return Ok((unpacker.into_beginning(), Some(error.into())));
        }
        at += size;
    }
    Ok((unpacker.into_beginning(), None))
}

impl From<StreamError> for Damage {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Window(_) => Self::new(
                error.to_string(),
                "unpack it where it came from, or compress it anew",
            ),
            _ => Self::broken(error.to_string()),
        }
    }
}
