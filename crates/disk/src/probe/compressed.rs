//! gzip (RFC 1952), xz and Zstandard around an image: what is inside is told from the beginning of it,
//! unpacked; how large it is from what xz and Zstandard say about themselves. (gzip's size field is
//! not believed: it has 32 bits, and only the last member's count.)

use kinglet_model::image::{Compression, Format};

use super::damage::Damage;
use super::source::{Examined, Source, Trouble};
use super::{Limits, Probe, ProbeError, Wholeness, probe_plain, xz, zstd};
use crate::unpack::{StreamError, Unpacker};

const MAGICS: [(Compression, &[u8]); 3] = [
    (Compression::Gzip, &[0x1f, 0x8b, 8]),
    (Compression::Xz, b"\xfd7zXZ\0"),
    (Compression::Zstd, &[0x28, 0xb5, 0x2f, 0xfd]),
];

/// Bytes of the file that are read at a time.
const PIECE: u64 = 64 << 10;

/// The compression around the file, where there is one.
pub(super) fn detect(source: &Source<'_>) -> Result<Option<Compression>, ProbeError> {
    detect_at(source, 0)
}

/// The compression of a stream that begins at `at`.
pub(super) fn detect_at(source: &Source<'_>, at: u64) -> Result<Option<Compression>, ProbeError> {
    for (compression, magic) in MAGICS {
        if source.has(at, magic)? {
            return Ok(Some(compression));
        }
    }
    Ok(None)
}

/// Looks at the beginning. Whether a gzip stream is whole, only reading it through tells.
pub(super) fn probe(
    source: &Source<'_>,
    compression: Compression,
    limits: &Limits,
) -> Result<Probe, ProbeError> {
    let (size, mut damage) = settle(unpacked_size(source, compression), source)?;
    let beginning = beginning(source, compression, limits)?;
    let size = size.or(beginning.size);
    let inner = Source::beginning(&beginning.bytes, size, limits.metadata);
    let mut probe = probe_plain(&inner)?;
    // A kernel unpacks its initramfs itself.
    if probe.format != Format::Initramfs {
        probe.compression = Some(compression);
    }
    damage = damage.or(beginning.damage);
    if detect(&inner)?.is_some() {
        damage = damage.or_else(|| Some(Damage::new("it is compressed twice", "unpack it first")));
    }
    if let Some(damage) = damage {
        probe.wholeness = damage.into();
        probe.refers_to.clear();
    } else if let Wholeness::Damaged { reason, .. } = &mut probe.wholeness {
        reason.insert_str(0, "what is compressed in it is not whole: ");
    }
    Ok(probe)
}

fn unpacked_size(source: &Source<'_>, compression: Compression) -> Examined<Option<u64>> {
    match compression {
        Compression::Gzip => Ok(None),
        Compression::Xz => xz::unpacked_size(source),
        Compression::Zstd => zstd::unpacked_size(source),
    }
}

/// What was found, and what is wrong.
fn settle(
    examined: Examined<Option<u64>>,
    source: &Source<'_>,
) -> Result<(Option<u64>, Option<Damage>), ProbeError> {
    match examined {
        Ok(size) => Ok((size, None)),
        Err(Trouble::Unseen) => Ok((None, None)),
        Err(Trouble::Damage(damage)) => Ok((None, Some(damage))),
        Err(Trouble::Short { needed }) => {
            Ok((None, Some(Damage::cut_short(source.len(), needed, false))))
        }
        Err(Trouble::Read(error)) => Err(error),
    }
}

struct Beginning {
    bytes: Vec<u8>,
    /// The size of all of it, where the beginning is all.
    size: Option<u64>,
    damage: Option<Damage>,
}

impl Beginning {
    fn damaged(bytes: Vec<u8>, error: StreamError) -> Self {
        Self {
            bytes,
            size: None,
            damage: Some(error.into()),
        }
    }
}

fn beginning(
    source: &Source<'_>,
    compression: Compression,
    limits: &Limits,
) -> Result<Beginning, ProbeError> {
    let mut unpacker = match Unpacker::new(compression, limits.window, limits.prefix) {
        Ok(unpacker) => unpacker,
        Err(error) => return Ok(Beginning::damaged(Vec::new(), error)),
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
            return Ok(Beginning::damaged(unpacker.into_beginning(), error));
        }
        at += size;
    }
    let ended = if at == source.len() {
        unpacker.finish().map(Some)
    } else {
        Ok(None)
    };
    let bytes = unpacker.into_beginning();
    Ok(match ended {
        Ok(size) => Beginning {
            bytes,
            size,
            damage: None,
        },
        Err(error) => Beginning::damaged(bytes, error),
    })
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
