//! Ending: tasks that are to go, and whole instances with everything they own. Runs on the link task only, which is above
//! every module task, so nothing of the module runs in the middle of it, once what its stacks held was noted ([`peaks`]).

use alloc::boxed::Box;
use core::{cell::RefCell, ffi::c_void, ptr};

use critical_section::Mutex;
use espb_format::contract::HandleKind;
use espb_link::event::MAX_INSTANCES;

use super::{Running, deferred, objects, peaks, registry, task};
use crate::{console, host, kernel, kernel::ffi, link};

/// Tasks that the link task shall delete, each once, until they are gone.
static DOOMED: Mutex<RefCell<heapless::Vec<u32, { MAX_INSTANCES * objects::MAX_OBJECTS }>>> =
    Mutex::new(RefCell::new(heapless::Vec::new()));

/// Has a task of the module deleted. The caller goes on when it is gone; if it is the caller's own, this does not return.
pub fn doom(handle: ffi::TaskHandle) {
    critical_section::with(|cs| {
        let mut doomed = DOOMED.borrow_ref_mut(cs);
        // Another task may have doomed it. As many places as there can be tasks: this cannot fail.
        if !doomed.contains(&(handle as u32)) {
            let _ = doomed.push(handle as u32);
        }
    });
    link::wake();
}

/// Deletes the tasks that were given to [`doom`].
pub fn reap() {
    while let Some(handle) = critical_section::with(|cs| DOOMED.borrow_ref(cs).last().copied()) {
        peaks::note_task(handle as ffi::TaskHandle);
        console::while_idle(|| delete_task(handle as ffi::TaskHandle));
    }
}

/// Runs `body` in a task that nobody deletes meanwhile: deletions wait for the console, which it holds. `body` does not block.
pub fn undeletable<R>(body: impl FnOnce() -> R) -> R {
    console::while_idle(body)
}

/// Deletes a task of the module. The console is held: the task must not go while it holds it, and would never give it back.
fn delete_task(handle: ffi::TaskHandle) {
    // SAFETY: the handle is of a living task of the module: its state is still listed.
    unsafe { ffi::vTaskDelete(handle) };
    critical_section::with(|cs| DOOMED.borrow_ref_mut(cs).retain(|doomed| *doomed != handle as u32));
    task::forget(handle);
    host::forget_task(handle);
}

/// Deletes the task whose call has returned, so that the instance can take another.
pub fn end_call(running: &Running) {
    if let Some(main) = task::main_of(running) {
        running.objects().remove(HandleKind::Task, main as u32);
        peaks::note_task(main);
        console::while_idle(|| delete_task(main));
    }
}

/// Ends the instance: deletes its tasks and everything else that it owns, unbinds its callbacks, gives its memory back.
pub fn end(running: &'static Running) {
    running.instance().stop();
    peaks::note_instance(running);
    // In one go: this task does not block meanwhile, so no task of the module meets what a deleted one left, such as a mutex.
    console::while_idle(|| {
        while let Some(handle) = task::any_of(running) {
            delete_task(handle);
        }
    });
    while running.objects().take(HandleKind::Task).is_some() {}
    release_hardware(running);
    // A firmware task that is inside a callback leaves it at its next branch or call; one that blocks there is woken.
    while let Some(task) = task::callback_in_progress(running) {
        // SAFETY: it is not the instance's own, so it lives on; waking it early does no harm.
        unsafe { ffi::xTaskAbortDelay(task) };
        kernel::delay(1);
    }
    // One of them may have been in the middle of a host call that took some again.
    release_hardware(running);
    host::delete_objects(running);
    settle_timer_task();
    task::forget_callbacks(running);
    peaks::keep(running);
    registry::remove(running);
    // SAFETY: `load` leaked it; no task of the module is left and no callback finds it any more.
    free(unsafe { Box::from_raw(ptr::from_ref(running).cast_mut()) });
}

/// Takes the instance's hardware from it, and then what its interrupts have asked for: no more comes, and what comes is dropped.
fn release_hardware(running: &'static Running) {
    host::release_hardware(running);
    deferred::forget(running.instance().thunks());
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

/// Frees an instance that nothing uses any more, or one that was not completed.
pub(super) fn free(mut running: Box<Running>) {
    running.instance.take();
    // SAFETY: the block came from `load`, if there is one; the instance that borrowed it is gone.
    unsafe { kernel::heap::free(running.block.get().cast()) };
    // The VM's instance was the last that read the module's bytes.
    drop(running.upload.take());
    let critical = running.critical.get();
    if !critical.is_null() {
        // SAFETY: no task of the module is left that could hold or wait for it.
        unsafe { ffi::vQueueDelete(critical) };
    }
}
