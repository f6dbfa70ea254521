//! Ending: tasks that are to go, and whole instances with everything they own. Runs on the link task only, which is above
//! every module task, so nothing of the module runs in the middle of it.

use alloc::boxed::Box;
use core::{
    cell::RefCell,
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicU32, Ordering},
};

use critical_section::Mutex;
use espb_format::contract::HandleKind;

use super::{RUNNING, Running, deferred, load, objects, task};
use crate::{console, host, kernel, kernel::ffi, link};

/// What the last instance used at most.
#[derive(Clone, Copy, Default)]
pub struct Peaks {
    /// Private heap, bytes.
    pub heap: u32,
    /// Any linear stack, bytes.
    pub linear_stack: u32,
    /// Any shadow stack, bytes.
    pub shadow_stack: u32,
}

static PEAKS: Mutex<RefCell<Peaks>> = Mutex::new(RefCell::new(Peaks { heap: 0, linear_stack: 0, shadow_stack: 0 }));
/// The least native stack that a deleted module task had left, in bytes.
static NATIVE_STACK_SPARE: AtomicU32 = AtomicU32::new(u32::MAX);

/// Tasks that the link task shall delete.
static DOOMED: Mutex<RefCell<heapless::Vec<u32, { objects::MAX_OBJECTS }>>> =
    Mutex::new(RefCell::new(heapless::Vec::new()));

/// Peaks of the running instance so far, or of the last one. For the link task.
pub fn peaks() -> Peaks {
    if let Some(running) = Running::current() {
        task::note_peaks();
        note_peaks(running);
    }
    critical_section::with(|cs| *PEAKS.borrow_ref(cs))
}

/// The least native stack that any module task had left, in bytes; 0 before there was one. For the link task.
pub fn native_stack_spare() -> u32 {
    let ended = NATIVE_STACK_SPARE.load(Ordering::Relaxed);
    match task::native_stack_spare().map_or(ended, |living| living.min(ended)) {
        u32::MAX => 0,
        spare => spare,
    }
}

/// Has a task of the module deleted. The caller goes on when it is gone; if it is the caller's own, this does not return.
pub fn doom(handle: ffi::TaskHandle) {
    // As many places as there can be objects: this cannot fail.
    let _ = critical_section::with(|cs| DOOMED.borrow_ref_mut(cs).push(handle as u32));
    link::wake();
}

/// Deletes the tasks that were given to [`doom`].
pub fn reap() {
    while let Some(handle) = critical_section::with(|cs| DOOMED.borrow_ref_mut(cs).pop()) {
        console::while_idle(|| delete_task(handle as ffi::TaskHandle));
    }
}

/// Runs `body` in a task that nobody deletes meanwhile: deletions wait for the console, which it holds. `body` does not block.
pub fn undeletable<R>(body: impl FnOnce() -> R) -> R {
    console::while_idle(body)
}

/// Deletes a task of the module. The console is held: the task must not go while it holds it, and would never give it back.
fn delete_task(handle: ffi::TaskHandle) {
    let spare = task::native_stack_spare_of(handle);
    NATIVE_STACK_SPARE.store(NATIVE_STACK_SPARE.load(Ordering::Relaxed).min(spare), Ordering::Relaxed);
    // SAFETY: the handle is of a living task of the module: its state is still listed.
    unsafe { ffi::vTaskDelete(handle) };
    task::forget(handle);
}

fn note_peaks(running: &'static Running) {
    let instance = running.instance();
    let peaks = Peaks {
        heap: instance.heap_use().peak,
        linear_stack: instance.stack_peak(),
        shadow_stack: instance.shadow_peak(),
    };
    critical_section::with(|cs| PEAKS.replace(cs, peaks));
}

/// Ends the instance: deletes its tasks and everything else that it owns, unbinds its callbacks, gives its memory back.
pub fn end(running: &'static Running) {
    running.instance().stop();
    // In one go: this task does not block meanwhile, so no task of the module meets what a deleted one left, such as a mutex.
    console::while_idle(|| {
        while let Some(handle) = task::any_of_module() {
            delete_task(handle);
        }
    });
    while objects::take(HandleKind::Task).is_some() {}
    critical_section::with(|cs| DOOMED.borrow_ref_mut(cs).clear());
    deferred::forget(running.instance().thunks());
    // A firmware task that is inside a callback leaves it at its next branch or call; one that blocks there is woken.
    while task::callback_in_progress() {
        // SAFETY: the timer task lives for ever; waking it early does no harm.
        unsafe { ffi::xTaskAbortDelay(ffi::xTimerGetTimerDaemonTaskHandle()) };
        kernel::delay(1);
    }
    host::delete_objects();
    settle_timer_task();
    task::forget_firmware_tasks();
    note_peaks(running);
    host::forget_copies();
    RUNNING.store(ptr::null_mut(), Ordering::Relaxed);
    // SAFETY: `publish` leaked it; no task of the module is left and no callback finds it any more.
    free(unsafe { Box::from_raw(ptr::from_ref(running).cast_mut()) });
}

/// Waits until the timer task has carried out every command sent so far.
fn settle_timer_task() {
    extern "C" fn settled(_: *mut c_void, _: u32) {
        link::note_settled();
    }
    // SAFETY: runs `settled` on the timer task, behind the commands that are queued.
    unsafe { ffi::xTimerPendFunctionCall(settled, ptr::null_mut(), 0, ffi::PORT_MAX_DELAY) };
    link::wait_settled();
}

/// Frees an instance that nothing uses any more.
pub(super) fn free(mut running: Box<Running>) {
    running.instance = None;
    // SAFETY: the block came from `load`; the instance that borrowed it is gone.
    unsafe { load::free_block(running.block) };
    if !running.critical.is_null() {
        // SAFETY: no task of the module is left that could hold or wait for it.
        unsafe { ffi::vQueueDelete(running.critical) };
    }
}
