//! Why a container could not be opened, read or changed.

use std::io;

use thiserror::Error;

use crate::metadata::SlotNumber;

/// What went wrong, as a sentence for a person.
#[derive(Debug, Error)]
pub enum Error {
    /// Neither header copy begins as LUKS does.
    #[error("this is not a LUKS container: there is no LUKS header at its beginning")]
    NotLuks,

    /// Both copies of a LUKS2 header are unusable.
    #[error(
        "both copies of the LUKS2 header are broken (first: {primary}; second: {secondary}); \
         restore a header backup to open this container"
    )]
    BothCopiesBroken {
        /// What is wrong with the first.
        primary: String,
        /// What is wrong with the second.
        secondary: String,
    },

    /// A LUKS1 header (there is one copy) contradicts itself.
    #[error("the LUKS1 header is broken: {0}; restore a header backup to open this container")]
    BrokenLuks1(String),

    /// The header is whole and asks for what this program does not do.
    #[error("this container cannot be used here: {0}")]
    Unsupported(String),

    /// Deriving the slot's key would cost more than the caller allows.
    #[error("opening key slot {slot} takes {asked}, more than the {allowed} this host allows")]
    TooCostly {
        /// Which slot.
        slot: SlotNumber,
        /// What its header asks for.
        asked: String,
        /// The limit.
        allowed: String,
    },

    /// The system gave no memory for deriving the key.
    #[error("there is not enough free memory to derive the key: {needed} bytes are needed")]
    OutOfMemory {
        /// Bytes.
        needed: u64,
    },

    /// Part of the slot's key material cannot be what was written: it is constant, or cut off.
    #[error(
        "key slot {0} is damaged, part of its key material was overwritten; restore a header backup \
         to open it again"
    )]
    DamagedSlot(SlotNumber),

    /// No slot opens with it.
    #[error("the passphrase or key file opens no key slot of this container")]
    WrongPassphrase,

    /// The key is not the one the container was made with.
    #[error("the volume key does not belong to this container")]
    WrongKey,

    /// A passphrase of no bytes.
    #[error("an empty passphrase or key file protects nothing: give at least one byte")]
    EmptyPassphrase,

    /// There is no such slot.
    #[error("the container has no key slot {0}")]
    NoSuchSlot(SlotNumber),

    /// The slot is there, but of a kind that cannot be opened here.
    #[error("key slot {slot} cannot be used here: {reason}")]
    UnusableSlot {
        /// Which slot.
        slot: SlotNumber,
        /// Why.
        reason: String,
    },

    /// Removing it would lose the data for ever.
    #[error("key slot {0} is the last one that opens this container, so it is not removed")]
    LastSlot(SlotNumber),

    /// No slot number, or no room in the key area.
    #[error("there is no room for another key slot: {0}; remove one that is not needed")]
    NoRoom(&'static str),

    /// Only LUKS2 is changed.
    #[error("a LUKS1 container is only read here; `cryptsetup convert` makes it LUKS2")]
    ReadOnlyLuks1,

    /// Somebody else wrote the header since it was read.
    #[error("the header was changed by another program meanwhile; open the container again")]
    ChangedMeanwhile,

    /// What the caller wants does not fit the format.
    #[error("the container cannot be made so: {0}")]
    BadOption(String),

    /// The backup does not fit the container.
    #[error("the header backup cannot be used: {0}")]
    BadBackup(String),

    /// Reading or writing failed.
    #[error("{doing} failed: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: an I/O error with what was tried.
    pub(crate) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }
}
