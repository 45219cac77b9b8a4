//! Making a new container.

use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

use super::{Container, Header};
use crate::antiforensic::STRIPES;
use crate::cipher::CipherSpec;
use crate::error::Error;
use crate::hash::Hash;
use crate::kdf::{Cost, Limits};
use crate::keyslot;
use crate::luks2::binary::{BinaryHeader, Place, SIZES};
use crate::luks2::copies::{Copies, CopyState, write_copy};
use crate::luks2::document::{Document, Fault, resolve};
use crate::luks2::{AREA_ALIGNMENT, LARGEST_KEYSLOTS_AREA};
use crate::metadata::{Area, Digest, Keyslot, Priority, Segment, SlotNumber};
use crate::secret::{Secret, fill_random};
use crate::storage::Storage;

/// Bytes of the volume keys of new containers: AES-256-XTS.
const KEY_SIZE: usize = 64;
/// Rounds that prove the volume key, the fewest that are allowed: the key is 512 random bits, which
/// nobody guesses however fast a guess is. Passphrases are what needs slowing, and that is [`Cost`].
const DIGEST_ITERATIONS: u32 = 1000;
/// Fewest rounds of PBKDF2 for a new key slot.
const FEWEST_ITERATIONS: u32 = 1000;
/// What is zeroed at once.
const WIPE_STEP: usize = 1 << 20;

/// A label of a container: at most 47 bytes of text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Label(String);

/// The text does not fit a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a label has at most 47 bytes and no control characters")]
pub struct BadLabel;

impl FromStr for Label {
    type Err = BadLabel;

    fn from_str(text: &str) -> Result<Self, BadLabel> {
        if text.len() < 48 && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadLabel)
        }
    }
}

/// How a new container is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatOptions {
    /// Its UUID.
    pub uuid: Uuid,
    /// Its label.
    pub label: Label,
    /// Its subsystem label.
    pub subsystem: Label,
    /// Bytes that are encrypted as one: 512, 1024, 2048 or 4096. The data's size is a multiple.
    pub sector_size: u32,
    /// Where the data begins: a multiple of 4096 with room for the header.
    pub data_offset: u64,
    /// Bytes of each copy of the header: 16 KiB to 4 MiB, a power of two.
    pub header_size: u64,
    /// What opening its first key slot costs.
    pub cost: Cost,
}

impl FormatOptions {
    /// As `cryptsetup` makes them: data at 16 MiB, two headers of 16 KiB, the rest for key slots.
    /// Sectors of 4096 bytes where `data_size` is a multiple of that, else of 512.
    #[must_use]
    pub fn new(data_size: u64, cost: Cost) -> Self {
        Self {
            uuid: Uuid::new_v4(),
            label: Label::default(),
            subsystem: Label::default(),
            sector_size: if data_size.is_multiple_of(4096) {
                4096
            } else {
                512
            },
            data_offset: 16 << 20,
            header_size: SIZES[0],
            cost,
        }
    }

    fn keyslots_area(&self) -> Result<Area, Error> {
        let bad = |what: &str| Error::BadOption(what.to_owned());
        if !matches!(self.sector_size, 512 | 1024 | 2048 | 4096) {
            return Err(bad("sectors have 512, 1024, 2048 or 4096 bytes"));
        }
        if !SIZES.contains(&self.header_size) {
            return Err(bad("a header has 16 KiB to 4 MiB, a power of two"));
        }
        if !self.data_offset.is_multiple_of(AREA_ALIGNMENT) {
            return Err(bad("the data begins at a multiple of 4096 bytes"));
        }
        let offset = 2 * self.header_size;
        let size = self
            .data_offset
            .saturating_sub(offset)
            .min(LARGEST_KEYSLOTS_AREA);
        if size < (KEY_SIZE as u64 * u64::from(STRIPES)).next_multiple_of(AREA_ALIGNMENT) {
            return Err(bad("there is no room for a key slot before the data"));
        }
        Ok(Area { offset, size })
    }
}

impl<S: Storage> Container<S> {
    /// Makes a container with a new random volume key in key slot 0 under `passphrase`, and returns
    /// it with that key. What was before the data offset is overwritten; the data is left as it is,
    /// and reads as noise. `limits` are those for opening it again here.
    ///
    /// The header is the last that is written: a call cut off leaves no container, or a whole one.
    ///
    /// # Errors
    /// [`Error::EmptyPassphrase`], [`Error::BadOption`], [`Error::TooCostly`]; or writing failed.
    pub fn format(
        storage: S,
        options: &FormatOptions,
        passphrase: &Secret,
        limits: Limits,
    ) -> Result<(Self, Secret), Error> {
        let area = options.keyslots_area()?;
        check_new_key(&options.cost, passphrase, 0, &limits)?;
        let binary = BinaryHeader {
            size: options.header_size,
            sequence: 1,
            label: options.label.0.clone(),
            uuid: options.uuid.to_string(),
            subsystem: options.subsystem.0.clone(),
        };
        let segment = Segment {
            offset: options.data_offset,
            size: None,
            iv_tweak: 0,
            cipher: CipherSpec::XTS,
            sector_size: options.sector_size,
        };
        let key = Secret::random(KEY_SIZE).map_err(Error::io("making a volume key"))?;
        let digest = new_digest(&key)?;
        let mut document = Document::new(&binary, area.size, &segment, &digest);
        let slot = new_keyslot(options.cost, KEY_SIZE, &document, area)?;

        wipe(&storage, options.data_offset)?;
        keyslot::fill(&slot, &key, passphrase, &storage)?;
        document.add_keyslot(0, &slot);
        let metadata = resolve(&binary, &document.0).map_err(|fault| match fault {
            Fault::Broken(what) | Fault::Unsupported(what) => Error::BadOption(what),
        })?;
        let json = document.encode();
        for place in [Place::Secondary, Place::Primary] {
            write_copy(&binary, place, &json, &storage)?;
        }
        let copies = Copies {
            binary,
            document,
            metadata,
            primary: CopyState::Current,
            secondary: CopyState::Current,
        };
        let header = Header::Luks2(Box::new(copies));
        Ok((
            Self {
                storage,
                header,
                limits,
            },
            key,
        ))
    }
}

/// A slot of the usual kind in the first gap of the key area.
pub(super) fn new_keyslot(
    cost: Cost,
    key_size: usize,
    document: &Document,
    all: Area,
) -> Result<Keyslot, Error> {
    let mut slot = Keyslot {
        cost,
        priority: Priority::Normal,
        key_size,
        stripes: STRIPES,
        af_hash: Hash::Sha256,
        salt: random(32)?,
        area: Area { offset: 0, size: 0 },
        cipher: CipherSpec::XTS,
        area_key_size: KEY_SIZE,
    };
    slot.area = document
        .free_area(slot.material_length() as u64, all)
        .ok_or(Error::NoRoom("the key area of the header is full"))?;
    Ok(slot)
}

/// Refuses what would be no protection, or could not be opened again on this host.
pub(super) fn check_new_key(
    cost: &Cost,
    passphrase: &Secret,
    slot: SlotNumber,
    limits: &Limits,
) -> Result<(), Error> {
    if passphrase.is_empty() {
        return Err(Error::EmptyPassphrase);
    }
    let weak = matches!(cost, Cost::Pbkdf2 { iterations, .. } if *iterations < FEWEST_ITERATIONS);
    if weak || !cost.is_sound() {
        return Err(Error::BadOption(
            "its key derivation has figures too low".to_owned(),
        ));
    }
    cost.check(slot, limits)
}

fn new_digest(key: &Secret) -> Result<Digest, Error> {
    let salt = random(32)?;
    let mut digest = vec![0; 32];
    Hash::Sha256.pbkdf2(key.expose(), &salt, DIGEST_ITERATIONS, &mut digest);
    Ok(Digest {
        hash: Hash::Sha256,
        iterations: DIGEST_ITERATIONS,
        salt,
        digest,
    })
}

fn random(length: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; length];
    fill_random(&mut bytes).map_err(Error::io("making a salt"))?;
    Ok(bytes)
}

/// Zeroes everything before the data: an old header or key material must not stay. What is zero
/// already is not written, so that a sparse file stays sparse.
fn wipe(storage: &impl Storage, end: u64) -> Result<(), Error> {
    let io = || Error::io("clearing the place of the header");
    let length = storage.length().map_err(io())?;
    let mut buffer = vec![0; WIPE_STEP];
    let zeros = vec![0; WIPE_STEP];
    let mut offset = 0;
    while offset < length.min(end) {
        let step = (length.min(end) - offset).min(WIPE_STEP as u64);
        let part = &mut buffer[..usize::try_from(step).unwrap_or(WIPE_STEP)];
        storage.read_exact_at(part, offset).map_err(io())?;
        if part.iter().any(|&byte| byte != 0) {
            storage
                .write_all_at(&zeros[..part.len()], offset)
                .map_err(io())?;
        }
        offset += step;
    }
    if length < end {
        // The last byte gives the file its length.
        storage.write_all_at(&[0], end - 1).map_err(io())?;
    }
    storage.sync().map_err(io())
}
