//! The thunk pool: precompiled native entry points, one for each function pointer of a module. No code is made at run time.
//! Only the way from native registers to the instance is here; what runs is `instance`'s.

use core::arch::global_asm;

use espb_vm::Thunks;

use crate::instance;

/// Thunks in the pool: address-taken functions that all instances together may have.
pub const COUNT: u16 = 256;
/// log₂ of a thunk's size in bytes.
const SHIFT: u8 = 3;

// Each thunk is two uncompressed instructions. The common part stores a0-a7 below the caller's stack arguments, so that
// `thunk_entry` sees register words and stack words in one row.
global_asm!(
    ".section .text.espb_thunks, \"ax\"",
    ".option push",
    ".option norvc",
    ".balign 8",
    ".globl espb_thunks",
    "espb_thunks:",
    ".set index, 0",
    ".rept {count}",
    "addi t0, zero, index",
    "j 1f",
    ".set index, index + 1",
    ".endr",
    "1:",
    "addi sp, sp, -48",
    "sw ra, 12(sp)",
    "sw a0, 16(sp)",
    "sw a1, 20(sp)",
    "sw a2, 24(sp)",
    "sw a3, 28(sp)",
    "sw a4, 32(sp)",
    "sw a5, 36(sp)",
    "sw a6, 40(sp)",
    "sw a7, 44(sp)",
    "mv a0, t0",
    "addi a1, sp, 16",
    "call {entry}",
    "lw ra, 12(sp)",
    "addi sp, sp, 48",
    "ret",
    ".option pop",
    count = const COUNT,
    entry = sym entry,
);

unsafe extern "C" {
    static espb_thunks: u8;
}

/// Address of the thunk with this position in the pool.
pub fn address(thunk: u16) -> u32 {
    (&raw const espb_thunks) as u32 + (u32::from(thunk) << SHIFT)
}

/// Position in the pool of the thunk at this address.
pub fn index(address: u32) -> Option<u16> {
    run(0, COUNT).index(address)
}

/// Place of this thunk of the pool in a run of thunks of the pool.
pub fn place(thunk: u16, run: Thunks) -> Option<u16> {
    let place = address(thunk).wrapping_sub(run.first) >> SHIFT;
    (place < u32::from(run.count)).then_some(place as u16)
}

/// A run of thunks of the pool.
pub fn run(first: u16, count: u16) -> Thunks {
    Thunks { first: address(first), shift: SHIFT, count }
}

/// Native code called thunk `index`. `words` points to a0–a7 and, right behind, the caller's stack arguments.
unsafe extern "C" fn entry(index: u32, words: *const u32) -> u64 {
    // SAFETY: `words` is the row that the common part stored; the instance reads as many as the function's signature has.
    unsafe { instance::callback::run(index as u16, words) }
}
