//! EFUSE: a chip of revision 1.1 with nothing burnt but its address. Register facts: ESP32-C3 TRM, chapter "eFuse
//! Controller", and the PAC.
//!
//! Programming is not modelled: its command register is refused.

use super::super::Peripheral;
use super::super::register_bank::RegisterBank;
use crate::chip::cpu::Ticks;

const MAC_LOW: u32 = 0x44;
const MAC_HIGH: u32 = 0x48;
const MAC_SPI_SYS_3: u32 = 0x50;
const MAC_SPI_SYS_5: u32 = 0x58;
const COMMAND: u32 = 0x1d4;
const COMMAND_PROGRAM: u32 = 1 << 1;
const BLOCK_BYTES: u32 = 0x200;

/// Wafer revision 1.1: the one whose mask ROM is embedded.
const REVISION_MAJOR: u32 = 1;
const REVISION_MINOR: u32 = 1;

/// The eFuse block.
#[derive(Debug)]
pub struct Efuse {
    registers: RegisterBank,
}

impl Efuse {
    /// A chip with the factory address `mac`.
    pub fn new(mac: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = mac;
        Self {
            registers: RegisterBank::new(
                BLOCK_BYTES,
                &[
                    (MAC_LOW, u32::from_be_bytes([c, d, e, f])),
                    (MAC_HIGH, u32::from(u16::from_be_bytes([a, b]))),
                    (MAC_SPI_SYS_3, REVISION_MINOR << 18),
                    (MAC_SPI_SYS_5, REVISION_MAJOR << 24),
                    (0x1c8, 0x02),
                    (0x1e8, 0x0001_fe1c),
                    (0x1ec, 0x1200_0000),
                    (0x1f0, 0x0028_8000),
                    (0x1f4, 0x0190),
                ],
            ),
        }
    }
}

impl Peripheral for Efuse {
    fn read(&mut self, now: Ticks, offset: u32) -> Option<u32> {
        // Reading commands finish at once.
        if offset == COMMAND { Some(0) } else { self.registers.read(now, offset) }
    }

    fn write(&mut self, now: Ticks, offset: u32, value: u32) -> Option<()> {
        if offset == COMMAND && value & COMMAND_PROGRAM != 0 {
            return None;
        }
        self.registers.write(now, offset, value)
    }
}
