//! `espb cc`: C or C++ in, LLVM IR out.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::files;
use super::report::{self, Reporter};
use crate::compile::{self, Database, Depfile, Outcome, Request};

/// Compile C or C++ to LLVM IR with clang, the way an ESP-IDF project compiles it
#[derive(Debug, Args)]
pub struct CcArgs {
    /// The C or C++ file
    source: PathBuf,
    /// The LLVM IR to write: text, or bitcode if the name ends in .bc
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    clang: ClangArgs,
    /// Write a depfile for make, with the headers that were read (-MMD)
    #[arg(long = "MMD")]
    depfile: bool,
    /// Name of the depfile; otherwise the output's with .d (-MF)
    #[arg(long = "MF", value_name = "FILE", requires = "depfile")]
    depfile_name: Option<PathBuf>,
    /// Target in the depfile; otherwise the output (-MT)
    #[arg(long = "MT", value_name = "TARGET", requires = "depfile")]
    depfile_target: Option<String>,
    /// Show clang's command line
    #[arg(short, long)]
    verbose: bool,
}

/// How a C or C++ file is compiled.
#[derive(Debug, Args)]
pub struct ClangArgs {
    /// Take the file's options from this compilation database (build/compile_commands.json)
    #[arg(long, value_name = "JSON")]
    compile_commands: Option<PathBuf>,
    /// Take the options of this file instead, for one that is not in the database
    #[arg(long, value_name = "FILE", requires = "compile_commands")]
    like: Option<PathBuf>,
    /// The clang to use; otherwise CC if that is a clang, else the newest fit one on the PATH
    #[arg(long, value_name = "COMMAND", env = "CLANG")]
    clang: Option<String>,
    /// Options for clang, over all others
    #[arg(last = true, value_name = "CLANG OPTIONS")]
    options: Vec<String>,
}

impl ClangArgs {
    /// What to compile, and how.
    pub fn request(&self, source: &Path, output: &Path, depfile: Option<Depfile>, reporter: Reporter) -> Request {
        Request {
            source: source.into(),
            output: output.into(),
            database: self.compile_commands.clone().map(|file| Database { file, like: self.like.clone() }),
            clang: self.clang.clone(),
            depfile,
            options: self.options.clone(),
            colour: !reporter.is_json() && report::colour(),
        }
    }
}

/// Runs the command.
pub fn run(args: &CcArgs, reporter: Reporter) -> Exit {
    if let Err(error) = files::keep_input(&args.source, &args.output) {
        return reporter.refuse(&error);
    }
    let depfile =
        args.depfile.then(|| Depfile { file: args.depfile_name.clone(), target: args.depfile_target.clone() });
    let request = args.clang.request(&args.source, &args.output, depfile, reporter);
    let Outcome { command, messages, result } = compile::compile(&request);
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    if args.verbose && !command.is_empty() {
        reporter.talk(&shlex::Quoter::new().allow_nul(true).join(words.iter().map(AsRef::as_ref)).unwrap_or_default());
    }
    relay(&messages, reporter);
    match result {
        Ok(()) => {
            if reporter.is_json() {
                reporter.object(
                    &json!({ "reason": "compiled", "file": args.output.display().to_string(), "command": words }),
                );
            }
            Exit::Success
        }
        Err(error) => reporter.refuse(&error),
    }
}

/// Passes on what clang said.
pub fn relay(messages: &[u8], reporter: Reporter) {
    if reporter.is_json() && !messages.is_empty() {
        reporter.object(&json!({ "reason": "compiler-output", "text": String::from_utf8_lossy(messages) }));
    } else {
        reporter.relay(messages);
    }
}

/// Gives `-MMD`, `-MF` and `-MT` the second hyphen that options of more than one letter have here. Makefiles write them as
/// every C compiler takes them; a value may follow without a space, as there.
pub fn depfile_options(words: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let mut ours = true;
    words.map(move |word| {
        ours &= word != "--";
        let text = word.to_str().filter(|_| ours).unwrap_or_default();
        match text {
            "-MMD" | "-MF" | "-MT" => format!("-{text}").into(),
            _ => match text.split_at_checked(3) {
                Some((option @ ("-MF" | "-MT"), value)) => format!("-{option}={value}").into(),
                _ => word,
            },
        }
    })
}
