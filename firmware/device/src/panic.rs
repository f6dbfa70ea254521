//! The end of the firmware: says why and where on the console and resets the chip, so that a module on trial is rolled back. Module errors never come here; they are traps.

use core::{
    fmt::Write,
    panic::PanicInfo,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use crate::console::Emergency;

unsafe extern "C" {
    /// End of the code in RAM (esp-hal's linker script).
    static _rwtext_end: u8;
    /// The mask ROM's, without esp-hal's dealings with clocks around it: those may be what panicked.
    fn software_reset() -> !;
}

/// Data RAM (ESP32-C3 Technical Reference Manual, "System and Memory").
const RAM: core::ops::Range<u32> = 0x3fc8_0000..0x3fce_0000;
/// Code in RAM begins here; it ends where the linker says.
const RAM_CODE: u32 = 0x4038_0000;
/// The window through which code in flash is seen.
const FLASH_CODE: core::ops::Range<u32> = 0x4200_0000..0x4280_0000;
/// Most words of a stack that are looked at, and most addresses that are shown.
const WORDS: u32 = 512;
const ADDRESSES: usize = 24;

/// A panic within this handler must end, too.
static IS_PANICKING: AtomicBool = AtomicBool::new(false);
/// Stack pointer of the task that an exception interrupted.
static INTERRUPTED: AtomicU32 = AtomicU32::new(0);

/// An exception interrupted a task, whose context lies at `stack`: what is shown is that stack.
pub fn note_interrupted(stack: u32) {
    INTERRUPTED.store(stack, Ordering::Relaxed);
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // SAFETY: turns interrupts off for good: nothing else runs from here on.
    unsafe { core::arch::asm!("csrci mstatus, 8") };
    if IS_PANICKING.load(Ordering::Relaxed) {
        // SAFETY: a function of the mask ROM that takes nothing.
        unsafe { software_reset() }
    }
    IS_PANICKING.store(true, Ordering::Relaxed);
    let own: u32;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mv {}, sp", out(reg) own) };
    let stack = match INTERRUPTED.load(Ordering::Relaxed) {
        0 => own,
        interrupted => interrupted,
    };
    // The results say nothing that could still be acted upon.
    let _ = write!(Emergency, "\nespb firmware stopped: {}", info.message());
    if let Some(place) = info.location() {
        let _ = write!(Emergency, ", at {place}");
    }
    let _ = writeln!(Emergency);
    let _ = write!(Emergency, "espb firmware stack:");
    for address in code_addresses(stack).take(ADDRESSES) {
        let _ = write!(Emergency, " {address:#010x}");
    }
    let _ = writeln!(Emergency);
    Emergency::flush();
    // SAFETY: a function of the mask ROM that takes nothing.
    unsafe { software_reset() }
}

/// Words of a stack that may be return addresses. Some are left from before: the host keeps those that follow a call.
fn code_addresses(stack: u32) -> impl Iterator<Item = u32> {
    let ram_code = RAM_CODE..(&raw const _rwtext_end) as u32;
    let words = (0..WORDS).map(move |word| (stack & !3).wrapping_add(4 * word)).take_while(|place| RAM.contains(place));
    // SAFETY: an aligned word of data RAM can be read whatever it is.
    let words = words.map(|place| unsafe { (place as *const u32).read_volatile() });
    words.filter(move |word| FLASH_CODE.contains(word) || ram_code.contains(word))
}
