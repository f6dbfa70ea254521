//! Storing a module: into a slot that nobody needs, in an order that makes the last write the one that counts.

use core::fmt;

use espb_format::checksum::crc32;

use crate::header::{MODULE_OFFSET, ModuleName, SlotHeader};
use crate::record::SlotState;
use crate::seal::{Seal, SealError};
use crate::storage::{Area, SECTOR, SlotIndex, Storage};
use crate::store::Store;

/// What is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Install {
    /// Length of the module in bytes.
    pub length: u32,
    /// CRC-32 of the module.
    pub crc32: u32,
    /// Whether to start it at boot.
    pub autostart: bool,
    /// Version, floor, signature.
    pub seal: Seal,
    /// Its name.
    pub name: ModuleName,
    /// The slot; `None` for the one that is needed least.
    pub slot: Option<SlotIndex>,
}

/// Why a module was not stored. The last good one is untouched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstallError<E> {
    /// There is no slot, or not this one.
    NoSlot,
    /// The slot holds the last good module, or one that runs.
    InUse(SlotIndex),
    /// So does every slot.
    AllInUse,
    /// The module is empty or larger than the slot.
    Length {
        /// Bytes that the slot holds.
        capacity: u32,
    },
    /// Bytes came at another place than the next, or too many or too few.
    Order,
    /// What is in flash now is not what was announced.
    Checksum,
    /// This device does not take the module.
    Seal(SealError),
    /// The flash could not be changed.
    Flash(E),
}

impl<E: fmt::Display> fmt::Display for InstallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSlot => f.write_str("the device has no such module slot; flash the firmware of this espb"),
            Self::InUse(slot) => write!(f, "slot {slot} holds the module that runs or the last good one; name another"),
            Self::AllInUse => {
                f.write_str("every slot holds a module that runs or the last good one; stop an instance of one first")
            }
            Self::Length { capacity } => write!(f, "the module is empty or larger than the slot's {capacity} bytes"),
            Self::Order => f.write_str("the module's bytes came in the wrong order"),
            Self::Checksum => f.write_str("the checksum of what was stored is wrong; send it again"),
            Self::Seal(error) => error.fmt(f),
            Self::Flash(error) => error.fmt(f),
        }
    }
}

impl<E> From<SealError> for InstallError<E> {
    fn from(error: SealError) -> Self {
        Self::Seal(error)
    }
}

/// A module on its way into a slot.
#[derive(Clone, Copy, Debug)]
pub struct Installer {
    install: Install,
    slot: SlotIndex,
    written: u32,
}

impl Installer {
    /// Chooses the slot and erases it. `in_use` tells whether a slot's module is loaded.
    pub fn begin<S: Storage>(
        store: &mut Store<S>,
        install: Install,
        in_use: &dyn Fn(SlotIndex) -> bool,
    ) -> Result<Self, InstallError<S::Error>> {
        store.admits(&install.seal)?;
        let good = store.last_good();
        let needed = |slot: SlotIndex| Some(slot) == good || in_use(slot);
        let slot = match install.slot {
            Some(slot) if needed(slot) => return Err(InstallError::InUse(slot)),
            Some(slot) => slot,
            None => {
                let free = store.slots().filter(|slot| !needed(*slot));
                let none = if store.slots().next().is_none() { InstallError::NoSlot } else { InstallError::AllInUse };
                free.min_by_key(|slot| store.entry(*slot).stored_at).ok_or(none)?
            }
        };
        if !store.slots().any(|existing| existing == slot) {
            return Err(InstallError::NoSlot);
        }
        let capacity = (store.storage.view(Area::Slot(slot)).len() as u32).saturating_sub(MODULE_OFFSET);
        if install.length == 0 || install.length > capacity {
            return Err(InstallError::Length { capacity });
        }
        // The header goes first: from then on the slot holds nothing that could be taken for a module.
        for sector in 0..=install.length.div_ceil(SECTOR) {
            store.storage.erase(Area::Slot(slot), sector * SECTOR).map_err(InstallError::Flash)?;
        }
        Ok(Self { install, slot, written: 0 })
    }

    /// The slot.
    pub fn slot(&self) -> SlotIndex {
        self.slot
    }

    /// Writes the next bytes. Only the last piece may have a length that is no multiple of 4.
    pub fn write<S: Storage>(&mut self, store: &mut Store<S>, bytes: &[u8]) -> Result<(), InstallError<S::Error>> {
        let end = u32::try_from(bytes.len()).ok().and_then(|length| self.written.checked_add(length));
        let end = end.filter(|end| *end <= self.install.length).ok_or(InstallError::Order)?;
        if !self.written.is_multiple_of(4) {
            return Err(InstallError::Order);
        }
        let offset = MODULE_OFFSET + self.written;
        store.storage.program(Area::Slot(self.slot), offset, bytes).map_err(InstallError::Flash)?;
        self.written = end;
        Ok(())
    }

    /// Checks what was written and makes it the module to run: as [`SlotState::New`] on trial, or at once as
    /// [`SlotState::Valid`] where a person with a cable stores it.
    pub fn finish<S: Storage>(
        self,
        store: &mut Store<S>,
        state: SlotState,
    ) -> Result<SlotIndex, InstallError<S::Error>> {
        let Install { length, crc32: expected, autostart, seal, name, .. } = self.install;
        let header = SlotHeader { length, crc32: expected, autostart, seal, name };
        if self.written != length {
            return Err(InstallError::Order);
        }
        let module = store.module(self.slot, &header).ok_or(InstallError::NoSlot)?;
        if crc32(module) != expected {
            return Err(InstallError::Checksum);
        }
        seal.check(module, store.key(), store.floor())?;
        store.storage.program(Area::Slot(self.slot), 0, &header.encode()).map_err(InstallError::Flash)?;
        store.note_stored(self.slot, header.identity(), state).map_err(InstallError::Flash)?;
        Ok(self.slot)
    }
}
