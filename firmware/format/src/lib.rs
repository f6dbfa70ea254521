//! espb-format: what a `.espb` module is.
//!
//! The opcode table, the container, the instruction encoder and decoder, the verifier, the disassembler and the contracts of host
//! functions. Everything that reads or writes modules goes through here. Never here: running code, LLVM, chips, input or output.
//! The specification is in `specs/format.md`, `specs/isa.md` and `specs/contracts.md`; tests hold its tables to this code.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

#[cfg(any(test, feature = "std"))]
pub mod census;
pub mod checksum;
pub mod container;
pub mod contract;
#[cfg(any(test, feature = "std"))]
pub mod disassembler;
pub mod error;
pub mod evidence;
pub mod instruction;
pub mod lines;
pub mod opcode;
pub mod operand;
pub mod pair;
pub mod record;
pub mod section;
pub mod signature;
pub mod thread_local;
pub mod verifier;
#[cfg(any(test, feature = "std"))]
pub mod writer;
