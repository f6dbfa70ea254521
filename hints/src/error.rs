//! What is wrong in a hints file, and where.

use std::fmt;
use std::sync::Arc;

/// An error at a place of a hints file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HintError {
    /// The file, as the caller of the parser named it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl fmt::Display for HintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {} ({})", self.file, self.line, self.column, self.message, self.help)
    }
}

impl std::error::Error for HintError {}
