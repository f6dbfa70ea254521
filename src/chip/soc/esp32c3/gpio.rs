//! GPIO: output, output enable and input levels of 22 pins. Register facts: ESP32-C3 TRM, chapter "IO MUX and GPIO
//! Matrix", and the PAC.
//!
//! An input reads the level that the pin itself drives, else high (as with pull-ups). Interrupts, the signal matrix and
//! pin configuration hold what is written and have no effect.

use super::super::Peripheral;
use super::super::register_bank::RegisterBank;
use crate::chip::cpu::Ticks;

const OUT: u32 = 0x04;
const OUT_SET: u32 = 0x08;
const OUT_CLEAR: u32 = 0x0c;
const ENABLE: u32 = 0x20;
const ENABLE_SET: u32 = 0x24;
const ENABLE_CLEAR: u32 = 0x28;
const STRAP: u32 = 0x38;
const IN: u32 = 0x3c;
const STATUS: u32 = 0x44;
const STATUS_SET: u32 = 0x48;
const STATUS_CLEAR: u32 = 0x4c;
const BLOCK_BYTES: u32 = 0x700;

const PINS: u32 = (1 << 22) - 1;
/// Strapping pins as at a normal boot from flash: GPIO8 and GPIO9 high (bits 2 and 3).
const BOOT_FROM_FLASH: u32 = 0b1100;

/// The GPIO block.
#[derive(Debug)]
pub struct Gpio {
    registers: RegisterBank,
}

impl Gpio {
    /// In reset state.
    pub fn new() -> Self {
        let mut registers = RegisterBank::new(BLOCK_BYTES, &[(STRAP, BOOT_FROM_FLASH), (0x62c, 1)]);
        for pin in 0..26 {
            registers.set(0x554 + 4 * pin, 0x80);
        }
        Self { registers }
    }
}

impl Peripheral for Gpio {
    fn read(&mut self, now: Ticks, offset: u32) -> Option<u32> {
        Some(match offset {
            OUT_SET | OUT_CLEAR | ENABLE_SET | ENABLE_CLEAR | STATUS_SET | STATUS_CLEAR => 0,
            IN => (self.registers.get(OUT) | !self.registers.get(ENABLE)) & PINS,
            _ => self.registers.read(now, offset)?,
        })
    }

    fn write(&mut self, now: Ticks, offset: u32, value: u32) -> Option<()> {
        match offset {
            OUT_SET => self.registers.modify(OUT, 0, value),
            OUT_CLEAR => self.registers.modify(OUT, value, 0),
            ENABLE_SET => self.registers.modify(ENABLE, 0, value),
            ENABLE_CLEAR => self.registers.modify(ENABLE, value, 0),
            STATUS_SET => self.registers.modify(STATUS, 0, value),
            STATUS_CLEAR => self.registers.modify(STATUS, value, 0),
            STRAP | IN => {}
            _ => self.registers.write(now, offset, value)?,
        }
        Some(())
    }
}
