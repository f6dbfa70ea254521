//! `espb build`: LLVM IR in, a module out.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::explain;
use super::files;
use super::report::Reporter;
use super::size::ByteSize;
use crate::codegen;
use crate::contracts::Explanation;
use crate::diagnostic::Diagnostic;
use crate::translate::{self, Input, Options};

/// Translate LLVM IR (.ll, .bc) to a module
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// LLVM IR files, text or bitcode, linked together
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// The module to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    options: TranslateArgs,
    /// Write a depfile for make: the module depends on its inputs, hints and project file
    #[arg(long, value_name = "FILE")]
    depfile: Option<PathBuf>,
    /// Show what each argument of each host function means, and why
    #[arg(long)]
    explain: bool,
}

/// What `build` and `run` ask of the translator.
#[derive(Debug, Args)]
#[command(next_help_heading = "Translation")]
pub struct TranslateArgs {
    /// Function to start with
    #[arg(long, value_name = "NAME", default_value = codegen::DEFAULT_ENTRY)]
    entry: String,
    /// Make a module without entry, of exports only
    #[arg(long, conflicts_with = "entry", requires = "exports")]
    no_entry: bool,
    /// Function that can be called by name (repeatable)
    #[arg(long = "export", value_name = "NAME")]
    exports: Vec<String>,
    /// Contracts of host functions, over the built-in ones (repeatable)
    #[arg(long = "hints", value_name = "FILE")]
    hints: Vec<PathBuf>,
    /// Refuse what the translator had to leave uncertain without a hint
    #[arg(long)]
    strict: bool,
    /// Function that affects the whole device and that the program may call all the same, e.g. esp_restart (repeatable)
    #[arg(long = "allow", value_name = "NAME")]
    allow: Vec<String>,
    /// Linear stack of the entry, e.g. 8K
    #[arg(long, value_name = "SIZE", default_value_t = ByteSize::from(codegen::DEFAULT_STACK))]
    stack: ByteSize,
    /// Register frames of each task
    #[arg(long, value_name = "SIZE", default_value_t = ByteSize::from(codegen::DEFAULT_SHADOW_STACK))]
    shadow_stack: ByteSize,
    /// Heap: the least it needs, and the most it uses if that is less than what there is
    #[arg(long, value_name = "MIN[:MAX]", default_value_t = Heap::default())]
    heap: Heap,
    /// Leave out names, lines and the reasons of contracts
    #[arg(long)]
    strip: bool,
    /// The project file that gave the defaults
    #[arg(long, value_name = "FILE", hide = true)]
    project: Option<PathBuf>,
}

/// A least heap and, behind a colon, perhaps a greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heap {
    min: ByteSize,
    max: Option<ByteSize>,
}

impl Default for Heap {
    fn default() -> Self {
        Self { min: codegen::DEFAULT_HEAP_MIN.into(), max: None }
    }
}

impl FromStr for Heap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((min, max)) = text.split_once(':') else { return Ok(Self { min: text.parse()?, max: None }) };
        let (min, max): (ByteSize, ByteSize) = (min.parse()?, max.parse()?);
        if max < min { Err("the most is less than the least".into()) } else { Ok(Self { min, max: Some(max) }) }
    }
}

impl fmt::Display for Heap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max {
            Some(max) => write!(f, "{}:{max}", self.min),
            None => write!(f, "{}", self.min),
        }
    }
}

/// A module and how it came about.
pub struct Built {
    /// The module's bytes.
    pub module: Vec<u8>,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
}

/// What the host functions of a program mean, and why.
pub type Explanations = Vec<Explanation>;

impl TranslateArgs {
    /// The restricted functions that the program may call.
    pub fn allowed(&self) -> &[String] {
        &self.allow
    }

    /// Reads inputs and hints and translates them.
    pub fn translate(&self, inputs: &[PathBuf]) -> Result<Built, Vec<Diagnostic>> {
        self.translate_explained(inputs).0
    }

    /// The same, with the contracts as far as they were decided.
    pub fn translate_explained(&self, inputs: &[PathBuf]) -> (Result<Built, Vec<Diagnostic>>, Explanations) {
        let read = |path: &PathBuf| files::read(path).map(|bytes| Input { name: path.display().to_string(), bytes });
        let sources = match inputs.iter().map(read).collect::<Result<Vec<_>, _>>() {
            Ok(sources) => sources,
            Err(error) => return (Err(vec![error]), Vec::new()),
        };
        let module = codegen::Options {
            entry: (!self.no_entry).then(|| self.entry.clone()),
            exports: self.exports.clone(),
            stack: self.stack.bytes(),
            shadow_stack: self.shadow_stack.bytes(),
            heap_min: self.heap.min.bytes(),
            heap_max: self.heap.max.map_or(u32::MAX, ByteSize::bytes),
            strip: self.strip,
        };
        let (hints, allowed) = (self.hints.clone(), self.allow.clone());
        let options = Options { hints, strict: self.strict, allowed, module };
        let (outcome, explanations) = translate::translate_explained(sources, &options);
        (outcome.map(|done| Built { module: done.module, warnings: done.warnings }), explanations)
    }

    /// The files beside the inputs that the module depends on.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.hints.iter().chain(&self.project)
    }
}

/// Runs the command.
pub fn run(args: &BuildArgs, reporter: Reporter) -> Exit {
    match build(args, reporter) {
        Ok(built) => {
            reporter.diagnostics(&built.warnings);
            if reporter.is_json() {
                reporter.object(&json!({ "reason": "built", "file": args.output.display().to_string(), "bytes": built.module.len() }));
            }
            Exit::Success
        }
        Err(diagnostics) => {
            reporter.diagnostics(&diagnostics);
            Exit::Input
        }
    }
}

fn build(args: &BuildArgs, reporter: Reporter) -> Result<Built, Vec<Diagnostic>> {
    for input in &args.inputs {
        files::keep_input(input, &args.output).map_err(|error| vec![error])?;
    }
    let (outcome, explanations) = args.options.translate_explained(&args.inputs);
    let show = args.explain && (outcome.is_ok() || !explanations.is_empty());
    if show && reporter.is_json() {
        explain::objects(&explanations).iter().for_each(|object| reporter.object(object));
    } else if show {
        reporter.bytes(explain::text(&explanations).as_bytes());
    }
    let built = outcome?;
    files::write(&args.output, &built.module).map_err(|error| vec![error])?;
    if let Some(depfile) = &args.depfile {
        let rule = depfile_rule(&args.output, args.inputs.iter().chain(args.options.files()));
        files::write(depfile, rule.as_bytes()).map_err(|error| vec![error])?;
    }
    Ok(built)
}

/// A make rule without recipe, and an empty rule for each prerequisite so that a deleted one is no error.
fn depfile_rule<'a>(output: &Path, inputs: impl Iterator<Item = &'a PathBuf>) -> String {
    let escape = |path: &Path| path.display().to_string().replace('$', "$$").replace('#', "\\#").replace(' ', "\\ ");
    let inputs: Vec<String> = inputs.map(|input| escape(input)).collect();
    let mut rule = format!("{}: {}\n", escape(output), inputs.join(" "));
    for input in &inputs {
        rule += &format!("{input}:\n");
    }
    rule
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_depfile_names_every_input_once_as_prerequisite_and_once_as_empty_rule() {
        let inputs = [PathBuf::from("a b.ll"), PathBuf::from("c.hints")];
        assert_eq!(
            depfile_rule(Path::new("out.espb"), inputs.iter()),
            "out.espb: a\\ b.ll c.hints\na\\ b.ll:\nc.hints:\n"
        );
    }

    #[test]
    fn a_heap_has_a_least_and_perhaps_a_most() {
        let bytes = |text: &str| text.parse::<Heap>().map(|heap| (heap.min.bytes(), heap.max.map(ByteSize::bytes)));
        assert_eq!(bytes("4K"), Ok((4096, None)));
        assert_eq!(bytes("100:2K"), Ok((100, Some(2048))));
        assert!(bytes("2K:100").is_err());
        assert!(bytes("").is_err());
    }
}
