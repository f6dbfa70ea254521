//! The kernel's software timers. Their callbacks are thunks, called by the timer task.

use super::{Registration, native};
use crate::kernel::ffi;

pub const TABLE: &[Registration] = &[
    native!("xTimerCreate", ffi::xTimerCreate),
    native!("xTimerGenericCommandFromTask", ffi::xTimerGenericCommandFromTask),
    native!("xTimerGenericCommand", ffi::xTimerGenericCommandFromTask),
    native!("pvTimerGetTimerID", ffi::pvTimerGetTimerID),
    native!("vTimerSetTimerID", ffi::vTimerSetTimerID),
    native!("xTimerIsTimerActive", ffi::xTimerIsTimerActive),
    native!("vTimerSetReloadMode", ffi::vTimerSetReloadMode),
    native!("xTimerGetReloadMode", ffi::xTimerGetReloadMode),
    native!("uxTimerGetReloadMode", ffi::uxTimerGetReloadMode),
    native!("xTimerGetPeriod", ffi::xTimerGetPeriod),
    native!("xTimerGetExpiryTime", ffi::xTimerGetExpiryTime),
    native!("xTimerPendFunctionCall", ffi::xTimerPendFunctionCall),
];

/// `tmrCOMMAND_DELETE`.
const DELETE: i32 = 5;

/// Has the timer task delete a timer; from the link task.
pub fn delete(handle: u32) {
    // SAFETY: the instance owned the timer; the command waits until the timer task takes it.
    unsafe {
        ffi::xTimerGenericCommandFromTask(
            handle as ffi::TimerHandle,
            DELETE,
            0,
            core::ptr::null_mut(),
            ffi::PORT_MAX_DELAY,
        )
    };
}
