//! The current task's thread-local pointers. Index 0 is kept for module tasks, index 1 for native calls.
//! The kernel frees nothing behind these pointers.

use core::{ffi::c_void, ptr};

use super::ffi;

/// State of a task that runs module code (`instance::task`).
pub const MODULE_TASK: i32 = 0;
/// The innermost native call in progress (`native_call`).
pub const NATIVE_CALL: i32 = 1;

/// How often the task has suspended its module's other tasks, and the priority to go back to (`host::task`).
pub const SUSPENSION: i32 = 2;
/// The first of those that modules use themselves, and how many they have (configNUM_THREAD_LOCAL_STORAGE_POINTERS of
/// kernel/FreeRTOSConfig.h is their sum).
const FIRST_OF_MODULE: i32 = 4;
const OF_MODULE: u32 = 4;

/// The index of a module's own thread-local pointer, if it has as many.
pub fn of_module(index: u32) -> Option<i32> {
    (index < OF_MODULE).then_some(FIRST_OF_MODULE + index as i32)
}

/// The current task's pointer.
pub fn get(index: i32) -> *mut c_void {
    get_of(ptr::null_mut(), index)
}

/// A pointer of `task`, null for the current one.
pub fn get_of(task: ffi::TaskHandle, index: i32) -> *mut c_void {
    // SAFETY: the caller names a living task; the index is one of the constants above.
    unsafe { ffi::pvTaskGetThreadLocalStoragePointer(task, index) }
}

/// Sets the current task's pointer and gives the one before.
pub fn replace(index: i32, value: *mut c_void) -> *mut c_void {
    let before = get(index);
    set(ptr::null_mut(), index, value);
    before
}

/// Sets a pointer of `task`, null for the current one.
pub fn set(task: ffi::TaskHandle, index: i32, value: *mut c_void) {
    // SAFETY: the caller names a living task; the index is one of the constants above, or of `of_module`.
    unsafe { ffi::vTaskSetThreadLocalStoragePointer(task, index, value) }
}
