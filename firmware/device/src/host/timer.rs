//! The kernel's software timers. Their callbacks are thunks, called by the timer task.

use espb_format::contract::HandleKind;
use espb_vm::Trap;

use super::{Call, Registration, native, own};
use crate::{kernel::ffi, native_function};

pub const TABLE: &[Registration] = &[
    native!("xTimerCreate", ffi::xTimerCreate),
    own("xTimerGenericCommandFromTask", command),
    own("xTimerGenericCommand", command),
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

/// `tmrCOMMAND_START`, the least command that the macros of timers.h send from tasks.
const START: u32 = 1;
/// `tmrCOMMAND_CHANGE_PERIOD`.
const CHANGE_PERIOD: u32 = 4;
/// `tmrCOMMAND_DELETE`, the greatest.
const DELETE: u32 = 5;

/// `xTimerGenericCommandFromTask(timer, command, value, woken, ticks)`. Other commands would have the timer task call addresses
/// of the module's choice, and a period of 0 would fail an assertion there, on the firmware's own account.
fn command(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let (number, value) = (call.word(1), call.word(2));
    if !(START..=DELETE).contains(&number) {
        return Err(call.vm.violation(1, number));
    }
    if number == CHANGE_PERIOD && value == 0 {
        return Err(call.vm.violation(2, value));
    }
    let sent = call.native(native_function!(ffi::xTimerGenericCommandFromTask), call.vm.arguments)?;
    if number == DELETE && sent as u32 == 0 {
        // There was no room for the command: the timer is still there, and still the instance's. Its old place is free.
        let _ = call.running.objects().add(HandleKind::Timer, call.word(0));
    }
    Ok(sent)
}

/// Has the timer task delete a timer; from the link task.
pub fn delete(handle: u32) {
    // SAFETY: the instance owned the timer; the command waits until the timer task takes it.
    unsafe {
        ffi::xTimerGenericCommandFromTask(
            handle as ffi::TimerHandle,
            DELETE as i32,
            0,
            core::ptr::null_mut(),
            ffi::PORT_MAX_DELAY,
        )
    };
}
