//! espb-vm: runs verified modules.
//!
//! Interpreter, linear memory, heap, shadow stack, instance life cycle and the [`Host`] trait through which a module reaches the
//! firmware. No allocation: an instance lives in one block of memory that the host hands in. Never here: a chip, an RTOS, or code
//! that the verifier has not accepted.
//!
//! The order of things: [`Layout::of`] says how much memory a module takes, [`Instance::new`] puts it there, a [`Context`] for each
//! native task holds its stacks, [`Context::call`] runs a function. What the module calls arrives at [`Host::call`].
#![no_std]
#![deny(missing_docs)]
#![deny(unsafe_op_in_unsafe_fn)]

#[cfg(test)]
extern crate std;

pub mod abi;
mod access;
mod address;
pub mod atomic;
mod backtrace;
mod context;
mod cursor;
mod heap;
mod host;
mod instance;
mod interpreter;
mod jump;
mod layout;
mod linear;
mod link;
mod memory;
mod operate;
mod program;
mod rare;
mod slow;
mod trap;

pub use backtrace::{Backtrace, Frame};
pub use context::{Callback, Context, Stacks};
pub use heap::HeapUse;
pub use host::{Host, HostCall, HostFunction};
pub use instance::{Instance, Report, Thunks};
pub use layout::{Granule, Layout, LoadError};
pub use memory::Memory;
pub use trap::{Trap, TrapKind};
