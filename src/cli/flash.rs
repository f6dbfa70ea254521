//! `espb flash`: firmware and module onto a chip, through its serial bootloader.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use espb_image::{FlashImage, Segment};
use serde_json::json;

use super::connect::{ChipChoice, PortArgs, diagnostic};
use super::exit::Exit;
use super::files;
use super::image::{FirmwareArgs, ModuleArgs, ModuleFile, refused};
use super::monitor;
use super::progress::Bar;
use super::report::Reporter;
use super::size::parse_duration;
use crate::device::dialogue::Trouble;
use crate::device::flashing::{Bootloader, ConnectOptions};
use crate::device::port::DEFAULT_BAUD;
use crate::device::stream::{Line, StreamTransport};
use crate::device::transport::Transport;
use crate::diagnostic::{Diagnostic, Place};

/// Write the firmware, and a module if one is named, to a chip's flash; modules in other slots stay
#[derive(Debug, Args)]
pub struct FlashArgs {
    /// The module to store and to start at boot
    #[arg(value_name = "MODULE")]
    module: Option<PathBuf>,
    /// The chip
    #[arg(long, value_name = "CHIP", default_value = "auto", env = "ESPB_CHIP")]
    chip: ChipChoice,
    #[command(flatten)]
    port: PortArgs,
    #[command(flatten)]
    firmware: FirmwareArgs,
    #[command(flatten)]
    module_options: ModuleArgs,
    /// Leave the firmware alone
    #[arg(long, requires = "module", conflicts_with_all = ["erase", "image"])]
    module_only: bool,
    /// Erase the whole flash first: installed modules and settings go
    #[arg(long)]
    erase: bool,
    /// Write this image from offset 0 instead, as `espb image` makes it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["module", "module_only", "public_key"])]
    image: Option<PathBuf>,
    /// Talk to the mask ROM alone, without the flasher stub: slower, for boards on which the stub fails
    #[arg(long)]
    no_stub: bool,
    /// Show the console afterwards, as `espb monitor` does
    #[arg(short, long)]
    monitor: bool,
    /// With --monitor: end successfully when this text has appeared
    #[arg(long, value_name = "TEXT", requires = "monitor")]
    expect: Option<String>,
    /// With --monitor: end after this wall-clock time
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "monitor")]
    timeout: Option<Duration>,
}

/// What is to be written, read before a device is touched.
struct Source {
    module: Option<ModuleFile>,
    image: Option<FlashImage>,
}

/// Runs the command.
pub fn run(args: &FlashArgs, reporter: Reporter) -> Exit {
    let source = match read(args) {
        Ok(source) => source,
        Err(error) => {
            return reporter.refuse(&error);
        }
    };
    match flash(args, source, reporter) {
        Ok(exit) => exit,
        Err(error) => {
            reporter.diagnostic(&error);
            Exit::Device
        }
    }
}

fn read(args: &FlashArgs) -> Result<Source, Diagnostic> {
    let module = args.module.as_deref().map(ModuleFile::read).transpose()?;
    let image = match &args.image {
        Some(path) => {
            let whole = FlashImage::from_merged(&files::read(path)?).map_err(|error| refused(&error, Some(path)))?;
            Some(whole)
        }
        None => None,
    };
    Ok(Source { module, image })
}

fn flash(args: &FlashArgs, source: Source, reporter: Reporter) -> Result<Exit, Diagnostic> {
    let device = |error: crate::device::transport::DeviceError| diagnostic(&error);
    let (name, port) = args.port.open(reporter).map_err(device)?;
    let baud = args.port.baud().map_err(device)?;
    let options = ConnectOptions { chip: args.chip.0, baud, stub: !args.no_stub };
    let mut bootloader = Bootloader::connect(port, &options).map_err(device)?;
    let chip = bootloader.chip();
    if reporter.is_json() {
        reporter.object(&json!({ "reason": "device", "port": name, "chip": chip.name() }));
    } else {
        reporter.talk(&format!("{chip} on {name}"));
    }
    let firmware = match source.image {
        Some(image) => Some(image),
        None if args.module_only => None,
        None => Some(args.firmware.image(chip)?),
    };
    if args.erase {
        bootloader.erase().map_err(device)?;
    }
    let mut segments: Vec<Segment> = firmware.iter().flat_map(|image| image.segments().to_vec()).collect();
    let mut slot = None;
    if let Some(module) = &source.module {
        let placement = module.placement(&args.module_options, args.firmware.key()?);
        let (chosen, pieces) = bootloader.store(firmware.as_ref(), &placement).map_err(device)?;
        slot = Some(chosen.0);
        segments.extend(pieces);
    }
    let written = bootloader.write(&segments, &mut Bar::new(reporter)).map_err(device)?;
    let sum =
        |skipped| written.iter().filter(|piece| piece.skipped == skipped).map(|piece| piece.length).sum::<usize>();
    if reporter.is_json() {
        reporter.object(&json!({
            "reason": "flashed", "port": name, "chip": chip.name(), "slot": slot,
            "written_bytes": sum(false), "skipped_bytes": sum(true),
        }));
    } else {
        reporter.talk(&format!("{} bytes written, {} were there already", sum(false), sum(true)));
    }
    if !args.monitor {
        return Ok(Exit::Success);
    }
    let line: Box<dyn Line> = Box::new(Box::new(bootloader.into_port()) as Box<dyn serialport::SerialPort>);
    let mut transport = StreamTransport::over(&name, line, args.timeout).map_err(device)?;
    transport.set_speed(DEFAULT_BAUD).map_err(device)?;
    monitor::watch(&mut transport, source.module.as_ref(), args.expect.as_deref(), chip, reporter).map_err(|trouble| {
        let message = match trouble {
            Trouble::Device(error) => return diagnostic(&error),
            Trouble::Refused(refused) => refused.reason,
            Trouble::Timeout | Trouble::TimeReached => "the time limit was reached".into(),
        };
        Diagnostic::error("espb::monitor::failed", message, Place::None, "see `espb monitor --help`")
    })
}
