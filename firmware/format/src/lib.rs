//! espb-format: what a `.espb` module is.
//!
//! The opcode table, the container, the instruction encoder and decoder, the verifier and the disassembler. Everything that reads
//! or writes modules goes through here. Never here: running code, LLVM, chips, input or output.
//! The specification is in `specs/format.md` and `specs/isa.md`; tests hold its tables to this code.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod checksum;
pub mod container;
pub mod contract;
pub mod error;
pub mod instruction;
pub mod opcode;
pub mod operand;
pub mod signature;
#[cfg(any(test, feature = "std"))]
pub mod writer;
