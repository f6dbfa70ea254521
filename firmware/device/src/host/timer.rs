//! The kernel's software timers. Their callbacks are thunks, called by the timer task.

use core::ffi::c_void;

use espb_format::contract::HandleKind;
use espb_vm::Trap;

use super::{Call, Registration, go_on, marshal, native, own};
use crate::{
    kernel::{self, ffi},
    native_function,
};

pub const TABLE: &[Registration] = &[
    own("xTimerCreate", create),
    // The last argument is the place that the kernel does not use: its structures lie where no module can write.
    own("xTimerCreateStatic", create),
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
    native!("xTimerGetTimerDaemonTaskHandle", ffi::xTimerGetTimerDaemonTaskHandle),
    native!("pcTimerGetName", ffi::pcTimerGetName),
    native!("vTimerSetTimerNumber", ffi::vTimerSetTimerNumber),
    native!("uxTimerGetTimerNumber", ffi::uxTimerGetTimerNumber),
    native!("xTimerPendFunctionCall", ffi::xTimerPendFunctionCall),
];

/// `xTimerCreate(name, period, reload, id, callback)`. The kernel asserts that there is a period only when it has taken memory.
fn create(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    if call.word(1) == 0 {
        return Err(call.vm.violation(1, 0));
    }
    call.native(native_function!(ffi::xTimerCreate), call.vm.arguments.get(..5).unwrap_or_default())
}

/// `tmrCOMMAND_START`, the least command that the macros of timers.h send from tasks.
const START: u32 = 1;
/// `tmrCOMMAND_RESET`.
const RESET: u32 = 2;
/// `tmrCOMMAND_CHANGE_PERIOD`.
const CHANGE_PERIOD: u32 = 4;
/// `tmrCOMMAND_DELETE`, the greatest.
const DELETE: u32 = 5;

/// `xTimerGenericCommandFromTask(timer, command, value, woken, ticks)`. Other commands would have the timer task call addresses
/// of the module's choice, and a period of 0 would fail an assertion there, on the firmware's own account. When a timer starts is now,
/// as the macros of timers.h say: a time long gone would have the timer task make up for every period since.
fn command(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let (number, value) = (call.word(1), call.word(2));
    if !(START..=DELETE).contains(&number) {
        return Err(call.vm.violation(1, number));
    }
    if number == CHANGE_PERIOD && value == 0 {
        return Err(call.vm.violation(2, value));
    }
    let value = if matches!(number, START | RESET) { kernel::tick_count() } else { value };
    if number == DELETE {
        return delete_in_turn(call);
    }
    let words = [call.word(0), number, value, call.word(3), call.word(4)];
    call.native(native_function!(ffi::xTimerGenericCommandFromTask), &words)
}

/// Sends the command that deletes a timer as soon as there is room for it, within the ticks of argument 4. Until then the timer is the
/// instance's: its task may be deleted while it waits.
fn delete_in_turn(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let (timer, patience) = (call.word(0), call.word(4));
    let words = [timer, DELETE, 0, 0, 0];
    let start = kernel::tick_count();
    loop {
        let sent = kernel::without_switching(|| {
            marshal::take_off(call.running, HandleKind::Timer, timer)?;
            let sent = call.native(native_function!(ffi::xTimerGenericCommandFromTask), &words);
            if !matches!(sent, Ok(sent) if sent as u32 != 0) {
                // No other task runs here, so its place is free.
                let _ = call.running.objects().add(HandleKind::Timer, timer);
            }
            sent
        })?;
        if sent as u32 != 0 || kernel::tick_count().wrapping_sub(start) >= patience {
            return Ok(sent);
        }
        go_on(call.vm.instance())?;
        kernel::delay(1);
    }
}

/// `tmrCOMMAND_START_FROM_ISR` to `tmrCOMMAND_CHANGE_PERIOD_FROM_ISR`.
const START_FROM_ISR: u32 = 6;
const CHANGE_PERIOD_FROM_ISR: u32 = 9;

/// `xTimerGenericCommandFromISR(timer, command, value, woken, ticks)`.
pub fn command_from_interrupt(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let (number, value) = (call.word(1), call.word(2));
    if !(START_FROM_ISR..=CHANGE_PERIOD_FROM_ISR).contains(&number) {
        return Err(call.vm.violation(1, number));
    }
    if number == CHANGE_PERIOD_FROM_ISR && value == 0 {
        return Err(call.vm.violation(2, value));
    }
    call.native_from_interrupt(native_function!(ffi::xTimerGenericCommandFromISR), call.vm.arguments)
}

/// Deletes a timer that was never started: it is on none of the kernel's lists, and its memory is all there is of it.
pub fn discard(handle: u32) {
    // SAFETY: `xTimerCreate` took this block from the kernel's heap, and nobody else knows it.
    unsafe { ffi::vPortFree(handle as *mut c_void) };
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
