//! Callbacks that interrupts ask for. A handler posts them here; a task makes them later, in the order of the posts. No code of
//! a module ever runs in an interrupt handler. Which interrupt asks for what is its driver's business.

use core::{
    cell::RefCell,
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicPtr, AtomicU32, Ordering},
};

use critical_section::Mutex;
use espb_vm::Thunks;

use crate::kernel::{self, OutOfMemory, ffi};

/// Callbacks that may wait at once. What an interrupt posts beyond them is lost and counted.
pub const CAPACITY: usize = 32;

/// With the module's highest tasks: a handler of a module may not hold up the firmware's own tasks.
const PRIORITY: u32 = kernel::MODULE_PRIORITY_LIMIT;
/// The handler may call what tasks may call, printf included.
const STACK_BYTES: usize = 4096;
/// The notification that something was posted.
const POSTED: u32 = 0;

/// A callback of one word, as `gpio_isr_t` and its like.
#[derive(Clone, Copy, Debug)]
pub struct Deferred {
    /// Address of a thunk that an instance has bound, checked when it was registered.
    pub callback: u32,
    /// What it is called with.
    pub argument: u32,
    /// Whom to tell when it has run.
    pub done: Option<Done>,
}

/// A function of a driver that is called behind a callback.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// The function; it must not block.
    pub function: fn(u32),
    /// What it is called with.
    pub argument: u32,
}

/// Posts in order, and the callback that is being made.
struct Posts {
    waiting: heapless::Deque<Deferred, CAPACITY>,
    in_progress: Option<Deferred>,
}

static POSTS: Mutex<RefCell<Posts>> =
    Mutex::new(RefCell::new(Posts { waiting: heapless::Deque::new(), in_progress: None }));
static LOST: AtomicU32 = AtomicU32::new(0);
static TASK: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

/// Starts the task that makes the callbacks.
pub fn start() -> Result<(), OutOfMemory> {
    let task = kernel::spawn(body, c"deferred", STACK_BYTES, ptr::null_mut(), PRIORITY)?;
    TASK.store(task, Ordering::Relaxed);
    Ok(())
}

/// Asks for a callback; from interrupt handlers. `woken` becomes 1 if another task must run when the handler is done.
/// Says whether there was room.
pub fn post_from_interrupt(deferred: Deferred, woken: &mut ffi::BaseType) -> bool {
    let posted = critical_section::with(|cs| POSTS.borrow_ref_mut(cs).waiting.push_back(deferred)).is_ok();
    if !posted {
        // Interrupts do not nest: a load and a store suffice where the chip has no atomic addition.
        LOST.store(LOST.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
    }
    let task = TASK.load(Ordering::Relaxed);
    if !task.is_null() {
        // SAFETY: the task lives for ever.
        unsafe { ffi::vTaskGenericNotifyGiveFromISR(task, POSTED, woken) };
    }
    posted
}

/// Whether the current task is the one that makes the callbacks.
pub fn is_current() -> bool {
    // SAFETY: asks the kernel for the current task.
    unsafe { ffi::xTaskGetCurrentTaskHandle() == TASK.load(Ordering::Relaxed) }
}

/// Callbacks lost since boot because [`CAPACITY`] others waited.
pub fn lost() -> u32 {
    LOST.load(Ordering::Relaxed)
}

/// Drops what waits for these thunks and waits until none of them is being called. Their interrupts must be off, and the
/// instance stopped, so that a callback in progress ends by itself. From the link task.
pub fn forget(thunks: Thunks) {
    critical_section::with(|cs| {
        let mut posts = POSTS.borrow_ref_mut(cs);
        for _ in 0..posts.waiting.len() {
            let Some(deferred) = posts.waiting.pop_front() else { break };
            if thunks.index(deferred.callback).is_none() {
                // It was in there, so there is room.
                let _ = posts.waiting.push_back(deferred);
            }
        }
    });
    let is_called = || {
        critical_section::with(|cs| {
            POSTS.borrow_ref(cs).in_progress.is_some_and(|deferred| thunks.index(deferred.callback).is_some())
        })
    };
    while is_called() {
        // SAFETY: the task lives for ever; one that blocks in the callback is woken, one that does not is let be.
        unsafe { ffi::xTaskAbortDelay(TASK.load(Ordering::Relaxed)) };
        kernel::delay(1);
    }
}

/// The next callback, which is in progress from now on; the one before no longer is.
fn next() -> Option<Deferred> {
    critical_section::with(|cs| {
        let mut posts = POSTS.borrow_ref_mut(cs);
        posts.in_progress = posts.waiting.pop_front();
        posts.in_progress
    })
}

extern "C" fn body(_: *mut c_void) {
    loop {
        while let Some(deferred) = next() {
            // SAFETY: the address is a thunk, which takes words in the argument registers; `forget` keeps it bound.
            let callback = unsafe { core::mem::transmute::<usize, extern "C" fn(u32)>(deferred.callback as usize) };
            callback(deferred.argument);
            if let Some(done) = deferred.done {
                (done.function)(done.argument);
            }
        }
        // SAFETY: waits on this task's own notification; any count is one round.
        unsafe { ffi::ulTaskGenericNotifyTake(POSTED, 1, ffi::PORT_MAX_DELAY) };
    }
}
