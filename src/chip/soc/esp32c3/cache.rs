//! EXTMEM and the MMU table: which flash page appears where. Register facts: ESP32-C3 TRM, chapter "System and Memory",
//! and the PAC.
//!
//! The cache itself is not modelled: flash is always as fast as RAM, and every cache operation is finished at once.

use super::super::Peripheral;
use super::super::register_bank::RegisterBank;
use crate::chip::cpu::Ticks;

const LOCK_CTRL: u32 = 0x1c;
const SYNC_CTRL: u32 = 0x28;
const PRELOAD_CTRL: u32 = 0x34;
const AUTOLOAD_CTRL: u32 = 0x40;
const CACHE_STATE: u32 = 0xb0;
const FREEZE: u32 = 0xcc;
const BLOCK_BYTES: u32 = 0x400;

/// The cache's control registers.
#[derive(Debug)]
pub struct CacheControl {
    registers: RegisterBank,
}

impl CacheControl {
    /// In reset state but enabled, as the bootloader leaves it.
    pub fn new() -> Self {
        Self {
            registers: RegisterBank::new(
                BLOCK_BYTES,
                &[
                    (0x00, 0x01),
                    (0x04, 0x00),
                    (0x08, 0x05),
                    (0xac, 0x05),
                    (0xc8, 0x07),
                    (0xe0, 0x0800),
                    (0xe4, 0x0800),
                    (0xe8, 0xff),
                    (0xf4, 0x0800),
                    (0xf8, 0x0800),
                    (0xfc, 0x0f),
                    (0x100, 0x01),
                ],
            ),
        }
    }
}

impl Peripheral for CacheControl {
    fn read(&mut self, now: Ticks, offset: u32) -> Option<u32> {
        let value = self.registers.read(now, offset)?;
        Some(match offset {
            // The start bits clear themselves; the done bit is set.
            LOCK_CTRL => value & !0b111 | 0b100,
            SYNC_CTRL | PRELOAD_CTRL => value & !0b11 | 0b10,
            AUTOLOAD_CTRL => value | 1 << 3,
            CACHE_STATE => 1,
            // Frozen as soon as asked.
            FREEZE => value & !0b100 | (value & 1) << 2,
            _ => value,
        })
    }

    fn write(&mut self, now: Ticks, offset: u32, value: u32) -> Option<()> {
        self.registers.write(now, offset, value)
    }
}

/// Entries of the MMU table, one a flash page of the window.
pub const ENTRIES: u32 = 128;
/// Bytes of a flash page.
pub const FLASH_PAGE: u32 = 0x1_0000;
const INVALID: u32 = 1 << 8;

/// The MMU table. Data window (0x3C000000) and instruction window (0x42000000) share it: 8 MB each.
#[derive(Debug)]
pub struct MmuTable {
    registers: RegisterBank,
    changed: bool,
}

impl MmuTable {
    /// No page is mapped.
    pub fn new() -> Self {
        let mut registers = RegisterBank::new(4 * ENTRIES, &[]);
        for entry in 0..ENTRIES {
            registers.set(4 * entry, INVALID);
        }
        Self { registers, changed: false }
    }

    /// Maps window page `entry` to flash page `page`.
    pub fn map(&mut self, entry: u32, page: u32) {
        self.registers.set(4 * entry, page & 0xff);
        self.changed = true;
    }

    /// The flash offset behind an offset in the window.
    pub fn flash_offset(&self, window_offset: u32) -> Option<u32> {
        let entry = window_offset / FLASH_PAGE;
        if entry >= ENTRIES {
            return None;
        }
        let value = self.registers.get(4 * entry);
        (value & INVALID == 0).then(|| (value & 0xff) * FLASH_PAGE + window_offset % FLASH_PAGE)
    }

    /// Whether the mapping changed since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whether [`MmuTable::take_changed`] would say so.
    pub fn is_changed(&self) -> bool {
        self.changed
    }
}

impl Peripheral for MmuTable {
    fn read(&mut self, now: Ticks, offset: u32) -> Option<u32> {
        self.registers.read(now, offset)
    }

    fn write(&mut self, now: Ticks, offset: u32, value: u32) -> Option<()> {
        self.changed |= self.registers.get(offset) != value;
        self.registers.write(now, offset, value)
    }
}
