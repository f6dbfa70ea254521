//! Executed machine instructions, from the chip's performance counter, extended to 64 bits.
//! The counter belongs to this file; see the chip's technical reference manual, "Performance counter".

use core::cell::Cell;

use critical_section::Mutex;

/// Event select CSR `mpcer` (0x7E0): bit 1 counts instructions.
const COUNT_INSTRUCTIONS: u32 = 1 << 1;
/// Mode CSR `mpcmr` (0x7E1): bit 0 enables counting; overflow wraps.
const COUNT: u32 = 1;

/// The counter at the last sample, and the instructions until then.
static SAMPLED: Mutex<Cell<(u32, u64)>> = Mutex::new(Cell::new((0, 0)));

/// Starts counting from zero.
pub fn start() {
    // SAFETY: these CSRs exist on this chip and affect counting only.
    unsafe {
        core::arch::asm!(
            "csrw 0x7E0, {select}",
            "csrw 0x7E1, {mode}",
            "csrw 0x7E2, zero",
            select = in(reg) COUNT_INSTRUCTIONS,
            mode = in(reg) COUNT,
        );
    }
}

/// The counter as it stands. It wraps after 2³² instructions.
pub fn now() -> u32 {
    let now: u32;
    // SAFETY: reads the counter CSR.
    unsafe { core::arch::asm!("csrr {}, 0x7E2", out(reg) now) };
    now
}

/// Instructions executed by the whole chip since [`start`]. Must be called at least once each 2³² instructions,
/// which the tick does.
pub fn instructions() -> u64 {
    critical_section::with(|cs| {
        let now = now();
        let sampled = SAMPLED.borrow(cs);
        let (last, total) = sampled.get();
        let total = total + u64::from(now.wrapping_sub(last));
        sampled.set((now, total));
        total
    })
}

/// The kernel's clock for run times of tasks: microseconds, which wrap after 71 minutes.
#[unsafe(no_mangle)]
extern "C" fn espb_run_time() -> u32 {
    esp_hal::time::Instant::now().duration_since_epoch().as_micros() as u32
}
