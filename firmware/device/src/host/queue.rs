//! Queues, semaphores and mutexes: the kernel's own functions, called as they are.

use super::{Registration, native};
use crate::kernel::ffi;

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
    native!("xQueueGenericReset", ffi::xQueueGenericReset),
    native!("uxQueueGetQueueItemSize", ffi::uxQueueGetQueueItemSize),
    native!("uxQueueGetQueueLength", ffi::uxQueueGetQueueLength),
];

/// Deletes a queue of an instance that has no tasks any more.
pub fn delete(handle: u32) {
    // SAFETY: the instance owned the queue and no task can use it.
    unsafe { ffi::vQueueDelete(handle as ffi::QueueHandle) };
}
