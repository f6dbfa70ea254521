//! The translator in one call: LLVM IR and hints in, a module out.

use std::path::PathBuf;

use crate::diagnostic::Diagnostic;
pub use crate::ir::Input;

/// What the user wants of the module.
#[derive(Clone, Debug)]
pub struct Options {
    /// Function to start with.
    pub entry: String,
    /// Functions that can be called by name.
    pub exports: Vec<String>,
    /// Hints files, by ascending precedence.
    pub hints: Vec<PathBuf>,
    /// Linear stack of the entry in bytes.
    pub stack: u32,
    /// Least heap in bytes.
    pub heap_min: u32,
    /// Greatest heap in bytes; `u32::MAX` takes what there is.
    pub heap_max: u32,
    /// Leave out names and lines.
    pub strip: bool,
}

/// A module and what the user should look at although it worked.
#[derive(Clone, Debug)]
pub struct Translated {
    /// The bytes of the module.
    pub module: Vec<u8>,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
}

pub fn translate(_: Vec<Input>, _: &Options) -> Result<Translated, Vec<Diagnostic>> {
    Err(Vec::new())
}
