//! A disk whose image is its bytes: raw disks, discs, read-only file systems.

use super::{Bytes, Source, SourceError, check_range, fill, length_of};
use crate::read::Extent;

/// All bytes of an image, or of a part of it.
pub(super) struct Raw {
    bytes: Bytes,
    start: u64,
    length: u64,
}

impl Raw {
    /// All of it.
    pub(super) fn open(bytes: Bytes) -> Result<Self, SourceError> {
        let length = length_of(&bytes)?;
        Ok(Self::part(bytes, 0, length))
    }

    /// `length` bytes from `start`, which lie in it.
    pub(super) fn part(bytes: Bytes, start: u64, length: u64) -> Self {
        Self {
            bytes,
            start,
            length,
        }
    }
}

impl Source for Raw {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), SourceError> {
        check_range(self.length, offset, buffer.len())?;
        let end = self.start.saturating_add(self.length);
        fill(&self.bytes, end, buffer, self.start.saturating_add(offset))
    }

    fn extent(&self, offset: u64) -> Result<Extent, SourceError> {
        check_range(self.length, offset, 1)?;
        let at = self.start.saturating_add(offset);
        let extent = self
            .bytes
            .extent(at)
            .map_err(|source| SourceError::Read { offset: at, source })?;
        let rest = self.length - offset;
        Ok(Extent {
            // A file that was cut meanwhile has nothing here; reading then says so.
            length: if extent.length == 0 {
                rest
            } else {
                extent.length.min(rest)
            },
            is_zeros: extent.is_zeros && extent.length > 0,
        })
    }
}
