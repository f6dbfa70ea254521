//! `espb sign`: gives a module a version, a floor and a signature.

use std::path::PathBuf;

use clap::Args;
use ed25519_dalek::Signer;
use espb_slots::Seal;
use serde_json::json;

use super::exit::Exit;
use super::files;
use super::key;
use super::report::Reporter;
use super::verify::verify;
use crate::diagnostic::Diagnostic;

/// Give a module a version and a signature, which devices with a key ask for
#[derive(Debug, Args)]
pub struct SignArgs {
    /// The module; a seal that it has is replaced
    #[arg(value_name = "MODULE")]
    module: PathBuf,
    /// The sealed module to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Ed25519 private key (PEM); without it the module gets a version but no signature
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Version of the module
    #[arg(long = "module-version", value_name = "N", default_value_t = 0)]
    version: u32,
    /// Once this module is confirmed, its device takes none with a version below this
    #[arg(long, value_name = "N", default_value_t = 0)]
    floor: u32,
}

/// Runs the command.
pub fn run(args: &SignArgs, reporter: Reporter) -> Exit {
    if args.floor > args.version {
        reporter.talk("error: the floor cannot be above the module's own version");
        return Exit::Usage;
    }
    match sign(args, reporter) {
        Ok(()) => Exit::Success,
        Err(diagnostic) => reporter.refuse(&diagnostic),
    }
}

fn sign(args: &SignArgs, reporter: Reporter) -> Result<(), Diagnostic> {
    let file = files::read(&args.module)?;
    let (module, _) = Seal::split(&file);
    verify(&args.module.display().to_string(), module)?;
    let mut seal = Seal { version: args.version, floor: args.floor, signature: None };
    if let Some(path) = &args.key {
        let key = key::read_private(path)?;
        seal.signature = Some(key.sign(&seal.signed_bytes(module)).to_bytes());
    }
    files::write(&args.output, &[module, &seal.encode()].concat())?;
    if reporter.is_json() {
        reporter.object(&json!({
            "reason": "sealed", "file": args.output.display().to_string(), "version": seal.version, "floor": seal.floor,
            "signed": seal.signature.is_some(),
        }));
    }
    Ok(())
}
