//! Where a file has data and where it has holes, so that a sparse disk is not read for nothing.

use std::fs::File;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// To be read.
    Data { start: u64, end: u64 },
    /// Zeros.
    Hole { start: u64, end: u64 },
}

/// The parts of a file up to `total`, in order, without a gap.
pub(super) struct Extents<'a> {
    file: &'a File,
    at: u64,
    total: u64,
}

impl<'a> Extents<'a> {
    pub(super) fn of(file: &'a File, total: u64) -> Self {
        Self { file, at: 0, total }
    }

    /// The first byte at or after `at` that is data. Where the file system does not tell, all is data.
    fn next_data(&self) -> u64 {
        match seek(self.file, SeekFrom::Data(self.at)) {
            Ok(data) => data.clamp(self.at, self.total),
            Err(Errno::NXIO) => self.total,
            Err(_) => self.at,
        }
    }

    fn next_hole(&self) -> u64 {
        match seek(self.file, SeekFrom::Hole(self.at)) {
            Ok(hole) if hole > self.at => hole.min(self.total),
            _ => self.total,
        }
    }
}

impl Iterator for Extents<'_> {
    type Item = Extent;

    fn next(&mut self) -> Option<Extent> {
        if self.at >= self.total {
            return None;
        }
        let start = self.at;
        let data = self.next_data();
        if data > start {
            self.at = data;
            return Some(Extent::Hole { start, end: data });
        }
        self.at = self.next_hole();
        Some(Extent::Data {
            start,
            end: self.at,
        })
    }
}
