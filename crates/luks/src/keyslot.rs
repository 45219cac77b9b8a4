//! One key slot: getting the volume key out of it, and putting it in.

use std::io;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::antiforensic;
use crate::cipher::SectorCipher;
use crate::error::Error;
use crate::kdf::Limits;
use crate::metadata::{Digest, Keyslot, SlotNumber};
use crate::secret::Secret;
use crate::storage::Storage;

/// Key areas are encrypted in sectors of this size, whatever the data's.
const SECTOR: usize = 512;

/// The key that `passphrase` gets out of the slot. It must be proven by [`proves`]: a wrong
/// passphrase gives a wrong key.
pub(crate) fn open(
    number: SlotNumber,
    slot: &Keyslot,
    passphrase: &Secret,
    storage: &impl Storage,
    limits: &Limits,
) -> Result<Secret, Error> {
    slot.cost.check(number, limits)?;
    let mut material = read_material(number, slot, storage)?;
    let cipher = area_cipher(slot, passphrase)?;
    cipher.decrypt(0, material.expose_mut());
    let material = Secret::copy_of(&material.expose()[..slot.material_length()]);
    Ok(antiforensic::merge(&material, slot.key_size, slot.af_hash))
}

/// The slot's area as it is on disk, after a look at whether it can be whole.
fn read_material(
    number: SlotNumber,
    slot: &Keyslot,
    storage: &impl Storage,
) -> Result<Secret, Error> {
    let mut material = Secret::zeroed(slot.material_length().next_multiple_of(SECTOR));
    match storage.read_exact_at(material.expose_mut(), slot.area.offset) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(Error::DamagedSlot(number));
        }
        other => other.map_err(Error::io("reading the key slot"))?,
    }
    // Encrypted noise has no sector of one byte only; a disk that was written over has.
    let constant = |sector: &[u8]| sector.iter().all(|byte| *byte == sector[0]);
    if material.expose().chunks_exact(SECTOR).any(constant) {
        return Err(Error::DamagedSlot(number));
    }
    Ok(material)
}

/// Writes `key` into the slot's area, under `passphrase`, durably.
pub(crate) fn fill(
    slot: &Keyslot,
    key: &Secret,
    passphrase: &Secret,
    storage: &impl Storage,
) -> Result<(), Error> {
    let cipher = area_cipher(slot, passphrase)?;
    let split = antiforensic::split(key, slot.stripes, slot.af_hash)
        .map_err(Error::io("splitting the volume key"))?;
    let mut material = Secret::zeroed(split.len().next_multiple_of(SECTOR));
    material.expose_mut()[..split.len()].copy_from_slice(split.expose());
    cipher.encrypt(0, material.expose_mut());
    storage
        .write_all_at(material.expose(), slot.area.offset)
        .and_then(|()| storage.sync())
        .map_err(Error::io("writing the key slot"))
}

fn area_cipher(slot: &Keyslot, passphrase: &Secret) -> Result<SectorCipher, Error> {
    let key = slot
        .cost
        .derive(passphrase, &slot.salt, slot.area_key_size)?;
    SectorCipher::new(slot.cipher, &key, SECTOR).ok_or_else(|| {
        Error::Unsupported(format!(
            "{} does not take a key of {} bytes",
            slot.cipher, slot.area_key_size
        ))
    })
}

/// Whether `key` is the volume key.
pub(crate) fn proves(digest: &Digest, key: &Secret, limits: &Limits) -> Result<bool, Error> {
    if digest.iterations > limits.iterations {
        return Err(Error::Unsupported(format!(
            "proving its key takes {} rounds of PBKDF2, more than the {} this host allows",
            digest.iterations, limits.iterations
        )));
    }
    let mut computed = Zeroizing::new(vec![0; digest.digest.len()]);
    digest
        .hash
        .pbkdf2(key.expose(), &digest.salt, digest.iterations, &mut computed);
    Ok(computed.ct_eq(&digest.digest).into())
}
