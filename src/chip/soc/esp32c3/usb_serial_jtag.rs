//! USB-serial-JTAG without a host on its cable. Register facts: ESP32-C3 TRM, chapter "USB Serial/JTAG Controller", and
//! the PAC.
//!
//! Bytes written to it go nowhere, no start-of-frame ever arrives, nothing is received.

use super::super::Peripheral;
use super::super::register_bank::RegisterBank;
use crate::chip::cpu::Ticks;

const EP1: u32 = 0x00;
const EP1_CONF: u32 = 0x04;
const INT_RAW: u32 = 0x08;
const INT_ST: u32 = 0x0c;
const INT_CLR: u32 = 0x14;
const BLOCK_BYTES: u32 = 0x84;

/// There is room for a byte.
const SERIAL_IN_FREE: u32 = 1 << 1;

/// The USB-serial-JTAG block.
#[derive(Debug)]
pub struct UsbSerialJtag {
    registers: RegisterBank,
}

impl UsbSerialJtag {
    /// In reset state.
    pub fn new() -> Self {
        let resets =
            [(0x18, 0x4200), (0x20, 0x44), (0x28, 0x01), (0x2c, 0x01), (0x30, 0x01), (0x34, 0x01), (0x48, 0x02)];
        Self { registers: RegisterBank::new(BLOCK_BYTES, &resets) }
    }
}

impl Peripheral for UsbSerialJtag {
    fn read(&mut self, now: Ticks, offset: u32) -> Option<u32> {
        match offset {
            EP1_CONF => Some(SERIAL_IN_FREE),
            EP1 | INT_RAW | INT_ST | INT_CLR => Some(0),
            _ => self.registers.read(now, offset),
        }
    }

    fn write(&mut self, now: Ticks, offset: u32, value: u32) -> Option<()> {
        match offset {
            EP1 | EP1_CONF | INT_RAW | INT_ST | INT_CLR => Some(()),
            _ => self.registers.write(now, offset, value),
        }
    }
}
