//! An instance: what belongs to it, what has become of it, who may know. Loading is in `load`, starting in `start`, ending in `end`.
//! Nothing here speaks to the link; the link task asks. No code finds "the current" instance: a host call knows its own, a
//! thunk its owner.

pub mod callback;
pub mod deferred;
pub mod end;
pub mod load;
pub mod objects;
pub mod peaks;
pub mod registry;
pub mod start;
pub mod task;
pub mod upload;

use core::{
    cell::{Cell, OnceCell, RefCell},
    ffi::CStr,
    mem::MaybeUninit,
    ptr,
    sync::atomic::AtomicBool,
};

use critical_section::Mutex;
use espb_link::{InstanceId, Source, event::State};
use espb_vm::{Granule, Instance, Trap, TrapKind};

use crate::{
    counters,
    host::{Copies, Seed},
    kernel::ffi,
    native_call::Assertion,
};
use objects::Objects;
use upload::Upload;

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
    /// A queue was used as a queue set, which it is not.
    NotASet = 8,
    /// An assertion of the kernel failed in a host function: codes from here on are this plus the line in its source.
    KernelAssertion = 0x1_0000,
}

impl Failure {
    /// The failure in words.
    pub fn text(code: u32) -> &'static str {
        const TEXTS: [&str; 8] = [
            "there is no memory left",
            "the module has too many kernel objects",
            "the module has too many tasks",
            "a task function returned instead of calling vTaskDelete",
            "an object was deleted while another task waits on it",
            "a callback called a function that only tasks may call",
            "a task was deleted that holds a mutex",
            "the queue is no queue set",
        ];
        (code as usize)
            .checked_sub(1)
            .and_then(|index| TEXTS.get(index))
            .unwrap_or(&"a host function was called against the kernel's rules")
    }
}

/// An instance with what belongs to it. It is the host that its module sees ([`crate::host`]).
pub struct Running {
    id: InstanceId,
    source: Source,
    /// Set by `load`, before anybody else knows of this.
    instance: OnceCell<Instance<'static>>,
    block: Cell<*mut [MaybeUninit<Granule>]>,
    /// The module's bytes, if they lie in RAM.
    upload: Option<Upload>,
    /// Excludes the module's tasks from each other in its critical sections.
    critical: Cell<ffi::QueueHandle>,
    objects: Objects,
    copies: Copies,
    seed: Seed,
    input_ended: AtomicBool,
    call: Mutex<RefCell<Option<PlannedCall>>>,
    progress: Mutex<Cell<Progress>>,
}

// SAFETY: the cells are written by `load` before the instance is published, and when it is freed, which is when nobody uses it.
// Everything else guards itself.
unsafe impl Sync for Running {}

/// The call that `Start` asked for.
#[derive(Clone)]
pub struct PlannedCall {
    /// Function of the module.
    pub function: u16,
    /// Its arguments in slots.
    pub arguments: heapless::Vec<u32, MAX_SLOTS>,
    /// Keep the instance when the call has returned.
    pub detached: bool,
    /// The constructors have yet to run.
    pub constructors: bool,
}

/// What has become of an instance so far.
#[derive(Clone, Copy)]
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
    /// Nothing has become of it yet.
    const NONE: Self = Self {
        result: None,
        trap: None,
        task: [0; TASK_NAME],
        assertion: None,
        told: false,
        started_at: 0,
        ended_at: 0,
    };

    /// Machine instructions of the whole chip during the call.
    pub fn instructions(&self) -> u64 {
        self.ended_at.saturating_sub(self.started_at)
    }
}

impl Running {
    /// An instance to be, which holds nothing yet.
    const fn new(id: InstanceId, source: Source, upload: Option<Upload>) -> Self {
        Self {
            id,
            source,
            instance: OnceCell::new(),
            block: Cell::new(ptr::slice_from_raw_parts_mut(ptr::null_mut(), 0)),
            upload,
            critical: Cell::new(ptr::null_mut()),
            objects: Objects::new(),
            copies: Copies::new(),
            seed: Seed::new(),
            input_ended: AtomicBool::new(false),
            call: Mutex::new(RefCell::new(None)),
            progress: Mutex::new(Cell::new(Progress::NONE)),
        }
    }

    /// The same with the lifetime that it has: a host call of the instance knows it by a shorter one.
    pub fn leaked(&self) -> &'static Self {
        // SAFETY: `load` leaks every instance, and the link task frees it when no code of it runs.
        unsafe { &*ptr::from_ref(self) }
    }

    /// Its number.
    pub fn id(&self) -> InstanceId {
        self.id
    }

    /// Where its module was loaded from.
    pub fn source(&self) -> Source {
        self.source
    }

    /// The VM's instance.
    pub fn instance(&self) -> &Instance<'static> {
        match self.instance.get() {
            Some(instance) => instance,
            None => unreachable!("an instance is published only after it was made"),
        }
    }

    /// The kernel objects that it owns.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// The firmware's strings that it has copies of.
    pub fn copies(&self) -> &Copies {
        &self.copies
    }

    /// State of its random numbers.
    pub fn seed(&self) -> &Seed {
        &self.seed
    }

    /// Whether its reading of the console has met the end.
    pub fn input_ended(&self) -> &AtomicBool {
        &self.input_ended
    }

    /// The mutex behind the module's critical sections.
    pub fn critical(&self) -> ffi::QueueHandle {
        self.critical.get()
    }

    /// The call in progress, or the last one; `None` before the first.
    pub fn call(&self) -> Option<PlannedCall> {
        critical_section::with(|cs| self.call.borrow_ref(cs).clone())
    }

    /// Function of the call in progress.
    pub fn function(&self) -> Option<u16> {
        critical_section::with(|cs| self.call.borrow_ref(cs).as_ref().map(|call| call.function))
    }

    /// Whether the instance stays when its call has returned.
    pub fn is_detached(&self) -> bool {
        critical_section::with(|cs| self.call.borrow_ref(cs).as_ref().is_some_and(|call| call.detached))
    }

    /// What it does.
    pub fn state(&self) -> State {
        let progress = self.progress();
        match critical_section::with(|cs| self.call.borrow_ref(cs).is_some()) {
            false => State::Loaded,
            true if progress.told => State::Idle,
            true => State::Running,
        }
    }

    /// Plans a call; the one before has returned.
    fn plan(&self, call: PlannedCall) {
        critical_section::with(|cs| {
            self.call.replace(cs, Some(call));
            self.progress.borrow(cs).set(Progress::NONE);
        });
    }

    /// Forgets a call that could not begin.
    fn forget_call(&self) {
        critical_section::with(|cs| self.call.replace(cs, None));
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
    pub fn note_trap(&self, trap: Trap) {
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
