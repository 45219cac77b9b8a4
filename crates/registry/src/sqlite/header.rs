//! The header of the file, read without SQLite, which would already set up its own files beside a
//! foreign one. Source: SQLite's "Database File Format", section 1.3.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use super::{
    fault::Site,
    file::PAGE_SIZE,
    rows::{APPLICATION_ID, FORMAT},
};
use crate::error::RegistryError;

const LEN: u64 = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";
/// The size of a page (4096), then how to write and to read: 2 with a write-ahead log, 1 in a backup
/// that has not been opened yet.
const FORM_AT: usize = 16;
const PAGES_AT: usize = 28;
const USER_VERSION_AT: usize = 60;
const APPLICATION_ID_AT: usize = 68;

/// Refuses a file that is not ours, or not whole, as far as the header tells.
pub(super) fn check(site: &Site) -> Result<(), RegistryError> {
    let mut header = Vec::new();
    let file = File::open(site.path()).map_err(|error| site.io(&error))?;
    file.take(LEN)
        .read_to_end(&mut header)
        .map_err(|error| site.io(&error))?;
    if header.is_empty() {
        return Err(site.corrupt("the file is empty"));
    }
    if !header.starts_with(MAGIC) {
        return Err(site.corrupt("it is not a SQLite database"));
    }
    let field = |at: usize| {
        let bytes = header.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_be_bytes(bytes))
    };
    let (Some(pages), Some(version), Some(application)) = (
        field(PAGES_AT),
        field(USER_VERSION_AT),
        field(APPLICATION_ID_AT),
    ) else {
        return Err(site.corrupt("the file is cut off"));
    };
    check_identity(site, application, version)?;
    check_form(site, &header)?;
    check_length(site, pages)
}

/// Refuses the files of other programs, and those of later versions of this one.
pub(super) fn check_identity(
    site: &Site,
    application: u32,
    version: u32,
) -> Result<(), RegistryError> {
    if application != APPLICATION_ID {
        return Err(site.corrupt("it is the database of another program"));
    }
    match version {
        0 => Err(site.corrupt("it has no format number")),
        1..=FORMAT => Ok(()),
        found => Err(RegistryError::TooNew {
            path: site.path().to_path_buf(),
            found,
            supported: FORMAT,
        }),
    }
}

/// With other values SQLite would read another file than we wrote, or never write it.
fn check_form(site: &Site, header: &[u8]) -> Result<(), RegistryError> {
    match header.get(FORM_AT..FORM_AT + 4) {
        Some([0x10, 0, 1 | 2, 1 | 2]) => Ok(()),
        _ => Err(site.corrupt("its header is damaged")),
    }
}

/// Without a write-ahead log the file must have the length that its header says. SQLite itself
/// would read a last page that is cut off as if zeros followed.
fn check_length(site: &Site, pages: u32) -> Result<(), RegistryError> {
    if has_log(site.path()) {
        return Ok(());
    }
    let length = fs::metadata(site.path())
        .map_err(|error| site.io(&error))?
        .len();
    if length < u64::from(pages) * PAGE_SIZE {
        return Err(site.corrupt("the file is cut off"));
    }
    Ok(())
}

/// Whether there is a write-ahead log with something in it.
pub(super) fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    fs::metadata(PathBuf::from(log)).is_ok_and(|log| log.len() > 0)
}
