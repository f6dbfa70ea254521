//! esp_timer: timers of a microsecond's resolution. Their callbacks run one after the other in a task of their own, at the time
//! that the chip's alarm gives or as soon after it as those before have returned.

use alloc::boxed::Box;
use core::{
    cell::RefCell,
    ffi::c_void,
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, Ordering},
};

use critical_section::Mutex;
use espb_format::contract::HandleKind;
use espb_link::event::MAX_INSTANCES;
use espb_vm::{Thunks, Trap, TrapKind};

use super::{
    Call, Registration,
    esp_err::{INVALID_ARGUMENT, INVALID_STATE, NO_MEMORY, NOT_SUPPORTED, OK},
    own,
};
use crate::{
    drivers::alarm,
    instance::{Failure, objects::MAX_OBJECTS, task::NATIVE_STACK},
    kernel::{self, OutOfMemory, ffi},
};

pub const TABLE: &[Registration] = &[
    own("esp_timer_create", create),
    own("esp_timer_delete", |call| {
        delete(call.word(0));
        Ok(OK)
    }),
    own("esp_timer_start_once", |call| start(call, Mode::Once)),
    own("esp_timer_start_periodic", |call| start(call, Mode::Periodic)),
    own("esp_timer_restart", restart),
    own("esp_timer_stop", |call| Ok(if stop(call.word(0)) { OK } else { INVALID_STATE })),
    own("esp_timer_is_active", |call| Ok(is_active(call.word(0)).into())),
    own("esp_timer_get_period", |call| {
        let period = with(call.word(0), |timer| timer.period);
        call.vm.memory().write(call.word(1), &period.to_le_bytes()).map(|()| OK)
    }),
    own("esp_timer_get_expiry_time", |call| {
        let (period, due) = with(call.word(0), |timer| (timer.period, timer.due));
        match due {
            None => Ok(INVALID_STATE),
            Some(_) if period != 0 => Ok(NOT_SUPPORTED),
            Some(due) => call.vm.memory().write(call.word(1), &due.to_le_bytes()).map(|()| OK),
        }
    }),
    own("esp_timer_get_time", |_| Ok(alarm::now())),
    own("esp_timer_get_next_alarm", |_| Ok(next_due().unwrap_or(i64::MAX as u64))),
];

/// As in ESP-IDF: below the kernel's timer task, with the module's highest tasks.
const PRIORITY: u32 = kernel::MODULE_PRIORITY_LIMIT;
/// Shortest period, as in ESP-IDF, in microseconds.
const SHORTEST_PERIOD: u64 = 50;

/// Offsets in `esp_timer_create_args_t`.
const CALLBACK: u32 = 0;
const ARGUMENT: u32 = 4;
const SKIP_UNHANDLED: u32 = 16;

/// What a module knows by the handle of a timer. All times are microseconds since the start.
struct EspTimer {
    /// Address of a thunk.
    callback: u32,
    argument: u32,
    /// Of several expiries that come late, only the last counts.
    skips: bool,
    /// 0 for a timer that expires once.
    period: u64,
    /// The next expiry; `None` at rest.
    due: Option<u64>,
    /// Orders timers that are due at the same moment: first started, first called.
    started: u64,
}

/// All timers, and the callback that is being made.
struct Timers {
    all: heapless::Vec<NonNull<EspTimer>, { MAX_INSTANCES * MAX_OBJECTS }>,
    starts: u64,
    in_progress: Option<u32>,
}

// SAFETY: the pointers are to boxes that only this file uses, inside critical sections.
unsafe impl Send for Timers {}

static TIMERS: Mutex<RefCell<Timers>> =
    Mutex::new(RefCell::new(Timers { all: heapless::Vec::new(), starts: 0, in_progress: None }));
static TASK: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

impl Timers {
    /// The next one to expire, with its moment.
    fn next(&self) -> Option<(u64, NonNull<EspTimer>)> {
        let due = self.all.iter().filter_map(|place| {
            // SAFETY: listed timers live.
            let timer = unsafe { place.as_ref() };
            timer.due.map(|due| (due, timer.started, *place))
        });
        due.min_by_key(|(due, started, _)| (*due, *started)).map(|(due, _, place)| (due, place))
    }
}

/// Starts the task that makes the callbacks.
pub fn init() -> Result<(), OutOfMemory> {
    let task = kernel::spawn(body, c"esp_timer", NATIVE_STACK, ptr::null_mut(), PRIORITY)?;
    TASK.store(task, Ordering::Relaxed);
    alarm::set_waiter(task);
    Ok(())
}

/// The next callback and its argument, if one is due; it is in progress from now on, the one before no longer is.
fn take_due() -> Option<(u32, u32)> {
    critical_section::with(|cs| {
        let mut timers = TIMERS.borrow_ref_mut(cs);
        timers.in_progress = None;
        let now = alarm::now();
        let (due, mut place) = timers.next().filter(|(due, _)| *due <= now)?;
        // SAFETY: listed timers live, and nobody else looks at one inside this critical section.
        let timer = unsafe { place.as_mut() };
        timer.due = (timer.period != 0).then(|| {
            let missed = if timer.skips { (now - due) / timer.period } else { 0 };
            due + timer.period * (missed + 1)
        });
        let (callback, argument) = (timer.callback, timer.argument);
        timers.in_progress = Some(callback);
        Some((callback, argument))
    })
}

extern "C" fn body(_: *mut c_void) {
    loop {
        while let Some((callback, argument)) = take_due() {
            // SAFETY: the address is a thunk, which takes words in the argument registers; `forget` keeps it bound.
            let callback = unsafe { core::mem::transmute::<usize, extern "C" fn(u32)>(callback as usize) };
            callback(argument);
        }
        alarm::set(next_due());
        // SAFETY: waits on this task's own notification; any count is one round.
        unsafe { ffi::ulTaskGenericNotifyTake(0, 1, ffi::PORT_MAX_DELAY) };
    }
}

fn next_due() -> Option<u64> {
    critical_section::with(|cs| TIMERS.borrow_ref(cs).next().map(|(due, _)| due))
}

/// Looks at or changes the timer of a handle, which was checked: it is listed.
fn with<R>(handle: u32, action: impl FnOnce(&mut EspTimer) -> R) -> R {
    // SAFETY: the instance owns the timer, so it lives; nobody else looks at it inside this critical section.
    critical_section::with(|_| action(unsafe { &mut *(handle as *mut EspTimer) }))
}

fn is_active(handle: u32) -> bool {
    with(handle, |timer| timer.due.is_some())
}

fn stop(handle: u32) -> bool {
    with(handle, |timer| timer.due.take()).is_some()
}

fn create(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let memory = call.vm.memory();
    let (arguments, created) = (call.word(0), call.word(1));
    let callback = memory.read_word(arguments.wrapping_add(CALLBACK))?;
    let argument = memory.read_word(arguments.wrapping_add(ARGUMENT))?;
    let skips = memory.read_word(arguments.wrapping_add(SKIP_UNHANDLED))? & 0xff != 0;
    // The word may have changed since it was checked, but only a thunk is ever called.
    if call.running.instance().thunks().index(callback).is_none() {
        return Err(call.vm.violation(0, callback));
    }
    if kernel::heap::is_short() {
        return Ok(NO_MEMORY);
    }
    let handle = kernel::without_switching(|| {
        if call.running.objects().is_full() {
            return Err(Trap::new(TrapKind::Host, Failure::TooManyObjects as u32));
        }
        let timer = EspTimer { callback, argument, skips, period: 0, due: None, started: 0 };
        let Ok(timer) = kernel::heap::try_box(timer) else { return Ok(None) };
        let place = NonNull::from(Box::leak(timer));
        // As many places as all instances can have objects, of which there was room for one more: this cannot fail.
        let _ = critical_section::with(|cs| TIMERS.borrow_ref_mut(cs).all.push(place));
        let handle = place.as_ptr() as u32;
        // There is room, as was seen above; tasks do not switch here.
        let _ = call.running.objects().add(HandleKind::EspTimer, handle);
        Ok(Some(handle))
    })?;
    let Some(handle) = handle else { return Ok(NO_MEMORY) };
    memory.write_word(created, handle).map(|()| OK)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Once,
    Periodic,
}

fn set_off(handle: u32, mode: Mode, microseconds: u64) -> u64 {
    if i64::try_from(microseconds).is_err() {
        return INVALID_ARGUMENT;
    }
    let period = if mode == Mode::Periodic { microseconds.max(SHORTEST_PERIOD) } else { 0 };
    critical_section::with(|cs| {
        let mut timers = TIMERS.borrow_ref_mut(cs);
        timers.starts += 1;
        let started = timers.starts;
        with(handle, |timer| {
            timer.period = period;
            timer.due = Some(alarm::now().saturating_add(if period == 0 { microseconds } else { period }));
            timer.started = started;
        });
    });
    alarm::set(next_due());
    OK
}

/// `esp_timer_start_…(timer, microseconds as 64 bits)`.
fn start(call: &mut Call<'_, '_>, mode: Mode) -> Result<u64, Trap> {
    if is_active(call.word(0)) {
        return Ok(INVALID_STATE);
    }
    Ok(set_off(call.word(0), mode, call.vm.double_word(1)))
}

/// `esp_timer_restart(timer, microseconds as 64 bits)`: a new time for a timer that runs, or a new period.
fn restart(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    let handle = call.word(0);
    if !is_active(handle) {
        return Ok(INVALID_STATE);
    }
    let mode = if with(handle, |timer| timer.period) == 0 { Mode::Once } else { Mode::Periodic };
    Ok(set_off(handle, mode, call.vm.double_word(1)))
}

/// Deletes a timer that no instance owns any more. Its callback may be running; it will not run again.
pub fn delete(handle: u32) {
    critical_section::with(|cs| {
        TIMERS.borrow_ref_mut(cs).all.retain(|place| place.as_ptr() as u32 != handle);
    });
    // SAFETY: leaked by `create` and listed no more, so nothing refers to it.
    drop(unsafe { Box::from_raw(handle as *mut EspTimer) });
}

/// Stops the timers with these thunks and waits until none of them is being called. The instance is stopped, so that a callback
/// in progress ends by itself. From the link task.
pub fn forget(thunks: Thunks) {
    critical_section::with(|cs| {
        for place in &mut TIMERS.borrow_ref_mut(cs).all {
            // SAFETY: listed timers live, and nobody else looks at one inside this critical section.
            let timer = unsafe { place.as_mut() };
            if thunks.index(timer.callback).is_some() {
                timer.due = None;
            }
        }
    });
    let is_called = || {
        let in_progress = critical_section::with(|cs| TIMERS.borrow_ref(cs).in_progress);
        in_progress.is_some_and(|callback| thunks.index(callback).is_some())
    };
    while is_called() {
        // SAFETY: the task lives for ever; one that blocks in the callback is woken, one that does not is let be.
        unsafe { ffi::xTaskAbortDelay(TASK.load(Ordering::Relaxed)) };
        kernel::delay(1);
    }
}
