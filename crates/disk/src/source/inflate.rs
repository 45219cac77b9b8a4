//! Compressed blocks of an image: read whole, unpacked to exactly the size of a block, whatever they would
//! still hold (no block can be a bomb).

use std::sync::{Mutex, PoisonError};

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, Operation};

use super::{Bytes, SourceError, fill};

/// Log2 of the largest window that a zstd block may ask for: 8 MiB, what its highest ordinary level uses.
/// A block is 2 MiB at most.
const WINDOW_LOG: u32 = 23;

/// How a block is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// Deflate without a header (qcow2).
    Deflate,
    /// Deflate with zlib's header (VMDK).
    Zlib,
    /// Zstandard (qcow2).
    Zstd,
}

/// A compressed block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packed {
    /// Where it is in the image.
    pub(super) at: u64,
    /// Bytes that it has there at most; bounded by the lookup. The image may end before.
    pub(super) size: usize,
    /// Bytes that it holds.
    pub(super) unpacked: usize,
    /// How.
    pub(super) method: Method,
}

/// Decoders that wait to be used again, and their input buffers.
#[derive(Default)]
pub(super) struct Inflaters {
    idle: Mutex<Vec<Inflater>>,
}

struct Inflater {
    method: Method,
    decoder: Decoder,
    input: Vec<u8>,
}

enum Decoder {
    Deflate(Box<Decompress>),
    Zstd(ZstdDecoder<'static>),
}

impl Inflaters {
    /// Fills `output` with what `block` holds.
    pub(super) fn unpack(
        &self,
        bytes: &Bytes,
        length: u64,
        block: &Packed,
        output: &mut [u8],
    ) -> Result<(), SourceError> {
        let mut inflater = match self.idle(block.method) {
            Some(inflater) => inflater,
            None => Inflater::new(block.method)?,
        };
        let outcome = inflater.unpack(bytes, length, block, output);
        self.lock().push(inflater);
        outcome
    }

    fn idle(&self, method: Method) -> Option<Inflater> {
        let mut idle = self.lock();
        let index = idle.iter().position(|one| one.method == method)?;
        Some(idle.swap_remove(index))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Inflater>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inflater {
    fn new(method: Method) -> Result<Self, SourceError> {
        let decoder = match method {
            Method::Deflate | Method::Zlib => {
                Decoder::Deflate(Box::new(Decompress::new(method == Method::Zlib)))
            }
            Method::Zstd => {
                let out_of_memory = |source| SourceError::Read { offset: 0, source };
                let mut decoder = ZstdDecoder::new().map_err(out_of_memory)?;
                decoder
                    .set_parameter(DParameter::WindowLogMax(WINDOW_LOG))
                    .map_err(out_of_memory)?;
                Decoder::Zstd(decoder)
            }
        };
        Ok(Self {
            method,
            decoder,
            input: Vec::new(),
        })
    }

    fn unpack(
        &mut self,
        bytes: &Bytes,
        length: u64,
        block: &Packed,
        output: &mut [u8],
    ) -> Result<(), SourceError> {
        let there = length.saturating_sub(block.at).min(block.size as u64);
        if there == 0 {
            return Err(SourceError::cut_short(length, block.at.saturating_add(1)));
        }
        self.input.resize(there as usize, 0);
        fill(bytes, length, &mut self.input, block.at)?;
        let filled = match &mut self.decoder {
            Decoder::Deflate(decoder) => {
                decoder.reset(self.method == Method::Zlib);
                inflate(decoder, &self.input, output)
            }
            Decoder::Zstd(decoder) => unzstd(decoder, &self.input, output),
        };
        if filled != Some(output.len()) {
            return Err(SourceError::damaged(format!(
                "the compressed block at byte {} cannot be unpacked",
                block.at
            )));
        }
        Ok(())
    }
}

/// How many bytes came out; `None` where the stream is wrong.
fn inflate(decoder: &mut Decompress, mut input: &[u8], output: &mut [u8]) -> Option<usize> {
    loop {
        let (before_in, before_out) = (decoder.total_in(), decoder.total_out() as usize);
        let room = output.get_mut(before_out..)?;
        let status = decoder
            .decompress(input, room, FlushDecompress::None)
            .ok()?;
        let consumed = (decoder.total_in() - before_in) as usize;
        let filled = decoder.total_out() as usize;
        input = input.get(consumed..)?;
        let stuck = consumed == 0 && filled == before_out;
        if filled == output.len() || status == Status::StreamEnd || stuck {
            return Some(filled);
        }
    }
}

fn unzstd(
    decoder: &mut ZstdDecoder<'static>,
    mut input: &[u8],
    output: &mut [u8],
) -> Option<usize> {
    decoder.reinit().ok()?;
    let mut filled = 0;
    loop {
        let status = decoder
            .run_on_buffers(input, output.get_mut(filled..)?)
            .ok()?;
        filled += status.bytes_written;
        input = input.get(status.bytes_read..)?;
        let stuck = status.bytes_read == 0 && status.bytes_written == 0;
        if filled == output.len() || status.remaining == 0 || stuck {
            return Some(filled);
        }
    }
}
