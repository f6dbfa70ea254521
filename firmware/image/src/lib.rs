//! espb-image: what lies where in a chip's flash, from the firmware's ELF file and an ESPB module.
//!
//! The only place that knows image formats and partition tables. It handles bytes: it talks to no chip and reads no
//! file of the user (its program, `espb-image`, does).

mod chip;
mod error;
mod firmware;
mod flash;
mod nvs;
mod slot;

pub use chip::{Chip, UnknownChip};
pub use error::ImageError;
pub use espb_slots::{PublicKey, SlotIndex};
pub use firmware::{flash_image, flash_image_with_key};
pub use flash::{FLASH_SIZE, FlashImage, FlashOffset, SECTOR_SIZE, Segment};
pub use slot::{Placement, Region, SlotLayout};
