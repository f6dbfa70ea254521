//! APB_CTRL, which holds the random number register. Register facts: ESP32-C3 TRM, chapter "Random Number Generator", and
//! the PAC.
//!
//! The numbers are deterministic (xorshift, fixed seed), so that two runs are identical. The rest is plain storage.

use super::super::Peripheral;
use super::super::register_bank::RegisterBank;
use crate::chip::cpu::Ticks;

const RANDOM: u32 = 0xb0;
const BLOCK_BYTES: u32 = 0x400;
/// Any non-zero number serves.
const SEED: u32 = 0x2545_f491;

/// The APB_CTRL block.
#[derive(Debug)]
pub struct ApbCtrl {
    registers: RegisterBank,
    random: u32,
}

impl ApbCtrl {
    /// In reset state.
    pub fn new() -> Self {
        Self {
            registers: RegisterBank::new(
                BLOCK_BYTES,
                &[
                    (0x00, 0x01),
                    (0x04, 0x0001_0727),
                    (0x08, 0x07ff),
                    (0x14, 0xfffc_e030),
                    (0x28, 0x03),
                    (0x48, 0x0400),
                    (0x9c, 0x15),
                    (0xa4, 0x3f),
                    (0xac, 0x3f),
                    (0xb4, 0x6480),
                ],
            ),
            random: SEED,
        }
    }
}

impl Peripheral for ApbCtrl {
    fn read(&mut self, now: Ticks, offset: u32) -> Option<u32> {
        if offset != RANDOM {
            return self.registers.read(now, offset);
        }
        // Marsaglia's xorshift32.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        Some(self.random)
    }

    fn write(&mut self, now: Ticks, offset: u32, value: u32) -> Option<()> {
        self.registers.write(now, offset, value)
    }
}
