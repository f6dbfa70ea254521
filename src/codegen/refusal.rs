//! What cannot be translated, as an error inside the stage and as the diagnostic that leaves it.
//!
//! Must never hold: a reason to go on; a refusal ends the function.

use crate::diagnostic::{Diagnostic, Place};
use crate::ir::{DebugLocation, Function, Global, Module};

/// Stable code of everything that valid IR may hold and this stage does not translate.
pub const UNSUPPORTED: &str = "espb::codegen::unsupported";
/// Stable code of a limit of the format that the program exceeds.
pub const TOO_LARGE: &str = "espb::codegen::too_large";

/// A construct that is refused, in the user's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Stable code.
    pub code: &'static str,
    /// What it is, e.g. "an integer of 128 bits".
    pub what: String,
    /// What to do instead.
    pub help: String,
}

impl Refusal {
    /// A construct that this stage does not translate.
    pub fn unsupported(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code: UNSUPPORTED, what: what.into(), help: help.into() }
    }

    /// A limit that is exceeded.
    pub fn too_large(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { code: TOO_LARGE, what: what.into(), help: help.into() }
    }

    /// The diagnostic, placed at the C line or else at the function.
    pub fn at(self, module: &Module, function: &Function, location: Option<DebugLocation>) -> Diagnostic {
        let location = location.or(function.debug.as_ref().and_then(|debug| debug.location));
        let place = location.and_then(|location| Some((module.files.get(location.file.0 as usize)?, location))).map_or(
            Place::Function(function.name.clone()),
            |(file, location)| Place::Line { file: file.name.clone(), line: location.line, column: location.column },
        );
        Diagnostic::error(self.code, format!("function {}: {}", function.name, self.what), place, self.help)
    }

    /// The diagnostic for the initial value of a variable, placed at its C line if that is known.
    pub fn at_variable(self, module: &Module, global: &Global) -> Diagnostic {
        let location = global.location.and_then(|(file, line)| Some((module.files.get(file.0 as usize)?, line)));
        let place =
            location.map_or(Place::None, |(file, line)| Place::Line { file: file.name.clone(), line, column: 0 });
        Diagnostic::error(self.code, format!("variable {}: {}", global.name, self.what), place, self.help)
    }

    /// The diagnostic where no function is concerned.
    pub fn anywhere(self) -> Diagnostic {
        Diagnostic::error(self.code, self.what, Place::None, self.help)
    }
}

/// Result of a step that may refuse.
pub type Lowered<T> = Result<T, Refusal>;
