//! espb: the translator, the emulated chip and the device tools behind the `espb` binary.
//!
//! One folder a stage; docs/architecture.md is the map.

pub mod diagnostic;
pub mod ir;
