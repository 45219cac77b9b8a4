//! Compressing clusters, each by itself; one that does not become smaller stays as it is.

use flate2::{Compress, Compression, FlushCompress, Status};

use super::CLUSTER;
use crate::convert::encode::{Encode, Encoded, Kind, Part};
use crate::convert::feed::{Content, Piece};
use crate::convert::zero::is_zero;
use crate::convert::{ClusterCompression, ConvertError};

/// Log2 of the window that QEMU unpacks deflate with.
const WINDOW_BITS: u8 = 12;
const ZSTD_LEVEL: i32 = 3;

/// One thread's compressor.
pub(super) struct PackClusters {
    method: Method,
    /// A cluster, compressed.
    room: Vec<u8>,
    /// The last cluster of the disk, filled up.
    whole: Vec<u8>,
}

enum Method {
    Zlib(Box<Compress>),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl PackClusters {
    pub(super) fn new(compression: ClusterCompression) -> Result<Self, ConvertError> {
        let method = match compression {
            ClusterCompression::Zlib => Method::Zlib(Box::new(Compress::new_with_window_bits(
                Compression::default(),
                false,
                WINDOW_BITS,
            ))),
            ClusterCompression::Zstd => {
                Method::Zstd(zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(ConvertError::Write)?)
            }
        };
        Ok(Self {
            method,
            room: vec![0; CLUSTER as usize - 1],
            whole: Vec::new(),
        })
    }

    /// How many bytes of `room` the cluster takes; `None` when it does not become smaller.
    fn compress(&mut self, cluster: &[u8]) -> Option<usize> {
        match &mut self.method {
            Method::Zlib(deflate) => {
                deflate.reset();
                let status = deflate
                    .compress(cluster, &mut self.room, FlushCompress::Finish)
                    .ok()?;
                (status == Status::StreamEnd).then_some(deflate.total_out() as usize)
            }
            // The only error that whole input in memory can have is that it does not fit.
            Method::Zstd(zstd) => zstd
                .compress_to_buffer(cluster, self.room.as_mut_slice())
                .ok(),
        }
    }
}

impl Encode for PackClusters {
    fn encode(&mut self, piece: Piece) -> Result<Encoded, ConvertError> {
        let mut bytes = match piece.content {
            Content::Bytes(bytes) => bytes,
            _ => return Ok(Encoded::zeros(&piece)),
        };
        let mut parts = Vec::with_capacity(bytes.len().div_ceil(CLUSTER as usize));
        for start in (0..bytes.len()).step_by(CLUSTER as usize) {
            let size = (bytes.len() - start).min(CLUSTER as usize);
            let part = |kind, size_now| Part {
                kind,
                length: size as u64,
                start,
                size: size_now,
            };
            if is_zero(&bytes[start..start + size]) {
                parts.push(part(Kind::Zeros, 0));
                continue;
            }
            let packed = if size == CLUSTER as usize {
                self.compress(&bytes[start..start + size])
            } else {
                let mut whole = std::mem::take(&mut self.whole);
                whole.clear();
                whole.extend_from_slice(&bytes[start..start + size]);
                whole.resize(CLUSTER as usize, 0);
                let packed = self.compress(&whole);
                self.whole = whole;
                // Its place in the piece is only as large as it is.
                packed.filter(|packed| *packed <= size)
            };
            match packed {
                Some(packed) => {
                    bytes[start..start + packed].copy_from_slice(&self.room[..packed]);
                    parts.push(part(Kind::Packed, packed));
                }
                None => parts.push(part(Kind::Plain, size)),
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
