//! A block of registers that hold what is written: the whole model of blocks whose effect the emulator does not show,
//! and the storage below the blocks it does.

use super::Peripheral;
use crate::chip::cpu::Ticks;

/// Plain storage with reset values.
#[derive(Debug)]
pub struct RegisterBank {
    words: Vec<u32>,
}

impl RegisterBank {
    /// `size` bytes, zero but for the `(offset, value)` pairs in `resets`.
    pub fn new(size: u32, resets: &[(u32, u32)]) -> Self {
        let mut bank = Self { words: vec![0; (size / 4) as usize] };
        for &(offset, value) in resets {
            bank.set(offset, value);
        }
        bank
    }

    /// The register at `offset`; 0 outside the block.
    pub fn get(&self, offset: u32) -> u32 {
        self.words.get((offset / 4) as usize).copied().unwrap_or(0)
    }

    /// Replaces the register at `offset`; nothing happens outside the block.
    pub fn set(&mut self, offset: u32, value: u32) {
        if let Some(word) = self.words.get_mut((offset / 4) as usize) {
            *word = value;
        }
    }

    /// Sets and clears bits of the register at `offset`.
    pub fn modify(&mut self, offset: u32, clear: u32, set: u32) {
        self.set(offset, self.get(offset) & !clear | set);
    }
}

impl Peripheral for RegisterBank {
    fn read(&mut self, _now: Ticks, offset: u32) -> Option<u32> {
        self.words.get((offset / 4) as usize).copied()
    }

    fn write(&mut self, _now: Ticks, offset: u32, value: u32) -> Option<()> {
        *self.words.get_mut((offset / 4) as usize)? = value;
        Some(())
    }
}
