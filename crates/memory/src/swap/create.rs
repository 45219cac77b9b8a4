//! Making a swap file: whole under its name, or not at all.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;

use kinglet_model::Size;
use rustix::fs::{FallocateFlags, IFlags, Stat};
use rustix::io::Errno;

use super::header::LABEL_OF_FILE;
use super::view::Kind;
use super::{Slot, SwapHeader};
use crate::atomic;
use crate::folder::Folder;

/// How much is written at once where a file system cannot allocate without writing.
const CHUNK: usize = 1 << 20;

/// Makes the file beside its place and gives it its name once it is whole and on the disk.
pub(super) fn create(slot: &Slot, size: Size, kind: Kind, page_size: usize) -> io::Result<()> {
    let folder = Folder::open(&slot.folder())?;
    let temporary = atomic::temporary();
    let made = make(&folder, &temporary, size, kind, page_size)
        .and_then(|()| folder.rename_new(&temporary, slot.name()))
        .and_then(|()| folder.sync());
    if made.is_err() {
        // What failed is told; a temporary file that stays is swept at the next start.
        let _ = folder.remove(&temporary);
    }
    made
}

fn make(folder: &Folder, name: &str, size: Size, kind: Kind, page_size: usize) -> io::Result<()> {
    let mut file = folder.create(name)?;
    if kind == Kind::Btrfs {
        forbid_copy_on_write(&file)?;
    }
    allocate(&mut file, size)?;
    let pages = size.0 / page_size as u64;
    let header = SwapHeader::new(pages, LABEL_OF_FILE)
        .encode(page_size)
        .ok_or_else(|| io::Error::other("its header cannot count that many pages"))?;
    file.write_all_at(&header, 0)?;
    file.sync_all()
}

/// Only an empty file's blocks can be kept in place; that also keeps them uncompressed. In two calls,
/// since Btrfs refuses to trade one flag for the other.
fn forbid_copy_on_write(file: &File) -> io::Result<()> {
    let flags = rustix::fs::ioctl_getflags(file)?;
    let plain = flags.difference(IFlags::COMPRESSED);
    if plain != flags {
        rustix::fs::ioctl_setflags(file, plain)?;
    }
    Ok(rustix::fs::ioctl_setflags(file, plain | IFlags::NOCOW)?)
}

fn allocate(file: &mut File, size: Size) -> io::Result<()> {
    match rustix::fs::fallocate(&*file, FallocateFlags::empty(), 0, size.0) {
        // ext2 and ext3 have no such call: their blocks are allocated by writing them.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(file, size),
        other => Ok(other?),
    }
}

fn write_zeros(file: &mut File, size: Size) -> io::Result<()> {
    let zeros = vec![0; CHUNK];
    let mut left = size.0;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        file.write_all(&zeros[..part])?;
        left -= part as u64;
    }
    Ok(())
}

/// The header of a file. `None` where it has none that is whole.
pub(super) fn read_header(file: &File, page_size: usize) -> io::Result<Option<SwapHeader>> {
    let mut page = Vec::with_capacity(page_size);
    file.take(page_size as u64).read_to_end(&mut page)?;
    Ok(SwapHeader::decode(&page))
}

/// Whether the header is of a swap file of ours.
pub(super) fn is_ours(header: Option<&SwapHeader>) -> bool {
    header.is_some_and(|header| header.label == LABEL_OF_FILE)
}

/// Whether parts of a file were never allocated. Counted in blocks: `SEEK_HOLE` takes preallocated
/// blocks for holes, which the kernel's swap does not.
pub(super) fn has_holes(stat: &Stat) -> bool {
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let allocated = u64::try_from(stat.st_blocks)
        .unwrap_or(0)
        .saturating_mul(512);
    allocated < size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn created_file_has_header_mode_and_no_holes() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = folder.path().join("swapfile");
        let slot = super::super::SwapPath::parse(path.to_str().unwrap())
            .unwrap()
            .slots()[0]
            .clone();
        create(&slot, Size::mib(2), Kind::Ext4, 4096).unwrap();
        let file = File::open(&path).unwrap();
        let header = read_header(&file, 4096).unwrap().unwrap();
        assert_eq!((header.pages, is_ours(Some(&header))), (512, true));
        let stat = rustix::fs::fstat(&file).unwrap();
        assert!(!has_holes(&stat));
        assert_eq!(stat.st_mode & 0o7777, 0o600);
        assert!(create(&slot, Size::mib(2), Kind::Ext4, 4096).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn zeros_are_written_to_the_last_byte() {
        let mut file = tempfile::tempfile().unwrap();
        write_zeros(&mut file, Size((1 << 20) + 4096)).unwrap();
        assert_eq!(file.metadata().unwrap().len(), (1 << 20) + 4096);
    }

    #[test]
    fn sparse_file_has_holes() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(1 << 20).unwrap();
        assert!(has_holes(&rustix::fs::fstat(&file).unwrap()));
    }
}
