//! The module side: `espb build`, `espb inspect`, `espb run`, as a user calls them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::case::Case;
use crate::root;

/// A module that was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// The file.
    pub path: PathBuf,
    /// Wall time of `espb build`.
    pub time: Duration,
    /// Bytes of its code section.
    pub code: u64,
    /// The text of this IR was refused with the advice to pass bitcode.
    pub text_refused: bool,
}

impl Built {
    /// The module.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.path).map_err(|error| format!("{}: {error}", self.path.display()))
    }
}

/// The translator's answer where it makes no module.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Code and message of each error; empty if it gave none.
    pub errors: Vec<(String, String)>,
    /// The first error with its place.
    pub first: String,
    /// What to do about the first.
    help: String,
}

impl Refusal {
    /// Whether it is about the syntax of text, and says what to pass instead.
    pub fn advises_bitcode(&self) -> bool {
        self.errors.iter().all(|(code, _)| code == "espb::ir::syntax") && self.help.contains(".bc")
    }
}

/// What a run left.
#[derive(Clone, Debug)]
pub struct ModuleRun {
    /// Everything the module printed.
    pub stdout: Vec<u8>,
    /// The exit code of `espb run`.
    pub exit: i32,
    /// Machine instructions of the whole chip from the start of the entry to its end.
    pub instructions: u64,
    /// Instructions of the module.
    pub vm_instructions: u64,
    /// Errors that were reported, such as a trap.
    pub complaints: Vec<String>,
}

/// Translates a case's IR to a module of this name.
pub fn build(case: &Case, ir: &[PathBuf], folder: &Path, name: &str) -> Result<Built, Refusal> {
    let path = folder.join(name).with_extension("espb");
    // A module that an earlier run left must not be taken for this one's.
    let _ = std::fs::remove_file(&path);
    let start = Instant::now();
    let mut command = espb("build");
    let output =
        run(command.args(ir).args(["--entry", case.program.entry]).args(&case.program.build).arg("-o").arg(&path));
    let time = start.elapsed();
    if output.code != 0 {
        return Err(output.refusal());
    }
    let sections = run(espb("inspect").arg(&path));
    let listed = sections.objects.iter().find(|object| object["reason"] == "sections");
    let code = listed.and_then(|object| {
        object["sections"].as_array()?.iter().find(|section| section["name"] == "code")?["bytes"].as_u64()
    });
    match code {
        Some(code) => Ok(Built { path, time, code, text_refused: false }),
        None => Err(sections.refusal()),
    }
}

/// Runs a module in the firmware.
pub fn run_module(built: &Built) -> ModuleRun {
    let mut command = espb("run");
    let output = run(command.args(["--emulate", "esp32c3", "--stats", "--timeout", "300s"]).arg(&built.path));
    let texts = output
        .objects
        .iter()
        .filter(|object| object["reason"] == "output")
        .filter_map(|object| object["text"].as_str());
    let stats = output.objects.iter().find(|object| object["reason"] == "stats");
    let figure = |pointer: &str| stats.and_then(|stats| stats.pointer(pointer)?.as_u64()).unwrap_or(0);
    ModuleRun {
        stdout: texts.collect::<String>().into_bytes(),
        exit: output.code,
        instructions: figure("/instructions/call"),
        vm_instructions: figure("/vm_instructions"),
        complaints: output.complaints(),
    }
}

struct Output {
    code: i32,
    objects: Vec<Value>,
    rest: String,
}

fn espb(command: &str) -> Command {
    let mut process = Command::new(env!("CARGO_BIN_EXE_espb"));
    process.args([command, "--message-format", "json"]).current_dir(root());
    process
}

fn run(command: &mut Command) -> Output {
    match command.output() {
        Ok(output) => {
            let stdout = String::from_utf8_lossy(&output.stdout);
            Output {
                code: output.status.code().unwrap_or(-1),
                objects: stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect(),
                rest: String::from_utf8_lossy(&output.stderr).into_owned(),
            }
        }
        Err(error) => Output { code: -1, objects: Vec::new(), rest: format!("{command:?}: {error}") },
    }
}

impl Output {
    fn errors(&self) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(|object| object["reason"] == "diagnostic" && object["severity"] == "error")
    }

    fn complaints(&self) -> Vec<String> {
        let shown = self.errors().map(|error| {
            let place = [&error["file"], &error["line"], &error["function"]];
            let place: Vec<String> = place.iter().filter(|part| !part.is_null()).map(|part| part.to_string()).collect();
            format!("{}: {} ({})", text(&error["code"]), text(&error["message"]), place.join(" "))
        });
        shown.chain((!self.rest.is_empty()).then(|| self.rest.clone())).collect()
    }

    fn refusal(&self) -> Refusal {
        let errors = self.errors().map(|error| (text(&error["code"]), text(&error["message"]))).collect();
        let help = self.errors().next().map_or_else(String::new, |error| text(&error["help"]));
        let first =
            self.complaints().into_iter().next().unwrap_or_else(|| format!("exit code {} without a reason", self.code));
        Refusal { errors, first, help }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
