//! What the kernel calls back: idle, stack overflow, failed assertion.
//! Hooks stop the firmware or wait; they never allocate.

use core::ffi::{CStr, c_char, c_void};

use crate::{instance::task, kernel, native_call::Assertion};

/// The idle task sleeps until the next interrupt.
#[unsafe(no_mangle)]
extern "C" fn vApplicationIdleHook() {
    // SAFETY: waits for an interrupt; interrupts are enabled in the idle task.
    unsafe { core::arch::asm!("wfi") };
}

/// A task's stack reached its end (configCHECK_FOR_STACK_OVERFLOW 2).
#[unsafe(no_mangle)]
extern "C" fn vApplicationStackOverflowHook(_task: *mut c_void, name: *const c_char) {
    // SAFETY: the kernel passes the name inside the task's control block, which is terminated.
    let name = unsafe { CStr::from_ptr(name) };
    panic!("native stack overflow in task {name:?}");
}

/// configASSERT of the kernel failed: the end of the module if it was called on its behalf, else of the firmware.
#[unsafe(no_mangle)]
extern "C" fn espb_kernel_assert_failed(file: *const c_char, line: i32) -> ! {
    // SAFETY: the kernel passes __FILE_NAME__, a constant.
    let file: &'static CStr = unsafe { CStr::from_ptr(file) };
    if kernel::scheduler_started() && !kernel::in_interrupt() {
        task::abandon_native_call(Assertion { file, line: line as u32 });
    }
    panic!("FreeRTOS assertion failed at {file:?}:{line}");
}
