//! The record: one entry a slot, the floor, and a counter. Every change appends a whole record; the highest counter counts.
//! Here are its layout and where the next one goes; what it means is `store`'s.

use espb_format::checksum::crc32;

use crate::storage::{Area, SECTOR, Storage};
use crate::{put_words, word};

/// Most slots a device can have.
pub const MAX_SLOTS: usize = 4;

/// Bytes of a record.
pub const RECORD_LEN: usize = 64;

/// Sectors that records are appended to in turn: one is erased only when the other holds the valid record.
pub const SECTORS: u32 = 2;

/// Highest counter of a record. No flash takes so many, so what says more is none, and counting on never overflows.
const MOST_RECORDS: u32 = 1 << 31;

const MAGIC: [u8; 4] = *b"ESRC";
const CRC_AT: usize = RECORD_LEN - 4;
const PER_SECTOR: u32 = SECTOR / RECORD_LEN as u32;

/// What is known of a slot's module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum SlotState {
    /// Nothing to run.
    #[default]
    Empty = 0,
    /// Stored and checked, never started.
    New = 1,
    /// Started and not yet confirmed: after a reset in this state it is bad.
    Trial = 2,
    /// Confirmed.
    Valid = 3,
    /// Its trial failed.
    Bad = 4,
}

impl SlotState {
    const ALL: [Self; 5] = [Self::Empty, Self::New, Self::Trial, Self::Valid, Self::Bad];

    /// The state of this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as u8 == number)
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::New => "new",
            Self::Trial => "trial",
            Self::Valid => "valid",
            Self::Bad => "bad",
        }
    }
}

/// What the record says of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotEntry {
    /// Its state.
    pub state: SlotState,
    /// The record's counter when the module was stored: the greater, the newer.
    pub stored_at: u32,
    /// [`crate::SlotHeader::identity`] of the header it speaks of. With another header in the slot the entry means nothing.
    pub identity: u32,
}

/// The state of all slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// One more than in the record before.
    pub counter: u32,
    /// Least version that may run.
    pub floor: u32,
    /// One a slot; those that do not exist are empty.
    pub slots: [SlotEntry; MAX_SLOTS],
}

impl Record {
    /// The record as it stands in flash.
    pub fn encode(&self) -> [u8; RECORD_LEN] {
        let mut bytes = [0; RECORD_LEN];
        put_words(&mut bytes, &[u32::from_le_bytes(MAGIC), self.counter, self.floor]);
        for (index, slot) in self.slots.iter().enumerate() {
            bytes[12 + index] = slot.state as u8;
            put_words(&mut bytes[16 + 4 * index..], &[slot.stored_at]);
            put_words(&mut bytes[32 + 4 * index..], &[slot.identity]);
        }
        let crc = crc32(&bytes[..CRC_AT]);
        put_words(&mut bytes[CRC_AT..], &[crc]);
        bytes
    }

    /// Reads a record; `None` if the bytes are none, or only a part of one.
    pub fn decode(bytes: &[u8; RECORD_LEN]) -> Option<Self> {
        if !bytes.starts_with(&MAGIC) || word(bytes, CRC_AT)? != crc32(bytes.get(..CRC_AT)?) {
            return None;
        }
        let counter = word(bytes, 4).filter(|counter| *counter <= MOST_RECORDS)?;
        let mut record = Self { counter, floor: word(bytes, 8)?, ..Self::default() };
        for (index, slot) in record.slots.iter_mut().enumerate() {
            let state = *bytes.get(12 + index)?;
            slot.state = SlotState::from_number(state)?;
            slot.stored_at = word(bytes, 16 + 4 * index)?;
            slot.identity = word(bytes, 32 + 4 * index)?;
        }
        Some(record)
    }
}

/// Where the next record goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Into this erased cell, by its number in the area.
    Cell(u32),
    /// Into the first cell of this sector, which must be erased before.
    Sector(u32),
}

/// The last whole record, and where the next one goes.
pub(crate) fn latest(area: &[u8]) -> (Option<Record>, Place) {
    let (cells, _) = area.as_chunks::<RECORD_LEN>();
    let records = cells.iter().zip(0..).filter_map(|(cell, number)| Some((Record::decode(cell)?, number)));
    let Some((record, at)) = records.max_by_key(|(record, _)| record.counter) else {
        return (None, Place::Sector(0));
    };
    let sector = at / PER_SECTOR;
    // Behind everything that was ever written there, be it only a part of a record.
    let written = |number: &u32| cells.get(*number as usize).is_some_and(|cell| cell.iter().any(|byte| *byte != 0xff));
    let last = (at..(sector + 1) * PER_SECTOR).rev().find(written).unwrap_or(at);
    let next = last + 1;
    let place =
        if next < (sector + 1) * PER_SECTOR { Place::Cell(next) } else { Place::Sector((sector + 1) % SECTORS) };
    (Some(record), place)
}

/// Appends a record. Until its last byte is written, the one before counts.
pub(crate) fn append<S: Storage>(storage: &mut S, record: &Record, place: Place) -> Result<(), S::Error> {
    let cell = match place {
        Place::Cell(cell) => cell,
        Place::Sector(sector) => {
            storage.erase(Area::Record, sector * SECTOR)?;
            sector * PER_SECTOR
        }
    };
    storage.program(Area::Record, cell * RECORD_LEN as u32, &record.encode())
}
