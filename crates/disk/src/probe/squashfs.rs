//! squashfs 4: the superblock says how many bytes the file system uses.
//!
//! Specification: Linux, `fs/squashfs/squashfs_fs.h`.

use super::damage::Damage;
use super::source::{Examined, Source};
use super::{Facts, ProbeError};
use crate::fields::{le16, le64};

pub(super) fn recognises(source: &Source<'_>) -> Result<bool, ProbeError> {
    source.has(0, b"hsqs")
}

pub(super) fn examine(source: &Source<'_>, facts: &mut Facts) -> Examined {
    facts.virtual_size = source.sectors();
    let superblock: [u8; 96] = source.array(0)?;
    let (major, used) = (le16(&superblock, 28), le64(&superblock, 40));
    if major != 4 {
        return Err(Damage::new(
            format!("squashfs version {major} is not known"),
            "make it again with a current mksquashfs",
        )
        .into());
    }
    if used > source.len() {
        return Err(Damage::cut_short(source.len(), used, true).into());
    }
    // The places of the id, xattr, inode, directory, fragment and export tables; all ones: none.
    for at in (48..96).step_by(8) {
        let table = le64(&superblock, at);
        if table != u64::MAX && table >= used {
            return Err(Damage::broken("its superblock (squashfs) is wrong").into());
        }
    }
    Ok(())
}
