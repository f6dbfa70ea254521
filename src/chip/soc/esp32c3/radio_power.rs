//! The one register in each radio block (BB, FE, FE2, NRX) that esp-hal's clock set-up touches: power control. Offsets
//! from the PAC. It holds what is written; the radio itself is absent.

use super::super::Peripheral;
use crate::chip::cpu::Ticks;

/// A radio block of which only one register is modelled.
#[derive(Debug)]
pub struct RadioPower {
    offset: u32,
    value: u32,
}

impl RadioPower {
    /// With its register at `offset`.
    pub fn new(offset: u32) -> Self {
        Self { offset, value: 0 }
    }
}

impl Peripheral for RadioPower {
    fn read(&mut self, _now: Ticks, offset: u32) -> Option<u32> {
        (offset == self.offset).then_some(self.value)
    }

    fn write(&mut self, _now: Ticks, offset: u32, value: u32) -> Option<()> {
        (offset == self.offset).then(|| self.value = value)
    }
}
