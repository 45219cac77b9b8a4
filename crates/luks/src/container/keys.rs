//! Adding, changing and removing keys. Each is one header update: done or not done after a crash.

use super::format::{check_new_key, new_keyslot};
use super::{Container, Header};
use crate::error::Error;
use crate::kdf::Cost;
use crate::keyslot;
use crate::luks2::copies::Copies;
use crate::metadata::{Area, Keyslot, Priority, SlotNumber};
use crate::secret::{Secret, fill_random};
use crate::storage::Storage;

impl<S: Storage> Container<S> {
    /// Adds a slot under `passphrase`, and returns its number. `key` is the volume key, as
    /// [`Container::unlock`] gives it.
    ///
    /// # Errors
    /// [`Error::WrongKey`], [`Error::EmptyPassphrase`], [`Error::TooCostly`], [`Error::NoRoom`],
    /// [`Error::ReadOnlyLuks1`], [`Error::ChangedMeanwhile`]; or writing failed.
    pub fn add_key(
        &mut self,
        key: &Secret,
        passphrase: &Secret,
        cost: Cost,
    ) -> Result<SlotNumber, Error> {
        let number = self
            .luks2()?
            .document
            .free_number()
            .ok_or(Error::NoRoom("all 32 key slots are taken"))?;
        self.put_key(number, key, passphrase, cost)?;
        Ok(number)
    }

    /// Puts the slot under another passphrase; it keeps its number. The new key material is written
    /// beside the old, the header then changes from one to the other at once, and the old is wiped.
    ///
    /// # Errors
    /// As [`Container::add_key`], and [`Error::NoSuchSlot`], [`Error::UnusableSlot`].
    pub fn change_key(
        &mut self,
        number: SlotNumber,
        key: &Secret,
        passphrase: &Secret,
        cost: Cost,
    ) -> Result<(), Error> {
        let old = self.area_of(number)?;
        if let Some(reason) = self.metadata().unusable.get(&number) {
            return Err(Error::UnusableSlot {
                slot: number,
                reason: reason.clone(),
            });
        }
        self.put_key(number, key, passphrase, cost)?;
        self.wipe_area(old)
    }

    /// Removes a slot for ever: its key material is overwritten, then the header forgets it. On a
    /// medium that keeps old blocks (copy on write, flash) and in header backups it may survive.
    ///
    /// # Errors
    /// [`Error::LastSlot`], [`Error::NoSuchSlot`], [`Error::ReadOnlyLuks1`],
    /// [`Error::ChangedMeanwhile`]; or writing failed.
    pub fn remove_key(&mut self, number: SlotNumber) -> Result<(), Error> {
        let area = self.area_of(number)?;
        let copies = self.luks2()?;
        let opens = |(other, slot): (&SlotNumber, &Keyslot)| {
            *other != number && slot.priority > Priority::Ignore
        };
        if copies.metadata.keyslots.contains_key(&number)
            && !copies.metadata.keyslots.iter().any(opens)
        {
            return Err(Error::LastSlot(number));
        }
        let mut document = copies.document.clone();
        document.remove_keyslot(number);
        copies.check_unchanged(&self.storage)?;
        self.wipe_area(area)?;
        let next = self.luks2()?.write(&document, &self.storage)?;
        self.header = Header::Luks2(Box::new(next));
        Ok(())
    }

    fn put_key(
        &mut self,
        number: SlotNumber,
        key: &Secret,
        passphrase: &Secret,
        cost: Cost,
    ) -> Result<(), Error> {
        check_new_key(&cost, passphrase, number, &self.limits)?;
        self.check_key(key)?;
        let copies = self.luks2()?;
        let offset = 2 * copies.binary.size;
        let all = Area {
            offset,
            size: copies.metadata.header_length - offset,
        };
        let mut document = copies.document.clone();
        let mut slot = new_keyslot(cost, key.len(), &document, all)?;
        if let Some(old) = copies.metadata.keyslots.get(&number) {
            slot.priority = old.priority;
        }
        document.remove_keyslot(number);
        document.add_keyslot(number, &slot);
        copies.check_unchanged(&self.storage)?;
        keyslot::fill(&slot, key, passphrase, &self.storage)?;
        let next = copies.write(&document, &self.storage)?;
        self.header = Header::Luks2(Box::new(next));
        Ok(())
    }

    fn luks2(&self) -> Result<&Copies, Error> {
        match &self.header {
            Header::Luks1(_) => Err(Error::ReadOnlyLuks1),
            Header::Luks2(copies) => Ok(copies),
        }
    }

    /// Where the slot's key material is, also of a slot that is not usable here.
    fn area_of(&self, number: SlotNumber) -> Result<Area, Error> {
        self.luks2()?
            .document
            .area_of_slot(number)
            .ok_or(Error::NoSuchSlot(number))
    }

    fn wipe_area(&self, area: Area) -> Result<(), Error> {
        // Areas lie within the key area, which has at most 128 MiB; usually a quarter of one.
        let mut noise = vec![0; 1 << 16];
        let mut offset = area.offset;
        while offset < area.end() {
            let step = (area.end() - offset).min(noise.len() as u64) as usize;
            fill_random(&mut noise[..step]).map_err(Error::io("making random bytes"))?;
            self.storage
                .write_all_at(&noise[..step], offset)
                .map_err(Error::io("overwriting the key slot"))?;
            offset += step as u64;
        }
        self.storage
            .sync()
            .map_err(Error::io("overwriting the key slot"))
    }
}
