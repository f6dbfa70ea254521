//! `espb watch`: builds and pushes a program each time one of its files changes, the console running on.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;
use espb_format::container::Module;
use espb_link::InstanceId;

use super::build::TranslateArgs;
use super::cc::{self, ClangArgs};
use super::exit::Exit;
use super::image::ModuleFile;
use super::link::LinkArgs;
use super::push::{into_ram, report};
use super::report::Reporter;
use crate::compile::{self, Depfile};
use crate::device::client::Message;
use crate::device::dialogue::{Dialogue, Trouble};
use crate::device::trap;
use crate::diagnostic::{Diagnostic, Place};

/// How long one wait for the device is, between two looks at the files.
const LOOK: Duration = Duration::from_millis(50);

/// Build and push a program each time one of its files changes; its console runs on
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// C or C++ source, compiled as by `espb cc`, or LLVM IR
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    link: LinkArgs,
    #[command(flatten)]
    clang: ClangArgs,
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
    let mut files = Files::new(args);
    let mut running: Option<(InstanceId, Vec<u8>)> = None;
    let mut pushes = 0;
    loop {
        if let Some(saved) = files.changed() {
            let began = saved.unwrap_or_else(SystemTime::now);
            match build(args, reporter) {
                Ok((file, read)) => {
                    files.also(read);
                    if let Some((instance, _)) = running.take() {
                        dialogue.stop(instance)?;
                    }
                    match into_ram(&file, &[], args.translation.allowed(), dialogue, reporter) {
                        Ok(instance) => {
                            report(&file, instance, None, began, reporter);
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

/// The files of the program, as far as they are known, and when each was saved last.
struct Files(Vec<(PathBuf, Option<SystemTime>)>);

impl Files {
    /// The source and what the translation names. None of them was looked at.
    fn new(args: &WatchArgs) -> Self {
        Self(std::iter::once(&args.file).chain(args.translation.files()).map(|file| (file.clone(), None)).collect())
    }

    /// Whether a file is not as it was at the last look, and if so when it was saved, unless this is the first look. A file
    /// that is gone is waited for: editors take files away to put others in their place.
    fn changed(&mut self) -> Option<Option<SystemTime>> {
        let mut last: Option<Option<SystemTime>> = None;
        for (file, seen) in &mut self.0 {
            let now = saved_at(file);
            if now.is_some() && now != *seen {
                last = last.max(Some(seen.and(now)));
                *seen = now;
            }
        }
        last
    }

    /// Further files, as they are now.
    fn also(&mut self, files: Vec<PathBuf>) {
        for file in files {
            if !self.0.iter().any(|(known, _)| *known == file) {
                let saved = saved_at(&file);
                self.0.push((file, saved));
            }
        }
    }
}

fn saved_at(file: &Path) -> Option<SystemTime> {
    fs::metadata(file).and_then(|metadata| metadata.modified()).ok()
}

/// The module, and the files that clang read for it.
fn build(args: &WatchArgs, reporter: Reporter) -> Result<(ModuleFile, Vec<PathBuf>), Vec<Diagnostic>> {
    let is_ir = args.file.extension().is_some_and(|extension| extension == "ll" || extension == "bc");
    let folder = tempfile::tempdir().map_err(|error| {
        let message = format!("no temporary folder: {error}");
        vec![Diagnostic::error("espb::watch::folder", message, Place::None, "make TMPDIR writable")]
    })?;
    let (ir, read) = if is_ir {
        (args.file.clone(), Vec::new())
    } else {
        let output = folder.path().join("module.ll");
        let rule = output.with_extension("d");
        let depfile = Depfile { file: Some(rule.clone()), target: None };
        let compiled = compile::compile(&args.clang.request(&args.file, &output, Some(depfile), reporter));
        cc::relay(&compiled.messages, reporter);
        compiled.result.map_err(|error| vec![error])?;
        (output, prerequisites(&rule))
    };
    let built = args.translation.translate(&[ir])?;
    reporter.diagnostics(&built.warnings);
    let name = args.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok((ModuleFile { bytes: built.module, name }, read))
}

/// The prerequisites of the first rule in a depfile.
fn prerequisites(depfile: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(depfile).unwrap_or_default().replace("\\\n", " ");
    let rule = text.lines().next().and_then(|line| line.split_once(": ")).map_or("", |(_, rest)| rest);
    // A space in a name is escaped.
    let words = rule.replace("\\ ", "\0");
    words.split_whitespace().map(|word| PathBuf::from(word.replace('\0', " "))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_depfile_are_those_of_its_first_rule() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("module.d");
        fs::write(&file, "module.ll: app.c \\\n  my\\ folder/app.h \\\n  other.h\n\nother.h:\n").expect("a file");
        assert_eq!(prerequisites(&file), ["app.c", "my folder/app.h", "other.h"].map(PathBuf::from));
    }
}
