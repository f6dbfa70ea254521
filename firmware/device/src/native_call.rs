//! Calls of native functions on behalf of a module, with a way back out of a failed kernel assertion.
//!
//! The kernel asserts that its callers keep its rules (a queue of length 0, a mutex given by a stranger…). A module may break
//! them; that must end the module, not the firmware. So the registers of the call are kept, and `configASSERT` returns there.

use core::{
    arch::global_asm,
    cell::Cell,
    ffi::{CStr, c_void},
};

use crate::kernel;

/// Most argument words that [`call`] passes: those that the calling convention puts into registers.
pub const MAX_WORDS: usize = 8;

// espb_call_native(function, words, count, innermost) -> a0/a1 of the function: keeps ra and s0-s11 on the stack, the stack
// pointer in `innermost`, loads as many argument registers as there are words, calls.
// espb_land(landing): returns from espb_call_native a second time; the caller tells the cases apart by other means.
global_asm!(
    ".section .text.espb_call_native, \"ax\"",
    ".option push",
    ".option norvc",
    ".globl espb_call_native",
    "espb_call_native:",
    "addi sp, sp, -64",
    "sw ra, 0(sp)",
    "sw s0, 4(sp)",
    "sw s1, 8(sp)",
    "sw s2, 12(sp)",
    "sw s3, 16(sp)",
    "sw s4, 20(sp)",
    "sw s5, 24(sp)",
    "sw s6, 28(sp)",
    "sw s7, 32(sp)",
    "sw s8, 36(sp)",
    "sw s9, 40(sp)",
    "sw s10, 44(sp)",
    "sw s11, 48(sp)",
    "lw t1, 0(a3)",
    "sw t1, 52(sp)",
    "sw sp, 0(a3)",
    "mv s0, a3",
    "mv t0, a0",
    "mv t1, a1",
    // One instruction for each argument, the last first: jump behind those that are not wanted.
    "la t2, 2f",
    "slli a2, a2, 2",
    "sub t2, t2, a2",
    "jr t2",
    "lw a7, 28(t1)",
    "lw a6, 24(t1)",
    "lw a5, 20(t1)",
    "lw a4, 16(t1)",
    "lw a3, 12(t1)",
    "lw a2, 8(t1)",
    "lw a1, 4(t1)",
    "lw a0, 0(t1)",
    "2:",
    "jalr t0",
    "lw t1, 52(sp)",
    "sw t1, 0(s0)",
    "lw ra, 0(sp)",
    "lw s0, 4(sp)",
    "addi sp, sp, 64",
    "ret",
    ".globl espb_land",
    "espb_land:",
    "mv sp, a0",
    "lw s1, 8(sp)",
    "lw s2, 12(sp)",
    "lw s3, 16(sp)",
    "lw s4, 20(sp)",
    "lw s5, 24(sp)",
    "lw s6, 28(sp)",
    "lw s7, 32(sp)",
    "lw s8, 36(sp)",
    "lw s9, 40(sp)",
    "lw s10, 44(sp)",
    "lw s11, 48(sp)",
    "lw t1, 52(sp)",
    "sw t1, 0(a1)",
    "lw ra, 0(sp)",
    "lw s0, 4(sp)",
    "addi sp, sp, 64",
    "ret",
    ".option pop",
);

/// A native function of at most eight argument words. Called with as many as the import has, in the first argument registers.
pub type Function = unsafe extern "C" fn();

unsafe extern "C" {
    fn espb_call_native(function: Function, words: *const u32, count: usize, innermost: *mut *mut c_void) -> u64;
    fn espb_land(landing: *mut c_void, innermost: *mut *mut c_void) -> !;
}

/// An assertion of the kernel's source that failed: the kernel refused a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assertion {
    /// Its file.
    pub file: &'static CStr,
    /// Its line.
    pub line: u32,
}

/// The innermost native call that a task has in progress, for the assertion handler. Only its task uses it.
#[derive(Default)]
pub struct Innermost {
    /// The stack pointer of `espb_call_native`; null for none.
    landing: Cell<*mut c_void>,
    has_failed: Cell<bool>,
    failed: Cell<Option<Assertion>>,
}

impl Innermost {
    /// How deep in the stack the call is; `None` without one.
    pub fn depth(&self) -> Option<usize> {
        let landing = self.landing.get();
        (!landing.is_null()).then(|| landing.addr())
    }

    /// Calls `function` with these words in the first argument registers and gives a0 and a1 (a1 high); `None` if the kernel refused
    /// the call, and [`Self::take_assertion`] says why.
    ///
    /// # Safety
    /// The words are valid arguments of `function`, at most [`MAX_WORDS`], apart from rules that the kernel itself asserts.
    /// Called from the task that this belongs to.
    #[inline(always)]
    pub unsafe fn call(&self, function: Function, words: &[u32]) -> Option<u64> {
        let count = words.len().min(MAX_WORDS);
        // SAFETY: the assembly keeps the calling convention; `landing` is null or that of an outer call further up this stack.
        let result = unsafe { espb_call_native(function, words.as_ptr(), count, self.landing.as_ptr()) };
        if self.has_failed.get() { None } else { Some(result) }
    }

    /// Why the last call failed, if it did.
    pub fn take_assertion(&self) -> Option<Assertion> {
        self.has_failed.set(false);
        self.failed.take()
    }

    /// Returns out of the call in progress, which fails with this assertion.
    ///
    /// The kernel asserts before it changes anything, so leaving is safe once its locks are open again.
    pub fn abandon(&self, assertion: Assertion) {
        let landing = self.landing.get();
        if !landing.is_null() {
            kernel::open_locks();
            self.failed.set(Some(assertion));
            self.has_failed.set(true);
            // SAFETY: the call is in progress on this stack, further up.
            unsafe { espb_land(landing, self.landing.as_ptr()) }
        }
    }
}

/// Casts a function of any signature for [`call`].
#[macro_export]
macro_rules! native_function {
    ($function:path) => {
        // SAFETY: only changes the type of a function pointer; `native_call::Innermost::call` passes arguments as the ABI wants them.
        unsafe { core::mem::transmute::<*const (), $crate::native_call::Function>($function as *const ()) }
    };
}

#[allow(unused_imports, reason = "named by the macro's users")]
pub(crate) use native_function;
