//! What went wrong, where, and what to do about it: the one error type of every stage.
//!
//! A stage returns `Diagnostic`s; only `cli` renders them. Codes are stable: `espb::stage::name`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// Where a diagnostic points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// A file as a whole.
    File(String),
    /// A line of a text file (C source, IR text, hints). Line and column count from 1; column 0 means the whole line.
    Line { file: String, line: u32, column: u32 },
    /// A byte offset in a binary file.
    Offset { file: String, offset: u32 },
    /// A function of the IR that carries no source line.
    Function(String),
    /// No place, e.g. a fault of the command line's combination of options.
    None,
}

/// A stable code of a diagnostic: `espb::stage::name`.
pub type Code = &'static str;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Severity {
    /// Nothing is produced.
    Error,
    /// Something is produced, but the user should look.
    Warning,
}

/// One thing to tell the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Stable code, e.g. `espb::contracts::unknown_import`.
    #[serde(deserialize_with = "code")]
    pub code: Code,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where.
    pub place: Place,
    /// What the user can do about it.
    pub help: String,
}

/// A code that came from another process. Codes are few and short, and last as long as this process.
fn code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
    String::deserialize(deserializer).map(|code| &*code.leak())
}

impl Diagnostic {
    /// An error at `place`.
    pub fn error(code: Code, message: impl Into<String>, place: Place, help: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, message: message.into(), place, help: help.into() }
    }

    /// A warning at `place`.
    pub fn warning(code: Code, message: impl Into<String>, place: Place, help: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message, place, help) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(file) => write!(f, "{file}"),
            Place::Line { file, line, column: 0 } => write!(f, "{file}:{line}"),
            Place::Line { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Place::Offset { file, offset } => write!(f, "{file} at offset {offset:#x}"),
            Place::Function(name) => write!(f, "function {name}"),
            Place::None => Ok(()),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}
