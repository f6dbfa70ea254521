//! A firmware task that counts, so that anybody can see the firmware go on whatever a module does.

use core::{
    ffi::c_void,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::kernel::{self, OutOfMemory, Ticks};

/// Milliseconds between two beats.
const PERIOD: Ticks = 10;
/// Above every module task, so that a module that spins cannot hold it up.
const PRIORITY: u32 = kernel::LINK_PRIORITY - 1;
const STACK_BYTES: usize = 768;

static BEATS: AtomicU32 = AtomicU32::new(0);

/// Beats since start.
pub fn count() -> u32 {
    BEATS.load(Ordering::Relaxed)
}

/// Starts the task.
pub fn start() -> Result<(), OutOfMemory> {
    kernel::spawn(body, c"heartbeat", STACK_BYTES, core::ptr::null_mut(), PRIORITY).map(|_| ())
}

extern "C" fn body(_: *mut c_void) {
    let mut wake = kernel::tick_count();
    loop {
        kernel::delay_until(&mut wake, PERIOD);
        // One writer: a load and a store suffice where the chip has no atomic addition.
        BEATS.store(BEATS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}
