//! `espb emulate`: an emulated chip that is kept alive for other commands to talk to.

use std::path::{Path, PathBuf};

use clap::Args;
use espb_image::Chip;
use serde_json::json;

use super::connect::diagnostic;
use super::exit::Exit;
use super::files;
use super::image::{FirmwareArgs, ModuleArgs, ModuleFile, refused};
use super::link::default_socket;
use super::report::Reporter;
use crate::chip::Machine;
use crate::device::hosted;
use crate::device::listener::Link;
use crate::diagnostic::Diagnostic;

/// Keep an emulated chip alive, its console on a socket or a serial port, for push, list, monitor and the others
#[derive(Debug, Args)]
pub struct EmulateArgs {
    /// A module in its first slot
    #[arg(value_name = "MODULE")]
    module: Option<PathBuf>,
    /// The chip
    #[arg(long, value_name = "CHIP", default_value = "esp32c3")]
    chip: Chip,
    /// Where its console is: the path of a Unix socket, `tcp:HOST:PORT`, or `pty` for a serial port of its own; without it a socket
    /// for each kind of chip, which `--emulate CHIP` of the other commands means
    #[arg(long, value_name = "LINK")]
    link: Option<String>,
    /// Keep the flash in this file: read if it exists, written at each change
    #[arg(long, value_name = "FILE", conflicts_with = "module")]
    flash: Option<PathBuf>,
    #[command(flatten)]
    firmware: FirmwareArgs,
    #[command(flatten)]
    module_options: ModuleArgs,
}

/// Runs the command.
pub fn run(args: &EmulateArgs, reporter: Reporter) -> Exit {
    let flash = match contents(args) {
        Ok(flash) => flash,
        Err(error) => {
            return reporter.refuse(&error);
        }
    };
    match serve(args, flash, reporter) {
        Ok(()) => Exit::Success,
        Err(error) => {
            reporter.diagnostic(&error);
            Exit::Device
        }
    }
}

fn contents(args: &EmulateArgs) -> Result<Vec<u8>, Diagnostic> {
    if let Some(file) = args.flash.as_ref().filter(|file| file.exists()) {
        return files::read(file);
    }
    let mut image = args.firmware.image(args.chip)?;
    if let Some(path) = &args.module {
        let module = ModuleFile::read(path)?;
        let placement = module.placement(&args.module_options, args.firmware.key()?);
        image.place_module(&placement).map_err(|error| refused(&error, Some(path)))?;
    }
    Ok(image.merged())
}

/// Runs the chip; ended by a signal, as a rule.
fn serve(args: &EmulateArgs, flash: Vec<u8>, reporter: Reporter) -> Result<(), Diagnostic> {
    let mut link = match &args.link {
        Some(name) => Link::open(name),
        None => Link::open(&default_socket(args.chip).display().to_string()),
    }
    .map_err(|error| diagnostic(&error))?;
    if reporter.is_json() {
        reporter.object(&json!({ "reason": "emulating", "chip": args.chip.name(), "link": link.name() }));
    } else {
        reporter.talk(&format!("an emulated {} listens at {}", args.chip, link.name()));
    }
    let mut kept = Ok(());
    let mut file = args.flash.as_deref().map(|path| FlashFile { path, written: flash.clone(), looked: 0 });
    let mut keep = |machine: &Machine| {
        if let Some(file) = &mut file {
            kept = file.keep(machine);
        }
        kept.is_ok()
    };
    hosted::serve(flash, link.line(), &mut keep).map_err(|error| diagnostic(&error))?;
    kept
}

/// Virtual time between two looks at the flash.
const LOOK: u64 = Machine::TICKS_PER_SECOND / 20;

/// A file that holds what the chip's flash holds. Nothing is heard of the end, so it is written at each change.
struct FlashFile<'a> {
    path: &'a Path,
    written: Vec<u8>,
    looked: u64,
}

impl FlashFile<'_> {
    fn keep(&mut self, machine: &Machine) -> Result<(), Diagnostic> {
        // After a reset time begins anew.
        if machine.now().abs_diff(self.looked) < LOOK {
            return Ok(());
        }
        self.looked = machine.now();
        if machine.flash() != self.written {
            self.written = machine.flash().to_vec();
            files::write(self.path, &self.written)?;
        }
        Ok(())
    }
}
