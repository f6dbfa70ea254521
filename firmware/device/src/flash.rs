//! Module slots, their record, and the partition for non-volatile storage: found in the partition table, mapped into the data bus and read in place,
//! erased and programmed through the mask ROM. Decides nothing: that is
//! espb-slots' and esp-nvs'.

use core::fmt;

use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash};
use esp_nvs::platform::Crc;
use espb_slots::{Area, MAX_SLOTS, PARTITION_TYPE, RECORD_SUBTYPE, SECTOR, SLOT_SUBTYPE, Storage, record};

/// Unit of the flash MMU in bytes.
const PAGE: u32 = 0x1_0000;
/// First address of the data bus window (128 pages). The image occupies its start.
const DATA_BUS: u32 = 0x3C00_0000;
/// Pages of the window that this file takes: for non-volatile storage, for the partition table, then slots and record.
const NVS_PAGE: u32 = 78;
const TABLE_PAGE: u32 = 79;
const FIRST_PAGE: u32 = 80;
const LAST_PAGE: u32 = 127;

/// Where the partition table lies in flash.
const PARTITION_TABLE: u32 = 0x8000;
/// Most entries of a partition table (its sector also holds a checksum entry).
const PARTITIONS: usize = 95;
/// First two bytes of an entry.
const PARTITION_MAGIC: [u8; 2] = [0xAA, 0x50];
/// Words that one program command of the flash takes.
const PROGRAM_WORDS: usize = 64;

/// Why flash could not be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// The place is outside of the partition.
    Range,
    /// The flash refused: the mask ROM's code.
    Rom(i32),
}

impl fmt::Display for FlashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range => f.write_str("the place to write is outside of the partition"),
            Self::Rom(code) => write!(f, "the flash could not be written (code {code}); is it write-protected?"),
        }
    }
}

/// A partition that is mapped for ever. All in bytes.
#[derive(Clone, Copy)]
struct Mapped {
    flash: u32,
    address: u32,
    size: u32,
}

impl Mapped {
    fn bytes(&self) -> &[u8] {
        // SAFETY: `map` made these bytes readable for ever. They change only through `DeviceFlash`, which is borrowed as
        // long as the result; who keeps bytes longer sees to it that their slot is not written (`instance`).
        unsafe { core::slice::from_raw_parts(self.address as *const u8, self.size as usize) }
    }

    /// The place of an operation on `length` bytes: in flash, and in the window.
    fn place(&self, offset: u32, length: usize) -> Result<(u32, u32), FlashError> {
        if self.holds(offset, length) {
            Ok((self.flash + offset, self.address + offset))
        } else {
            Err(FlashError::Range)
        }
    }

    /// Sets the sector at `offset` to 0xFF.
    fn erase(&self, offset: u32) -> Result<(), FlashError> {
        let (flash, address) = self.place(offset, SECTOR as usize)?;
        // SAFETY: the sector is within a partition of ours.
        change(|| unsafe { erase_without_cache(flash, address) })
    }

    /// Clears bits from `offset`, a multiple of 4, on. Of the last piece the length need not be one.
    fn program(&self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.place(offset, bytes.len().next_multiple_of(4))?;
        let mut at = offset;
        while at < offset + bytes.len() as u32 {
            let (flash, address) = self.place(at, 4)?;
            let rest = bytes.get((at - offset) as usize..).unwrap_or_default();
            // A program command does not cross a boundary of 256 bytes.
            let room = 4 * PROGRAM_WORDS - flash as usize % (4 * PROGRAM_WORDS);
            let piece = rest.get(..room).unwrap_or(rest);
            // The ROM takes whole, aligned words from RAM; bits that are set change nothing.
            let mut words = [u32::MAX; PROGRAM_WORDS];
            for (word, chunk) in words.iter_mut().zip(piece.chunks(4)) {
                let mut padded = [0xff; 4];
                for (place, byte) in padded.iter_mut().zip(chunk) {
                    *place = *byte;
                }
                *word = u32::from_le_bytes(padded);
            }
            let length = piece.len().next_multiple_of(4) as u32;
            // SAFETY: the words are within a partition of ours, and `words` holds them.
            change(|| unsafe { write_without_cache(flash, address, &words, length) })?;
            at += piece.len() as u32;
        }
        Ok(())
    }

    /// Whether `length` bytes at `offset` lie within.
    fn holds(&self, offset: u32, length: usize) -> bool {
        u32::try_from(length).ok().and_then(|length| offset.checked_add(length)).is_some_and(|end| end <= self.size)
    }
}

/// The slots and their record.
pub struct DeviceFlash {
    slots: heapless::Vec<Mapped, MAX_SLOTS>,
    record: Option<Mapped>,
}

impl DeviceFlash {
    /// Finds and maps the partitions. What does not fit into the window is left out.
    pub fn open() -> Self {
        let mut page = FIRST_PAGE;
        let mut found = |subtype: u8| {
            let (flash, size) = find(PARTITION_TYPE, subtype)?;
            let first = flash / PAGE * PAGE;
            let pages = flash.checked_add(size)?.checked_sub(first)?.div_ceil(PAGE);
            if page + pages > LAST_PAGE + 1 {
                return None;
            }
            let address = map(page, first, pages) + (flash - first);
            page += pages;
            Some(Mapped { flash, address, size })
        };
        let record = found(RECORD_SUBTYPE).filter(|record| record.size >= record::SECTORS * SECTOR);
        let slots = (SLOT_SUBTYPE..).take(MAX_SLOTS).map_while(&mut found).collect();
        // Should this fail, so will the first change, and be reported.
        // SAFETY: takes write protection off the flash, once, before anything else uses SPI1.
        let _ = change(|| unsafe { unlock_without_cache() });
        Self { slots, record }
    }

    fn area(&self, area: Area) -> Option<Mapped> {
        match area {
            Area::Slot(slot) => self.slots.get(slot.index()).copied(),
            Area::Record => self.record,
        }
    }
}

impl Storage for DeviceFlash {
    type Error = FlashError;

    fn slots(&self) -> u8 {
        // Without a record nothing can be decided about slots.
        if self.record.is_some() { self.slots.len() as u8 } else { 0 }
    }

    fn view(&self, area: Area) -> &[u8] {
        let mapped = match area {
            Area::Slot(slot) => self.slots.get(slot.index()),
            Area::Record => self.record.as_ref(),
        };
        mapped.map_or(&[], Mapped::bytes)
    }

    fn erase(&mut self, area: Area, offset: u32) -> Result<(), FlashError> {
        self.area(area).ok_or(FlashError::Range)?.erase(offset)
    }

    fn program(&mut self, area: Area, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.area(area).ok_or(FlashError::Range)?.program(offset, bytes)
    }
}

/// The partition for non-volatile storage.
pub struct NvsPartition(Mapped);

/// Type and subtype of ESP-IDF's partition for non-volatile storage.
const NVS_TYPE: (u8, u8) = (0x01, 0x02);

impl NvsPartition {
    /// Finds and maps it. Flash has been opened before.
    pub fn open() -> Option<Self> {
        let (flash, size) = find(NVS_TYPE.0, NVS_TYPE.1)?;
        let first = flash / PAGE * PAGE;
        (flash + size <= first + PAGE).then(|| {
            let address = map(NVS_PAGE, first, 1) + (flash - first);
            Self(Mapped { flash, address, size })
        })
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.0.size as usize
    }
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Range => NorFlashErrorKind::OutOfBounds,
            Self::Rom(_) => NorFlashErrorKind::Other,
        }
    }
}

impl ErrorType for NvsPartition {
    type Error = FlashError;
}

impl ReadNorFlash for NvsPartition {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, into: &mut [u8]) -> Result<(), FlashError> {
        let bytes = self.0.bytes().get(offset as usize..).and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(bytes.ok_or(FlashError::Range)?);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.size()
    }
}

impl NorFlash for NvsPartition {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SECTOR as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        (from..to).step_by(SECTOR as usize).try_for_each(|offset| self.0.erase(offset))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.0.program(offset, bytes)
    }
}

impl Crc for NvsPartition {
    fn crc32(init: u32, data: &[u8]) -> u32 {
        esp_hal::rom::crc::crc32_le(init, data)
    }
}

/// Offset and size of the first partition of this type and subtype.
fn find(kind: u8, subtype: u8) -> Option<(u32, u32)> {
    let page = PARTITION_TABLE / PAGE * PAGE;
    let address = map(TABLE_PAGE, page, 1) + (PARTITION_TABLE - page);
    // SAFETY: `map` made this page readable for ever; entries are bytes.
    let entries = unsafe { core::slice::from_raw_parts(address as *const [u8; 32], PARTITIONS) };
    entries.iter().take_while(|entry| entry.starts_with(&PARTITION_MAGIC)).find_map(|entry| {
        let [_, _, of_kind, of_subtype, o0, o1, o2, o3, s0, s1, s2, s3, ..] = *entry;
        (of_kind == kind && of_subtype == subtype)
            .then_some((u32::from_le_bytes([o0, o1, o2, o3]), u32::from_le_bytes([s0, s1, s2, s3])))
    })
}

unsafe extern "C" {
    // Mask ROM functions (esp-rom-sys gives their addresses).
    fn Cache_Suspend_ICache() -> u32;
    fn Cache_Resume_ICache(autoload: u32);
    fn Cache_Dbus_MMU_Set(external_ram: u32, address: u32, flash: u32, page_kb: u32, pages: u32, fixed: u32) -> i32;
    fn Cache_Invalidate_Addr(address: u32, size: u32);
    fn esp_rom_spiflash_unlock() -> i32;
    fn esp_rom_spiflash_erase_sector(sector: u32) -> i32;
    fn esp_rom_spiflash_write(flash: u32, words: *const u32, bytes: u32) -> i32;
}

/// Maps `pages` pages of flash from offset `flash` to page `page` of the window; returns the address of the first byte.
fn map(page: u32, flash: u32, pages: u32) -> u32 {
    let address = DATA_BUS + page * PAGE;
    // SAFETY: the pages are behind those of the image and belong to this file; `flash` is page-aligned; interrupts are off.
    critical_section::with(|_| unsafe { map_without_cache(address, flash, pages) });
    address
}

/// Has the ROM change flash, with interrupts off.
fn change(operation: impl FnOnce() -> i32) -> Result<(), FlashError> {
    match critical_section::with(|_| operation()) {
        0 => Ok(()),
        code => Err(FlashError::Rom(code)),
    }
}

// These run from RAM: while the cache is suspended or the flash is busy, no code in flash can be fetched.

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

/// # Safety
/// Interrupts are off. To be called once, before other changes.
#[esp_hal::ram]
unsafe fn unlock_without_cache() -> i32 {
    // SAFETY: the ROM needs no flash.
    unsafe {
        let autoload = Cache_Suspend_ICache();
        let code = esp_rom_spiflash_unlock();
        Cache_Resume_ICache(autoload);
        code
    }
}

/// # Safety
/// Interrupts are off; the sector at `flash` is mapped at `address` and belongs to a partition of ours.
#[esp_hal::ram]
unsafe fn erase_without_cache(flash: u32, address: u32) -> i32 {
    // SAFETY: the ROM needs no flash; the caller vouches for the sector.
    unsafe {
        let autoload = Cache_Suspend_ICache();
        let code = esp_rom_spiflash_erase_sector(flash / SECTOR);
        Cache_Invalidate_Addr(address, SECTOR);
        Cache_Resume_ICache(autoload);
        code
    }
}

/// # Safety
/// Interrupts are off; `bytes` bytes at `flash` are mapped at `address` and belong to a partition of ours; `words` holds as many.
#[esp_hal::ram]
unsafe fn write_without_cache(flash: u32, address: u32, words: &[u32; PROGRAM_WORDS], bytes: u32) -> i32 {
    // SAFETY: the ROM needs no flash; the caller vouches for the place.
    unsafe {
        let autoload = Cache_Suspend_ICache();
        let code = esp_rom_spiflash_write(flash, words.as_ptr(), bytes);
        Cache_Invalidate_Addr(address, bytes);
        Cache_Resume_ICache(autoload);
        code
    }
}
