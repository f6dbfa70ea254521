//! The ESP32-C3's address map: memories, the modelled blocks' bases, and names for what is not modelled. From the ESP32-C3
//! TRM, chapter "System and Memory", and the PAC.
//!
//! Numbers and names only; no behaviour.

use std::ops::Range;

/// Bytes at a base address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First address.
    pub base: u32,
    /// Length in bytes.
    pub size: u32,
}

impl Region {
    /// Whether `address` lies in it.
    pub const fn contains(self, address: u32) -> bool {
        address.wrapping_sub(self.base) < self.size
    }

    /// The same as a range of addresses.
    pub const fn range(self) -> Range<u32> {
        self.base..self.base + self.size
    }
}

const fn region(base: u32, size: u32) -> Region {
    Region { base, size }
}

/// Mask ROM on the instruction bus.
pub const ROM: Region = region(0x4000_0000, 0x6_0000);
/// The upper part of the same ROM on the data bus.
pub const ROM_DATA: Region = region(0x3ff0_0000, 0x2_0000);
/// Where that part begins in [`ROM`].
pub const ROM_DATA_ALIAS: u32 = 0x4004_0000;
/// SRAM0: 16 KB that the cache usually owns, instruction bus only.
pub const SRAM0: Region = region(0x4037_c000, 0x4000);
/// SRAM1 on the data bus.
pub const SRAM1: Region = region(0x3fc8_0000, 0x6_0000);
/// The same memory on the instruction bus.
pub const SRAM1_INSTRUCTION: Region = region(0x4038_0000, 0x6_0000);
/// RTC fast memory.
pub const RTC_FAST: Region = region(0x5000_0000, 0x2000);
/// Flash through the MMU, data bus.
pub const FLASH_DATA: Region = region(0x3c00_0000, 0x80_0000);
/// Flash through the MMU, instruction bus.
pub const FLASH_INSTRUCTION: Region = region(0x4200_0000, 0x80_0000);
/// All registers.
pub const REGISTERS: Region = region(0x6000_0000, 0x10_0000);
/// The GPIO block.
pub const GPIO: Region = region(0x6000_4000, 0xf00);
/// The IO MUX.
pub const IO_MUX: Region = region(0x6000_9000, 0x1000);
/// Where the emulator keeps the flash contents: an address that the chip's buses do not reach.
pub const FLASH_BACKING: u32 = 0x8000_0000;
/// Flash chip sizes that the MMU table can address. Bytes.
pub const FLASH_SIZES: Range<u32> = 0x10_0000..0x100_0001;

/// Bases of the modelled register blocks, with their names.
pub const MODELLED: &[(&str, u32)] = &[
    ("UART0", 0x6000_0000),
    ("SPI1", 0x6000_2000),
    ("SPI0", 0x6000_3000),
    ("GPIO", 0x6000_4000),
    ("GPIO_SD", 0x6000_4f00),
    ("FE2", 0x6000_5000),
    ("FE", 0x6000_6000),
    ("RTC_CNTL", 0x6000_8000),
    ("EFUSE", 0x6000_8800),
    ("IO_MUX", 0x6000_9000),
    ("I2C_ANA_MST", 0x6000_e000),
    ("UART1", 0x6001_0000),
    ("NRX", 0x6001_cc00),
    ("BB", 0x6001_d000),
    ("TIMG0", 0x6001_f000),
    ("TIMG1", 0x6002_0000),
    ("SYSTIMER", 0x6002_3000),
    ("APB_CTRL", 0x6002_6000),
    ("USB_DEVICE", 0x6004_3000),
    ("SYSTEM", 0x600c_0000),
    ("SENSITIVE", 0x600c_1000),
    ("INTERRUPT_CORE0", 0x600c_2000),
    ("EXTMEM", 0x600c_4000),
    ("MMU_TABLE", 0x600c_5000),
    ("ASSIST_DEBUG", 0x600c_e000),
];

/// Bases of the blocks that are known but not modelled.
pub const ABSENT: &[(&str, u32)] = &[
    ("I2C0", 0x6001_3000),
    ("UHCI0", 0x6001_4000),
    ("RMT", 0x6001_6000),
    ("LEDC", 0x6001_9000),
    ("SPI2", 0x6002_4000),
    ("TWAI0", 0x6002_b000),
    ("I2S0", 0x6002_d000),
    ("WIFI", 0x6003_3000),
    ("AES", 0x6003_a000),
    ("SHA", 0x6003_b000),
    ("RSA", 0x6003_c000),
    ("DS", 0x6003_d000),
    ("HMAC", 0x6003_e000),
    ("DMA", 0x6003_f000),
    ("APB_SARADC", 0x6004_0000),
    ("XTS_AES", 0x600c_c000),
];

/// What is known to be at a register address.
pub fn name(address: u32) -> String {
    let block = MODELLED.iter().chain(ABSENT).filter(|(_, base)| *base <= address && address - base < 0x1000);
    match block.max_by_key(|(_, base)| *base) {
        Some((name, base)) => format!("{name}+{:#x}", address - base),
        None => String::from("no known peripheral"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ledger must name every block, modelled or absent, at its address.
    #[test]
    fn the_fidelity_ledger_lists_every_block_where_the_code_has_it() {
        let ledger = include_str!("../../../../specs/fidelity.md");
        let (modelled, absent) = ledger.split_once("## Absent").expect("the ledger has a section \"Absent\"");
        for (blocks, section) in [(MODELLED, modelled), (ABSENT, absent)] {
            for (name, base) in blocks {
                let row = format!("| {name} | `{base:#010x}` |");
                assert!(section.contains(&row), "missing or misplaced: {row}");
            }
            let rows = section.lines().filter(|line| line.contains("| `0x600")).count();
            assert_eq!(rows, blocks.len(), "a row too many or too few");
        }
    }

    #[test]
    fn addresses_are_named_by_their_block_and_offset() {
        assert_eq!(name(0x6000_8814), "EFUSE+0x14");
        assert_eq!(name(0x6003_a008), "AES+0x8");
        assert_eq!(name(0x600d_0000), "no known peripheral");
    }
}
