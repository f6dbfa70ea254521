//! A condition variable for tasks that interrupt handlers may signal: waiters look again whenever something may have changed.
//! What they wait for is theirs to say.

use core::{
    cell::Cell,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use critical_section::Mutex;

use super::{OutOfMemory, Ticks, ffi};

/// Most waiters that one signal wakes.
const MOST_WAITERS: u32 = 32;

/// What tasks wait on. Lives for ever; a waiter may be deleted.
pub struct Condition {
    semaphore: AtomicPtr<core::ffi::c_void>,
    /// Waiters that a signal has to wake. Deleted ones are counted until the next signal, which then wakes nobody in their place
    /// or somebody once more than needed.
    waiting: Mutex<Cell<u32>>,
}

impl Condition {
    /// Not ready for use before [`Self::init`].
    pub const fn new() -> Self {
        Self { semaphore: AtomicPtr::new(ptr::null_mut()), waiting: Mutex::new(Cell::new(0)) }
    }

    /// Takes its kernel object; once.
    pub fn init(&self) -> Result<(), OutOfMemory> {
        // SAFETY: makes a semaphore that is not given.
        let semaphore = unsafe { ffi::xQueueCreateCountingSemaphore(MOST_WAITERS, 0) };
        self.semaphore.store(semaphore, Ordering::Relaxed);
        if semaphore.is_null() { Err(OutOfMemory) } else { Ok(()) }
    }

    /// Waits until `ready` gives something, for at most so many ticks without it; 0 ticks only look.
    pub fn wait<R>(&self, patience: Ticks, mut ready: impl FnMut() -> Option<R>) -> Option<R> {
        let semaphore = self.semaphore.load(Ordering::Relaxed);
        let start = super::tick_count();
        loop {
            // Counted before it looks, so that a signal in between is not missed.
            self.count(|waiting| waiting + 1);
            let found = ready();
            let left = match patience {
                ffi::PORT_MAX_DELAY => patience,
                patience => patience.saturating_sub(super::tick_count().wrapping_sub(start)),
            };
            if found.is_some() || left == 0 {
                self.count(|waiting| waiting.saturating_sub(1));
                return found;
            }
            // SAFETY: the semaphore lives for ever; called from tasks.
            if unsafe { ffi::xQueueSemaphoreTake(semaphore, left) } != ffi::PD_PASS {
                self.count(|waiting| waiting.saturating_sub(1));
            }
        }
    }

    /// Has all waiters look again; from tasks.
    pub fn signal(&self) {
        for _ in 0..self.take_waiters() {
            // SAFETY: the semaphore lives for ever. One that is full has a waiter's turn for each.
            unsafe {
                ffi::xQueueGenericSend(self.semaphore.load(Ordering::Relaxed), ptr::null(), 0, ffi::QUEUE_SEND_TO_BACK)
            };
        }
    }

    /// As [`Self::signal`], from an interrupt handler; `woken` becomes 1 if another task must run when it is done.
    pub fn signal_from_interrupt(&self, woken: &mut ffi::BaseType) {
        for _ in 0..self.take_waiters() {
            // SAFETY: the semaphore lives for ever.
            unsafe { ffi::xQueueGiveFromISR(self.semaphore.load(Ordering::Relaxed), woken) };
        }
    }

    fn take_waiters(&self) -> u32 {
        critical_section::with(|cs| self.waiting.borrow(cs).take().min(MOST_WAITERS))
    }

    fn count(&self, change: impl FnOnce(u32) -> u32) {
        critical_section::with(|cs| {
            let waiting = self.waiting.borrow(cs);
            waiting.set(change(waiting.get()));
        });
    }
}
