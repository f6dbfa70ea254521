//! The translator in one call: LLVM IR and hints in, a module out.
//!
//! Puts the stages together and decides nothing itself.

use std::path::PathBuf;

use espb_format::signature::Signature;
use espb_hints::HintSet;

use crate::codegen::{self, ImportContracts, ImportMeta};
use crate::contracts::{self, Calls, Import};
use crate::diagnostic::{Diagnostic, Place};
pub use crate::ir::Input;
use crate::ir::{self, Module, Request};

/// What the user wants of the module.
#[derive(Clone, Debug)]
pub struct Options {
    /// Hints files, by ascending precedence.
    pub hints: Vec<PathBuf>,
    /// Entry, exports and memory.
    pub module: codegen::Options,
}

/// A module and what the user should look at although it worked.
#[derive(Clone, Debug)]
pub struct Translated {
    /// The bytes of the module.
    pub module: Vec<u8>,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
}

/// Translates. LLVM runs in a child process of this program: `main` must begin as [`ir::read_isolated`] asks.
///
/// # Errors
/// Everything that is wrong with inputs and hints, each with place and remedy.
pub fn translate(inputs: Vec<Input>, options: &Options) -> Result<Translated, Vec<Diagnostic>> {
    let hints = contracts::load(&options.hints)?;
    let roots = options.module.entry.iter().chain(&options.module.exports).cloned().collect();
    let read = ir::read_isolated(&Request { inputs, roots })?;
    let imports = HintedImports { module: &read.module, hints: &hints };
    let module = codegen::generate(&read.module, &imports, &options.module)?;
    Ok(Translated { module, warnings: read.warnings })
}

/// Contracts from hints and from the program's own calls.
struct HintedImports<'a> {
    module: &'a Module,
    hints: &'a HintSet,
}

impl ImportContracts for HintedImports<'_> {
    fn import(&self, name: &str, signature: &Signature) -> Result<ImportMeta, Diagnostic> {
        let calls = match self.module.function_named(name) {
            Some(id) => Calls::gather(self.module, id, &|ty| codegen::signature(&self.module.types, ty)),
            // Not in the program: the translator itself calls it, for an intrinsic.
            None => Calls { place: Place::Function(name.to_owned()), pointers: Vec::new(), facts: Vec::new() },
        };
        let decision = contracts::decide(self.hints, Import { name, signature, calls: &calls })?;
        let encoded = decision.contract.encode(signature).map_err(|error| {
            let help = "this is a fault of the hints that describe the function: see specs/contracts.md";
            Diagnostic::error("espb::contracts::unfit_hint", error.to_string(), calls.place.clone(), help)
        })?;
        Ok(ImportMeta { marshal: encoded.immeta, callbacks: encoded.cbmeta })
    }
}
