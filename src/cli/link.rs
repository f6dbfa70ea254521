//! What the commands share that talk to a running device over the link: which device, how to open it, how to report trouble.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use espb_image::Chip;

use super::connect::{PortArgs, diagnostic};
use super::console::Console;
use super::exit::Exit;
use super::report::Reporter;
use super::size::parse_duration;
use crate::device::dialogue::{Dialogue, Trouble};
use crate::device::port::DEFAULT_BAUD;
use crate::device::stream::StreamTransport;
use crate::device::transport::{DeviceError, Transport};
use crate::diagnostic::{Diagnostic, Place};

/// Which running device.
#[derive(Clone, Debug, Args)]
pub struct LinkArgs {
    #[command(flatten)]
    pub port: PortArgs,
    /// The emulated chip that `espb emulate` keeps alive, instead of a port
    #[arg(long, value_name = "CHIP", conflicts_with = "port", help_heading = "Device")]
    emulate: Option<Chip>,
    /// Give up with exit code 124 after this wall-clock time
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
}

/// Where `espb emulate` listens unless told otherwise.
pub fn default_socket(chip: Chip) -> PathBuf {
    std::env::temp_dir().join(format!("espb-{chip}.sock"))
}

impl LinkArgs {
    /// Opens the line to the device.
    pub fn open(&self, reporter: Reporter) -> Result<StreamTransport, DeviceError> {
        let name = match self.emulate {
            Some(chip) => default_socket(chip).display().to_string(),
            None => self.port.name(reporter)?,
        };
        StreamTransport::open(&name, self.timeout)
    }

    /// Runs `talk` in a conversation with the device.
    pub fn talk(&self, reporter: Reporter, talk: impl FnOnce(&mut Dialogue<'_, '_>) -> Result<Exit, Trouble>) -> Exit {
        let mut transport = match self.open(reporter) {
            Ok(transport) => transport,
            Err(error) => {
                reporter.diagnostic(&diagnostic(&error));
                return Exit::Device;
            }
        };
        let mut console = Console::new(reporter);
        let mut write = |text: &[u8]| console.write(text);
        let baud = self.port.baud();
        let transport: &mut dyn Transport = &mut transport;
        let outcome = Dialogue::begin(transport, &mut write).and_then(|mut dialogue| {
            let Some(baud) = baud? else { return talk(&mut dialogue) };
            dialogue.speed(baud)?;
            let outcome = talk(&mut dialogue);
            // The next command speaks at the first speed.
            if !matches!(outcome, Err(Trouble::Device(_))) && dialogue.speed(DEFAULT_BAUD).is_err() {
                reporter.talk(&format!("the device's console stays at {baud} baud until its next reset"));
            }
            outcome
        });
        console.finish();
        outcome.unwrap_or_else(|trouble| report(reporter, &trouble))
    }
}

/// Tells what went wrong; gives the exit code.
pub fn report(reporter: Reporter, trouble: &Trouble) -> Exit {
    match trouble {
        Trouble::Device(error) => {
            reporter.diagnostic(&diagnostic(error));
            Exit::Device
        }
        Trouble::Refused(refused) => {
            let message = format!("the device refused: {}", refused.reason);
            let help = "see `espb list` for what the device holds";
            reporter.diagnostic(&Diagnostic::error("espb::link::refused", message, Place::None, help));
            Exit::Input
        }
        Trouble::Timeout | Trouble::TimeReached => {
            let help = "give it more with --timeout";
            reporter.diagnostic(&Diagnostic::error(
                "espb::link::timeout",
                "the time limit was reached",
                Place::None,
                help,
            ));
            Exit::Timeout
        }
    }
}
