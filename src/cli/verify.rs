//! `espb verify`: whether a device would accept a module.

use std::path::PathBuf;

use clap::Args;
use espb_format::container::Module;
use espb_format::error::FormatError;
use espb_format::verifier::{self, Verified};
use espb_slots::Seal;
use serde_json::json;

use super::exit::Exit;
use super::files;
use super::report::Reporter;
use crate::diagnostic::{Diagnostic, Place};

/// Check modules as a device does before it runs them
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Modules to check
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Runs the command.
pub fn run(args: &VerifyArgs, reporter: Reporter) -> Exit {
    let mut exit = Exit::Success;
    for path in &args.files {
        let name = path.display().to_string();
        let checked = files::read(path).and_then(|bytes| {
            verify(&name, Seal::split(&bytes).0)
                .map(|module| (module.function_count(), module.import_count(), bytes.len()))
        });
        match checked {
            Ok((functions, imports, size)) if reporter.is_json() => {
                reporter.object(&json!({ "reason": "verified", "file": name, "bytes": size, "functions": functions, "imports": imports }));
            }
            Ok((functions, imports, size)) => {
                reporter.talk(&format!("{name}: accepted ({size} bytes, {functions} functions, {imports} imports)"))
            }
            Err(diagnostic) => exit = reporter.refuse(&diagnostic),
        }
    }
    exit
}

/// Parses and verifies a module; the refusal as a diagnostic about `file`.
pub fn verify<'a>(file: &str, bytes: &'a [u8]) -> Result<Verified<'a>, Diagnostic> {
    let refuse = |code, error: FormatError| {
        let place = Place::Offset { file: file.to_string(), offset: error.offset };
        Diagnostic::error(
            code,
            error.reason.text(),
            place,
            "build the module again with `espb build`, or transfer it again",
        )
    };
    let module = Module::parse(bytes).map_err(|error| refuse("espb::verify::structure", error))?;
    verifier::verify(&module).map_err(|error| refuse("espb::verify::code", error))
}
