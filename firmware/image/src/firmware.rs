//! From the firmware's ELF file to the flash of a chip that boots it: bootloader, partition table, application.

use crate::{Chip, FlashImage, FlashOffset, ImageError, Segment};
use espflash::{
    flasher::{FlashData, FlashFrequency, FlashMode, FlashSettings, FlashSize},
    image_format::{ImageFormat, idf::IdfBootloaderFormat},
};
use std::io::Write as _;

/// Where the bootloader looks for the partition table (ESP-IDF's default, compiled into espflash's bootloaders).
pub(crate) const PARTITION_TABLE: FlashOffset = FlashOffset(0x8000);

const PARTITIONS: &str = include_str!("../partitions.csv");

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
    Ok(FlashImage::new(segments.collect()))
}
