//! Taking a compression off, a piece at a time: what stays in memory is one window (bounded by
//! [`Limits::window`](crate::Limits)) and the beginning of what comes out.

use std::io::{self, Write};

use flate2::write::GzDecoder;
use kinglet_model::image::Compression;
use liblzma::stream::{Action, CONCATENATED, Status, Stream};
use thiserror::Error;
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, Operation};

const PIECE: usize = 64 << 10;

/// Why a stream cannot be unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum StreamError {
    /// It ends in the middle.
    #[error("cut short: its compressed stream does not end")]
    CutShort,
    /// A checksum or code is wrong.
    #[error("its compressed stream is wrong")]
    Corrupt,
    /// After the end stands something that is no further stream.
    #[error("there is something else after the end of its compressed stream")]
    Garbage,
    /// It needs more memory than allowed.
    #[error("its compression asks for more memory than this host gives it (the limit is {0} MiB)")]
    Window(u64),
}

/// A stream being unpacked.
pub(crate) struct Unpacker {
    decoder: Decoder,
    output: Beginning,
    window: u64,
}

enum Decoder {
    Gzip(Box<Gzip>),
    Xz(Stream),
    Zstd {
        decoder: ZstdDecoder<'static>,
        inside_frame: bool,
    },
}

/// The first bytes that came out, and how many came in all.
#[derive(Debug, Default)]
struct Beginning {
    keep: usize,
    bytes: Vec<u8>,
    produced: u64,
}

impl Beginning {
    fn take(&mut self, piece: &[u8]) {
        let room = self.keep.saturating_sub(self.bytes.len());
        self.bytes
            .extend_from_slice(&piece[..piece.len().min(room)]);
        self.produced = self.produced.saturating_add(piece.len() as u64);
    }
}

impl Unpacker {
    /// A stream of this kind, which may use `window` bytes of memory; the first `keep` bytes that come
    /// out are kept.
    pub(crate) fn new(kind: Compression, window: u64, keep: usize) -> Result<Self, StreamError> {
        let decoder = match kind {
            Compression::Gzip => Decoder::Gzip(Box::default()),
            Compression::Xz => Decoder::Xz(
                Stream::new_stream_decoder(window, CONCATENATED)
                    .map_err(|_| StreamError::Window(window >> 20))?,
            ),
            Compression::Zstd => Decoder::Zstd {
                decoder: zstd_decoder(window).map_err(|_| StreamError::Window(window >> 20))?,
                inside_frame: true,
            },
        };
        Ok(Self {
            decoder,
            output: Beginning {
                keep,
                ..Beginning::default()
            },
            window,
        })
    }

    /// Takes the next bytes of the file.
    pub(crate) fn push(&mut self, input: &[u8]) -> Result<(), StreamError> {
        match &mut self.decoder {
            Decoder::Gzip(gzip) => gzip.push(input, &mut self.output),
            Decoder::Xz(stream) => {
                push_xz(stream, input, Action::Run, &mut self.output, self.window).map(|_| ())
            }
            Decoder::Zstd {
                decoder,
                inside_frame,
            } => push_zstd(decoder, inside_frame, input, &mut self.output, self.window),
        }
    }

    /// The file has ended: whether the stream has as well. Returns how many bytes came out.
    pub(crate) fn finish(&mut self) -> Result<u64, StreamError> {
        match &mut self.decoder {
            Decoder::Gzip(gzip) => gzip.finish(&mut self.output)?,
            Decoder::Xz(stream) => {
                let done = push_xz(stream, &[], Action::Finish, &mut self.output, self.window)?;
                if !done {
                    return Err(StreamError::CutShort);
                }
            }
            Decoder::Zstd { inside_frame, .. } => {
                if *inside_frame {
                    return Err(StreamError::CutShort);
                }
            }
        }
        Ok(self.output.produced)
    }

    /// Whether as much as is kept has come out.
    pub(crate) fn beginning_is_full(&self) -> bool {
        self.output.bytes.len() >= self.output.keep
    }

    /// The beginning of what came out.
    pub(crate) fn into_beginning(mut self) -> Vec<u8> {
        if let Decoder::Gzip(gzip) = &mut self.decoder {
            gzip.drain(&mut self.output);
        }
        self.output.bytes
    }
}

/// Members one after the other, as `gzip` writes them; zeros may follow the last one.
#[derive(Default)]
struct Gzip {
    member: Option<GzDecoder<Beginning>>,
    members: u64,
}

impl Gzip {
    fn push(&mut self, mut input: &[u8], output: &mut Beginning) -> Result<(), StreamError> {
        while !input.is_empty() {
            if self.member.is_none() {
                if self.members > 0 {
                    let zeros = input.iter().take_while(|byte| **byte == 0).count();
                    input = &input[zeros..];
                    match input.first() {
                        None => break,
                        Some(0x1f) => {}
                        Some(_) => return Err(StreamError::Garbage),
                    }
                }
                let keep = output.keep.saturating_sub(output.bytes.len());
                self.members += 1;
                self.member = Some(GzDecoder::new(Beginning {
                    keep,
                    ..Beginning::default()
                }));
            }
            let Some(member) = &mut self.member else {
                break;
            };
            match member.write(input) {
                Ok(0) => self.end_member(output)?,
                Ok(count) => input = &input[count..],
                Err(error) => return Err(Self::wrong(&error)),
            }
            self.drain(output);
        }
        Ok(())
    }

    fn finish(&mut self, output: &mut Beginning) -> Result<(), StreamError> {
        if self.member.is_some() {
            return self.end_member(output);
        }
        if self.members == 0 {
            return Err(StreamError::CutShort);
        }
        Ok(())
    }

    fn end_member(&mut self, output: &mut Beginning) -> Result<(), StreamError> {
        let Some(mut member) = self.member.take() else {
            return Ok(());
        };
        let ended = member.try_finish();
        output.absorb(member.get_mut());
        ended.map_err(|error| Self::wrong(&error))
    }

    fn drain(&mut self, output: &mut Beginning) {
        if let Some(member) = &mut self.member {
            output.absorb(member.get_mut());
        }
    }

    fn wrong(error: &io::Error) -> StreamError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => StreamError::CutShort,
            _ => StreamError::Corrupt,
        }
    }
}

impl Beginning {
    fn absorb(&mut self, other: &mut Self) {
        let room = self.keep.saturating_sub(self.bytes.len());
        self.bytes.extend(other.bytes.drain(..).take(room));
        self.produced = self.produced.saturating_add(other.produced);
        other.produced = 0;
        other.keep = self.keep.saturating_sub(self.bytes.len());
    }
}

impl Write for Beginning {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.take(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn zstd_decoder(window: u64) -> io::Result<ZstdDecoder<'static>> {
    let mut decoder = ZstdDecoder::new()?;
    decoder.set_parameter(DParameter::WindowLogMax(window.max(1024).ilog2().min(31)))?;
    Ok(decoder)
}

fn push_xz(
    stream: &mut Stream,
    mut input: &[u8],
    action: Action,
    output: &mut Beginning,
    window: u64,
) -> Result<bool, StreamError> {
    let mut piece = vec![0; PIECE];
    loop {
        let (before_in, before_out) = (stream.total_in(), stream.total_out());
        let status = stream
            .process(input, &mut piece, action)
            .map_err(|error| match error {
                liblzma::stream::Error::MemLimit | liblzma::stream::Error::Mem => {
                    StreamError::Window(window >> 20)
                }
                liblzma::stream::Error::Format => StreamError::Garbage,
                _ => StreamError::Corrupt,
            })?;
        let consumed = (stream.total_in() - before_in) as usize;
        let produced = (stream.total_out() - before_out) as usize;
        input = &input[consumed.min(input.len())..];
        output.take(&piece[..produced.min(PIECE)]);
        match status {
            Status::StreamEnd => return Ok(true),
            Status::MemNeeded => return Ok(false),
            _ if consumed == 0 && produced == 0 => return Ok(false),
            _ => {}
        }
    }
}

fn push_zstd(
    decoder: &mut ZstdDecoder<'static>,
    inside_frame: &mut bool,
    mut input: &[u8],
    output: &mut Beginning,
    window: u64,
) -> Result<(), StreamError> {
    let mut piece = vec![0; PIECE];
    loop {
        let status = decoder.run_on_buffers(input, &mut piece).map_err(|error| {
            let text = error.to_string();
            if text.contains("memory") {
                StreamError::Window(window >> 20)
            } else if text.contains("Unknown frame") {
                StreamError::Garbage
            } else {
                StreamError::Corrupt
            }
        })?;
        input = &input[status.bytes_read.min(input.len())..];
        output.take(&piece[..status.bytes_written.min(PIECE)]);
        if status.bytes_read > 0 || status.bytes_written > 0 {
            *inside_frame = status.remaining != 0;
        }
        if input.is_empty() && status.bytes_written < PIECE {
            return Ok(());
        }
        if status.bytes_read == 0 && status.bytes_written == 0 {
            return Err(StreamError::Corrupt);
        }
    }
}
