//! `espb watch`: builds and pushes a program each time one of its files changes, the console running on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use espb_format::container::Module;
use espb_link::InstanceId;
use serde_json::json;

use super::build::TranslateArgs;
use super::exit::Exit;
use super::image::ModuleFile;
use super::link::LinkArgs;
use super::push::into_ram;
use super::report::Reporter;
use crate::device::client::Message;
use crate::device::dialogue::{Dialogue, Trouble};
use crate::device::trap;
use crate::diagnostic::{Diagnostic, Place};

/// How long one wait for the device is, between two looks at the file.
const LOOK: Duration = Duration::from_millis(50);

/// Build and push a program each time its source changes; its console runs on
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// C source, compiled by --compile, or LLVM IR
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    link: LinkArgs,
    /// Compiles C: called with the source and the file to write LLVM IR to, like fixtures/compile
    #[arg(long, value_name = "COMMAND", default_value = "fixtures/compile")]
    compile: PathBuf,
    /// End after so many pushes
    #[arg(long, value_name = "N")]
    pushes: Option<u32>,
    #[command(flatten)]
    translation: TranslateArgs,
}

/// Runs the command.
pub fn run(args: &WatchArgs, reporter: Reporter) -> Exit {
    args.link.talk(reporter, |dialogue| watch(args, dialogue, reporter))
}

fn watch(args: &WatchArgs, dialogue: &mut Dialogue<'_, '_>, reporter: Reporter) -> Result<Exit, Trouble> {
    let mut seen = None;
    let mut running: Option<(InstanceId, Vec<u8>)> = None;
    let mut pushes = 0;
    loop {
        let changed = changed_at(&args.file);
        if changed.is_some() && changed != seen {
            seen = changed;
            let began = Instant::now();
            match build(args, reporter) {
                Ok(file) => {
                    if let Some((instance, _)) = running.take() {
                        dialogue.stop(instance)?;
                    }
                    match into_ram(&file, &[], dialogue, reporter) {
                        Ok(instance) => {
                            told(&file, instance, began.elapsed(), reporter);
                            running = Some((instance, file.bytes));
                        }
                        Err(Trouble::Refused(refused)) => reporter.talk(&format!("refused: {}", refused.reason)),
                        Err(other) => return Err(other),
                    }
                    pushes += 1;
                    if args.pushes.is_some_and(|most| pushes >= most) {
                        return Ok(Exit::Success);
                    }
                }
                // The program that runs goes on; the next change is another try.
                Err(diagnostics) => reporter.diagnostics(&diagnostics),
            }
        }
        if let Some(Message::Trapped { instance, trap, .. }) = dialogue.next(Some(LOOK))?
            && let Some((_, module)) = running.take_if(|(current, _)| *current == instance)
            && let Ok(module) = Module::parse(&module)
        {
            reporter.diagnostic(&trap::diagnostic(&trap, &module));
        }
    }
}

fn told(file: &ModuleFile, instance: InstanceId, took: Duration, reporter: Reporter) {
    let milliseconds = took.as_millis() as u64;
    if reporter.is_json() {
        reporter.object(&json!({
            "reason": "pushed", "name": file.name, "bytes": file.bytes.len(), "instance": instance.0, "slot": null,
            "milliseconds": milliseconds,
        }));
    } else {
        reporter.talk(&format!("[{} runs as instance {} after {milliseconds} ms]", file.name, instance.0));
    }
}

fn changed_at(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}

fn build(args: &WatchArgs, reporter: Reporter) -> Result<ModuleFile, Vec<Diagnostic>> {
    let is_ir = args.file.extension().is_some_and(|extension| extension == "ll" || extension == "bc");
    let folder = tempfile::tempdir().map_err(|error| {
        let message = format!("no temporary folder: {error}");
        vec![Diagnostic::error("espb::watch::folder", message, Place::None, "make TMPDIR writable")]
    })?;
    let ir = if is_ir { args.file.clone() } else { compile(args, &folder.path().join("module.ll"))? };
    let built = args.translation.translate(&[ir])?;
    reporter.diagnostics(&built.warnings);
    let name = args.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(ModuleFile { bytes: built.module, name })
}

fn compile(args: &WatchArgs, output: &Path) -> Result<PathBuf, Vec<Diagnostic>> {
    let failed = |message: String| {
        let place = Place::File(args.file.display().to_string());
        vec![Diagnostic::error(
            "espb::watch::compile",
            message,
            place,
            "name what compiles C to LLVM IR with --compile",
        )]
    };
    // The compiler's own messages go to stderr as they are.
    let status = Command::new(&args.compile).arg(&args.file).arg(output).status();
    match status {
        Ok(status) if status.success() => Ok(output.to_path_buf()),
        Ok(status) => Err(failed(format!("the compiler ended with {status}"))),
        Err(error) => Err(failed(format!("{} cannot be run: {error}", args.compile.display()))),
    }
}
