//! espb-slots: which stored module a device runs, and how another one takes its place, such that loss of power at any
//! moment leaves the last good module able to run.
//!
//! Decisions and layouts only: flash is reached through [`Storage`], so the firmware, the flashing tool and the tests run
//! the same code. Nothing here knows a chip, a partition table, the link or the meaning of a module's bytes.
//! specs/slots.md is the specification.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(test)]
extern crate std;

pub mod header;
pub mod install;
pub mod record;
pub mod seal;
pub mod storage;
pub mod store;
#[cfg(test)]
mod tests;
pub mod transfer;

pub use header::{HeaderError, ModuleName, SlotHeader};
pub use install::{Install, InstallError, Installer};
pub use record::{MAX_SLOTS, Record, SlotEntry, SlotState};
pub use seal::{PublicKey, Seal, SealError};
pub use storage::{Area, SECTOR, SlotIndex, Storage};
pub use store::{Boot, Store, Unfit};
pub use transfer::{Memory, Offer, Receiver, TransferError};

/// Partition type of module slots and of their record: the first of the types that the partition table leaves to applications.
pub const PARTITION_TYPE: u8 = 0x40;

/// Partition subtype of the first module slot; the others follow.
pub const SLOT_SUBTYPE: u8 = 0x00;

/// Partition subtype of the record.
pub const RECORD_SUBTYPE: u8 = 0x10;

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|word| u32::from_le_bytes(*word))
}

/// Lays `words` one behind another, little-endian, at the start of `bytes`.
fn put_words(bytes: &mut [u8], words: &[u32]) {
    for (place, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *place = word.to_le_bytes();
    }
}
