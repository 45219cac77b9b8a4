//! A disk that a table maps, block by block, to places in its image: what qcow2, VMDK, VHD and VHDX have
//! in common. A format brings its lookup ([`Lookup`]); reading, joining neighbours, unpacking and what
//! lies beneath are here, once.

use std::sync::{Arc, Mutex, PoisonError};

use super::inflate::{Inflaters, Packed};
use super::{Bytes, Source, SourceError, check_range, fill};
use crate::read::Extent;

/// Steps that are joined to one extent, at most: an answer comes in bounded time.
const JOINED_MAX: u32 = 4096;

/// Where the bytes of a disk are.
pub(super) trait Lookup: Send + Sync {
    /// Bytes of the disk.
    fn disk_length(&self) -> u64;

    /// Bytes of the image.
    fn image_length(&self) -> u64;

    /// Where `offset` is, which lies in the disk. The place reaches at least one byte, and never beyond
    /// the block that `offset` is in, unless nothing is there.
    fn place(&self, offset: u64) -> Result<Place, SourceError>;
}

/// Where some bytes of a disk are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Where.
    pub(super) at: At,
    /// For how many bytes; more than 0.
    pub(super) length: u64,
}

/// Where bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// Nowhere: they are zeros.
    Zeros,
    /// Not in this image: on the disk beneath, and zeros where there is none.
    Beneath,
    /// As they are, in the image from this byte on.
    Stored(u64),
    /// In a compressed block, from byte `within` of what it holds.
    Packed {
        /// The block.
        block: Packed,
        /// Where in it.
        within: u64,
    },
}

/// The disk of a mapped image.
pub(super) struct Mapped<L> {
    bytes: Bytes,
    lookup: L,
    beneath: Option<Box<dyn Source>>,
    inflaters: Inflaters,
    /// The block that was last read in part.
    unpacked: Mutex<Option<(Packed, Arc<[u8]>)>>,
}

impl<L: Lookup> Mapped<L> {
    pub(super) fn new(bytes: Bytes, lookup: L, beneath: Option<Box<dyn Source>>) -> Self {
        Self {
            bytes,
            lookup,
            beneath,
            inflaters: Inflaters::default(),
            unpacked: Mutex::new(None),
        }
    }

    /// The place at `offset`, cut to `most` bytes.
    fn place(&self, offset: u64, most: u64) -> Result<Place, SourceError> {
        let place = self.lookup.place(offset)?;
        Ok(Place {
            length: place.length.min(most).max(1),
            ..place
        })
    }

    /// The same with the stored neighbours that follow it in the image as well.
    fn joined(&self, offset: u64, most: u64) -> Result<Place, SourceError> {
        let mut first = self.place(offset, most)?;
        let At::Stored(start) = first.at else {
            return Ok(first);
        };
        while first.length < most {
            let next = self.place(offset + first.length, most - first.length)?;
            if next.at != At::Stored(start.saturating_add(first.length)) {
                break;
            }
            first.length += next.length;
        }
        Ok(first)
    }

    fn read(&self, place: &Place, part: &mut [u8], offset: u64) -> Result<(), SourceError> {
        match place.at {
            At::Zeros => part.fill(0),
            At::Beneath => self.read_beneath(part, offset)?,
            At::Stored(at) => fill(&self.bytes, self.lookup.image_length(), part, at)?,
            At::Packed { block, within } => self.read_packed(&block, within, part)?,
        }
        Ok(())
    }

    fn read_beneath(&self, part: &mut [u8], offset: u64) -> Result<(), SourceError> {
        let Some(beneath) = &self.beneath else {
            part.fill(0);
            return Ok(());
        };
        let there = beneath.length().saturating_sub(offset);
        let (below, past_end) = part.split_at_mut(there.min(part.len() as u64) as usize);
        past_end.fill(0);
        if below.is_empty() {
            return Ok(());
        }
        beneath.read_exact_at(below, offset)
    }

    fn read_packed(&self, block: &Packed, within: u64, part: &mut [u8]) -> Result<(), SourceError> {
        let length = self.lookup.image_length();
        if within == 0 && part.len() == block.unpacked {
            return self.inflaters.unpack(&self.bytes, length, block, part);
        }
        let whole = self.whole_block(block)?;
        let start = within as usize;
        match whole.get(start..start.saturating_add(part.len())) {
            Some(bytes) => part.copy_from_slice(bytes),
            None => return Err(SourceError::damaged("a compressed block is too short")),
        }
        Ok(())
    }

    fn whole_block(&self, block: &Packed) -> Result<Arc<[u8]>, SourceError> {
        let held = || self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, bytes)) = &*held()
            && of == block
        {
            return Ok(Arc::clone(bytes));
        }
        let mut bytes = vec![0; block.unpacked];
        let length = self.lookup.image_length();
        self.inflaters
            .unpack(&self.bytes, length, block, &mut bytes)?;
        let bytes: Arc<[u8]> = bytes.into();
        *held() = Some((*block, Arc::clone(&bytes)));
        Ok(bytes)
    }

    /// What one place comes to.
    fn extent_of(&self, place: &Place, offset: u64) -> Result<Extent, SourceError> {
        let is_zeros = match (place.at, &self.beneath) {
            (At::Zeros, _) | (At::Beneath, None) => true,
            (At::Stored(_) | At::Packed { .. }, _) => false,
            (At::Beneath, Some(beneath)) if offset >= beneath.length() => true,
            (At::Beneath, Some(beneath)) => {
                let below = beneath.extent(offset)?;
                return Ok(Extent {
                    length: below.length.min(place.length),
                    ..below
                });
            }
        };
        Ok(Extent {
            length: place.length,
            is_zeros,
        })
    }
}

impl<L: Lookup> Source for Mapped<L> {
    fn length(&self) -> u64 {
        self.lookup.disk_length()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), SourceError> {
        check_range(self.length(), offset, buffer.len())?;
        let (mut at, mut rest) = (offset, buffer);
        while !rest.is_empty() {
            let place = self.joined(at, rest.len() as u64)?;
            let (part, after) = rest.split_at_mut(place.length as usize);
            self.read(&place, part, at)?;
            at += place.length;
            rest = after;
        }
        Ok(())
    }

    fn extent(&self, offset: u64) -> Result<Extent, SourceError> {
        check_range(self.length(), offset, 1)?;
        let mut joined = Extent::data(0);
        for step in 0..JOINED_MAX {
            let at = offset + joined.length;
            if at >= self.length() {
                break;
            }
            let place = self.place(at, self.length() - at)?;
            let next = self.extent_of(&place, at)?;
            if step == 0 {
                joined.is_zeros = next.is_zeros;
            } else if next.is_zeros != joined.is_zeros {
                break;
            }
            joined.length += next.length;
        }
        Ok(joined)
    }
}
