//! The chips around the cores: registers, memories, interrupts, clocks. Knows no instruction set.

pub mod esp32c3;
pub(super) mod flash_chip;
mod register_bank;

use super::cpu::Ticks;

/// One block of registers. Offsets are bytes from the block's base, multiples of 4; narrower accesses are composed by the
/// chip. `None` means: there is no such register here, or it is not modelled.
trait Peripheral {
    /// A load. May have side effects, as on the chip.
    fn read(&mut self, now: Ticks, offset: u32) -> Option<u32>;
    /// A store.
    fn write(&mut self, now: Ticks, offset: u32, value: u32) -> Option<()>;
}
