//! The log file: reading at absolute offsets, and giving its head back to the file system.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use rustix::fs::{FallocateFlags, SeekFrom, fallocate, seek};
use rustix::io::Errno;

/// Holes are made in whole blocks of any file system.
const BLOCK: u64 = 64 << 10;

/// Up to `max` bytes from the offset `from`, or from the first one kept where that is later.
pub(super) fn read(path: &Path, from: u64, max: usize) -> io::Result<(u64, Bytes)> {
    let file = File::open(path)?;
    let end = file.metadata()?.len();
    // Shorter than before: it was cut where holes are not possible.
    let from = if from > end { 0 } else { from };
    let start = from.max(first_kept(&file)?.min(end));
    let length = usize::try_from(end - start).unwrap_or(max).min(max);
    let mut bytes = vec![0; length];
    let read = file.read_at(&mut bytes, start)?;
    bytes.truncate(read);
    Ok((start, bytes.into()))
}

/// Where the hole at the head ends.
fn first_kept(file: &File) -> io::Result<u64> {
    match seek(file, SeekFrom::Data(0)) {
        Ok(offset) => Ok(offset),
        // Nothing but a hole, or empty.
        Err(Errno::NXIO) => Ok(file.metadata()?.len()),
        Err(error) => Err(error.into()),
    }
}

/// Gives back what lies more than `kept` bytes before the end, once that is worth it.
pub(super) fn trim(path: &Path, kept: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    let end = file.metadata()?.len();
    let hole = end.saturating_sub(kept) / BLOCK * BLOCK;
    if hole == 0 || first_kept(&file)? >= hole {
        return Ok(());
    }
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(fallocate(&file, flags, 0, hole)?)
}

/// Empties a log that grew over `kept` where holes are not possible. Only between two runs.
pub(super) fn cut_if_whole(path: &Path, kept: u64) -> io::Result<()> {
    match trim(path, kept) {
        Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => {
            tracing::warn!(path = %path.display(), "this file system has no holes: console output is kept \
                 for one run only, and without bound while it runs");
            OpenOptions::new().write(true).open(path)?.set_len(0)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn trim_keeps_the_end_and_every_offset() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let text: Vec<u8> = (0..1_000_000_u32).map(|n| b'a' + (n % 26) as u8).collect();
        std::fs::write(&path, &text).unwrap();
        trim(&path, 100_000).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 1_000_000);
        assert!(std::fs::metadata(&path).unwrap().blocks() * 512 < 300_000);
        let (offset, bytes) = read(&path, 0, 10).unwrap();
        assert!((800_000..=900_000).contains(&offset), "{offset}");
        let at = usize::try_from(offset).unwrap();
        assert_eq!(bytes, &text[at..at + 10]);
        let (offset, bytes) = read(&path, 999_995, 100).unwrap();
        assert_eq!((offset, &bytes[..]), (999_995, &text[999_995..]));
    }

    #[test]
    fn reading_an_empty_log_or_past_its_end_gives_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "").unwrap();
        assert_eq!(read(&path, 0, 10).unwrap(), (0, Bytes::new()));
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(read(&path, 3, 10).unwrap(), (3, Bytes::new()));
        assert_eq!(read(&path, 9, 10).unwrap(), (0, Bytes::from_static(b"abc")));
    }
}
