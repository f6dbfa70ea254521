//! SYSTEM: the core's clock and the interrupts that software raises. Register facts: ESP32-C3 TRM, chapter "System
//! Registers", and the PAC.
//!
//! Clock gates and peripheral resets hold what is written and have no effect.

use super::super::Peripheral;
use super::super::register_bank::RegisterBank;
use crate::chip::cpu::Ticks;

const CPU_PER_CONF: u32 = 0x08;
const FROM_CPU: u32 = 0x28;
const SYSCLK_CONF: u32 = 0x58;
const BLOCK_BYTES: u32 = 0x1000;

/// The SYSTEM block.
#[derive(Debug)]
pub struct System {
    registers: RegisterBank,
}

impl System {
    /// As the second-stage bootloader leaves it: the core runs from the 480 MHz PLL at 80 MHz.
    pub fn new() -> Self {
        const PLL: u32 = 1 << 10;
        Self {
            registers: RegisterBank::new(
                BLOCK_BYTES,
                &[
                    (0x04, 0xc0),
                    (CPU_PER_CONF, 0x0c),
                    (0x0c, 0x01),
                    (0x10, 0xf9c1_e06f),
                    (0x14, 0x0200),
                    (0x1c, 0x01fe),
                    (0x20, 0xff),
                    (0x24, 0x0200_1001),
                    (0x38, 0x01),
                    (0x3c, 0x01),
                    (0x40, 0x05),
                    (0x48, 0x7ff0_0000),
                    (0x54, 0x01),
                    (SYSCLK_CONF, PLL | 40 << 12),
                    (0x5c, 0x03),
                    (0x60, 0x03),
                ],
            ),
        }
    }

    /// Reference ticks (160 MHz) in one core cycle.
    pub fn ticks_per_cycle(&self) -> u64 {
        let sysclk = self.registers.get(SYSCLK_CONF);
        let divider = u64::from(sysclk & 0x3ff) + 1;
        match sysclk >> 10 & 3 {
            // The crystal, 40 MHz.
            0 => 4 * divider,
            1 if self.registers.get(CPU_PER_CONF) & 3 == 0 => 2,
            1 => 1,
            // The fast RC oscillator, 17.5 MHz.
            _ => 9 * divider,
        }
    }

    /// Levels of FROM_CPU_INTR0…3, bit 0 first.
    pub fn software_interrupts(&self) -> u64 {
        (0..4).map(|index| u64::from(self.registers.get(FROM_CPU + 4 * index) & 1) << index).sum()
    }
}

impl Peripheral for System {
    fn read(&mut self, now: Ticks, offset: u32) -> Option<u32> {
        self.registers.read(now, offset)
    }

    fn write(&mut self, now: Ticks, offset: u32, value: u32) -> Option<()> {
        self.registers.write(now, offset, value)
    }
}
