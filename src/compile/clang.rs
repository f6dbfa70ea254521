//! Finding clang and running it.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use super::Outcome;
use crate::diagnostic::{Diagnostic, Place};

/// The newest clang that is looked for: its IR is the newest that the LLVM in `src/ir` reads.
const NEWEST: u32 = 22;
/// The oldest clang that is looked for: ESP-IDF 5.4 brings it.
const OLDEST: u32 = 18;
/// What a clang says that was built without this processor, or does not take the triple.
const UNKNOWN_TARGET: [&str; 3] = ["unknown target triple", "unable to create target", "unable to parse target"];

const INSTALL: &str = "install LLVM's clang (Debian: clang-22, else `idf_tools.py install esp-clang`) and put it on the PATH, \
                       or name it with --clang or CLANG";

/// Ways to call clang, the best first, each a program and its first arguments.
#[derive(Debug)]
pub struct Candidates {
    commands: Vec<Vec<String>>,
    /// What to say of a candidate that is not there; nothing if it was only a guess.
    asked_for_by: Option<&'static str>,
}

/// The clang that was asked for, that of `CC`, or what may be on the PATH.
pub fn candidates(asked_for: Option<&str>) -> Result<Candidates, Diagnostic> {
    let split = |text: &str, by| match shlex::split(text).filter(|words| !words.is_empty()) {
        Some(words) => Ok(Candidates { commands: vec![words], asked_for_by: Some(by) }),
        None => Err(no_clang(format!("{by} names no program: {text:?}"))),
    };
    if let Some(text) = asked_for {
        return split(text, "--clang or CLANG");
    }
    if let Some(text) = std::env::var("CC").ok().filter(|text| text.contains("clang")) {
        return split(&text, "CC");
    }
    let numbered = (OLDEST..=NEWEST).rev().map(|version| vec![format!("clang-{version}")]);
    Ok(Candidates { commands: numbered.chain([vec!["clang".to_owned()]]).collect(), asked_for_by: None })
}

fn no_clang(message: String) -> Diagnostic {
    Diagnostic::error("espb::compile::no_clang", message, Place::None, INSTALL)
}

/// Runs the first clang that is there, with the first triple that it takes.
pub fn run(
    candidates: &Candidates,
    triples: &[&str],
    arguments: &[OsString],
    source: &Path,
) -> Result<Outcome, Diagnostic> {
    for words in &candidates.commands {
        let Some((program, first)) = words.split_first() else { continue };
        let mut refused = None;
        for triple in triples {
            let target = OsString::from(format!("--target={triple}"));
            let all: Vec<OsString> =
                first.iter().map(OsString::from).chain([target]).chain(arguments.iter().cloned()).collect();
            let output = match Command::new(program).args(&all).output() {
                Ok(output) => output,
                Err(error) if error.kind() == ErrorKind::NotFound && candidates.asked_for_by.is_none() => break,
                Err(error) => {
                    let by = candidates.asked_for_by.unwrap_or("PATH");
                    return Err(no_clang(format!("cannot run {program}, which {by} names: {error}")));
                }
            };
            let command: Vec<OsString> = [OsString::from(program)].into_iter().chain(all).collect();
            let said = String::from_utf8_lossy(&output.stderr);
            let place = || Place::File(source.display().to_string());
            let result = if output.status.success() {
                Ok(())
            } else if UNKNOWN_TARGET.iter().any(|words| said.contains(words)) {
                let message = format!("{program} cannot compile for RISC-V");
                refused = Some(Outcome {
                    command,
                    messages: output.stderr.clone(),
                    result: Err(Diagnostic::error("espb::compile::no_riscv", message, place(), INSTALL)),
                });
                continue;
            } else {
                let message = format!("{program} could not compile it ({})", output.status);
                Err(Diagnostic::error("espb::compile::clang_failed", message, place(), remedy(&said)))
            };
            return Ok(Outcome { command, messages: output.stderr, result });
        }
        if let Some(outcome) = refused {
            return Ok(outcome);
        }
    }
    Err(no_clang(format!("there is no clang on the PATH (looked for clang-{NEWEST} to clang-{OLDEST} and clang)")))
}

/// What the user can do about clang's errors, as far as they are of a kind that this program has to do with.
fn remedy(said: &str) -> &'static str {
    if said.contains("file not found") {
        "say where headers are with `-- -I FOLDER`, or take the project's options with --compile-commands; with those, the \
         C library's headers are found by asking the project's compiler, which must be installed"
    } else if said.contains("in asm") {
        "headers for Xtensa contain its assembly: configure the project for a RISC-V chip (`idf.py set-target esp32c3`), the \
         module runs on all"
    } else {
        "correct what clang complains about above; -v shows its whole command line"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_clang_is_the_one_whose_ir_this_program_reads() {
        let manifest = include_str!("../../Cargo.toml");
        let version = manifest.split("llvm-sys = { version = \"").nth(1).and_then(|rest| rest.split('"').next());
        assert_eq!(version.and_then(|version| version.strip_suffix('1')), Some(NEWEST.to_string().as_str()));
    }
}
