//! `espb emulate`: an emulated chip that is kept alive for other commands to talk to.

use std::fs;
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
use crate::device::hosted::{self, Listener};
use crate::device::transport::DeviceError;
use crate::diagnostic::Diagnostic;

/// Keep an emulated chip alive, its console on a socket, for push, list, monitor and the others
#[derive(Debug, Args)]
pub struct EmulateArgs {
    /// A module in its first slot
    #[arg(value_name = "MODULE")]
    module: Option<PathBuf>,
    /// The chip
    #[arg(long, value_name = "CHIP", default_value = "esp32c3")]
    chip: Chip,
    /// Unix socket to listen on; without it one for each kind of chip, which `--emulate CHIP` of the other commands means
    #[arg(long, value_name = "SOCKET")]
    link: Option<PathBuf>,
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
    let socket = args.link.clone().unwrap_or_else(|| default_socket(args.chip));
    match serve(args, flash, &socket, reporter) {
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

/// Takes the socket away when the chip ends.
struct Socket<'a>(&'a Path);

impl Drop for Socket<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0);
    }
}

#[cfg(unix)]
fn serve(args: &EmulateArgs, flash: Vec<u8>, path: &Path, reporter: Reporter) -> Result<(), Diagnostic> {
    use std::io;
    use std::os::unix::net::{UnixListener, UnixStream};

    let cannot = |error: io::Error| {
        diagnostic(&DeviceError {
            message: format!("cannot listen at {}: {error}", path.display()),
            help: "name a socket in a folder that you may write to with --link".into(),
        })
    };
    if UnixStream::connect(path).is_ok() {
        return Err(cannot(io::ErrorKind::AddrInUse.into()));
    }
    // What a chip that was ended by a signal left.
    let _ = fs::remove_file(path);
    let listener = UnixListener::bind(path).map_err(cannot)?;
    let _socket = Socket(path);
    listener.set_nonblocking(true).map_err(cannot)?;
    let accept = move || match listener.accept() {
        Ok((stream, _)) => stream.set_nonblocking(true).map(|()| Some(stream)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    };
    if reporter.is_json() {
        let link = path.display().to_string();
        reporter.object(&json!({ "reason": "emulating", "chip": args.chip.name(), "link": link }));
    } else {
        reporter.talk(&format!("an emulated {} listens at {}", args.chip, path.display()));
    }
    let mut kept = Ok(());
    let mut next_save = crate::chip::Machine::TICKS_PER_SECOND;
    // Ended by a signal, as a rule: so the flash is kept each virtual second.
    let mut keep = |machine: &crate::chip::Machine| {
        if let Some(file) = args.flash.as_ref().filter(|_| machine.now() >= next_save) {
            next_save = machine.now() + crate::chip::Machine::TICKS_PER_SECOND;
            kept = files::write(file, machine.flash());
        }
        kept.is_ok()
    };
    hosted::serve(flash, &mut Listener::new(Box::new(accept)), &mut keep).map_err(|error| diagnostic(&error))?;
    kept
}

#[cfg(not(unix))]
fn serve(_: &EmulateArgs, _: Vec<u8>, _: &Path, _: Reporter) -> Result<(), Diagnostic> {
    Err(diagnostic(&DeviceError {
        message: "this system has no Unix sockets".into(),
        help: "use `espb run`, or WSL".into(),
    }))
}
