//! From the firmware's ELF file to the flash of a chip that boots it: bootloader, partition table, application.

use crate::{Chip, FlashImage, FlashOffset, ImageError, Segment};
use espb_slots::PublicKey;
use espflash::{
    flasher::{FlashData, FlashFrequency, FlashMode, FlashSettings, FlashSize},
    image_format::{ImageFormat, idf::IdfBootloaderFormat},
};
use object::{Object, ObjectSection, ObjectSymbol};
use std::io::Write as _;

/// Where the bootloader looks for the partition table (ESP-IDF's default, compiled into espflash's bootloaders).
pub(crate) const PARTITION_TABLE: FlashOffset = FlashOffset(0x8000);

const PARTITIONS: &str = include_str!("../partitions.csv");

/// Where the firmware keeps the key that modules must be signed with (firmware/device, `key`).
const KEY_SYMBOL: &str = "ESPB_PUBLIC_KEY";

/// As [`flash_image`], for a firmware that runs only modules signed with `key`.
///
/// # Errors
/// `NoKey` when the firmware has no place for a key, else as there.
pub fn flash_image_with_key(elf: &[u8], chip: Chip, key: &PublicKey) -> Result<FlashImage, ImageError> {
    let mut elf = elf.to_vec();
    let at = key_place(&elf).ok_or(ImageError::NoKey)?;
    elf.get_mut(at..at + key.0.len()).ok_or(ImageError::NoKey)?.copy_from_slice(&key.0);
    flash_image(&elf, chip)
}

/// Offset in the file of the symbol's bytes.
fn key_place(elf: &[u8]) -> Option<usize> {
    let file = object::File::parse(elf).ok()?;
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok(KEY_SYMBOL))?;
    let section = file.section_by_index(symbol.section_index()?).ok()?;
    let (start, _) = section.file_range()?;
    usize::try_from(start + symbol.address().checked_sub(section.address())?).ok()
}

/// Makes the flash image that boots `elf` on `chip`. The module slot is left erased.
///
/// # Errors
/// `Firmware` when `elf` is no ELF file for such a chip or does not fit its partition.
pub fn flash_image(elf: &[u8], chip: Chip) -> Result<FlashImage, ImageError> {
    // Every supported board can read its flash so: dual lines, 80 MHz.
    let settings = FlashSettings::new(Some(FlashMode::Dio), Some(FlashSize::_4Mb), Some(FlashFrequency::_80Mhz));
    let flash = FlashData::new(settings, 0, None, chip.target(), chip.crystal());
    let mut partitions = tempfile::NamedTempFile::new()?; // espflash takes the table as a file only
    partitions.write_all(PARTITIONS.as_bytes())?;
    let table = Some(partitions.path());
    let format = IdfBootloaderFormat::new(elf, &flash, table, None, Some(PARTITION_TABLE.0), Some("factory"))?;
    let segments = ImageFormat::from(format).flash_segments().into_iter();
    let segments = segments.map(|s| Segment { offset: FlashOffset(s.addr), data: s.data.into_owned() });
    Ok(FlashImage::from_segments(segments.collect()))
}
