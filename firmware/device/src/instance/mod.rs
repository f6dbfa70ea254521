//! The one instance: what runs, how it ended, who may know. Loading is in `load`, ending in `end`.
//! Nothing here speaks to the link; the link task asks.

pub mod callback;
pub mod deferred;
pub mod end;
pub mod load;
pub mod objects;
pub mod task;

use alloc::boxed::Box;
use core::{
    cell::Cell,
    ffi::CStr,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use critical_section::Mutex;
use espb_vm::{Granule, Instance, Trap, TrapKind};

use crate::{
    counters,
    kernel::{self, ffi},
    native_call::Assertion,
};

/// Bytes of a task name that a report keeps.
pub const TASK_NAME: usize = 16;

/// Arguments of a call, in slots: enough for any signature of pointers and numbers that a user writes on a command line.
const MAX_SLOTS: usize = 32;

/// Codes of `TrapKind::Host`: what the firmware could not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Failure {
    /// No RAM for a task's stack or state.
    Memory = 1,
    /// More objects than [`objects::MAX_OBJECTS`].
    TooManyObjects = 2,
    /// More tasks than the firmware has room for.
    TooManyTasks = 3,
    /// A task function returned; it must delete its task instead.
    TaskReturned = 4,
    /// The object is in use by another task's blocking call and cannot be deleted.
    InUse = 5,
    /// A callback did something that only tasks of the module may do.
    NotInCallback = 6,
    /// A task that holds a mutex was to be deleted, which would leave the mutex to nobody.
    MutexHeld = 7,
    /// An assertion of the kernel failed in a host function: codes from here on are this plus the line in its source.
    KernelAssertion = 0x1_0000,
}

impl Failure {
    /// The failure in words.
    pub fn text(code: u32) -> &'static str {
        const TEXTS: [&str; 7] = [
            "there is no memory left",
            "the module has too many kernel objects",
            "the module has too many tasks",
            "a task function returned instead of calling vTaskDelete",
            "an object was deleted while another task waits on it",
            "a callback called a function that only tasks may call",
            "a task was deleted that holds a mutex",
        ];
        (code as usize)
            .checked_sub(1)
            .and_then(|index| TEXTS.get(index))
            .unwrap_or(&"a host function was called against the kernel's rules")
    }
}

/// An instance with what belongs to it.
pub struct Running {
    instance: Option<Instance<'static>>,
    block: *mut [Granule],
    function: u16,
    arguments: heapless::Vec<u32, MAX_SLOTS>,
    /// Excludes the module's tasks from each other in its critical sections.
    critical: ffi::QueueHandle,
    /// Keep tasks and timers when the call has returned.
    detached: bool,
    progress: Mutex<Cell<Progress>>,
}

/// What has become of an instance so far.
#[derive(Clone, Copy, Default)]
pub struct Progress {
    /// The call's result slots, once it has returned.
    pub result: Option<u64>,
    /// The first trap that ended it, for the case that the VM has no report of it.
    pub trap: Option<Trap>,
    /// Name of the task in which that was.
    pub task: [u8; TASK_NAME],
    /// The kernel's assertion behind the first `Failure::KernelAssertion`.
    pub assertion: Option<Assertion>,
    /// The result was told to the host.
    pub told: bool,
    /// The chip's instruction counter at the start of the call.
    started_at: u64,
    /// And at its result or the first trap.
    ended_at: u64,
}

impl Progress {
    /// Machine instructions of the whole chip during the call.
    pub fn instructions(&self) -> u64 {
        self.ended_at.saturating_sub(self.started_at)
    }
}

static RUNNING: AtomicPtr<Running> = AtomicPtr::new(ptr::null_mut());

impl Running {
    /// The instance there is, if any. It stays until the link task ends it, which it does when no code uses it.
    pub fn current() -> Option<&'static Self> {
        // SAFETY: the pointer is set to a leaked box and cleared before that is freed.
        unsafe { RUNNING.load(Ordering::Relaxed).as_ref() }
    }

    /// The VM's instance.
    pub fn instance(&'static self) -> &'static Instance<'static> {
        match &self.instance {
            Some(instance) => instance,
            None => unreachable!("an instance is published only after it was made"),
        }
    }

    /// Function that `Start` called.
    pub fn function(&self) -> u16 {
        self.function
    }

    /// Its arguments in slots.
    pub fn arguments(&self) -> &[u32] {
        &self.arguments
    }

    /// The mutex behind the module's critical sections.
    pub fn critical(&self) -> ffi::QueueHandle {
        self.critical
    }

    /// Whether tasks and timers go on when the call has returned.
    pub fn is_detached(&self) -> bool {
        self.detached
    }

    /// What has become of it.
    pub fn progress(&self) -> Progress {
        critical_section::with(|cs| self.progress.borrow(cs).get())
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        critical_section::with(|cs| {
            let cell = self.progress.borrow(cs);
            let mut progress = cell.get();
            change(&mut progress);
            cell.set(progress);
        });
    }

    /// The call begins.
    pub fn note_start(&self) {
        self.change(|progress| progress.started_at = counters::instructions());
    }

    /// The call returned this.
    pub fn note_result(&self, result: u64) {
        self.change(|progress| {
            progress.ended_at = counters::instructions();
            progress.result = Some(result);
        });
    }

    /// A host call broke this rule of the kernel; the first one counts.
    pub fn note_assertion(&self, assertion: Assertion) {
        self.change(|progress| progress.assertion = progress.assertion.or(Some(assertion)));
    }

    /// The result was told to the host.
    pub fn note_told(&self) {
        self.change(|progress| progress.told = true);
    }

    /// The current task met this trap; the first one counts. Stops the others.
    pub fn note_trap(&'static self, trap: Trap) {
        if trap.kind == TrapKind::Stopped {
            // Only a consequence of what another task has met or will note.
            return;
        }
        // SAFETY: null asks for the current task, whose name the kernel keeps terminated.
        let name = unsafe { CStr::from_ptr(ffi::pcTaskGetName(ptr::null_mut())) };
        self.change(|progress| {
            if progress.trap.is_none() {
                progress.trap = Some(trap);
                progress.ended_at = counters::instructions();
                for (place, byte) in progress.task.iter_mut().zip(name.to_bytes()) {
                    *place = *byte;
                }
            }
        });
        self.instance().stop();
    }
}

/// Enters a critical section of the module, which excludes its other tasks and never the firmware. Nests.
pub fn enter_critical(running: &Running) {
    // SAFETY: the mutex lives as long as the instance.
    unsafe { ffi::xQueueTakeMutexRecursive(running.critical(), ffi::PORT_MAX_DELAY) };
}

/// Leaves the innermost critical section of the module.
pub fn leave_critical(running: &Running) {
    // SAFETY: the mutex lives as long as the instance; giving it without holding it does nothing.
    unsafe { ffi::xQueueGiveMutexRecursive(running.critical()) };
}

fn publish(running: Box<Running>) -> &'static Running {
    let running = Box::leak(running);
    RUNNING.store(running, Ordering::Relaxed);
    running
}

/// Largest block that the heap can give now.
fn largest_block() -> usize {
    kernel::heap::largest_free_block()
}
