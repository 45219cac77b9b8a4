//! A disk cut into pieces, in order, for the threads that read and encode them.

use std::io::{self, Read};

use super::ConvertError;
use super::zero::is_zero;
use crate::source::{Source, SourceError};

/// How a sink wants its pieces. Every piece begins at a multiple of `align`; every one but the last is a
/// multiple of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// What it writes as one: a block, a cluster, a frame.
    pub(super) align: u64,
    /// Bytes of a piece with data, at most; a multiple of `align`.
    pub(super) piece: u64,
    /// Bytes of a piece of zeros, at most; a multiple of `align`.
    pub(super) zeros: u64,
}

/// A piece that is next.
pub(super) struct Piece {
    /// Where it begins on the disk.
    pub(super) offset: u64,
    /// Its bytes.
    pub(super) length: u64,
    /// What it is.
    pub(super) content: Content,
}

pub(super) enum Content {
    /// Known to be zeros.
    Zeros,
    /// Still to be read from the disk, into this buffer.
    Unread(Vec<u8>),
    /// These bytes.
    Bytes(Vec<u8>),
}

/// Where pieces come from.
pub(super) enum Feed<'a> {
    Disk(Walk<'a>),
    Stream(Sequential<'a>),
}

impl<'a> Feed<'a> {
    /// The next piece. `buffer` is used again.
    pub(super) fn next(&mut self, buffer: Vec<u8>) -> Result<Option<Piece>, ConvertError> {
        match self {
            Self::Disk(walk) => walk.next(buffer),
            Self::Stream(stream) => stream.next(buffer),
        }
    }

    /// The disk that unread pieces are read from.
    pub(super) fn source(&self) -> Option<&'a dyn Source> {
        match self {
            Self::Disk(walk) => Some(walk.source),
            Self::Stream(_) => None,
        }
    }
}

/// A walk over the extents of a disk.
pub(super) struct Walk<'a> {
    source: &'a dyn Source,
    shape: Shape,
    at: u64,
    /// Where the zeros end that begin at `at`; not after it when they are not known.
    zeros_until: u64,
    /// Where the data that begins at `at` ends.
    data_until: u64,
}

impl<'a> Walk<'a> {
    /// From `start`, a multiple of the alignment, to the end.
    pub(super) fn new(source: &'a dyn Source, start: u64, shape: Shape) -> Self {
        Self {
            source,
            shape,
            at: start,
            zeros_until: 0,
            data_until: 0,
        }
    }

    fn next(&mut self, buffer: Vec<u8>) -> Result<Option<Piece>, ConvertError> {
        let end = self.source.length();
        if self.at >= end {
            return Ok(None);
        }
        if self.zeros_until <= self.at && self.data_until <= self.at {
            self.look()?;
        }
        let (until, most, content) = if self.zeros_until > self.at {
            (self.zeros_until, self.shape.zeros, Content::Zeros)
        } else {
            (self.data_until, self.shape.piece, Content::Unread(buffer))
        };
        // Pieces keep to multiples of their size, so that blocks of an image are read whole.
        let boundary = (self.at / most + 1).saturating_mul(most);
        let piece = Piece {
            offset: self.at,
            length: until.min(boundary).min(end) - self.at,
            content,
        };
        self.at += piece.length;
        Ok(Some(piece))
    }

    /// Finds out what begins at `at`: whole aligned zeros, or data up to the next ones.
    fn look(&mut self) -> Result<(), SourceError> {
        let start = self.at;
        let zeros = self.aligned_zeros(start)?;
        if zeros > start {
            self.zeros_until = zeros;
            return Ok(());
        }
        let (mut data, end) = (start, self.source.length());
        while data < end && data - start < self.shape.piece {
            if data > start {
                let zeros = self.aligned_zeros(data)?;
                if zeros > data {
                    self.zeros_until = 0;
                    break;
                }
            }
            let extent = self.source.extent(data)?;
            let next = data.saturating_add(if extent.is_zeros { 1 } else { extent.length });
            data = next
                .checked_next_multiple_of(self.shape.align)
                .unwrap_or(end)
                .min(end);
        }
        self.data_until = data;
        Ok(())
    }

    /// The end of the whole aligned blocks of zeros from `at`; `at` when there is none.
    fn aligned_zeros(&self, at: u64) -> Result<u64, SourceError> {
        let (end, mut until) = (self.source.length(), at);
        // Several extents, because a format may tell them block by block.
        while until < end && until - at < self.shape.zeros {
            let extent = self.source.extent(until)?;
            if !extent.is_zeros {
                break;
            }
            until = until.saturating_add(extent.length).min(end);
        }
        if until >= end {
            return Ok(end);
        }
        Ok(until / self.shape.align * self.shape.align)
    }
}

/// A stream, cut as it comes.
pub(super) struct Sequential<'a> {
    stream: &'a mut (dyn Read + Send),
    shape: Shape,
    start: u64,
    at: u64,
}

impl<'a> Sequential<'a> {
    /// What comes before `start` is passed over.
    pub(super) fn new(stream: &'a mut (dyn Read + Send), start: u64, shape: Shape) -> Self {
        Self {
            stream,
            shape,
            start,
            at: 0,
        }
    }

    fn next(&mut self, mut buffer: Vec<u8>) -> Result<Option<Piece>, ConvertError> {
        buffer.resize(self.shape.piece as usize, 0);
        loop {
            let left = self.start.saturating_sub(self.at);
            let room = if left == 0 {
                self.shape.piece
            } else {
                left.min(self.shape.piece)
            };
            let count = self.fill(&mut buffer[..room as usize])?;
            let offset = self.at;
            self.at += count as u64;
            if count == 0 {
                return Ok(None);
            }
            if left > 0 {
                continue;
            }
            let whole = count.is_multiple_of(self.shape.align as usize);
            let content = if whole && is_zero(&buffer[..count]) {
                Content::Zeros
            } else {
                buffer.truncate(count);
                Content::Bytes(buffer)
            };
            return Ok(Some(Piece {
                offset,
                length: count as u64,
                content,
            }));
        }
    }

    /// Reads until `buffer` is full or the stream ends.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ConvertError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(crate::source::stream::error_of(error, self.at).into()),
            }
        }
        Ok(filled)
    }
}
