//! esp_timer over the kernel's timers: periods in microseconds, rounded up to whole ticks of a millisecond.
//! Callbacks run on the kernel's timer task.

use alloc::boxed::Box;
use core::{ffi::c_void, ptr};

use espb_format::contract::HandleKind;
use espb_vm::{Trap, TrapKind};

use super::{Call, Registration, own};
use crate::{
    instance::Failure,
    kernel::{self, ffi},
};

pub const TABLE: &[Registration] = &[
    own("esp_timer_create", create),
    own("esp_timer_delete", |call| {
        delete(call.word(0));
        Ok(OK)
    }),
    own("esp_timer_start_once", |call| start(call, false)),
    own("esp_timer_start_periodic", |call| start(call, true)),
    own("esp_timer_stop", stop),
    own("esp_timer_is_active", |call| Ok(u64::from(is_active(timer_of(call.word(0)))))),
    own("esp_timer_get_time", |_| Ok(microseconds())),
];

/// `ESP_OK`.
const OK: u64 = 0;
/// `ESP_ERR_NO_MEM`.
const NO_MEMORY: u64 = 0x101;
/// `ESP_ERR_INVALID_ARG`.
const INVALID_ARGUMENT: u64 = 0x102;
/// `ESP_ERR_INVALID_STATE`.
const INVALID_STATE: u64 = 0x103;

/// `tmrCOMMAND_STOP`, `tmrCOMMAND_CHANGE_PERIOD`, `tmrCOMMAND_DELETE`.
const STOP: i32 = 3;
const CHANGE_PERIOD: i32 = 4;
const DELETE: i32 = 5;

/// Microseconds in a tick.
const TICK: u64 = 1000;

/// Offsets in `esp_timer_create_args_t`.
const CALLBACK: u32 = 0;
const ARGUMENT: u32 = 4;

/// What a module knows by the handle of a timer.
struct EspTimer {
    timer: ffi::TimerHandle,
    callback: extern "C" fn(u32),
    argument: u32,
}

pub fn microseconds() -> u64 {
    esp_hal::time::Instant::now().duration_since_epoch().as_micros()
}

fn timer_of(handle: u32) -> ffi::TimerHandle {
    // SAFETY: the handle was checked: it is one that `create` made and `delete` has not freed.
    unsafe { (*(handle as *const EspTimer)).timer }
}

extern "C" fn expired(timer: ffi::TimerHandle) {
    // SAFETY: the timer's id is its EspTimer, which is freed by this same task after the timer is gone.
    let timer = unsafe { &*ffi::pvTimerGetTimerID(timer).cast::<EspTimer>() };
    (timer.callback)(timer.argument);
}

fn create(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let memory = call.vm.memory();
    let (arguments, created) = (call.word(0), call.word(1));
    let callback = memory.read_word(arguments.wrapping_add(CALLBACK))?;
    let argument = memory.read_word(arguments.wrapping_add(ARGUMENT))?;
    // The word may have changed since it was checked, but only a thunk is ever called.
    if call.running.instance().thunks().index(callback).is_none() {
        return Err(call.vm.violation(0, callback));
    }
    if kernel::heap::is_short() {
        return Ok(NO_MEMORY);
    }
    if call.running.objects().is_full() {
        return Err(Trap::new(TrapKind::Host, Failure::TooManyObjects as u32));
    }
    let handle = kernel::without_switching(|| {
        // SAFETY: the address is a thunk, which takes words in the argument registers.
        let callback = unsafe { core::mem::transmute::<usize, extern "C" fn(u32)>(callback as usize) };
        let state = Box::into_raw(Box::new(EspTimer { timer: ptr::null_mut(), callback, argument }));
        // SAFETY: the period is set when the timer is started; the id lives as long as the timer.
        let timer = unsafe { ffi::xTimerCreate(c"esp_timer".as_ptr(), 1, 0, state.cast(), expired) };
        if timer.is_null() {
            // SAFETY: just leaked, known to nobody.
            drop(unsafe { Box::from_raw(state) });
            return None;
        }
        // SAFETY: as above; the timer does not run yet.
        unsafe { (*state).timer = timer };
        // There is room, as was seen above; tasks do not switch here.
        let _ = call.running.objects().add(HandleKind::EspTimer, state as u32);
        Some(state as u32)
    });
    match handle {
        Some(handle) => memory.write_word(created, handle).map(|()| OK),
        None => Ok(NO_MEMORY),
    }
}

fn command(timer: ffi::TimerHandle, command: i32, value: u32) {
    // SAFETY: the timer exists; the command waits for room in the timer task's queue.
    unsafe { ffi::xTimerGenericCommandFromTask(timer, command, value, ptr::null_mut(), ffi::PORT_MAX_DELAY) };
}

fn is_active(timer: ffi::TimerHandle) -> bool {
    // SAFETY: the timer exists.
    unsafe { ffi::xTimerIsTimerActive(timer) != 0 }
}

/// `esp_timer_start_…(timer, microseconds as 64 bits)`.
fn start(call: &mut Call<'_, '_>, periodic: bool) -> Result<u64, Trap> {
    let timer = timer_of(call.word(0));
    if is_active(timer) {
        return Ok(INVALID_STATE);
    }
    let Ok(ticks @ 1..) = u32::try_from(call.vm.double_word(1).div_ceil(TICK)) else { return Ok(INVALID_ARGUMENT) };
    // SAFETY: the timer exists and is at rest.
    unsafe { ffi::vTimerSetReloadMode(timer, periodic.into()) };
    // Changing the period also starts a timer.
    command(timer, CHANGE_PERIOD, ticks);
    Ok(OK)
}

fn stop(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let timer = timer_of(call.word(0));
    if !is_active(timer) {
        return Ok(INVALID_STATE);
    }
    command(timer, STOP, 0);
    Ok(OK)
}

/// Deletes a timer that is on no list any more.
pub fn delete(handle: u32) {
    extern "C" fn free(state: *mut c_void, _: u32) {
        // SAFETY: leaked by `create`; runs on the timer task behind the timer's deletion, so nothing refers to it.
        drop(unsafe { Box::from_raw(state.cast::<EspTimer>()) });
    }
    command(timer_of(handle), DELETE, 0);
    // SAFETY: runs `free` on the timer task.
    unsafe { ffi::xTimerPendFunctionCall(free, handle as *mut c_void, 0, ffi::PORT_MAX_DELAY) };
}
