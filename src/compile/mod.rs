//! C and C++ to LLVM IR: the command line that clang gets, and the run of it.
//!
//! Knows the options of compilers, never what is in the IR; prints nothing.

mod clang;
mod database;
mod headers;
mod rewrite;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Place};

/// What clang is told of the processor, beside the triple: a module is made for the plainest core that has atomics.
const MACHINE: [&str; 2] = ["-march=rv32imac", "-mabi=ilp32"];
/// Triples for the same machine; the second is for a clang that does not take the first.
const TRIPLES: [&str; 2] = ["riscv32-esp-elf", "riscv32-unknown-elf"];
/// Unless something else is asked for: small code.
const OPTIMISATION: &str = "-Os";
/// A module has no unwinder (docs/cpp.md).
const CPP: [&str; 2] = ["-fno-exceptions", "-fno-rtti"];
/// Code that was written for gcc names warnings, attributes and options of gcc; that is not worth a message.
const FOR_GCC: [&str; 3] =
    ["-Wno-unknown-warning-option", "-Wno-unknown-attributes", "-Wno-unused-command-line-argument"];

/// One file to compile.
#[derive(Debug)]
pub struct Request {
    /// The C or C++ file. Debug information names it by this path.
    pub source: PathBuf,
    /// The file to write: bitcode if its name ends in `.bc`, text otherwise.
    pub output: PathBuf,
    /// Where the source's own command is.
    pub database: Option<Database>,
    /// The clang that was asked for, as a shell would split it.
    pub clang: Option<String>,
    /// Rule for make about the headers that were read.
    pub depfile: Option<Depfile>,
    /// Options for clang, behind and so over all others.
    pub options: Vec<String>,
    /// Whether clang colours its messages.
    pub colour: bool,
}

/// A compilation database.
#[derive(Debug)]
pub struct Database {
    /// `compile_commands.json`.
    pub file: PathBuf,
    /// The file in it whose command is used, if not that of the source.
    pub like: Option<PathBuf>,
}

/// Where the rule for make goes; what is left out is clang's choice: beside the output, for the output.
#[derive(Debug)]
pub struct Depfile {
    /// The file with the rule.
    pub file: Option<PathBuf>,
    /// The target of the rule.
    pub target: Option<String>,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The command line that ran last; empty if none could.
    pub command: Vec<OsString>,
    /// What clang wrote to stderr.
    pub messages: Vec<u8>,
    /// Whether the output is there.
    pub result: Result<(), Diagnostic>,
}

/// Compiles one file to LLVM IR.
pub fn compile(request: &Request) -> Outcome {
    let run = arguments(request).and_then(|arguments| {
        let clangs = clang::candidates(request.clang.as_deref())?;
        clang::run(&clangs, &TRIPLES, &arguments, &request.source)
    });
    run.unwrap_or_else(|error| Outcome { command: Vec::new(), messages: Vec::new(), result: Err(error) })
}

/// Everything that clang is told but the triple.
fn arguments(request: &Request) -> Result<Vec<OsString>, Diagnostic> {
    let cpp = is_cpp(&request.source)?;
    let mut options: Vec<OsString> = MACHINE.iter().chain(&["-g", OPTIMISATION]).map(OsString::from).collect();
    if cpp {
        options.extend(CPP.map(OsString::from));
    }
    if let Some(database) = &request.database {
        let command = database::find(&database.file, database.like.as_ref().unwrap_or(&request.source))?;
        options.extend(FOR_GCC.map(OsString::from));
        options.extend(rewrite::for_clang(&command));
        for folder in headers::of_compiler(&command, cpp) {
            options.extend(["-isystem".into(), folder.into()]);
        }
    }
    if request.colour {
        options.push("-fcolor-diagnostics".into());
    }
    if let Some(depfile) = &request.depfile {
        // With an empty rule for each header, so that a deleted one is no error.
        options.extend(["-MMD", "-MP"].map(OsString::from));
        depfile.file.iter().for_each(|file| options.extend(["-MF".into(), file.into()]));
        depfile.target.iter().for_each(|target| options.extend(["-MT".into(), target.into()]));
    }
    let bitcode = request.output.extension().is_some_and(|extension| extension == "bc");
    options.extend([if bitcode { "-c" } else { "-S" }, "-emit-llvm"].map(OsString::from));
    options.extend(request.options.iter().map(OsString::from));
    options.extend(["-o".into(), request.output.clone().into(), request.source.clone().into()]);
    Ok(options)
}

/// Whether a file is C++ and not C, by its name as compilers do it.
fn is_cpp(source: &Path) -> Result<bool, Diagnostic> {
    match source.extension().and_then(|extension| extension.to_str()) {
        Some("c" | "i") => Ok(false),
        Some("cc" | "cpp" | "cxx" | "c++" | "cp" | "CPP" | "C" | "ii") => Ok(true),
        _ => Err(Diagnostic::error(
            "espb::compile::not_c",
            "this is neither C nor C++ by its name",
            Place::File(source.display().to_string()),
            "name a file that ends in .c, .cc, .cpp or .cxx; assembly cannot become a module",
        )),
    }
}
