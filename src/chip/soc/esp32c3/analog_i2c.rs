//! The master of the internal I²C bus to the analogue blocks (PLL, regulators, ADC). Its commands are known from the mask
//! ROM's own code (`rom_i2c_writeReg`), ANA_CONF0 from the PAC.
//!
//! The analogue blocks hold what is written. The PLL calibrates at once.

use std::collections::BTreeMap;

use super::super::Peripheral;
use super::super::register_bank::RegisterBank;
use crate::chip::cpu::Ticks;

/// Two command registers, one a bus.
const COMMANDS: std::ops::Range<u32> = 0x00..0x08;
const ANA_CONF0: u32 = 0x40;
const BLOCK_BYTES: u32 = 0x80;

/// Command fields: slave in bits 0..7, register in 8..15, data in 16..23.
const WRITE: u32 = 1 << 24;
const BUSY: u32 = 1 << 25;
const PLL_CALIBRATED: u32 = 1 << 24;

/// The analogue I²C master.
#[derive(Debug)]
pub struct AnalogI2c {
    registers: RegisterBank,
    slaves: BTreeMap<(u8, u8), u8>,
}

impl AnalogI2c {
    /// In reset state.
    pub fn new() -> Self {
        Self { registers: RegisterBank::new(BLOCK_BYTES, &[]), slaves: BTreeMap::new() }
    }
}

impl Peripheral for AnalogI2c {
    fn read(&mut self, now: Ticks, offset: u32) -> Option<u32> {
        let value = self.registers.read(now, offset)?;
        Some(if offset == ANA_CONF0 { value | PLL_CALIBRATED } else { value })
    }

    fn write(&mut self, now: Ticks, offset: u32, value: u32) -> Option<()> {
        if !COMMANDS.contains(&offset) {
            return self.registers.write(now, offset, value);
        }
        let key = (value as u8, (value >> 8) as u8);
        if value & WRITE != 0 {
            self.slaves.insert(key, (value >> 16) as u8);
        }
        let data = u32::from(self.slaves.get(&key).copied().unwrap_or(0));
        self.registers.set(offset, value & !(BUSY | 0xff_0000) | data << 16);
        Some(())
    }
}
