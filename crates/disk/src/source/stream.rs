//! A compressed image, unpacked from its beginning on: the only way that it can be read.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;
use kinglet_model::image::Compression;
use liblzma::bufread::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use super::{Bytes, SourceError, length_of};
use crate::probe::Limits;
use crate::probe::damage::Damage;

/// Bytes that are read from the image at a time.
const PIECE: usize = 256 << 10;

/// What a compressed image holds, as a stream.
///
/// Its errors are [`SourceError`]s, in an [`io::Error`]. It takes the memory of one window, see
/// [`Limits::window`]. How much comes out is bounded by whoever reads: a bomb is read in pieces like
/// everything else (see [`crate::convert::Options::most`] for what is written).
pub struct Unpacked {
    decoder: Decoder,
    done: bool,
}

type Packed = BufReader<FromStart>;

enum Decoder {
    Gzip(Gzip),
    Xz(XzDecoder<Packed>),
    Zstd(zstd::stream::read::Decoder<'static, Packed>),
}

impl Unpacked {
    /// Of an image that is compressed in this way as a whole.
    ///
    /// # Errors
    /// [`SourceError::Read`] when its length is not known or there is no memory.
    pub fn open(bytes: Bytes, compression: Compression) -> Result<Self, SourceError> {
        let length = length_of(&bytes)?;
        let packed = BufReader::with_capacity(
            PIECE,
            FromStart {
                bytes,
                length,
                at: 0,
            },
        );
        let failed = |source| SourceError::Read { offset: 0, source };
        let window = Limits::default().window;
        let decoder = match compression {
            Compression::Gzip => Decoder::Gzip(Gzip::Between {
                packed,
                members: false,
            }),
            Compression::Xz => {
                let stream = Stream::new_stream_decoder(window, CONCATENATED)
                    .map_err(|error| failed(error.into()))?;
                Decoder::Xz(XzDecoder::new_stream(packed, stream))
            }
            Compression::Zstd => {
                let mut decoder =
                    zstd::stream::read::Decoder::with_buffer(packed).map_err(failed)?;
                decoder
                    .window_log_max(window.max(1024).ilog2().min(31))
                    .map_err(failed)?;
                Decoder::Zstd(decoder)
            }
        };
        Ok(Self {
            decoder,
            done: false,
        })
    }
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.done || buffer.is_empty() {
            return Ok(0);
        }
        let count = match &mut self.decoder {
            Decoder::Gzip(gzip) => gzip.read(buffer),
            Decoder::Xz(xz) => xz.read(buffer),
            Decoder::Zstd(zstd) => zstd.read(buffer),
        }
        .map_err(named)?;
        self.done = count == 0;
        Ok(count)
    }
}

/// What an error of a stream means. `at`: how much of it was read.
pub(crate) fn error_of(error: io::Error, at: u64) -> SourceError {
    match error.downcast::<SourceError>() {
        Ok(error) => error,
        Err(source) => SourceError::Read { offset: at, source },
    }
}

/// An error of a decoder, or of the image under it.
fn named(error: io::Error) -> io::Error {
    let error = match error.downcast::<SourceError>() {
        Ok(error) => return io::Error::other(error),
        Err(error) => error,
    };
    let reason = match error.kind() {
        io::ErrorKind::Interrupted => return error,
        io::ErrorKind::UnexpectedEof => "cut short: its compressed stream does not end",
        _ => "its compressed stream is wrong",
    };
    io::Error::other(SourceError::from(Damage::broken(reason)))
}

/// The image's bytes from the first to the last.
struct FromStart {
    bytes: Bytes,
    length: u64,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.at);
        let room = left.min(buffer.len() as u64) as usize;
        if room == 0 {
            return Ok(0);
        }
        match self.bytes.read_at(&mut buffer[..room], self.at) {
            Ok(count) => {
                self.at += count as u64;
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(source) => Err(io::Error::other(SourceError::Read {
                offset: self.at,
                source,
            })),
        }
    }
}

/// Members one after the other, as `gzip` writes them; zeros may follow the last one.
enum Gzip {
    Between {
        packed: Packed,
        members: bool,
    },
    Inside(Box<GzDecoder<Packed>>),
    /// Only while it changes from one to the other.
    Nowhere,
}

impl Gzip {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(self, Self::Nowhere) {
                Self::Nowhere => return Ok(0),
                Self::Between {
                    mut packed,
                    members,
                } => {
                    if members && !skip_zeros(&mut packed)? {
                        return Ok(0);
                    }
                    *self = Self::Inside(Box::new(GzDecoder::new(packed)));
                }
                Self::Inside(mut member) => {
                    let count = member.read(buffer)?;
                    if count > 0 {
                        *self = Self::Inside(member);
                        return Ok(count);
                    }
                    *self = Self::Between {
                        packed: member.into_inner(),
                        members: true,
                    };
                }
            }
        }
    }
}

/// Whether anything stands after the zeros.
fn skip_zeros(packed: &mut Packed) -> io::Result<bool> {
    loop {
        let bytes = packed.fill_buf()?;
        if bytes.is_empty() {
            return Ok(false);
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let all = zeros == bytes.len();
        packed.consume(zeros);
        if !all {
            return Ok(true);
        }
    }
}
