//! `espb image`: the whole flash of a chip, firmware and module, as one file. Also what `flash` takes its pieces from.

use std::path::{Path, PathBuf};

use clap::Args;
use espb_image::{Chip, FlashImage, ImageError, Placement, PublicKey, SlotIndex};
use serde_json::json;

use super::exit::Exit;
use super::files;
use super::key;
use super::report::Reporter;
use super::verify::verify;
use crate::device::firmware;
use crate::diagnostic::{Diagnostic, Place};

/// Write firmware and module as one flash image, for esptool, espflash or the emulated chip
#[derive(Debug, Args)]
pub struct ImageArgs {
    /// The module; without it the slots are empty
    #[arg(value_name = "MODULE")]
    module: Option<PathBuf>,
    /// The image to write, to be flashed at offset 0
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The chip
    #[arg(long, value_name = "CHIP", default_value = "esp32c3")]
    chip: Chip,
    #[command(flatten)]
    firmware: FirmwareArgs,
    #[command(flatten)]
    module_options: ModuleArgs,
}

/// Which firmware.
#[derive(Debug, Args)]
#[command(next_help_heading = "Firmware")]
pub struct FirmwareArgs {
    /// Public key (PEM) that modules must be signed with; the firmware then runs no others
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
}

/// How a module is stored.
#[derive(Debug, Args)]
#[command(next_help_heading = "Module")]
pub struct ModuleArgs {
    /// Slot to store the module in; without it the one that is needed least
    #[arg(long, value_name = "N")]
    pub slot: Option<u8>,
    /// Do not start the module at boot; wait for `espb start`
    #[arg(long)]
    pub no_autostart: bool,
}

/// A module from a file, checked as a device would.
pub struct ModuleFile {
    /// Its bytes, seal included.
    pub bytes: Vec<u8>,
    /// What to call it: the file's name without extension.
    pub name: String,
}

impl ModuleFile {
    /// Reads and verifies it.
    pub fn read(path: &Path) -> Result<Self, Diagnostic> {
        let bytes = files::read(path)?;
        let (module, _) = espb_slots::Seal::split(&bytes);
        verify(&path.display().to_string(), module)?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { bytes, name })
    }

    /// Where and how to store it.
    pub fn placement(&self, options: &ModuleArgs, key: Option<PublicKey>) -> Placement<'_> {
        Placement {
            file: &self.bytes,
            name: &self.name,
            autostart: !options.no_autostart,
            slot: options.slot.map(SlotIndex),
            key,
        }
    }
}

impl FirmwareArgs {
    /// The key, if one was named.
    pub fn key(&self) -> Result<Option<PublicKey>, Diagnostic> {
        self.public_key.as_deref().map(key::read_public).transpose()
    }

    /// The flash of a chip with this firmware and empty slots.
    pub fn image(&self, chip: Chip) -> Result<FlashImage, Diagnostic> {
        let missing = || {
            let message = format!("this espb carries no firmware for {chip}");
            Diagnostic::error(
                "espb::image::no_firmware",
                message,
                Place::None,
                "run `make firmware`, then build espb again",
            )
        };
        let firmware = firmware::of(chip).ok_or_else(missing)?;
        match self.key()? {
            Some(key) => espb_image::flash_image_with_key(firmware.elf, chip, &key),
            None => FlashImage::from_merged(firmware.image),
        }
        .map_err(|error| refused(&error, None))
    }
}

/// An image that could not be made.
pub fn refused(error: &ImageError, module: Option<&Path>) -> Diagnostic {
    let place = module.map_or(Place::None, |module| Place::File(module.display().to_string()));
    Diagnostic::error(
        "espb::image::refused",
        error.to_string(),
        place,
        "see `espb inspect` for a module's size and sections",
    )
}

/// Runs the command.
pub fn run(args: &ImageArgs, reporter: Reporter) -> Exit {
    match write(args, reporter) {
        Ok(()) => Exit::Success,
        Err(diagnostic) => reporter.refuse(&diagnostic),
    }
}

fn write(args: &ImageArgs, reporter: Reporter) -> Result<(), Diagnostic> {
    let mut image = args.firmware.image(args.chip)?;
    let mut slot = None;
    if let Some(path) = &args.module {
        let module = ModuleFile::read(path)?;
        let placement = module.placement(&args.module_options, args.firmware.key()?);
        slot = Some(image.place_module(&placement).map_err(|error| refused(&error, Some(path)))?.0);
    }
    let bytes = image.merged();
    files::write(&args.output, &bytes)?;
    if reporter.is_json() {
        let file = args.output.display().to_string();
        reporter.object(
            &json!({ "reason": "image", "file": file, "bytes": bytes.len(), "chip": args.chip.name(), "slot": slot }),
        );
    }
    Ok(())
}
