//! Calls of native functions on behalf of a module, with a way back out of a failed kernel assertion.
//!
//! The kernel asserts that its callers keep its rules (a queue of length 0, a mutex given by a stranger…). A module may break
//! them; that must end the module, not the firmware. So the registers of the call are kept, and `configASSERT` returns there.

use core::{arch::global_asm, ffi::CStr};

use crate::kernel::{self, ffi, tls};

/// Most argument words that [`call`] passes: those that the calling convention puts into registers.
pub const MAX_WORDS: usize = 8;

/// The callee-saved registers of a call in progress. Offsets are used by the assembly below.
#[repr(C)]
#[derive(Default)]
struct Landing {
    ra: u32,
    sp: u32,
    s: [u32; 12],
}

// espb_call_native(function, arguments, landing) -> a0/a1 of the function: keeps ra, sp, s0-s11 in `landing`, calls.
// espb_land(landing): returns from espb_call_native a second time; the caller tells the cases apart by other means.
global_asm!(
    ".section .text.espb_call_native, \"ax\"",
    ".globl espb_call_native",
    "espb_call_native:",
    "sw ra, 0(a2)",
    "sw sp, 4(a2)",
    "sw s0, 8(a2)",
    "sw s1, 12(a2)",
    "sw s2, 16(a2)",
    "sw s3, 20(a2)",
    "sw s4, 24(a2)",
    "sw s5, 28(a2)",
    "sw s6, 32(a2)",
    "sw s7, 36(a2)",
    "sw s8, 40(a2)",
    "sw s9, 44(a2)",
    "sw s10, 48(a2)",
    "sw s11, 52(a2)",
    "mv t0, a0",
    "mv t1, a1",
    "mv s0, a2",
    "lw a0, 0(t1)",
    "lw a1, 4(t1)",
    "lw a2, 8(t1)",
    "lw a3, 12(t1)",
    "lw a4, 16(t1)",
    "lw a5, 20(t1)",
    "lw a6, 24(t1)",
    "lw a7, 28(t1)",
    "jalr t0",
    "lw ra, 0(s0)",
    "lw s0, 8(s0)",
    "ret",
    ".globl espb_land",
    "espb_land:",
    "lw ra, 0(a0)",
    "lw sp, 4(a0)",
    "lw s0, 8(a0)",
    "lw s1, 12(a0)",
    "lw s2, 16(a0)",
    "lw s3, 20(a0)",
    "lw s4, 24(a0)",
    "lw s5, 28(a0)",
    "lw s6, 32(a0)",
    "lw s7, 36(a0)",
    "lw s8, 40(a0)",
    "lw s9, 44(a0)",
    "lw s10, 48(a0)",
    "lw s11, 52(a0)",
    "ret",
);

/// A native function of at most eight argument words. Called with a0–a7 whatever it declares, which the ABI allows.
pub type Function = unsafe extern "C" fn();

unsafe extern "C" {
    fn espb_call_native(function: Function, arguments: *const u32, landing: *mut Landing) -> u64;
    fn espb_land(landing: *const Landing) -> !;
}

/// An assertion of the kernel's source that failed: the kernel refused a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assertion {
    /// Its file.
    pub file: &'static CStr,
    /// Its line.
    pub line: u32,
}

/// What a call in progress leaves for the assertion handler.
struct Frame {
    landing: Landing,
    failed: Option<Assertion>,
}

/// Calls `function` with these words in the argument registers (the rest zero) and gives a0 and a1 (a1 high).
///
/// # Safety
/// The words are valid arguments of `function`, apart from rules that the kernel itself asserts. Called from a task.
pub unsafe fn call(function: Function, words: &[u32]) -> Result<u64, Assertion> {
    let mut registers = [0; MAX_WORDS];
    for (register, word) in registers.iter_mut().zip(words) {
        *register = *word;
    }
    let mut frame = Frame { landing: Landing::default(), failed: None };
    let frame_pointer = &raw mut frame;
    let outer = tls::replace(tls::NATIVE_CALL, frame_pointer.cast());
    // SAFETY: the assembly keeps the calling convention; the frame outlives the call.
    let result = unsafe { espb_call_native(function, registers.as_ptr(), &raw mut (*frame_pointer).landing) };
    tls::replace(tls::NATIVE_CALL, outer);
    // SAFETY: the frame is this function's own; read through the pointer since the handler wrote through it.
    match unsafe { (&raw const (*frame_pointer).failed).read_volatile() } {
        None => Ok(result),
        Some(assertion) => Err(assertion),
    }
}

/// Returns out of the current task's native call if there is one; else comes back.
///
/// The kernel asserts before it changes anything, so leaving is safe once its locks are open again.
pub fn abandon(assertion: Assertion) {
    if !kernel::scheduler_started() || kernel::in_interrupt() {
        return;
    }
    let frame = tls::get(tls::NATIVE_CALL).cast::<Frame>();
    if frame.is_null() {
        return;
    }
    kernel::open_locks();
    // SAFETY: the pointer is set exactly while `call` of this task is active; its frame is further up this stack.
    unsafe {
        (&raw mut (*frame).failed).write_volatile(Some(assertion));
        espb_land(&raw const (*frame).landing)
    }
}

/// Casts a function of any signature for [`call`].
#[macro_export]
macro_rules! native_function {
    ($function:path) => {
        // SAFETY: only changes the type of a function pointer; `native_call::call` passes arguments as the ABI wants them.
        unsafe { core::mem::transmute::<*const (), $crate::native_call::Function>($function as *const ()) }
    };
}

#[allow(unused_imports, reason = "named by the macro's users")]
pub(crate) use native_function;

const _: () = assert!(core::mem::offset_of!(Landing, s) == 8 && size_of::<ffi::TaskHandle>() == 4);
