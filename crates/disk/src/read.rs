//! Reading at a place: what the parsers need of a file, so that tests can hand them bytes and a caller
//! the plain data of an encrypted container.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// Something of a known length that is read at offsets.
///
/// Two methods suffice; one that knows its holes tells them as well, so that they are not read.
pub trait ReadAt {
    /// Bytes in it.
    fn length(&self) -> io::Result<u64>;

    /// Reads into `buffer` from `offset`. Returns how many bytes; 0 at and beyond the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// What stands at `offset`, and for how many bytes at least. `offset` is before the end. Whoever does
    /// not know says data to the end.
    fn extent(&self, offset: u64) -> io::Result<Extent> {
        Ok(Extent::data(self.length()?.saturating_sub(offset)))
    }
}

/// A run of bytes of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Bytes in it; never 0.
    pub length: u64,
    /// Whether it is known to be zeros without looking. Data may be zeros, too.
    pub is_zeros: bool,
}

impl Extent {
    /// So many bytes that have to be read.
    #[must_use]
    pub const fn data(length: u64) -> Self {
        Self {
            length,
            is_zeros: false,
        }
    }

    /// So many zeros.
    #[must_use]
    pub const fn zeros(length: u64) -> Self {
        Self {
            length,
            is_zeros: true,
        }
    }
}

/// Holes are told where the file system tells them; asking moves the file's cursor.
impl ReadAt for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn extent(&self, offset: u64) -> io::Result<Extent> {
        let rest = self.length()?.saturating_sub(offset);
        let distance = |to: u64| to.saturating_sub(offset).min(rest);
        match seek(self, SeekFrom::Data(offset)) {
            Ok(data) if data > offset => Ok(Extent::zeros(distance(data))),
            Err(Errno::NXIO) => Ok(Extent::zeros(rest)),
            _ => match seek(self, SeekFrom::Hole(offset)) {
                Ok(hole) if hole > offset => Ok(Extent::data(distance(hole))),
                _ => Ok(Extent::data(rest)),
            },
        }
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Arc<T> {
    fn length(&self) -> io::Result<u64> {
        (**self).length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        (**self).read_at(buffer, offset)
    }

    fn extent(&self, offset: u64) -> io::Result<Extent> {
        (**self).extent(offset)
    }
}

impl ReadAt for &[u8] {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.get(offset..))
            .unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

impl ReadAt for Vec<u8> {
    fn length(&self) -> io::Result<u64> {
        self.as_slice().length()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.as_slice().read_at(buffer, offset)
    }
}
