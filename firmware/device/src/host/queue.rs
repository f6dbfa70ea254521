//! Queues, semaphores and mutexes: the kernel's own functions, called as they are.

use espb_format::contract::HandleKind;
use espb_vm::Trap;

use super::{Call, Registration, native, own};
use crate::{instance::Running, kernel::ffi, native_function};

pub const TABLE: &[Registration] = &[
    native!("xQueueGenericCreate", ffi::xQueueGenericCreate),
    native!("xQueueCreateMutex", ffi::xQueueCreateMutex),
    native!("xQueueCreateCountingSemaphore", ffi::xQueueCreateCountingSemaphore),
    native!("vQueueDelete", ffi::vQueueDelete),
    native!("xQueueGenericSend", ffi::xQueueGenericSend),
    native!("xQueueReceive", ffi::xQueueReceive),
    native!("xQueuePeek", ffi::xQueuePeek),
    native!("xQueueSemaphoreTake", ffi::xQueueSemaphoreTake),
    native!("xQueueTakeMutexRecursive", ffi::xQueueTakeMutexRecursive),
    native!("xQueueGiveMutexRecursive", ffi::xQueueGiveMutexRecursive),
    native!("xQueueGetMutexHolder", ffi::xQueueGetMutexHolder),
    native!("uxQueueMessagesWaiting", ffi::uxQueueMessagesWaiting),
    native!("uxQueueSpacesAvailable", ffi::uxQueueSpacesAvailable),
    own("xQueueGenericReset", reset),
    native!("uxQueueGetQueueItemSize", ffi::uxQueueGetQueueItemSize),
    native!("uxQueueGetQueueLength", ffi::uxQueueGetQueueLength),
];

/// `xQueueGenericReset(queue, new)`. `new` is for the kernel itself: it would forget the tasks that wait.
fn reset(call: &mut Call<'_, '_>) -> Result<u64, Trap> {
    call.native(native_function!(ffi::xQueueGenericReset), &[call.word(0), 0])
}

/// Whether a task holds a mutex of the instance.
pub fn holds_mutex(running: &Running, task: ffi::TaskHandle) -> bool {
    let owned = (0..).map_while(|position| running.objects().nth(HandleKind::Queue, position));
    // SAFETY: these queues exist; of those that are no mutexes the kernel answers null.
    let mut holders = owned
        .chain(core::iter::once(running.critical() as u32))
        .map(|queue| unsafe { ffi::xQueueGetMutexHolder(queue as ffi::QueueHandle) });
    holders.any(|holder| holder == task)
}

/// Deletes a queue of an instance that has no tasks any more.
pub fn delete(handle: u32) {
    // SAFETY: the instance owned the queue and no task can use it.
    unsafe { ffi::vQueueDelete(handle as ffi::QueueHandle) };
}
