//! A firmware task that waits for nobody. It counts, so that anybody can see the firmware go on whatever a module does: how often it ran,
//! and how late at worst. And it sees to it that no callback keeps another firmware task waiting.

use core::{
    ffi::c_void,
    sync::atomic::{AtomicU32, Ordering},
};

use esp_hal::time::Instant;

use crate::{
    instance::task,
    kernel::{self, OutOfMemory, Ticks},
};

/// Milliseconds between two beats.
const PERIOD: Ticks = 10;
/// Above every module task, so that a module that spins cannot hold it up; below the link task, so that it shows whether that does.
const PRIORITY: u32 = kernel::BACKGROUND_PRIORITY;
const STACK_BYTES: usize = 1024;

static BEATS: AtomicU32 = AtomicU32::new(0);
static LATEST: AtomicU32 = AtomicU32::new(0);

/// Beats since start.
pub fn count() -> u32 {
    BEATS.load(Ordering::Relaxed)
}

/// The most microseconds that a beat came after its time, by the hardware's clock: kernel ticks that were lost count too.
pub fn worst_delay() -> u32 {
    LATEST.load(Ordering::Relaxed)
}

/// Starts the task.
pub fn start() -> Result<(), OutOfMemory> {
    kernel::spawn(body, c"heartbeat", STACK_BYTES, core::ptr::null_mut(), PRIORITY).map(|_| ())
}

fn microseconds() -> u64 {
    Instant::now().duration_since_epoch().as_micros()
}

extern "C" fn body(_: *mut c_void) {
    let mut wake = kernel::tick_count();
    kernel::delay_until(&mut wake, PERIOD);
    // The first beat says when the others are due.
    let mut due = microseconds();
    loop {
        // One writer: a load and a store suffice where the chip has no atomic addition.
        BEATS.store(BEATS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        let delay = u32::try_from(microseconds().saturating_sub(due)).unwrap_or(u32::MAX);
        LATEST.store(LATEST.load(Ordering::Relaxed).max(delay), Ordering::Relaxed);
        task::cut_waits_short();
        due += u64::from(PERIOD) * 1000;
        kernel::delay_until(&mut wake, PERIOD);
    }
}
