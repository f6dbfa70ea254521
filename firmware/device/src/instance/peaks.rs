//! What instances and their tasks used of their memory at most. Stacks are looked through for what was never used, which takes long where
//! they are large or many: so in the background, and before anything ends. For the link task. Never here: ending.

use core::{
    cell::Cell,
    sync::atomic::{AtomicU32, Ordering},
};

use critical_section::Mutex;
use espb_link::InstanceId;

use super::{
    Running, registry,
    task::{self, ModuleTask},
};
use crate::kernel::{self, ffi};

/// What an instance used at most.
#[derive(Clone, Copy, Default)]
pub struct Peaks {
    /// Private heap, bytes.
    pub heap: u32,
    /// Any linear stack, bytes.
    pub linear_stack: u32,
    /// Any shadow stack, bytes.
    pub shadow_stack: u32,
}

/// The last instance that ended, with its peaks.
static LAST: Mutex<Cell<Option<(InstanceId, Peaks)>>> = Mutex::new(Cell::new(None));
/// The least native stack that a module task was seen to have left, in bytes.
static NATIVE_STACK_SPARE: AtomicU32 = AtomicU32::new(u32::MAX);

/// Peaks of a living instance so far, or of the last one that ended.
pub fn of(instance: InstanceId) -> Option<Peaks> {
    if let Some(running) = registry::find(instance) {
        note_instance(running);
        return Some(noted(running));
    }
    let last = critical_section::with(|cs| LAST.borrow(cs).get());
    last.filter(|(ended, _)| *ended == instance).map(|(_, peaks)| peaks)
}

/// The least native stack that any module task had left, in bytes; 0 before there was one.
pub fn native_stack_spare() -> u32 {
    note(|_| true);
    match NATIVE_STACK_SPARE.load(Ordering::Relaxed) {
        u32::MAX => 0,
        spare => spare,
    }
}

/// Looks at the stacks of a task that is about to be deleted.
pub fn note_task(handle: ffi::TaskHandle) {
    note(|task| task.handle() == handle);
}

/// Looks at the stacks of all tasks of an instance.
pub fn note_instance(running: &Running) {
    note(|task| task.is_of(running));
}

/// Keeps what was noted of an instance that ends.
pub fn keep(running: &Running) {
    critical_section::with(|cs| LAST.borrow(cs).set(Some((running.id(), noted(running)))));
}

fn noted(running: &Running) -> Peaks {
    let instance = running.instance();
    Peaks { heap: instance.heap_use().peak, linear_stack: instance.stack_peak(), shadow_stack: instance.shadow_peak() }
}

fn note(is_it: impl Fn(&ModuleTask) -> bool) {
    kernel::in_background(|| {
        // SAFETY: the link task runs this.
        for task in unsafe { task::listed() }.filter(|task| is_it(task)) {
            if let Some(context) = task.context() {
                context.note_peaks();
            }
            if let Some(spare) = task.native_stack_spare() {
                NATIVE_STACK_SPARE.store(NATIVE_STACK_SPARE.load(Ordering::Relaxed).min(spare), Ordering::Relaxed);
            }
        }
    });
}
