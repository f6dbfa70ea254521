//! The flash as the slots see it: areas that can be read in place, erased by sectors and programmed. Decides nothing.

/// Bytes that flash erases at once.
pub const SECTOR: u32 = 0x1000;

/// A slot's number, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotIndex(pub u8);

impl SlotIndex {
    /// As an index of arrays over slots.
    pub fn index(self) -> usize {
        self.0.into()
    }
}

impl core::fmt::Display for SlotIndex {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// A part of the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// A module slot: one sector for its header, then the module.
    Slot(SlotIndex),
    /// Two sectors for the record.
    Record,
}

/// Flash that holds slots and record. Offsets are in bytes from the start of an area.
pub trait Storage {
    /// Why flash could not be changed.
    type Error;

    /// How many slots there are, at most [`crate::MAX_SLOTS`].
    fn slots(&self) -> u8;

    /// The present contents of a whole area; empty if there is no such area. The first byte of a slot is aligned to a sector.
    fn view(&self, area: Area) -> &[u8];

    /// Sets the sector at `offset`, a multiple of [`SECTOR`], to 0xFF.
    fn erase(&mut self, area: Area, offset: u32) -> Result<(), Self::Error>;

    /// Clears those bits at `offset`, a multiple of 4, that are clear in `bytes`. Only a last piece has a length that is no
    /// multiple of 4.
    fn program(&mut self, area: Area, offset: u32, bytes: &[u8]) -> Result<(), Self::Error>;
}
