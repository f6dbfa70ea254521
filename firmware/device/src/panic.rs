//! The end of the firmware: says why on the console and resets the chip, so that a module on trial is rolled back. Module errors never come here; they are traps.

use core::{fmt::Write, panic::PanicInfo};

use crate::console::Emergency;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // SAFETY: turns interrupts off for good: nothing else runs from here on.
    unsafe { core::arch::asm!("csrci mstatus, 8") };
    // The result says nothing that could still be acted upon.
    let _ = writeln!(Emergency, "\nespb firmware stopped: {info}");
    esp_hal::system::software_reset()
}
