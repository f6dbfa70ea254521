//! espb-hints: hints files, which say in a line what the parameters of a host function mean.
//!
//! One source for the translator, which writes contracts into modules, and for the firmware's build, which generates the
//! authoritative table from the same lines. Grammar and meaning are in `specs/hints.md`. Never here: LLVM, chips, or
//! opening files.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod error;
pub mod hint;
mod hint_set;
mod lower;
mod parse;
mod print;
mod table;

pub use error::HintError;
pub use hint::Hint;
pub use hint_set::HintSet;
pub use lower::{Facts, NoFacts};
pub use print::{hint_line, param_item, result_item};
pub use table::emit_rust_table;

#[cfg(test)]
mod tests;
