//! What can be wrong with an image or with the module that is to go into it, and what to do about it.

use crate::FlashOffset;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The firmware's ELF file is none, or does not fit the chip or its partition.
    #[error("the firmware cannot become a flash image: {0}; build it again with `make firmware`")]
    Firmware(#[from] espflash::Error),
    /// The partition table could not be written where espflash reads it.
    #[error("no temporary file for the partition table: {0}; is TMPDIR writable?")]
    TemporaryFile(#[from] std::io::Error),
    /// A merged image is longer than the flash.
    #[error("the image has {length:#x} bytes, but the flash {capacity:#x}; take an image that `espb-image` wrote")]
    TooLong {
        /// Bytes of the image.
        length: usize,
        /// Bytes of the flash.
        capacity: u32,
    },
    /// There are no bytes where the partition table belongs.
    #[error("the image has no partition table at {0}; take an image that `espb-image` wrote")]
    NoPartitionTable(FlashOffset),
    /// The partition table is damaged.
    #[error("the partition table at {at} is damaged: {source}; take an image that `espb-image` wrote")]
    PartitionTable {
        /// Where the table starts.
        at: FlashOffset,
        /// What is wrong with it.
        source: esp_idf_part::Error,
    },
    /// The partition table has no slots or no record, or one reaches past the end of the flash.
    #[error(
        "the partition table has no module slot (type {:#04x}) or no record of them within the flash; use the firmware that belongs to this espb",
        espb_slots::PARTITION_TYPE
    )]
    NoSlot,
    /// The slot cannot take the module.
    #[error("the module cannot be stored: {0}")]
    Slot(String),
    /// A device with this key would not run the module.
    #[error("the module cannot be stored: {0}")]
    Seal(espb_slots::SealError),
    /// The firmware has no place for a public key.
    #[error("the firmware has no place for a public key; build it again with `make firmware`")]
    NoKey,
    /// The module is larger than the slot.
    #[error("the module has {length} bytes, but the slot holds {capacity}; strip its debug information or split it")]
    ModuleTooLarge {
        /// Bytes of the module.
        length: usize,
        /// Bytes the slot has for a module.
        capacity: u32,
    },
}
