//! What the second-stage bootloader leaves behind: the application found through the partition table, its RAM segments
//! copied, its flash segments mapped.
//!
//! Reads the flash image alone; never an ELF file. Format facts: the ESP-IDF documentation, "App Image Format" and
//! "Partition Tables".

use std::ops::Range;

use super::soc::esp32c3::FLASH_PAGE;
use super::soc::esp32c3::regions::{FLASH_DATA, FLASH_INSTRUCTION, RTC_FAST, SRAM0, SRAM1, SRAM1_INSTRUCTION};

/// Where the partition table lies. Bytes from the start of flash.
const PARTITION_TABLE: usize = 0x8000;
const PARTITION_TABLE_BYTES: usize = 0xc00;
const PARTITION_ENTRY_BYTES: usize = 32;
const PARTITION_MAGIC: u16 = 0x50aa;
const TYPE_APP: u8 = 0;
const SUBTYPE_FACTORY: u8 = 0x00;
const SUBTYPE_OTA_0: u8 = 0x10;

const IMAGE_MAGIC: u8 = 0xe9;
const IMAGE_HEADER_BYTES: usize = 24;
const SEGMENT_HEADER_BYTES: usize = 8;
const CHIP_ID_ESP32C3: u16 = 5;
/// The checksum's start value.
const CHECKSUM_SEED: u8 = 0xef;

/// A piece of the application that goes to RAM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Its address in RAM.
    pub address: u32,
    /// Where it lies in flash.
    pub flash: Range<usize>,
}

/// A 64 KB page of the flash window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Index in the MMU table.
    pub entry: u32,
    /// Page of the flash chip.
    pub page: u32,
}

/// An application ready to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// First instruction.
    pub entry: u32,
    /// Segments to copy.
    pub copies: Vec<Copy>,
    /// Pages to map.
    pub mappings: Vec<Mapping>,
}

/// Finds the application that the bootloader would start in `flash`.
pub fn find_application(flash: &[u8]) -> Result<Application, String> {
    let offset = application_offset(flash)?;
    parse_image(flash, offset)
}

fn word(flash: &[u8], offset: usize) -> Option<u32> {
    let bytes = flash.get(offset..offset.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn half(flash: &[u8], offset: usize) -> Option<u16> {
    let bytes = flash.get(offset..offset.checked_add(2)?)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

fn application_offset(flash: &[u8]) -> Result<usize, String> {
    let mut first_ota = None;
    for index in 0..PARTITION_TABLE_BYTES / PARTITION_ENTRY_BYTES {
        let at = PARTITION_TABLE + index * PARTITION_ENTRY_BYTES;
        if half(flash, at) != Some(PARTITION_MAGIC) {
            break;
        }
        let (Some(&kind), Some(&subtype), Some(offset)) = (flash.get(at + 2), flash.get(at + 3), word(flash, at + 4))
        else {
            break;
        };
        match (kind, subtype) {
            (TYPE_APP, SUBTYPE_FACTORY) => return Ok(offset as usize),
            (TYPE_APP, SUBTYPE_OTA_0) => first_ota = Some(offset as usize),
            _ => {}
        }
    }
    first_ota.ok_or_else(|| {
        format!(
            "the flash image has no application partition in a table at {PARTITION_TABLE:#x}; is it a full flash image?"
        )
    })
}

fn parse_image(flash: &[u8], start: usize) -> Result<Application, String> {
    let damaged = |what: &str| format!("the application at flash offset {start:#x} is damaged: {what}; flash it again");
    let header = flash
        .get(start..start.saturating_add(IMAGE_HEADER_BYTES))
        .ok_or_else(|| damaged("its header lies behind the end of flash"))?;
    let [magic, segments, _, _, e0, e1, e2, e3, ..] = *header else {
        return Err(damaged("its header is cut off"));
    };
    if magic != IMAGE_MAGIC {
        return Err(damaged("it does not begin with the image magic 0xe9"));
    }
    if half(header, 12) != Some(CHIP_ID_ESP32C3) {
        return Err(damaged("it was built for another chip than the ESP32-C3"));
    }
    let mut application =
        Application { entry: u32::from_le_bytes([e0, e1, e2, e3]), copies: Vec::new(), mappings: Vec::new() };
    let mut at = start + IMAGE_HEADER_BYTES;
    let mut checksum = CHECKSUM_SEED;
    for _ in 0..segments {
        let (Some(address), Some(length)) = (word(flash, at), word(flash, at + 4)) else {
            return Err(damaged("a segment header lies behind the end of flash"));
        };
        let data = at + SEGMENT_HEADER_BYTES;
        let end = data.saturating_add(length as usize);
        let bytes = flash.get(data..end).ok_or_else(|| damaged("a segment reaches behind the end of flash"))?;
        checksum = bytes.iter().fold(checksum, |sum, byte| sum ^ byte);
        place(&mut application, address, data..end).map_err(|what| damaged(&what))?;
        at = end;
    }
    // The checksum is the last byte of the 16-byte block behind the segments.
    if flash.get(at | 15) != Some(&checksum) {
        return Err(damaged("its checksum does not match"));
    }
    Ok(application)
}

/// Decides whether a segment is copied, mapped or only padding.
fn place(application: &mut Application, address: u32, flash: Range<usize>) -> Result<(), String> {
    let length = flash.len() as u32;
    for window in [FLASH_DATA, FLASH_INSTRUCTION] {
        if !window.contains(address) {
            continue;
        }
        let start = flash.start as u32;
        if address % FLASH_PAGE != start % FLASH_PAGE {
            return Err(format!("the segment for {address:#010x} lies at a flash offset with other low 16 bits"));
        }
        let pages = (start % FLASH_PAGE + length).div_ceil(FLASH_PAGE);
        for index in 0..pages {
            application.mappings.push(Mapping {
                entry: (address - window.base) / FLASH_PAGE + index,
                page: start / FLASH_PAGE + index,
            });
        }
        return Ok(());
    }
    // The bootloader skips padding, whose address is 0.
    if address == 0 || length == 0 {
        return Ok(());
    }
    let fits = [SRAM0, SRAM1_INSTRUCTION, SRAM1, RTC_FAST]
        .iter()
        .any(|memory| memory.contains(address) && memory.contains(address.saturating_add(length - 1)));
    if !fits {
        return Err(format!("a segment of {length} bytes for {address:#010x} fits no memory"));
    }
    application.copies.push(Copy { address, flash });
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A flash image with one application of the given segments at 0x10000.
    pub fn flash_image(entry: u32, segments: &[(u32, &[u8])]) -> Vec<u8> {
        let mut flash = vec![0xff; 0x8000];
        flash.extend([0xaa, 0x50, TYPE_APP, SUBTYPE_FACTORY]);
        flash.extend(0x10000_u32.to_le_bytes());
        flash.extend(0x100000_u32.to_le_bytes());
        flash.extend([0; 20]);
        flash.resize(0x10000, 0xff);
        flash.extend([IMAGE_MAGIC, segments.len() as u8, 2, 0x20]);
        flash.extend(entry.to_le_bytes());
        flash.extend([0xee, 0, 0, 0]);
        flash.extend(CHIP_ID_ESP32C3.to_le_bytes());
        flash.extend([0; 10]);
        let mut checksum = CHECKSUM_SEED;
        for (address, bytes) in segments {
            flash.extend(address.to_le_bytes());
            flash.extend((bytes.len() as u32).to_le_bytes());
            flash.extend(*bytes);
            checksum = bytes.iter().fold(checksum, |sum, byte| sum ^ byte);
        }
        while flash.len() % 16 != 15 {
            flash.push(0);
        }
        flash.push(checksum);
        flash.resize(0x40_0000, 0xff);
        flash
    }

    #[test]
    fn segments_are_copied_mapped_or_refused() {
        let application = find_application(&flash_image(
            0x4038_0000,
            &[(0x3c00_0020, &[1; 0x20000]), (0x4038_0000, &[2; 64]), (0, &[0; 8])],
        ))
        .expect("a sound image");
        assert_eq!(application.entry, 0x4038_0000);
        let copies = [Copy { address: 0x4038_0000, flash: 0x30028..0x30068 }];
        assert_eq!(application.copies, copies);
        let pages: Vec<_> = application.mappings.iter().map(|mapping| (mapping.entry, mapping.page)).collect();
        assert_eq!(pages, [(0, 1), (1, 2), (2, 3)]);

        let reason = |image: &[u8]| find_application(image).expect_err("a refusal");
        assert!(reason(&flash_image(0, &[(0x4200_0000, &[0; 4])])).contains("low 16 bits"));
        assert!(reason(&flash_image(0, &[(0x5000_1ffe, &[0; 4])])).contains("fits no memory"));
        assert!(reason(&[0xff; 0x20000]).contains("no application partition"));
        let mut damaged = flash_image(0x4038_0000, &[(0x4038_0000, &[2; 64])]);
        if let Some(byte) = damaged.get_mut(0x10024) {
            *byte ^= 1;
        }
        assert!(reason(&damaged).contains("checksum"));
        for length in 0..0x10060 {
            assert!(find_application(damaged.get(..length).unwrap_or_default()).is_err());
        }
    }
}
