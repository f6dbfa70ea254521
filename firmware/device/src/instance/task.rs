//! Native tasks that run module code: their states, their stacks, their list. Ending them is the link task's work (`instance::end`).
//!
//! A task has a state for each instance whose code it runs: one of an instance its own, one of the firmware one for each instance
//! that has given it callbacks. They are chained from the task's thread-local pointer.

use alloc::boxed::Box;
use core::{
    cell::RefCell,
    ffi::{CStr, c_void},
    ptr::{self, NonNull},
    sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering},
};

use critical_section::Mutex;
use espb_format::contract::HandleKind;
use espb_vm::{Context, Stacks, Trap, TrapKind};

use super::{Failure, Running};
use crate::{
    kernel::{self, ffi, tls},
    link,
    native_call::{Assertion, Innermost},
};

/// Most states of tasks at once, of all instances together.
const MAX_STATES: usize = 48;
/// Most tasks of an instance, firmware tasks that make its callbacks among them.
const MAX_TASKS: usize = 24;
/// Native stack of a module task in bytes: interpreter, host functions and printf, [`MAX_ENTRIES`] deep. The C stack of the
/// module's code is in linear memory and has the size that the module asked for.
pub const NATIVE_STACK: usize = 6144;
/// How deeply host functions and callbacks may call each other in a task; each level takes native stack.
pub const MAX_ENTRIES: u8 = 3;
/// Milliseconds after which a callback on a firmware task must not wait any more: others may wait for it.
const LONGEST_CALLBACK: kernel::Ticks = 1000;
/// Linear stack for callbacks on a firmware task, in bytes, taken from the module's heap at the first callback.
const CALLBACK_STACK: u32 = 2048;

/// What a task is there for.
#[derive(Clone, Copy)]
pub enum Work {
    /// The call that `Start` asked for, after the constructors.
    Call,
    /// A task function of the module (position among the address-taken functions) with its argument.
    Body { callback: u16, argument: u32 },
    /// A firmware task that calls back into the module now and then.
    Callbacks,
}

/// State of a native task that runs an instance's code. Lives on the heap until the link task frees it.
pub struct ModuleTask {
    running: &'static Running,
    /// The same task's state for another instance.
    next: AtomicPtr<Self>,
    context: Option<Context<'static>>,
    shadow: *mut [u32],
    work: Work,
    handle: AtomicPtr<c_void>,
    /// Kernel objects that the task's present host call uses, so that nobody deletes them meanwhile; 0 for none.
    uses: [AtomicU32; 2],
    /// When the callback in progress began, in ticks.
    entered: AtomicU32,
    /// Whether it has waited for too long.
    cut_short: AtomicBool,
    native_call: Innermost,
}

type TaskList = heapless::Vec<NonNull<ModuleTask>, MAX_STATES>;
struct Tasks(TaskList);
// SAFETY: the pointers are to heap blocks that any task may reach; who frees them is said at `end`.
unsafe impl Send for Tasks {}

static TASKS: Mutex<RefCell<Tasks>> = Mutex::new(RefCell::new(Tasks(heapless::Vec::new())));

impl ModuleTask {
    fn new(running: &'static Running, stacks: Stacks, work: Work) -> Result<Box<Self>, Trap> {
        let no_memory = || Trap::new(TrapKind::Host, Failure::Memory as u32);
        let words = running.instance().layout().shadow_stack as usize / size_of::<u32>();
        let mut task = kernel::heap::try_box(Self {
            running,
            next: AtomicPtr::new(ptr::null_mut()),
            context: None,
            shadow: ptr::slice_from_raw_parts_mut(ptr::NonNull::dangling().as_ptr(), 0),
            work,
            handle: AtomicPtr::new(ptr::null_mut()),
            uses: [AtomicU32::new(0), AtomicU32::new(0)],
            entered: AtomicU32::new(0),
            cut_short: AtomicBool::new(false),
            native_call: Innermost::default(),
        })
        .map_err(|_| no_memory())?;
        let mut shadow = alloc::vec::Vec::new();
        shadow.try_reserve_exact(words).map_err(|_| no_memory())?;
        shadow.resize(words, 0);
        task.shadow = Box::into_raw(shadow.into_boxed_slice());
        // SAFETY: the block is freed in `drop`, after the context; nobody else has the pointer.
        let context = Context::new(running.instance(), unsafe { &mut *task.shadow }, stacks, MAX_ENTRIES)?;
        context.set_host_data(ptr::from_ref(&*task).cast());
        task.context = Some(context);
        Ok(task)
    }

    /// The current task's state for this instance, if it runs its code.
    pub fn current(running: &Running) -> Option<&'static Self> {
        chain(tls::get(tls::MODULE_TASK).cast()).find(|task| task.is_of(running))
    }

    /// The current task's state for this instance; made at the first callback on a task that is not its own.
    pub fn current_or_new(running: &'static Running) -> Result<&'static Self, Trap> {
        match Self::current(running) {
            Some(task) => Ok(task),
            None => Self::for_callbacks(running),
        }
    }

    #[inline(never)]
    fn for_callbacks(running: &'static Running) -> Result<&'static Self, Trap> {
        let task = Self::new(running, Stacks::Heap(CALLBACK_STACK), Work::Callbacks)?;
        // SAFETY: asks the kernel for the current task.
        task.handle.store(unsafe { ffi::xTaskGetCurrentTaskHandle() }, Ordering::Relaxed);
        task.next.store(tls::get(tls::MODULE_TASK).cast(), Ordering::Relaxed);
        let task = list(task)?;
        tls::set(ptr::null_mut(), tls::MODULE_TASK, task.as_ptr().cast());
        // SAFETY: it lives until `end` takes it out of this task's chain.
        Ok(unsafe { task.as_ref() })
    }

    /// The state to which this context belongs.
    #[inline(always)]
    pub fn of(context: &Context<'_>) -> Option<&'static Self> {
        // SAFETY: `new` left this pointer, or it is null; a context runs only while its task's state is listed.
        unsafe { context.host_data().cast::<Self>().as_ref() }
    }

    /// Its native calls.
    #[inline(always)]
    pub fn native_call(&self) -> &Innermost {
        &self.native_call
    }

    /// Its execution context.
    #[inline(always)]
    pub fn context(&self) -> Option<&Context<'static>> {
        self.context.as_ref()
    }

    /// Its native handle.
    pub fn handle(&self) -> ffi::TaskHandle {
        self.handle.load(Ordering::Relaxed)
    }

    /// Whether it runs this instance's code.
    pub fn is_of(&self, running: &Running) -> bool {
        ptr::eq(self.running, running)
    }

    /// Native stack that it never used, in bytes. None for firmware tasks.
    pub fn native_stack_spare(&self) -> Option<u32> {
        // SAFETY: while its state is listed, and the state of no other can be had, the task lives.
        let spare = || unsafe { ffi::uxTaskGetStackHighWaterMark(self.handle()) * size_of::<u32>() as u32 };
        (!self.is_firmware()).then(spare)
    }

    /// Whether the task is not the instance's own, so that the module must not delete or suspend it.
    #[inline(always)]
    pub fn is_firmware(&self) -> bool {
        matches!(self.work, Work::Callbacks)
    }

    /// A callback begins now.
    pub fn note_entry(&self) {
        self.entered.store(kernel::tick_count(), Ordering::Relaxed);
        self.cut_short.store(false, Ordering::Relaxed);
    }

    /// Whether the callback that has just returned had waited for too long.
    pub fn was_cut_short(&self) -> bool {
        self.cut_short.load(Ordering::Relaxed)
    }

    /// Whether a callback on a firmware task has begun longer ago than one may wait.
    fn is_overdue(&self) -> bool {
        self.is_firmware()
            && self.context().is_some_and(|context| !context.is_idle())
            && kernel::tick_count().wrapping_sub(self.entered.load(Ordering::Relaxed)) >= LONGEST_CALLBACK
    }

    /// Notes the objects that the present host call uses, and gives those noted before.
    pub fn note_uses(&self, uses: [u32; 2]) -> [u32; 2] {
        let before = [self.uses[0].load(Ordering::Relaxed), self.uses[1].load(Ordering::Relaxed)];
        self.uses[0].store(uses[0], Ordering::Relaxed);
        self.uses[1].store(uses[1], Ordering::Relaxed);
        before
    }

    fn run(&self) -> Result<(), Trap> {
        let Some(context) = self.context() else { return Ok(()) };
        match self.work {
            Work::Call => {
                let Some(call) = self.running.call() else { return Ok(()) };
                // A trap in a constructor counts from here, one in the call from the call.
                self.running.note_start();
                if call.constructors {
                    for constructor in self.running.instance().module().constructors() {
                        context.call(constructor, &[])?;
                    }
                }
                self.running.note_start();
                let result = context.call(call.function, &call.arguments)?;
                self.running.note_result(result);
                Ok(())
            }
            Work::Body { callback, argument } => {
                context.call_callback(callback, &[argument])?;
                Err(Trap::new(TrapKind::Host, Failure::TaskReturned as u32))
            }
            Work::Callbacks => Ok(()),
        }
    }
}

impl Drop for ModuleTask {
    fn drop(&mut self) {
        self.context = None;
        // SAFETY: the block came from `Box::into_raw` (or is empty); the context that borrowed it is gone.
        drop(unsafe { Box::from_raw(self.shadow) });
    }
}

/// A state and those behind it in its task's chain.
fn chain(first: *mut ModuleTask) -> impl Iterator<Item = &'static ModuleTask> {
    // SAFETY: chained states live until the link task unchains them, which is when their task runs none of their code.
    let state = |pointer: *mut ModuleTask| unsafe { pointer.as_ref() };
    core::iter::successors(state(first), move |task| state(task.next.load(Ordering::Relaxed)))
}

fn list(task: Box<ModuleTask>) -> Result<NonNull<ModuleTask>, Trap> {
    let running = task.running;
    let task = NonNull::from(Box::leak(task));
    let listed = critical_section::with(|cs| {
        let tasks = &mut TASKS.borrow_ref_mut(cs).0;
        // SAFETY: listed states live; the list cannot change inside the critical section.
        let of_instance = tasks.iter().filter(|listed| ptr::eq(unsafe { listed.as_ref() }.running, running)).count();
        if of_instance < MAX_TASKS { tasks.push(task) } else { Err(task) }
    });
    listed.map_err(|task| {
        // SAFETY: the state was leaked above and is not listed.
        drop(unsafe { Box::from_raw(task.as_ptr()) });
        Trap::new(TrapKind::Host, Failure::TooManyTasks as u32)
    })?;
    Ok(task)
}

/// Creates a native task that runs module code. `started` is called with its handle before it runs.
///
/// The whole is done without switching tasks, so that a task that is deleted in its middle leaves nothing behind.
pub fn spawn(
    running: &'static Running,
    name: &CStr,
    stacks: Stacks,
    work: Work,
    priority: u32,
    started: impl FnOnce(ffi::TaskHandle) -> Result<(), Trap>,
) -> Result<(), Trap> {
    kernel::without_switching(|| {
        if running.objects().is_full() {
            return Err(Trap::new(TrapKind::Host, Failure::TooManyObjects as u32));
        }
        if kernel::heap::is_short() {
            return Err(Trap::new(TrapKind::Host, Failure::Memory as u32));
        }
        let task = list(ModuleTask::new(running, stacks, work)?)?;
        let priority = priority.min(kernel::MODULE_PRIORITY_LIMIT);
        let Ok(handle) = kernel::spawn(body, name, NATIVE_STACK, task.as_ptr().cast(), priority) else {
            unlist(|listed| listed == task);
            return Err(Trap::new(TrapKind::Host, Failure::Memory as u32));
        };
        if kernel::heap::is_short() {
            // SAFETY: the task was just created and has not run.
            unsafe { ffi::vTaskDelete(handle) };
            unlist(|listed| listed == task);
            return Err(Trap::new(TrapKind::Host, Failure::Memory as u32));
        }
        // SAFETY: listed states live until the link task frees them, which cannot run now.
        unsafe { task.as_ref() }.handle.store(handle, Ordering::Relaxed);
        // There is room, as was seen above.
        let _ = running.objects().add(HandleKind::Task, handle as u32);
        started(handle)
    })
}

extern "C" fn body(argument: *mut c_void) {
    tls::set(ptr::null_mut(), tls::MODULE_TASK, argument);
    // SAFETY: `spawn` gave the task its state, which lives until the link task has deleted the task.
    if let Some(task) = unsafe { argument.cast::<ModuleTask>().as_ref() } {
        if let Err(trap) = task.run() {
            task.running.note_trap(trap);
        }
    }
    link::wake();
    loop {
        // SAFETY: suspends this task until the link task deletes it.
        unsafe { ffi::vTaskSuspend(ptr::null_mut()) };
    }
}

/// Takes a state off the list and frees it. Its task must not run any more, or run no module code.
fn unlist(is_it: impl Fn(NonNull<ModuleTask>) -> bool) -> bool {
    let found = critical_section::with(|cs| {
        let mut tasks = TASKS.borrow_ref_mut(cs);
        let index = tasks.0.iter().position(|task| is_it(*task))?;
        Some(tasks.0.swap_remove(index))
    });
    match found {
        Some(task) => {
            // SAFETY: the state was leaked in `list` and is listed no more; by this function's rule nobody uses it.
            drop(unsafe { Box::from_raw(task.as_ptr()) });
            true
        }
        None => false,
    }
}

/// Whether another task's host call uses this kernel object.
pub fn is_used(handle: u32) -> bool {
    let current = tls::get(tls::MODULE_TASK).cast::<ModuleTask>();
    let own = |task: &ModuleTask| chain(current).any(|state| ptr::eq(state, task));
    any(|task| task.uses.iter().any(|used| used.load(Ordering::Relaxed) == handle) && !own(task))
}

/// Whether the host call of task `handle` uses an object of this kind.
pub fn waits_on(handle: ffi::TaskHandle, kind: HandleKind) -> bool {
    any(|task| {
        task.handle() == handle
            && task.uses.iter().any(|used| task.running.objects().owns(kind, used.load(Ordering::Relaxed)))
    })
}

/// The task, not one of its own, that is inside the instance just now.
pub fn callback_in_progress(running: &Running) -> Option<ffi::TaskHandle> {
    first(|task| {
        task.is_firmware()
            && task.is_of(running)
            && task.context().is_some_and(|context| context.backtrace().next().is_some())
    })
}

fn any(is_it: impl Fn(&ModuleTask) -> bool) -> bool {
    first(is_it).is_some()
}

/// The states of all tasks, each looked up when it is asked for: what is done with one may take longer than a critical section may.
///
/// # Safety
/// None is freed meanwhile: this runs on the link task, or no other task runs. (Who frees one beside the link task is [`spawn`], where a
/// task cannot be made, and lets no other run.)
pub unsafe fn listed() -> impl Iterator<Item = &'static ModuleTask> {
    let at = |index: usize| critical_section::with(|cs| TASKS.borrow_ref(cs).0.get(index).copied());
    // SAFETY: listed states live, and by this function's rule go on to.
    (0..MAX_STATES).map_while(at).map(|state| unsafe { state.as_ref() })
}

/// Cuts the waits of callbacks that are overdue short, and leaves these no fuel. For a task that waits for none of them.
pub fn cut_waits_short() {
    // Nobody changes the list meanwhile, and no callback that was waiting goes on.
    kernel::without_switching(|| {
        // SAFETY: no other task runs.
        for state in unsafe { listed() }.filter(|state| state.is_overdue()) {
            // SAFETY: firmware tasks live for ever; one that does not wait is let be.
            let has_waited = unsafe { ffi::xTaskAbortDelay(state.handle()) } == ffi::PD_PASS;
            if let (true, Some(context)) = (has_waited, state.context()) {
                state.cut_short.store(true, Ordering::Relaxed);
                context.set_budget(Some(0));
            }
        }
    });
}

/// Some task that the instance created, or its main task.
pub fn any_of(running: &Running) -> Option<ffi::TaskHandle> {
    first(|task| !task.is_firmware() && task.is_of(running))
}

/// The task that makes the instance's call.
pub fn main_of(running: &Running) -> Option<ffi::TaskHandle> {
    first(|task| matches!(task.work, Work::Call) && task.is_of(running))
}

fn first(is_it: impl Fn(&ModuleTask) -> bool) -> Option<ffi::TaskHandle> {
    critical_section::with(|cs| {
        let tasks = TASKS.borrow_ref(cs);
        // SAFETY: listed states live; the list cannot change inside the critical section.
        let mut states = tasks.0.iter().map(|task| unsafe { task.as_ref() });
        states.find(|task| is_it(task)).map(ModuleTask::handle)
    })
}

/// Returns out of the current task's native call if there is one; else comes back.
pub fn abandon_native_call(assertion: Assertion) {
    // The innermost of all instances whose code the task runs lies deepest in its stack.
    let states = chain(tls::get(tls::MODULE_TASK).cast());
    let calls = states.filter_map(|state| Some((state.native_call.depth()?, state)));
    if let Some((_, state)) = calls.min_by_key(|(depth, _)| *depth) {
        state.native_call.abandon(assertion);
    }
}

/// Frees the states of a task that was just deleted.
pub fn forget(handle: ffi::TaskHandle) {
    // SAFETY: listed states live.
    while unlist(|task| unsafe { task.as_ref() }.handle() == handle) {}
}

/// Frees what tasks that are not the instance's own keep for it. None of them is inside the instance.
pub fn forget_callbacks(running: &Running) {
    let found = || {
        critical_section::with(|cs| {
            // SAFETY: listed states live.
            let is_it = |task: &&NonNull<ModuleTask>| ptr::eq(unsafe { task.as_ref() }.running, running);
            TASKS.borrow_ref(cs).0.iter().find(is_it).copied()
        })
    };
    while let Some(state) = found() {
        kernel::without_switching(|| unchain(state.as_ptr()));
        unlist(|task| task == state);
    }
}

/// Takes a state out of its task's chain. No other task runs meanwhile.
fn unchain(state: *mut ModuleTask) {
    // SAFETY: the state is listed, so it lives.
    let (handle, next) = unsafe { ((*state).handle(), (*state).next.load(Ordering::Relaxed)) };
    let first = tls::get_of(handle, tls::MODULE_TASK).cast::<ModuleTask>();
    match chain(first).find(|before| before.next.load(Ordering::Relaxed) == state) {
        Some(before) => before.next.store(next, Ordering::Relaxed),
        None if first == state => tls::set(handle, tls::MODULE_TASK, next.cast()),
        None => {}
    }
}
