//! From files to the plain IR: parse, check, link, normalise, convert.
//!
//! Must never hold: LLVM calls; those are in `llvm`.

mod convert;
mod input;
mod isolated;
mod link;
mod normalise;
mod runtime;
#[cfg(test)]
mod tests;

pub use input::Input;
pub use isolated::{STAGE_COMMAND, read_isolated, run_stage};

use super::Module;
use super::llvm::Context;
use crate::diagnostic::{Diagnostic, Place, Severity};
use serde::{Deserialize, Serialize};

/// What to read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// IR of any kind, text and bitcode mixed; linked in this order.
    pub inputs: Vec<Input>,
    /// The definitions that stay visible from outside (entry, exports); everything they don't reach is dropped.
    /// When empty, every external definition stays.
    pub roots: Vec<String>,
}

impl Request {
    /// The inputs as a whole.
    fn place(&self) -> Place {
        match self.inputs.as_slice() {
            [] => Place::None,
            inputs => Place::File(inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>().join(", ")),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The linked program.
    pub module: Module,
    /// What the user should look at although it worked.
    pub warnings: Vec<Diagnostic>,
}

/// Reads and links in this process. LLVM may end the process on broken input: see [`read_isolated`].
///
/// # Errors
/// Everything found wrong, each with place and remedy: input that is no IR for this target, symbols defined twice or
/// missing, and constructs the plain IR cannot express.
pub fn read(request: &Request) -> Result<Output, Vec<Diagnostic>> {
    let context = Context::new();
    let mut diagnostics = Vec::new();
    let mut parsed = Vec::new();
    for input in &request.inputs {
        match input::parse(&context, input, &mut diagnostics) {
            Ok(module) => parsed.push((input.name.as_str(), module)),
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    let mut warnings = stop_at_errors(diagnostics)?;
    let mut linked = link::link(&context, parsed, &mut warnings)?;
    link::check_roots(&linked, &request.roots, &request.place())?;
    normalise::register_destructors(&mut linked).map_err(|diagnostic| vec![diagnostic])?;
    runtime::link(&context, &mut linked).map_err(|diagnostic| vec![diagnostic])?;
    normalise::normalise(&mut linked, &request.roots).map_err(|diagnostic| vec![diagnostic])?;
    let module = convert::convert(&linked)?;
    Ok(Output { module, warnings })
}

/// The diagnostics back if all are warnings, else an error with all of them.
fn stop_at_errors(diagnostics: Vec<Diagnostic>) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        Err(diagnostics)
    } else {
        Ok(diagnostics)
    }
}
