//! What the threads do with a piece before it is written: find its zeros, or compress it.

use super::ConvertError;
use super::feed::{Content, Piece};
use super::zero::is_zero;

/// One thread's work on pieces.
pub(super) trait Encode: Send {
    /// What is to be written for `piece`, whose bytes were read.
    fn encode(&mut self, piece: Piece) -> Result<Encoded, ConvertError>;
}

/// A piece, ready to be written.
pub(super) struct Encoded {
    /// Where it begins on the disk.
    pub(super) offset: u64,
    /// Bytes of the disk.
    pub(super) length: u64,
    /// Bytes to be written; parts of them, where there are parts.
    pub(super) bytes: Vec<u8>,
    /// How the piece is divided, in order and without gaps.
    pub(super) parts: Vec<Part>,
}

/// A run of a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) kind: Kind,
    /// Bytes of the disk.
    pub(super) length: u64,
    /// Where its bytes are among those of the piece. Zeros have none that matter.
    pub(super) start: usize,
    /// How many.
    pub(super) size: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Zeros,
    Plain,
    Packed,
}

impl Encoded {
    /// A piece of nothing but zeros.
    pub(super) fn zeros(piece: &Piece) -> Self {
        Self {
            offset: piece.offset,
            length: piece.length,
            bytes: Vec::new(),
            parts: vec![Part {
                kind: Kind::Zeros,
                length: piece.length,
                start: 0,
                size: 0,
            }],
        }
    }

    /// A piece that became `bytes` as a whole.
    pub(super) fn packed(piece: &Piece, bytes: Vec<u8>) -> Self {
        Self {
            offset: piece.offset,
            length: piece.length,
            parts: vec![Part {
                kind: Kind::Packed,
                length: piece.length,
                start: 0,
                size: bytes.len(),
            }],
            bytes,
        }
    }
}

/// Finds the zeros, in blocks of so many bytes.
pub(super) struct FindZeros {
    pub(super) block: usize,
}

impl Encode for FindZeros {
    fn encode(&mut self, piece: Piece) -> Result<Encoded, ConvertError> {
        let bytes = match piece.content {
            Content::Bytes(bytes) => bytes,
            _ => return Ok(Encoded::zeros(&piece)),
        };
        let mut parts: Vec<Part> = Vec::new();
        for (index, block) in bytes.chunks(self.block).enumerate() {
            let kind = if is_zero(block) {
                Kind::Zeros
            } else {
                Kind::Plain
            };
            match parts.last_mut() {
                Some(last) if last.kind == kind => {
                    last.length += block.len() as u64;
                    last.size += block.len();
                }
                _ => parts.push(Part {
                    kind,
                    length: block.len() as u64,
                    start: index * self.block,
                    size: block.len(),
                }),
            }
        }
        Ok(Encoded {
            offset: piece.offset,
            length: piece.length,
            bytes,
            parts,
        })
    }
}
