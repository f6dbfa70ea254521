//! SENSITIVE: the permission control of internal memory (TRM, chapter "Permission Control"; the PAC's `SENSITIVE`). Models what the first
//! world may do with SRAM1 on both buses and with RTC fast memory, and the locks; the rest of the block is storage.
//!
//! The page table of the core has pages of 4 KB, the split lines lie at multiples of 512 bytes: a page that a line divides allows
//! what any part of it allows. Violation interrupts are not raised: a violation is an access fault.

use super::super::Peripheral;
use super::super::register_bank::RegisterBank;
use crate::chip::cpu::Ticks;

/// Bytes between places where a split line can lie.
const UNIT: u32 = 0x200;
const PAGE: u32 = 0x1000;
/// Bytes of the segments that a line's category fields choose from.
const SEGMENT: u32 = 0x2_0000;

const LINE_MAIN: u32 = 0x94;
const LINES_INSTRUCTION: [u32; 2] = [0x98, 0x9c];
const LINES_DATA: [u32; 2] = [0xa0, 0xa4];
const INSTRUCTION_PERMISSIONS: u32 = 0xb0;
const DATA_PERMISSIONS: u32 = 0xc4;
const RTC_SPLIT: u32 = 0xfc;
const RTC_PERMISSIONS: u32 = 0x100;

/// Each lock with the registers that it locks.
const LOCKS: [(u32, std::ops::RangeInclusive<u32>); 6] = [
    (0x90, LINE_MAIN..=0xa4),
    (0xa8, 0xac..=INSTRUCTION_PERMISSIONS),
    (0xb4, 0xb8..=0xb8),
    (0xc0, DATA_PERMISSIONS..=DATA_PERMISSIONS),
    (0xc8, 0xcc..=0xcc),
    (0xd8, 0xdc..=RTC_PERMISSIONS),
];

/// What is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    pub read: bool,
    pub write: bool,
    pub execute: bool,
}

impl Permission {
    fn or(self, other: Self) -> Self {
        Self { read: self.read || other.read, write: self.write || other.write, execute: self.execute || other.execute }
    }
}

/// The block.
#[derive(Debug)]
pub struct PermissionControl {
    bank: RegisterBank,
    changed: bool,
}

impl PermissionControl {
    pub fn new() -> Self {
        let resets = [
            (0x1c, 0x0f),
            (0x2c, 0x0f),
            (0x34, 0x03),
            (INSTRUCTION_PERMISSIONS, 0x001c_7fff),
            (DATA_PERMISSIONS, 0x0f0f_f0ff),
            (0xb8, 0x03),
            (0xcc, 0x03),
            (RTC_SPLIT, 0x003f_ffff),
            (RTC_PERMISSIONS, 0x0fff),
            (0x108, 0x3fff),
            (0x10c, 0x3fff),
            (0x170, 0x01),
        ];
        Self { bank: RegisterBank::new(0x1000, &resets), changed: false }
    }

    /// The offset in SRAM1 at which a line lies; 0 where it was never set.
    fn line(&self, register: u32) -> u32 {
        let value = self.bank.get(register);
        let segment = (0..3).find(|segment| matches!(value >> (2 * segment) & 3, 1 | 2));
        segment.map_or(0, |segment| segment * SEGMENT + (value >> 14 & 0xff) * UNIT)
    }

    /// What the instruction bus may do at this offset of SRAM1.
    pub fn instruction_bus(&self, offset: u32) -> Permission {
        let lines = [self.line(LINES_INSTRUCTION[0]), self.line(LINES_INSTRUCTION[1]), self.line(LINE_MAIN)];
        let area = lines.iter().position(|line| offset < *line).unwrap_or(3);
        let bits = self.bank.get(INSTRUCTION_PERMISSIONS) >> (3 * area);
        Permission { read: bits & 1 != 0, write: bits & 2 != 0, execute: bits & 4 != 0 }
    }

    /// What the data bus may do at this offset of SRAM1. It never executes.
    pub fn data_bus(&self, offset: u32) -> Permission {
        let lines = [self.line(LINE_MAIN), self.line(LINES_DATA[0]), self.line(LINES_DATA[1])];
        let area = lines.iter().position(|line| offset < *line).unwrap_or(3);
        let bits = self.bank.get(DATA_PERMISSIONS) >> (2 * area);
        Permission { read: bits & 1 != 0, write: bits & 2 != 0, execute: false }
    }

    /// What the core may do at this offset of RTC fast memory.
    pub fn rtc_fast(&self, offset: u32) -> Permission {
        let split = (self.bank.get(RTC_SPLIT) & 0x7ff) * 4;
        let bits = self.bank.get(RTC_PERMISSIONS) >> if offset < split { 0 } else { 3 };
        Permission { read: bits & 2 != 0, write: bits & 1 != 0, execute: bits & 4 != 0 }
    }

    /// What any part of the page at `offset` allows.
    pub fn page(offset: u32, at: impl Fn(u32) -> Permission) -> Permission {
        let units = (offset..offset + PAGE).step_by(UNIT as usize);
        units.map(at).fold(Permission::default(), Permission::or)
    }

    /// Whether permissions have changed since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    pub fn is_changed(&self) -> bool {
        self.changed
    }
}

impl Peripheral for PermissionControl {
    fn read(&mut self, now: Ticks, offset: u32) -> Option<u32> {
        self.bank.read(now, offset)
    }

    fn write(&mut self, now: Ticks, offset: u32, value: u32) -> Option<()> {
        let locked = |(lock, registers): &(u32, std::ops::RangeInclusive<u32>)| {
            self.bank.get(*lock) & 1 != 0 && (*lock == offset || registers.contains(&offset))
        };
        if LOCKS.iter().any(locked) {
            return Some(());
        }
        self.changed |= (LINE_MAIN..=RTC_PERMISSIONS).contains(&offset);
        self.bank.write(now, offset, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ_EXECUTE: Permission = Permission { read: true, write: false, execute: true };
    const NOTHING: Permission = Permission { read: false, write: false, execute: false };

    #[test]
    fn lines_divide_memory_until_they_are_locked_for_good() {
        let mut block = PermissionControl::new();
        let mut set = |offset, value| block.write(0, offset, value).expect("a register of the block");
        // All lines at 0x4400: segment 0 holds it, those above lie behind it.
        for register in [LINE_MAIN, 0x98, 0x9c, 0xa0, 0xa4] {
            set(register, 0x22 << 14 | 0b11_11_10);
        }
        set(INSTRUCTION_PERMISSIONS, 0b000_101_101_101);
        set(DATA_PERMISSIONS, 0b11_11_11_01);
        set(0x90, 1);
        set(LINE_MAIN, 0);
        set(0x90, 0);
        set(LINE_MAIN, 0);
        assert_eq!((block.instruction_bus(0x43ff), block.instruction_bus(0x4400)), (READ_EXECUTE, NOTHING));
        assert!(!block.data_bus(0x43ff).write && block.data_bus(0x4400).write);
        assert!(block.take_changed() && !block.take_changed());
        let divided = PermissionControl::page(0x4000, |offset| block.instruction_bus(offset));
        assert_eq!(divided, READ_EXECUTE);
    }

    #[test]
    fn everything_is_allowed_after_reset() {
        let block = PermissionControl::new();
        let all = Permission { read: true, write: true, execute: true };
        assert_eq!((block.instruction_bus(0), block.instruction_bus(0x5_ffff), block.rtc_fast(0)), (all, all, all));
        assert!(block.data_bus(0).write && block.data_bus(0x5_ffff).write);
    }
}
