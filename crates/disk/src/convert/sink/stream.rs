//! A disk's bytes as a stream, compressed or not. A compressed one is a sequence of frames (zstd), members
//! (gzip) or streams (xz) of 4 MiB, each made by itself, so that all threads compress; every tool reads
//! such a sequence as one.

use std::io::{self, Write};

use flate2::write::GzEncoder;
use kinglet_model::Digest;
use kinglet_model::image::Compression;
use liblzma::stream::{Check, Filters, LzmaOptions, Stream};
use liblzma::write::XzEncoder;
use sha2::{Digest as _, Sha256};
use zstd::stream::raw::CParameter;

use super::each_zeros;
use crate::convert::encode::{Encode, Encoded, FindZeros, Kind};
use crate::convert::feed::{Content, Feed, Piece, Shape};
use crate::convert::{ConvertError, Made, Options, Report, pump};

const PIECE: u64 = 1 << 20;
const FRAME: u64 = 4 << 20;
/// Frames of zeros that are handed over together.
const ZERO_FRAMES: u64 = 64;
const ZSTD_LEVEL: i32 = 3;
const XZ_PRESET: u32 = 6;

/// The pieces of a stream.
pub(in crate::convert) const fn shape(compression: Option<Compression>) -> Shape {
    match compression {
        None => Shape {
            align: PIECE,
            piece: PIECE,
            zeros: ZERO_FRAMES * PIECE,
        },
        Some(_) => Shape {
            align: FRAME,
            piece: FRAME,
            zeros: ZERO_FRAMES * FRAME,
        },
    }
}

pub(in crate::convert) fn write(
    feed: Feed<'_>,
    to: &mut dyn Write,
    compression: Option<Compression>,
    options: &Options,
    report: Report<'_, '_>,
) -> Result<Made, ConvertError> {
    let mut writer = Writer {
        to,
        sha256: options.sums.then(Sha256::new),
        report,
    };
    let threads = options.threads;
    let take = |piece: &Encoded| writer.piece(piece);
    match compression {
        None => {
            let plain = || {
                Ok(FindZeros {
                    block: PIECE as usize,
                })
            };
            pump::run(feed, threads, plain, take)?;
        }
        Some(compression) => {
            pump::run(feed, threads, || Frames::new(compression), take)?;
        }
    }
    writer.finish(compression)
}

struct Writer<'a, 'b, 'c> {
    to: &'a mut dyn Write,
    sha256: Option<Sha256>,
    report: Report<'b, 'c>,
}

impl Writer<'_, '_, '_> {
    fn piece(&mut self, piece: &Encoded) -> Result<(), ConvertError> {
        for part in &piece.parts {
            match part.kind {
                Kind::Zeros => each_zeros(part.length, |zeros| self.bytes(zeros))?,
                Kind::Plain | Kind::Packed => {
                    self.bytes(&piece.bytes[part.start..part.start + part.size])?;
                }
            }
        }
        self.report.reached(piece.offset + piece.length)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), ConvertError> {
        self.report.wrote(bytes.len() as u64)?;
        self.to.write_all(bytes).map_err(ConvertError::Write)?;
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
        Ok(())
    }

    fn finish(mut self, compression: Option<Compression>) -> Result<Made, ConvertError> {
        let disk = self.report.now.done;
        if let (0, Some(compression)) = (disk, compression) {
            // Also nothing has a frame; no bytes at all would be no file of that kind.
            let frame = Frames::new(compression)?.frame(&[])?;
            self.bytes(&frame)?;
        }
        self.to.flush().map_err(ConvertError::Write)?;
        Ok(Made {
            disk,
            written: self.report.now.written,
            sha256: self
                .sha256
                .map(|sha256| Digest::from_bytes(sha256.finalize().into())),
            sums: None,
        })
    }
}

/// Makes frames.
struct Frames {
    compression: Compression,
    zstd: zstd::bulk::Compressor<'static>,
    /// A whole frame of zeros, once there was one.
    zeros: Option<Vec<u8>>,
}

impl Frames {
    fn new(compression: Compression) -> Result<Self, ConvertError> {
        let zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL)
            .and_then(|mut zstd| {
                zstd.set_parameter(CParameter::ChecksumFlag(true))?;
                Ok(zstd)
            })
            .map_err(ConvertError::Write)?;
        Ok(Self {
            compression,
            zstd,
            zeros: None,
        })
    }

    fn frame(&mut self, bytes: &[u8]) -> Result<Vec<u8>, ConvertError> {
        let frame = match self.compression {
            Compression::Zstd => self.zstd.compress(bytes),
            Compression::Gzip => gzip(bytes),
            Compression::Xz => xz(bytes),
        };
        frame.map_err(ConvertError::Write)
    }

    /// Frames that hold `length` zeros.
    fn zeros(&mut self, length: u64) -> Result<Vec<u8>, ConvertError> {
        let whole = match self.zeros.take() {
            Some(frame) => frame,
            None => self.frame(&vec![0; FRAME as usize])?,
        };
        let mut frames = whole.repeat((length / FRAME) as usize);
        self.zeros = Some(whole);
        let rest = (length % FRAME) as usize;
        if rest > 0 {
            frames.extend(self.frame(&vec![0; rest])?);
        }
        Ok(frames)
    }
}

impl Encode for Frames {
    fn encode(&mut self, piece: Piece) -> Result<Encoded, ConvertError> {
        let bytes = match &piece.content {
            Content::Bytes(bytes) => self.frame(bytes)?,
            Content::Zeros | Content::Unread(_) => self.zeros(piece.length)?,
        };
        Ok(Encoded::packed(&piece, bytes))
    }
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let room = Vec::with_capacity(bytes.len() / 2);
    let mut encoder = GzEncoder::new(room, flate2::Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// With a dictionary no larger than a frame: more would only take memory.
fn xz(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut options = LzmaOptions::new_preset(XZ_PRESET)?;
    options.dict_size(FRAME as u32);
    let stream = Stream::new_stream_encoder(Filters::new().lzma2(&options), Check::Crc64)?;
    let mut encoder = XzEncoder::new_stream(Vec::with_capacity(bytes.len() / 2), stream);
    encoder.write_all(bytes)?;
    encoder.finish()
}
