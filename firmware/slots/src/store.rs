//! Which slot runs: the states of the record, and every change of them. Each change is one record, written before what it
//! allows is done. Storing a module is `install`'s.

use core::fmt;

use espb_format::checksum::crc32;

use crate::header::{HeaderError, MODULE_OFFSET, SlotHeader};
use crate::record::{self, MAX_SLOTS, Place, Record, SlotEntry, SlotState};
use crate::seal::{PublicKey, Seal, SealError};
use crate::storage::{Area, SlotIndex, Storage};

/// Why a slot's module cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// The header says why.
    Header(HeaderError),
    /// The header gives a length beyond the slot.
    Length,
    /// The module's bytes are not those that were stored.
    Checksum,
    /// Version or signature are not what this device takes.
    Seal(SealError),
    /// The record does not vouch for this module.
    State(SlotState),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(error) => error.fmt(f),
            Self::Length => f.write_str("the slot's header gives a length beyond the slot; store the module again"),
            Self::Checksum => f.write_str("the checksum of the stored module is wrong; store it again"),
            Self::Seal(error) => error.fmt(f),
            Self::State(state) => write!(f, "the slot's state is {}", state.name()),
        }
    }
}

impl core::error::Error for Unfit {}

/// What to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// The slot.
    pub slot: SlotIndex,
    /// Whether it is a trial: to be confirmed, or it will be rolled back.
    pub trial: bool,
    /// Its header.
    pub header: SlotHeader,
}

/// The slots of a device.
pub struct Store<S> {
    pub(crate) storage: S,
    key: Option<PublicKey>,
    record: Record,
    place: Place,
}

impl<S: Storage> Store<S> {
    /// Reads the record. Where there is none, every sound module counts as valid, a later slot as newer: what a
    /// flashing tool that knows nothing of records left.
    pub fn open(storage: S, key: Option<PublicKey>) -> Self {
        let (record, place) = record::latest(storage.view(Area::Record));
        let mut store = Self { storage, key, record: record.unwrap_or_default(), place };
        if record.is_none() {
            for slot in store.slots() {
                if let Ok(header) = store.sound(slot) {
                    let stored_at = u32::from(slot.0) + 1;
                    let entry = SlotEntry { state: SlotState::Valid, stored_at, identity: header.identity() };
                    store.record.counter = stored_at;
                    store.set(slot, entry);
                }
            }
        }
        store
    }

    /// The flash.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// Gives the flash back.
    pub fn into_storage(self) -> S {
        self.storage
    }

    /// Numbers of the slots there are.
    pub fn slots(&self) -> impl Iterator<Item = SlotIndex> + use<S> {
        (0..self.storage.slots().min(MAX_SLOTS as u8)).map(SlotIndex)
    }

    /// Least version that may run.
    pub fn floor(&self) -> u32 {
        self.record.floor
    }

    /// The key that modules must be signed with.
    pub fn key(&self) -> Option<&PublicKey> {
        self.key.as_ref()
    }

    /// What the record says of a slot; empty where it speaks of another module than the slot holds.
    pub fn entry(&self, slot: SlotIndex) -> SlotEntry {
        let entry = self.record.slots.get(slot.index()).copied().unwrap_or_default();
        match SlotHeader::decode(self.storage.view(Area::Slot(slot))) {
            Ok(header) if header.identity() == entry.identity => entry,
            _ => SlotEntry::default(),
        }
    }

    /// Whether a module with this seal could be taken, as far as can be said without its bytes.
    pub fn admits(&self, seal: &Seal) -> Result<(), SealError> {
        if self.key.is_some() && seal.signature.is_none() {
            return Err(SealError::Unsigned);
        }
        if seal.version < self.record.floor {
            return Err(SealError::Downgrade { version: seal.version, floor: self.record.floor });
        }
        Ok(())
    }

    /// The header of a slot.
    pub fn header(&self, slot: SlotIndex) -> Result<SlotHeader, HeaderError> {
        SlotHeader::decode(self.storage.view(Area::Slot(slot)))
    }

    /// The bytes of the module that `header` describes.
    pub fn module(&self, slot: SlotIndex, header: &SlotHeader) -> Option<&[u8]> {
        self.storage.view(Area::Slot(slot)).get(MODULE_OFFSET as usize..)?.get(..header.length as usize)
    }

    /// Whether the slot's bytes may run: checksum, version, signature. Its state is not asked.
    fn sound(&self, slot: SlotIndex) -> Result<SlotHeader, Unfit> {
        let header = self.header(slot).map_err(Unfit::Header)?;
        let module = self.module(slot, &header).ok_or(Unfit::Length)?;
        if crc32(module) != header.crc32 {
            return Err(Unfit::Checksum);
        }
        header.seal.check(module, self.key.as_ref(), self.record.floor).map_err(Unfit::Seal)?;
        Ok(header)
    }

    /// Whether the slot may run now, and what it is.
    pub fn runnable(&self, slot: SlotIndex) -> Result<Boot, Unfit> {
        let header = self.sound(slot)?;
        match self.entry(slot).state {
            SlotState::Valid => Ok(Boot { slot, trial: false, header }),
            SlotState::New => Ok(Boot { slot, trial: true, header }),
            state => Err(Unfit::State(state)),
        }
    }

    /// The slot to run: the newest that may. `None` if none may.
    pub fn choose(&self) -> Option<Boot> {
        let runnable = self.slots().filter_map(|slot| self.runnable(slot).ok());
        runnable.max_by_key(|boot| (self.entry(boot.slot).stored_at, boot.slot))
    }

    /// The slot that must not be overwritten: the newest valid one that may run.
    pub fn last_good(&self) -> Option<SlotIndex> {
        let runnable = self.slots().filter_map(|slot| self.runnable(slot).ok());
        let valid = runnable.filter(|boot| !boot.trial).map(|boot| boot.slot);
        valid.max_by_key(|slot| (self.entry(*slot).stored_at, *slot))
    }

    /// Once after a reset, before [`Self::choose`]: trials that the reset ended become bad. Gives their slots' number.
    pub fn settle(&mut self) -> Result<Option<SlotIndex>, S::Error> {
        let failed = self.slots().filter(|slot| self.entry(*slot).state == SlotState::Trial).last();
        if failed.is_some() {
            for entry in &mut self.record.slots {
                if entry.state == SlotState::Trial {
                    entry.state = SlotState::Bad;
                }
            }
            self.write()?;
        }
        Ok(failed)
    }

    /// To be called before a slot's module executes anything: a new one's trial begins.
    pub fn begin(&mut self, boot: &Boot) -> Result<(), S::Error> {
        if boot.trial { self.change(boot.slot, SlotState::Trial) } else { Ok(()) }
    }

    /// The trial was a success. The floor rises to what the module asks for, at most to its own version.
    pub fn confirm(&mut self, slot: SlotIndex) -> Result<(), S::Error> {
        if self.entry(slot).state != SlotState::Trial {
            return Ok(());
        }
        if let Ok(header) = self.header(slot) {
            self.record.floor = self.record.floor.max(header.seal.floor.min(header.seal.version));
        }
        self.change(slot, SlotState::Valid)
    }

    /// The trial failed. Other states stay as they are.
    pub fn reject(&mut self, slot: SlotIndex) -> Result<(), S::Error> {
        if self.entry(slot).state == SlotState::Trial { self.change(slot, SlotState::Bad) } else { Ok(()) }
    }

    /// Takes a slot's module away, whatever its state.
    pub fn remove(&mut self, slot: SlotIndex) -> Result<(), S::Error> {
        self.change(slot, SlotState::Empty)?;
        self.storage.erase(Area::Slot(slot), 0)
    }

    fn change(&mut self, slot: SlotIndex, state: SlotState) -> Result<(), S::Error> {
        let entry = SlotEntry { state, ..self.record.slots.get(slot.index()).copied().unwrap_or_default() };
        self.set(slot, entry);
        self.write()
    }

    /// The slot holds the module of this identity now.
    pub(crate) fn note_stored(&mut self, slot: SlotIndex, identity: u32, state: SlotState) -> Result<(), S::Error> {
        self.set(slot, SlotEntry { state, stored_at: self.record.counter + 1, identity });
        self.write()
    }

    fn set(&mut self, slot: SlotIndex, entry: SlotEntry) {
        if let Some(place) = self.record.slots.get_mut(slot.index()) {
            *place = entry;
        }
    }

    fn write(&mut self) -> Result<(), S::Error> {
        self.record.counter += 1;
        let written = record::append(&mut self.storage, &self.record, self.place);
        // Also after a failure: what was written in part must not be written over.
        let (_, place) = record::latest(self.storage.view(Area::Record));
        self.place = place;
        written
    }
}
