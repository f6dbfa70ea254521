//! The FreeRTOS kernel: its C interface, and what a chip must add to it (trap vectors, tick, heap, hooks).
//! No module, no host function and no peripheral besides the tick timer may appear here.

pub mod condition;
pub mod ffi;
pub mod heap;
mod hooks;
pub mod tick;
pub mod tls;
pub mod trap;
pub mod turn;

use core::{
    ffi::{CStr, c_void},
    ptr,
};

use ffi::{BaseType, TaskHandle, TickType, UBaseType};

/// One tick is one millisecond (configTICK_RATE_HZ 1000).
pub type Ticks = TickType;

/// Priority of the link task: above every module task, so that Stop is always heard.
pub const LINK_PRIORITY: UBaseType = 24;
/// Highest priority that a module may give its tasks.
pub const MODULE_PRIORITY_LIMIT: UBaseType = 22;
/// Priority of what must not wait for modules and keeps nobody else waiting. A module that suspends its other tasks has it too: those who are
/// ready take turns of a tick.
pub const BACKGROUND_PRIORITY: UBaseType = 23;
const _: () = assert!(MODULE_PRIORITY_LIMIT < BACKGROUND_PRIORITY && BACKGROUND_PRIORITY < LINK_PRIORITY);

/// A task could not be created: the heap has no room for its stack and control block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfMemory;

/// Creates a task that runs `body(argument)` for ever.
///
/// `stack_bytes` is the native stack; `body` must not return.
pub fn spawn(
    body: extern "C" fn(*mut c_void),
    name: &CStr,
    stack_bytes: usize,
    argument: *mut c_void,
    priority: UBaseType,
) -> Result<TaskHandle, OutOfMemory> {
    let mut handle: TaskHandle = core::ptr::null_mut();
    let depth = (stack_bytes / size_of::<u32>()) as UBaseType;
    // SAFETY: the kernel copies the name; `handle` outlives the call; `body` follows the C calling convention.
    let created = unsafe { ffi::xTaskCreate(body, name.as_ptr(), depth, argument, priority, &raw mut handle) };
    if created == ffi::PD_PASS { Ok(handle) } else { Err(OutOfMemory) }
}

/// Blocks the calling task for `ticks` milliseconds.
pub fn delay(ticks: Ticks) {
    // SAFETY: called from tasks only; the scheduler runs there.
    unsafe { ffi::vTaskDelay(ticks) }
}

/// Blocks the calling task until `period` milliseconds after `wake`, and moves `wake` there.
pub fn delay_until(wake: &mut Ticks, period: Ticks) {
    // SAFETY: `wake` is valid for the call; called from tasks only.
    unsafe { ffi::xTaskDelayUntil(wake, period) };
}

/// Milliseconds since the scheduler started.
pub fn tick_count() -> Ticks {
    // SAFETY: reads one word of the kernel.
    unsafe { ffi::xTaskGetTickCount() }
}

/// Whether the scheduler runs, so that the caller may block.
pub fn scheduler_running() -> bool {
    // SAFETY: reads kernel state only.
    unsafe { ffi::xTaskGetSchedulerState() == ffi::TASK_SCHEDULER_RUNNING }
}

/// Lets another task of the same priority run.
pub fn yield_now() {
    // SAFETY: the port's yield: the trap handler saves and restores every register.
    unsafe { core::arch::asm!("ecall") };
}

/// Whether the scheduler was ever started: there is a current task from then on.
pub fn scheduler_started() -> bool {
    // SAFETY: reads kernel state only.
    unsafe { ffi::xTaskGetSchedulerState() != ffi::TASK_SCHEDULER_NOT_STARTED }
}

/// Whether this runs in an interrupt handler: on the interrupt stack.
pub fn in_interrupt() -> bool {
    let stack: u32;
    // SAFETY: reads the stack pointer.
    unsafe { core::arch::asm!("mv {}, sp", out(reg) stack) };
    // SAFETY: a constant of the port.
    let top = unsafe { ffi::xISRStackTop };
    stack <= top && stack > top - ffi::ISR_STACK_BYTES
}

/// Leaves every critical section and scheduler suspension of the current task, for a kernel call that is abandoned.
pub fn open_locks() {
    // SAFETY: the nesting count belongs to the current task; a task outside kernel calls has a count of 0 and interrupts on.
    unsafe {
        (&raw mut ffi::xCriticalNesting).write_volatile(0);
        core::arch::asm!("csrsi mstatus, 8");
        while ffi::xTaskGetSchedulerState() == ffi::TASK_SCHEDULER_SUSPENDED {
            ffi::xTaskResumeAll();
        }
    }
}

/// Runs `body` while no other task runs. It may allocate but not block.
pub fn without_switching<R>(body: impl FnOnce() -> R) -> R {
    // SAFETY: paired below; called from tasks.
    unsafe { ffi::vTaskSuspendAll() };
    let result = body();
    // SAFETY: pairs with the suspension above.
    unsafe { ffi::xTaskResumeAll() };
    result
}

/// Runs `body` at [`BACKGROUND_PRIORITY`]: for what takes long in a task above that.
pub fn in_background<R>(body: impl FnOnce() -> R) -> R {
    // SAFETY: null is the calling task, which exists.
    let before = unsafe { ffi::uxTaskPriorityGet(ptr::null_mut()) };
    // SAFETY: as above; the priority is one of the kernel's.
    unsafe { ffi::vTaskPrioritySet(ptr::null_mut(), BACKGROUND_PRIORITY) };
    let result = body();
    // SAFETY: as above.
    unsafe { ffi::vTaskPrioritySet(ptr::null_mut(), before) };
    result
}

/// Runs `body` with interrupts off, from a task that has them on. `body` may turn them on again before its time.
pub fn without_interrupts<R>(body: impl FnOnce() -> R) -> R {
    // SAFETY: clears and sets the interrupt enable bit only, in a task that had it set.
    unsafe { core::arch::asm!("csrci mstatus, 8") };
    let result = body();
    // SAFETY: as above.
    unsafe { core::arch::asm!("csrsi mstatus, 8") };
    result
}

/// Whether interrupts are on: false in handlers, critical sections and before the start.
pub fn interrupts_enabled() -> bool {
    let status: u32;
    // SAFETY: reads a CSR.
    unsafe { core::arch::asm!("csrr {}, mstatus", out(reg) status) };
    status & 8 != 0
}

/// Starts the scheduler; the stack of the caller becomes heap memory.
pub fn start() -> ! {
    // SAFETY: called once, from the start-up code, with the heap set up and interrupts of the kernel not yet enabled.
    unsafe { ffi::vTaskStartScheduler() };
    panic!("the scheduler returned: no memory for the idle or the timer task");
}

/// A body that [`on_stack_of`] has another task run, and what tells of its end.
struct Job<'a> {
    body: &'a mut dyn FnMut(),
    done: ffi::QueueHandle,
}

/// Runs `body` on a stack of so many bytes while the caller waits: in a task of its own, above all modules' tasks, that is gone
/// afterwards. The caller must not be deleted meanwhile.
pub fn on_stack_of<R>(stack_bytes: usize, body: impl FnOnce() -> R) -> Result<R, OutOfMemory> {
    extern "C" fn run(job: *mut c_void) {
        // SAFETY: the caller of `on_stack_of` waits until `done` is given, so the job outlives this.
        let job = unsafe { &mut *job.cast::<Job<'_>>() };
        (job.body)();
        let done = job.done;
        // SAFETY: the semaphore lives until this task has been deleted, which its waiter does.
        unsafe {
            ffi::xQueueGenericSend(done, core::ptr::null(), 0, ffi::QUEUE_SEND_TO_BACK);
            ffi::vTaskSuspend(core::ptr::null_mut());
        }
    }
    let mut body = Some(body);
    let mut result = None;
    let mut call = || result = body.take().map(|body| body());
    // SAFETY: makes a semaphore that is not given.
    let done = unsafe { ffi::xQueueCreateCountingSemaphore(1, 0) };
    if done.is_null() {
        return Err(OutOfMemory);
    }
    let mut job = Job { body: &mut call, done };
    let spawned = spawn(run, c"worker", stack_bytes, (&raw mut job).cast(), BACKGROUND_PRIORITY);
    if let Ok(task) = spawned {
        // SAFETY: the semaphore and, until it is deleted here, the task live; a wait that is cut short goes on.
        unsafe {
            while ffi::xQueueSemaphoreTake(done, ffi::PORT_MAX_DELAY) != ffi::PD_PASS {}
            ffi::vTaskDelete(task);
        }
    }
    // SAFETY: nobody else knows it any more.
    unsafe { ffi::vQueueDelete(done) };
    spawned.and_then(|_| result.ok_or(OutOfMemory))
}

/// A kernel mutex with priority inheritance that lives for ever.
pub struct Mutex(ffi::QueueHandle);

// SAFETY: a kernel mutex is made to be shared between tasks.
unsafe impl Send for Mutex {}
// SAFETY: as above.
unsafe impl Sync for Mutex {}

impl Mutex {
    /// Creates an unlocked mutex on the kernel's heap.
    pub fn new() -> Result<Self, OutOfMemory> {
        // SAFETY: allocates from the kernel's heap, which exists before any caller.
        let handle = unsafe { ffi::xQueueCreateMutex(ffi::QUEUE_TYPE_MUTEX) };
        if handle.is_null() { Err(OutOfMemory) } else { Ok(Self(handle)) }
    }

    /// Gives the mutex, which the caller holds, to whoever waits for it, and takes it again.
    pub fn offer(&self) {
        if scheduler_running() {
            // SAFETY: this task holds the mutex.
            unsafe {
                ffi::xQueueGenericSend(self.0, core::ptr::null(), 0, ffi::QUEUE_SEND_TO_BACK);
            }
            self.take();
        }
    }

    /// Waits for the mutex; a wait that is cut short goes on.
    fn take(&self) {
        // SAFETY: the handle is valid for ever; the caller is a task since the scheduler runs.
        while unsafe { ffi::xQueueSemaphoreTake(self.0, ffi::PORT_MAX_DELAY) } != ffi::PD_PASS {}
    }

    /// Runs `body` with the mutex held. Before the scheduler starts there is nobody to exclude.
    pub fn lock<R>(&self, body: impl FnOnce() -> R) -> R {
        let locked = scheduler_running();
        if locked {
            self.take();
        }
        let result = body();
        if locked {
            // SAFETY: this task holds the mutex.
            let _: BaseType = unsafe { ffi::xQueueGenericSend(self.0, core::ptr::null(), 0, ffi::QUEUE_SEND_TO_BACK) };
        }
        result
    }
}
