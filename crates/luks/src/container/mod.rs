//! A LUKS container: its header and the keys to it.

mod backup;
mod format;
mod keys;

pub use backup::RestoreOver;
pub use format::{BadLabel, FormatOptions, Label};

use crate::error::Error;
use crate::kdf::Limits;
use crate::keyslot;
use crate::luks1;
use crate::luks2::copies::Copies;
pub use crate::luks2::copies::CopyState;
use crate::metadata::{Metadata, SlotNumber};
use crate::secret::Secret;
use crate::storage::Storage;
use crate::volume::Volume;

/// A container on its storage.
///
/// The caller sees to it that nothing else writes the storage meanwhile; a header changed behind our
/// back is noticed before it would be overwritten, but not prevented.
#[derive(Debug)]
pub struct Container<S> {
    storage: S,
    header: Header,
    limits: Limits,
}

#[derive(Debug)]
enum Header {
    Luks1(Box<Metadata>),
    Luks2(Box<Copies>),
}

/// A volume key and the slot that gave it.
pub struct Unlocked {
    /// Which slot.
    pub slot: SlotNumber,
    /// The key of the data.
    pub key: Secret,
}

impl std::fmt::Debug for Unlocked {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Unlocked")
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}

impl<S: Storage> Container<S> {
    /// Reads the header. No key is derived yet; `limits` bound what that may cost later.
    ///
    /// # Errors
    /// [`Error::NotLuks`]; a broken header ([`Error::BothCopiesBroken`], [`Error::BrokenLuks1`]), one
    /// that asks for what is not done here ([`Error::Unsupported`]); or reading failed.
    pub fn open(storage: S, limits: Limits) -> Result<Self, Error> {
        let header = match read_luks1(&storage)? {
            Some(metadata) => Header::Luks1(Box::new(metadata)),
            None => Header::Luks2(Box::new(Copies::read(&storage)?)),
        };
        Ok(Self {
            storage,
            header,
            limits,
        })
    }

    /// What the header says.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        match &self.header {
            Header::Luks1(metadata) => metadata,
            Header::Luks2(copies) => &copies.metadata,
        }
    }

    /// How the first and the second copy of the header are. None for LUKS1, which has one.
    #[must_use]
    pub fn copies(&self) -> Option<(&CopyState, &CopyState)> {
        match &self.header {
            Header::Luks1(_) => None,
            Header::Luks2(copies) => Some((&copies.primary, &copies.secondary)),
        }
    }

    /// Tries `passphrase` (or the bytes of a key file) at each slot in order of priority. Each slot
    /// tried may cost up to the limits.
    ///
    /// # Errors
    /// [`Error::WrongPassphrase`] when none opens; [`Error::TooCostly`], [`Error::OutOfMemory`] or
    /// [`Error::DamagedSlot`] when none opens and at least one could not be tried for that; or
    /// reading failed.
    pub fn unlock(&self, passphrase: &Secret) -> Result<Unlocked, Error> {
        let mut refused = None;
        for slot in self.metadata().slots_to_try() {
            match self.unlock_slot(slot, passphrase) {
                Err(Error::WrongPassphrase) => {}
                Err(
                    error @ (Error::TooCostly { .. }
                    | Error::OutOfMemory { .. }
                    | Error::DamagedSlot(_)),
                ) => {
                    refused.get_or_insert(error);
                }
                other => return other,
            }
        }
        Err(refused.unwrap_or(Error::WrongPassphrase))
    }

    /// Tries `passphrase` at one slot only.
    ///
    /// # Errors
    /// As [`Container::unlock`], and [`Error::NoSuchSlot`], [`Error::UnusableSlot`].
    pub fn unlock_slot(&self, number: SlotNumber, passphrase: &Secret) -> Result<Unlocked, Error> {
        let metadata = self.metadata();
        let slot = match (
            metadata.keyslots.get(&number),
            metadata.unusable.get(&number),
        ) {
            (Some(slot), _) => slot,
            (None, Some(reason)) => {
                return Err(Error::UnusableSlot {
                    slot: number,
                    reason: reason.clone(),
                });
            }
            (None, None) => return Err(Error::NoSuchSlot(number)),
        };
        let key = keyslot::open(number, slot, passphrase, &self.storage, &self.limits)?;
        if keyslot::proves(&metadata.digest, &key, &self.limits)? {
            Ok(Unlocked { slot: number, key })
        } else {
            Err(Error::WrongPassphrase)
        }
    }

    /// The data behind the header, as a plain block device.
    ///
    /// # Errors
    /// [`Error::WrongKey`] when `key` is not the container's; [`Error::Unsupported`] for a detached
    /// header, whose data is elsewhere (see [`Volume::new`]).
    pub fn into_volume(self, key: &Secret) -> Result<Volume<S>, Error> {
        self.check_key(key)?;
        if self.metadata().is_detached() {
            let message = "its header is detached: the data is in another file";
            return Err(Error::Unsupported(message.to_owned()));
        }
        let segment = self.metadata().segment.clone();
        Volume::new(self.storage, &segment, key)
    }

    /// Gives the storage back.
    #[must_use]
    pub fn into_storage(self) -> S {
        self.storage
    }

    /// Writes a broken or stale copy of the header again, from the good one. Returns whether there
    /// was something to do.
    ///
    /// # Errors
    /// [`Error::ChangedMeanwhile`], or writing failed.
    pub fn repair(&mut self) -> Result<bool, Error> {
        let Header::Luks2(copies) = &mut self.header else {
            return Ok(false);
        };
        if (&copies.primary, &copies.secondary) == (&CopyState::Current, &CopyState::Current) {
            return Ok(false);
        }
        **copies = copies.write(&copies.document, &self.storage)?;
        Ok(true)
    }

    fn check_key(&self, key: &Secret) -> Result<(), Error> {
        if keyslot::proves(&self.metadata().digest, key, &self.limits)? {
            Ok(())
        } else {
            Err(Error::WrongKey)
        }
    }
}

fn read_luks1(storage: &impl Storage) -> Result<Option<Metadata>, Error> {
    let length = storage
        .length()
        .map_err(Error::io("finding the length of the container"))?;
    if length < luks1::LENGTH as u64 {
        return Ok(None);
    }
    let mut bytes = [0; luks1::LENGTH];
    storage
        .read_exact_at(&mut bytes, 0)
        .map_err(Error::io("reading the header"))?;
    if bytes[..8] == *b"LUKS\xba\xbe\0\x01" {
        luks1::parse(&bytes).map(Some)
    } else {
        Ok(None)
    }
}
