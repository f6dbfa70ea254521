//! A lock for work that blocks, whose holder may be deleted in the middle of it: whoever deletes tasks says so, and the next has
//! its turn.

use core::cell::Cell;

use critical_section::Mutex;

use super::{OutOfMemory, Ticks, condition::Condition, ffi};

/// Whose turn it is. Lives for ever.
pub struct Turn {
    /// Address of the task; 0 for nobody.
    holder: Mutex<Cell<usize>>,
    given: Condition,
}

impl Turn {
    /// Not ready for use before [`Self::init`].
    pub const fn new() -> Self {
        Self { holder: Mutex::new(Cell::new(0)), given: Condition::new() }
    }

    /// Takes its kernel object; once.
    pub fn init(&self) -> Result<(), OutOfMemory> {
        self.given.init()
    }

    /// Runs `body` when no other task does; `None` if that was not so within so many ticks.
    pub fn run<R>(&self, patience: Ticks, body: impl FnOnce() -> R) -> Option<R> {
        // SAFETY: asks the kernel for the current task.
        let task = unsafe { ffi::xTaskGetCurrentTaskHandle() }.addr();
        self.given.wait(patience, || {
            critical_section::with(|cs| {
                let holder = self.holder.borrow(cs);
                (holder.get() == 0).then(|| holder.set(task))
            })
        })?;
        let result = body();
        self.forget(task as ffi::TaskHandle);
        Some(result)
    }

    /// The turn is not this task's any more: it is done, or is no more.
    pub fn forget(&self, task: ffi::TaskHandle) {
        let was_holder = critical_section::with(|cs| {
            let holder = self.holder.borrow(cs);
            let was_holder = holder.get() == task.addr();
            if was_holder {
                holder.set(0);
            }
            was_holder
        });
        if was_holder {
            self.given.signal();
        }
    }
}
