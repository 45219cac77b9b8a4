//! The two copies of the header: choosing the right one, and replacing them so that one is always
//! whole.

use super::binary::{self, BinaryHeader, Place, SIZES};
use super::document::{Document, Fault, resolve};
use crate::error::Error;
use crate::metadata::Metadata;
use crate::storage::Storage;

/// A header as it is on disk.
#[derive(Debug, Clone)]
pub(crate) struct Copies {
    pub(crate) binary: BinaryHeader,
    pub(crate) document: Document,
    pub(crate) metadata: Metadata,
    pub(crate) primary: CopyState,
    pub(crate) secondary: CopyState,
}

/// How one copy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyState {
    /// As it should be.
    Current,
    /// Whole, but older than the other: an update was cut off.
    Stale,
    /// Unusable, and why.
    Broken(String),
}

/// Why there is no usable copy at a place.
#[derive(Debug)]
enum Flaw {
    /// Nothing there begins like one.
    Absent,
    Broken(String),
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent => out.write_str("there is none"),
            Self::Broken(reason) => out.write_str(reason),
        }
    }
}

struct Copy {
    binary: BinaryHeader,
    document: Document,
    /// Its meaning; an error when it is whole, but asks for what is not done here.
    meaning: Result<Metadata, String>,
}

impl Copies {
    /// Reads both copies and takes the newer one that is whole.
    pub(crate) fn read(storage: &impl Storage) -> Result<Self, Error> {
        let length = storage
            .length()
            .map_err(Error::io("finding the length of the container"))?;
        let primary = read_copy(storage, length, Place::Primary, 0)?;
        let secondary = match &primary {
            Ok(copy) => read_copy(storage, length, Place::Secondary, copy.binary.size)?,
            Err(_) => find_secondary(storage, length)?,
        };
        choose(primary, secondary)
    }

    /// Writes a new state: the copy that is not the good one first, so that at every moment one of
    /// them is whole on the medium.
    pub(crate) fn write(&self, document: &Document, storage: &impl Storage) -> Result<Self, Error> {
        self.check_unchanged(storage)?;
        let sequence = self.binary.sequence.checked_add(1).ok_or_else(|| {
            Error::Unsupported("its header cannot be updated any more".to_owned())
        })?;
        let mut next = self.clone();
        next.binary.sequence = sequence;
        next.document = document.clone();
        next.metadata = resolve(&next.binary, &document.0).map_err(|fault| match fault {
            Fault::Broken(what) | Fault::Unsupported(what) => Error::Unsupported(what),
        })?;
        let order = match self.primary {
            CopyState::Current => [Place::Secondary, Place::Primary],
            CopyState::Stale | CopyState::Broken(_) => [Place::Primary, Place::Secondary],
        };
        let json = document.encode();
        for place in order {
            write_copy(&next.binary, place, &json, storage)?;
        }
        next.primary = CopyState::Current;
        next.secondary = CopyState::Current;
        Ok(next)
    }

    /// Refuses to go on when somebody else wrote the header since it was read.
    pub(crate) fn check_unchanged(&self, storage: &impl Storage) -> Result<(), Error> {
        let now = Self::read(storage)?;
        if now.binary == self.binary && now.document == self.document {
            Ok(())
        } else {
            Err(Error::ChangedMeanwhile)
        }
    }
}

/// Writes one copy durably.
pub(crate) fn write_copy(
    binary: &BinaryHeader,
    place: Place,
    json: &[u8],
    storage: &impl Storage,
) -> Result<(), Error> {
    let copy = binary
        .encode(place, json)
        .map_err(Error::io("making a salt for the header"))?
        .ok_or(Error::NoRoom("the metadata area of the header is full"))?;
    storage
        .write_all_at(&copy, place.offset(binary.size))
        .and_then(|()| storage.sync())
        .map_err(Error::io("writing the header"))
}

fn choose(primary: Result<Copy, Flaw>, secondary: Result<Copy, Flaw>) -> Result<Copies, Error> {
    let sequence = |copy: &Result<Copy, Flaw>| copy.as_ref().map(|copy| copy.binary.sequence).ok();
    let newest = sequence(&primary).max(sequence(&secondary));
    let state = |copy: &Result<Copy, Flaw>| match copy {
        Ok(copy) if Some(copy.binary.sequence) == newest => CopyState::Current,
        Ok(_) => CopyState::Stale,
        Err(reason) => CopyState::Broken(reason.to_string()),
    };
    let states = (state(&primary), state(&secondary));
    let chosen = match (primary, secondary) {
        (Ok(copy), _) if states.0 == CopyState::Current => copy,
        (_, Ok(copy)) => copy,
        (Err(Flaw::Absent), Err(Flaw::Absent)) => return Err(Error::NotLuks),
        (Err(primary), Err(secondary)) => {
            let (primary, secondary) = (primary.to_string(), secondary.to_string());
            return Err(Error::BothCopiesBroken { primary, secondary });
        }
        (Ok(copy), Err(_)) => copy,
    };
    Ok(Copies {
        metadata: chosen.meaning.map_err(Error::Unsupported)?,
        binary: chosen.binary,
        document: chosen.document,
        primary: states.0,
        secondary: states.1,
    })
}

/// The copy at `offset`, or what is wrong with it. Only trouble in reading is an error.
fn read_copy(
    storage: &impl Storage,
    length: u64,
    place: Place,
    offset: u64,
) -> Result<Result<Copy, Flaw>, Error> {
    let mut block = [0; binary::LENGTH];
    if length.saturating_sub(offset) < binary::LENGTH as u64 {
        return Ok(Err(Flaw::Absent));
    }
    storage
        .read_exact_at(&mut block, offset)
        .map_err(Error::io("reading the header"))?;
    if block[..6] != place.magic() {
        return Ok(Err(Flaw::Absent));
    }
    let binary = match BinaryHeader::parse(&block, place) {
        Ok(binary) if place.offset(binary.size) == offset => binary,
        Ok(_) => return Ok(Err(Flaw::Broken("it lies at the wrong place".to_owned()))),
        Err(reason) => return Ok(Err(Flaw::Broken(reason))),
    };
    if length - offset < binary.size {
        return Ok(Err(Flaw::Broken("the file ends within it".to_owned())));
    }
    // At most 4 MiB: the size is one of the known ones.
    let mut whole = vec![0; usize::try_from(binary.size).unwrap_or_default()];
    storage
        .read_exact_at(&mut whole, offset)
        .map_err(Error::io("reading the header"))?;
    Ok(read_whole(binary, &whole).map_err(Flaw::Broken))
}

fn read_whole(binary: BinaryHeader, whole: &[u8]) -> Result<Copy, String> {
    binary::check(whole)?;
    let document = Document::parse(&whole[binary::LENGTH..])?;
    let meaning = match resolve(&binary, &document.0) {
        Ok(metadata) => Ok(metadata),
        Err(Fault::Unsupported(what)) => Err(what),
        Err(Fault::Broken(what)) => return Err(what),
    };
    Ok(Copy {
        binary,
        document,
        meaning,
    })
}

/// Without a first copy nothing says where the second is: it is looked for at all places.
fn find_secondary(storage: &impl Storage, length: u64) -> Result<Result<Copy, Flaw>, Error> {
    let mut flaw = Flaw::Absent;
    for offset in SIZES {
        match read_copy(storage, length, Place::Secondary, offset)? {
            Ok(copy) => return Ok(Ok(copy)),
            Err(Flaw::Absent) => {}
            Err(broken) => flaw = broken,
        }
    }
    Ok(Err(flaw))
}
