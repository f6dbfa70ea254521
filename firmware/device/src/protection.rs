//! Memory protection: code in RAM cannot be written, and no other RAM can be executed, from either bus. Set once at start, then locked until
//! the next reset. Flash cannot be written through its windows, and data RAM cannot be executed through its data addresses, by the
//! physical memory protection that the bootloader sets and locks. Never here: what happens to a task that violates it (`kernel::trap`).
//!
//! Register meanings: ESP32-C3 Technical Reference Manual, "Permission Control".

use esp_hal::peripherals::{Interrupt, SENSITIVE};

use crate::kernel::trap;

unsafe extern "C" {
    /// End of the code in RAM (esp-hal's linker script), a multiple of [`UNIT`] by linker/rwtext_hook.x.
    static _rwtext_end: u8;
}

/// Start of SRAM1 on the instruction bus.
const CODE_START: u32 = 0x4038_0000;
/// Bytes of the first segment of SRAM1, in which the code ends.
const SEGMENT: u32 = 0x2_0000;
/// Bytes between places where a split line can lie.
const UNIT: u32 = 0x200;
/// A line in the first segment: the segments behind it lie wholly behind the line.
const FIRST_SEGMENT: u32 = 0b11_11_10;

const READ: u8 = 1;
const WRITE: u8 = 2;
const FETCH: u8 = 4;
const NOTHING: u8 = 0;
/// The same for RTC fast memory, whose bits are in another order.
const RTC_READ_WRITE: u8 = 3;

/// Splits RAM behind the code, sets and locks what is allowed, and has a violation end the firmware.
pub fn init() {
    let end = (&raw const _rwtext_end) as u32;
    assert!(end.is_multiple_of(UNIT) && end - CODE_START < SEGMENT, "the code in RAM ends at {end:#x}");
    let line = FIRST_SEGMENT | (end / UNIT & 0xff) << 14;
    let registers = SENSITIVE::regs();
    // SAFETY: the lines lie at the end of the code, so what runs can go on running and data stay writable; all fields are in range.
    unsafe {
        registers.core_x_iram0_dram0_dma_split_line_constrain_1().write(|w| w.bits(line));
        // The other lines lie on the first: there is one area of code and one of data.
        registers.core_x_iram0_dram0_dma_split_line_constrain_2().write(|w| w.bits(line));
        registers.core_x_iram0_dram0_dma_split_line_constrain_3().write(|w| w.bits(line));
        registers.core_x_iram0_dram0_dma_split_line_constrain_4().write(|w| w.bits(line));
        registers.core_x_iram0_dram0_dma_split_line_constrain_5().write(|w| w.bits(line));
        registers.core_x_iram0_pms_constrain_2().modify(|_, w| {
            w.core_x_iram0_pms_constrain_sram_world_0_pms_0().bits(READ | FETCH);
            w.core_x_iram0_pms_constrain_sram_world_0_pms_1().bits(READ | FETCH);
            w.core_x_iram0_pms_constrain_sram_world_0_pms_2().bits(READ | FETCH);
            w.core_x_iram0_pms_constrain_sram_world_0_pms_3().bits(NOTHING)
        });
        registers.core_x_dram0_pms_constrain_1().modify(|_, w| {
            w.core_x_dram0_pms_constrain_sram_world_0_pms_0().bits(READ);
            w.core_x_dram0_pms_constrain_sram_world_0_pms_1().bits(READ | WRITE);
            w.core_x_dram0_pms_constrain_sram_world_0_pms_2().bits(READ | WRITE);
            w.core_x_dram0_pms_constrain_sram_world_0_pms_3().bits(READ | WRITE)
        });
        registers.core_0_pif_pms_constrain_10().modify(|_, w| {
            w.core_0_pif_pms_constrain_rtcfast_world_0_l().bits(RTC_READ_WRITE);
            w.core_0_pif_pms_constrain_rtcfast_world_0_h().bits(RTC_READ_WRITE)
        });
        // Violations are noted from here on; the flag that clears the note must not stay set.
        for enable in [0b01, 0b10] {
            registers.core_0_iram0_pms_monitor_1().write(|w| w.bits(enable));
            registers.core_0_dram0_pms_monitor_1().write(|w| w.bits(enable));
        }
        registers.core_x_iram0_dram0_dma_split_line_constrain_0().write(|w| w.bits(1));
        registers.core_x_iram0_pms_constrain_0().write(|w| w.bits(1));
        registers.core_x_dram0_pms_constrain_0().write(|w| w.bits(1));
        registers.core_0_iram0_pms_monitor_0().write(|w| w.bits(1));
        registers.core_0_dram0_pms_monitor_0().write(|w| w.bits(1));
        registers.core_0_pif_pms_constrain_0().write(|w| w.bits(1));
        core::arch::asm!("fence", "fence.i");
    }
    trap::route(Interrupt::CORE0_IRAM0_PMS, trap::Line::Protection);
    trap::route(Interrupt::CORE0_DRAM0_PMS, trap::Line::Protection);
}

/// A forbidden access was noted: it did nothing, but who tried it is out of order. Ends the firmware.
pub fn on_violation() -> ! {
    let registers = SENSITIVE::regs();
    panic!(
        "memory protection violated: status {:#x} on the instruction bus, {:#x} on the data bus",
        registers.core_0_iram0_pms_monitor_2().read().bits(),
        registers.core_0_dram0_pms_monitor_2().read().bits()
    );
}
