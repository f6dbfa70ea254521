//! The module slot in flash, mapped into the data bus and read in place. Finds it in the partition table.
//! Reads only; no flash is written here.

use core::fmt;

use espb_format::checksum::crc32;
use espb_link::slot::{HEADER_LEN, MODULE_OFFSET, PARTITION_SUBTYPE, PARTITION_TYPE, SlotError, SlotHeader};

/// Unit of the flash MMU in bytes.
const PAGE: u32 = 0x1_0000;
/// First address of the data bus window (128 pages). The image occupies its start.
const DATA_BUS: u32 = 0x3C00_0000;
/// Pages of the window that this file takes: one for the partition table, then the slot's.
const TABLE_PAGE: u32 = 79;
const SLOT_PAGE: u32 = 80;
/// Pages left for the slot: 3 MB.
const SLOT_PAGES: u32 = 128 - SLOT_PAGE;

/// Where the partition table lies in flash.
const PARTITION_TABLE: u32 = 0x8000;
/// Most entries of a partition table (its sector also holds a checksum entry).
const PARTITIONS: usize = 95;
/// First two bytes of an entry.
const PARTITION_MAGIC: [u8; 2] = [0xAA, 0x50];

/// A module in flash whose checksum is right.
#[derive(Clone, Copy)]
pub struct StoredModule {
    /// Its bytes, in place.
    pub bytes: &'static [u8],
    /// Whether to start it at boot.
    pub autostart: bool,
}

/// Why there is no module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// The partition table has no slot.
    NoSlot,
    /// The partition does not fit into the data bus window.
    TooLarge,
    /// The header says why.
    Header(SlotError),
    /// The header's length is more than the partition holds.
    Length,
    /// The module's checksum is wrong.
    Checksum,
}

impl fmt::Display for FlashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSlot => f.write_str("the partition table has no module slot; flash the whole image again"),
            Self::TooLarge => f.write_str("the slot's partition is too large to be mapped"),
            Self::Header(error) => error.fmt(f),
            Self::Length => {
                f.write_str("the slot's header gives a length beyond the partition; flash the module again")
            }
            Self::Checksum => f.write_str("the checksum of the slot is wrong; flash the module again"),
        }
    }
}

/// A range of flash, in bytes.
#[derive(Clone, Copy)]
struct Partition {
    offset: u32,
    size: u32,
}

/// Maps the slot and checks what it holds.
pub fn stored_module() -> Result<StoredModule, FlashError> {
    let partition = find_slot().ok_or(FlashError::NoSlot)?;
    let first = partition.offset / PAGE * PAGE;
    let pages = (partition.offset + partition.size - first).div_ceil(PAGE);
    if pages > SLOT_PAGES {
        return Err(FlashError::TooLarge);
    }
    let address = map(SLOT_PAGE, first, pages) + (partition.offset - first);
    // SAFETY: `map` made these bytes readable for ever; nothing writes this flash while the image runs.
    let slot = unsafe { core::slice::from_raw_parts(address as *const u8, partition.size as usize) };

    let header = slot.first_chunk::<HEADER_LEN>().ok_or(FlashError::Length)?;
    let header = SlotHeader::decode(header).map_err(FlashError::Header)?;
    let bytes = slot
        .get(MODULE_OFFSET as usize..)
        .and_then(|rest| rest.get(..header.length as usize))
        .ok_or(FlashError::Length)?;
    if crc32(bytes) != header.crc32 {
        return Err(FlashError::Checksum);
    }
    Ok(StoredModule { bytes, autostart: header.autostart })
}

fn find_slot() -> Option<Partition> {
    let page = PARTITION_TABLE / PAGE * PAGE;
    let address = map(TABLE_PAGE, page, 1) + (PARTITION_TABLE - page);
    // SAFETY: `map` made this page readable for ever; entries are bytes.
    let entries = unsafe { core::slice::from_raw_parts(address as *const [u8; 32], PARTITIONS) };
    entries.iter().take_while(|entry| entry.starts_with(&PARTITION_MAGIC)).find_map(|entry| {
        let [_, _, kind, subtype, o0, o1, o2, o3, s0, s1, s2, s3, ..] = *entry;
        (kind == PARTITION_TYPE && subtype == PARTITION_SUBTYPE).then_some(Partition {
            offset: u32::from_le_bytes([o0, o1, o2, o3]),
            size: u32::from_le_bytes([s0, s1, s2, s3]),
        })
    })
}

unsafe extern "C" {
    // Mask ROM functions (esp-rom-sys gives their addresses).
    fn Cache_Suspend_ICache() -> u32;
    fn Cache_Resume_ICache(autoload: u32);
    fn Cache_Dbus_MMU_Set(external_ram: u32, address: u32, flash: u32, page_kb: u32, pages: u32, fixed: u32) -> i32;
    fn Cache_Invalidate_Addr(address: u32, size: u32);
}

/// Maps `pages` pages of flash from offset `flash` to page `page` of the window; returns the address of the first byte.
fn map(page: u32, flash: u32, pages: u32) -> u32 {
    let address = DATA_BUS + page * PAGE;
    // SAFETY: the pages are behind those of the image and belong to this file; `flash` is page-aligned; interrupts are off.
    critical_section::with(|_| unsafe { map_without_cache(address, flash, pages) });
    address
}

/// Runs from RAM: while the cache is suspended, no code in flash can be fetched.
///
/// # Safety
/// Interrupts are off, since their handlers are in flash; nothing else uses these pages of the window.
#[esp_hal::ram]
unsafe fn map_without_cache(address: u32, flash: u32, pages: u32) {
    // SAFETY: the ROM needs no flash; the caller vouches for the pages.
    unsafe {
        let autoload = Cache_Suspend_ICache();
        Cache_Dbus_MMU_Set(0, address, flash, PAGE / 1024, pages, 0);
        Cache_Invalidate_Addr(address, pages * PAGE);
        Cache_Resume_ICache(autoload);
    }
}
