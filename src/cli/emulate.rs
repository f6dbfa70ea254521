//! `espb emulate`: an emulated chip that is kept alive for other commands to talk to.

use std::path::PathBuf;

use clap::Args;
use espb_image::Chip;
use serde_json::json;

use super::connect::diagnostic;
use super::exit::Exit;
use super::files;
use super::image::{FirmwareArgs, ModuleArgs, ModuleFile, refused};
use super::link::default_socket;
use super::report::Reporter;
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
    /// Keep the flash in this file: read if it exists, written at the end
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
            reporter.diagnostic(&error);
            return Exit::Input;
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
    let mut next_save = crate::chip::Machine::TICKS_PER_SECOND;
    // Kept each virtual second, since nothing is heard of the end.
    let mut keep = |machine: &crate::chip::Machine| {
        if let Some(file) = args.flash.as_ref().filter(|_| machine.now() >= next_save) {
            next_save = machine.now() + crate::chip::Machine::TICKS_PER_SECOND;
            kept = files::write(file, machine.flash());
        }
        kept.is_ok()
    };
    hosted::serve(flash, link.line(), &mut keep).map_err(|error| diagnostic(&error))?;
    kept
}
