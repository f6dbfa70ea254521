//! espb-format: the module format, shared by translator, tools and firmware.
//!
//! Knows no LLVM, no chip and no RTOS; contains no `unsafe`.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod contract;
pub mod signature;
