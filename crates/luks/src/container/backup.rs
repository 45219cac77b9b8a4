//! Header backups, byte for byte as `cryptsetup luksHeaderBackup` and `luksHeaderRestore` have them:
//! the header, its copies and all key slots in one file.

use std::io::{Read, Write};

use super::{Container, Header};
use crate::error::Error;
use crate::kdf::Limits;
use crate::luks1;
use crate::luks2::copies::{Copies, CopyState};
use crate::storage::Storage;

/// LUKS1 key material begins here where there is nothing but padding before it.
const LUKS1_ALIGNED: u64 = 4096;
/// The longest header with its key slots: two copies of 4 MiB and 128 MiB of keys.
const LONGEST: u64 = (2 * 4 + 128) << 20;
const STEP: usize = 1 << 20;

/// What may be overwritten by a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreOver {
    /// Only a container with the same UUID, or one whose header is broken.
    SameContainer,
    /// Whatever is there.
    Anything,
}

impl<S: Storage> Container<S> {
    /// Writes a backup of the header to `output`, and returns its length. It opens with the
    /// passphrases of today for ever, also when they are changed in the container: keep it safe.
    ///
    /// # Errors
    /// Reading or writing failed.
    pub fn back_up(&self, mut output: impl Write) -> Result<u64, Error> {
        let length = self.metadata().header_length;
        let mut buffer = vec![0; STEP];
        let mut offset = 0;
        while offset < length {
            let part = &mut buffer[..(length - offset).min(STEP as u64) as usize];
            self.storage
                .read_exact_at(part, offset)
                .map_err(Error::io("reading the header"))?;
            if offset == 0 && matches!(self.header, Header::Luks1(_)) {
                clear_luks1_padding(part);
            }
            output
                .write_all(part)
                .map_err(Error::io("writing the header backup"))?;
            offset += part.len() as u64;
        }
        output
            .flush()
            .map_err(Error::io("writing the header backup"))?;
        Ok(length)
    }

    /// Puts a LUKS2 backup back in front of the data of `storage`, and opens the container.
    ///
    /// # Errors
    /// [`Error::BadBackup`] when the backup is broken or does not belong there,
    /// [`Error::ReadOnlyLuks1`] for one of LUKS1; or reading or writing failed.
    pub fn restore(
        storage: S,
        mut backup: impl Read,
        over: RestoreOver,
        limits: Limits,
    ) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        backup
            .by_ref()
            .take(LONGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(Error::io("reading the header backup"))?;
        let copies = check_backup(&bytes)?;
        check_target(&storage, &copies, over, limits)?;
        // The first copy is only made valid again when everything else is there.
        let first = &bytes[..copies.binary.size as usize];
        let rest = &bytes[first.len()..];
        let write = |data: &[u8], offset| {
            storage
                .write_all_at(data, offset)
                .and_then(|()| storage.sync())
                .map_err(Error::io("restoring the header"))
        };
        write(rest, first.len() as u64)?;
        write(first, 0)?;
        Self::open(storage, limits)
    }
}

fn check_backup(bytes: &[u8]) -> Result<Copies, Error> {
    if bytes.starts_with(b"LUKS\xba\xbe\0\x01") {
        return Err(Error::ReadOnlyLuks1);
    }
    let copies = Copies::read(&bytes).map_err(|error| Error::BadBackup(error.to_string()))?;
    let expected = copies.metadata.header_length;
    if bytes.len() as u64 != expected {
        return Err(Error::BadBackup(format!(
            "it has {} bytes, not {expected}",
            bytes.len()
        )));
    }
    if (&copies.primary, &copies.secondary) != (&CopyState::Current, &CopyState::Current) {
        return Err(Error::BadBackup(
            "one of its two header copies is broken".to_owned(),
        ));
    }
    Ok(copies)
}

fn check_target(
    storage: &impl Storage,
    backup: &Copies,
    over: RestoreOver,
    limits: Limits,
) -> Result<(), Error> {
    let length = storage
        .length()
        .map_err(Error::io("finding the length of the container"))?;
    let needed = backup
        .metadata
        .segment
        .offset
        .max(backup.metadata.header_length);
    if length < needed {
        return Err(Error::BadBackup(format!(
            "it is for at least {needed} bytes, not {length}"
        )));
    }
    if over == RestoreOver::Anything {
        return Ok(());
    }
    let present = match Container::open(storage, limits) {
        Ok(container) => container,
        Err(Error::BothCopiesBroken { .. } | Error::BrokenLuks1(_)) => return Ok(()),
        Err(Error::NotLuks) => {
            let message = "what would be overwritten is not a LUKS container";
            return Err(Error::BadBackup(message.to_owned()));
        }
        Err(error) => return Err(error),
    };
    let (there, here) = (present.metadata(), &backup.metadata);
    if there.uuid != here.uuid {
        return Err(Error::BadBackup(format!(
            "it is of the container {}, but this one is {}",
            here.uuid, there.uuid
        )));
    }
    if there.segment.offset != here.segment.offset {
        return Err(Error::BadBackup(
            "the data of this container begins elsewhere".to_owned(),
        ));
    }
    Ok(())
}

/// Signatures of what was on the disk before LUKS must not be in a backup.
fn clear_luks1_padding(start: &mut [u8]) {
    let first = start
        .get(208 + 40..208 + 44)
        .and_then(|field| field.try_into().ok());
    let offset = u64::from(first.map_or(0, u32::from_be_bytes)) * 512;
    if offset == LUKS1_ALIGNED
        && let Some(padding) = start.get_mut(luks1::LENGTH..LUKS1_ALIGNED as usize)
    {
        padding.fill(0);
    }
}
