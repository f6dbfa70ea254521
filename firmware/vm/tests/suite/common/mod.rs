//! A test's tools: an assembler over the opcode table, a module builder, a host made of closures.

mod assembler;
mod harness;
mod random;

pub use assembler::{ModuleBuilder, signature};
pub use harness::{TestHost, load, outcome, run, with_instance};
pub use random::Random;
