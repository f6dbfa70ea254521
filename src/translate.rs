//! The translator in one call: LLVM IR and hints in, a module out.
//!
//! Puts the stages together and decides nothing itself.

use std::cell::RefCell;
use std::path::PathBuf;

use espb_format::signature::Signature;
use espb_hints::HintSet;

use crate::codegen::{self, ImportContracts, ImportMeta};
use crate::contracts::{self, Calls, Explanation, Import, infer};
use crate::diagnostic::{Diagnostic, Place, Severity};
pub use crate::ir::Input;
use crate::ir::{self, Module, Request};

/// What the user wants of the module.
#[derive(Clone, Debug)]
pub struct Options {
    /// Hints files, by ascending precedence.
    pub hints: Vec<PathBuf>,
    /// Whether what inference leaves uncertain is an error.
    pub strict: bool,
    /// Restricted functions that the program may call.
    pub allowed: Vec<String>,
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
    translate_explained(inputs, options).0
}

/// Translates, and says of each import what it means and why, even if the translation fails.
pub fn translate_explained(
    inputs: Vec<Input>,
    options: &Options,
) -> (Result<Translated, Vec<Diagnostic>>, Vec<Explanation>) {
    let explanations = RefCell::default();
    let outcome = stages(inputs, options, &explanations);
    (outcome, explanations.into_inner())
}

fn stages(
    inputs: Vec<Input>,
    options: &Options,
    explanations: &RefCell<Vec<Explanation>>,
) -> Result<Translated, Vec<Diagnostic>> {
    let hints = contracts::load(&options.hints)?;
    let roots = options.module.entry.iter().chain(&options.module.exports).cloned().collect();
    let read = ir::read_isolated(&Request { inputs, roots })?;
    let imports = DecidedImports {
        module: &read.module,
        hints: &hints,
        allowed: &options.allowed,
        doubts: RefCell::default(),
        explanations,
    };
    let module = codegen::generate(&read.module, &imports, &options.module)?;
    let mut doubts = imports.doubts.into_inner();
    if options.strict && !doubts.is_empty() {
        doubts.iter_mut().for_each(|doubt| doubt.severity = Severity::Error);
        return Err(doubts);
    }
    Ok(Translated { module, warnings: read.warnings.into_iter().chain(doubts).collect() })
}

/// Contracts from hints, or else from the program's own types and calls.
struct DecidedImports<'a> {
    module: &'a Module,
    hints: &'a HintSet,
    allowed: &'a [String],
    /// What a hint should settle.
    doubts: RefCell<Vec<Diagnostic>>,
    explanations: &'a RefCell<Vec<Explanation>>,
}

impl ImportContracts for DecidedImports<'_> {
    fn import(&self, name: &str, signature: &Signature) -> Result<ImportMeta, Diagnostic> {
        let signature_of = |ty: &_| codegen::signature(&self.module.types, ty);
        let declared = self.module.function_named(name);
        let calls = match declared {
            Some(id) => Calls::gather(self.module, id, &signature_of),
            // Not in the program: the translator itself calls it, for an intrinsic.
            None => Calls { place: Place::Function(name.to_owned()), pointers: Vec::new(), facts: Vec::new() },
        };
        let inferred = declared.and_then(|id| infer::infer(self.module, id, signature, &signature_of));
        let import = Import { name, signature, calls: &calls, inferred: inferred.as_ref() };
        let decision = contracts::decide(self.hints, import).inspect_err(|_| {
            self.explanations.borrow_mut().extend(contracts::explain_undecided(import));
        })?;
        contracts::demand_permission(import, &decision, self.allowed)?;
        let encoded = decision.contract.encode(signature).map_err(|error| {
            let help = "this is a fault of the hints that describe the function: see specs/contracts.md";
            Diagnostic::error("espb::contracts::unfit_hint", error.to_string(), calls.place.clone(), help)
        })?;
        self.doubts.borrow_mut().extend(contracts::doubt(import, &decision));
        let explanation = contracts::explain(import, &decision, &encoded);
        let evidence = explanation.evidence_line();
        self.explanations.borrow_mut().push(explanation);
        Ok(ImportMeta { marshal: encoded.immeta, callbacks: encoded.cbmeta, evidence })
    }
}
