//! espb: the translator, the emulated chip and the device tools behind the `espb` binary.
//!
//! One folder a stage; docs/architecture.md is the map.

#[cfg(feature = "emulate")]
pub mod chip;
pub mod cli;
pub mod codegen;
pub mod compile;
pub mod contracts;
pub mod device;
pub mod diagnostic;
pub mod ir;
pub mod translate;
