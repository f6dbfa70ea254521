//! Options that say which device is meant, shared by every command that talks to one.

use std::env;
use std::io::{self, BufRead, IsTerminal, Write};
use std::str::FromStr;

use clap::Args;
use espb_image::Chip;

use super::report::Reporter;
use crate::device::port::{self, OpenPort};
use crate::device::transport::DeviceError;
use crate::diagnostic::{Diagnostic, Place};

/// A chip, or whichever is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChipChoice(pub Option<Chip>);

impl FromStr for ChipChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self(None)),
            name => {
                name.parse().map(|chip| Self(Some(chip))).map_err(|error: espb_image::UnknownChip| error.to_string())
            }
        }
    }
}

/// Which device.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Device")]
pub struct PortArgs {
    /// Serial port of the device; without it ESPFLASH_PORT, then the only board there is
    #[arg(short, long, value_name = "PORT", env = "ESPB_PORT")]
    pub port: Option<String>,
    /// Bits a second once connected; without it ESPFLASH_BAUD
    #[arg(short = 'B', long, value_name = "N", env = "ESPB_BAUD")]
    pub baud: Option<u32>,
    /// Ask nothing: where there is a choice, fail and name it
    #[arg(long, env = "ESPB_NON_INTERACTIVE", value_parser = clap::builder::FalseyValueParser::new())]
    pub non_interactive: bool,
}

impl PortArgs {
    /// The port's name: named, from the environment, or chosen among the boards there are.
    pub fn name(&self, reporter: Reporter) -> Result<String, DeviceError> {
        if let Some(name) = self.port.clone().or_else(|| env::var("ESPFLASH_PORT").ok()) {
            return Ok(name);
        }
        let may_ask =
            !self.non_interactive && !reporter.is_json() && io::stdin().is_terminal() && io::stderr().is_terminal();
        if may_ask { port::choose(Some(&mut ask)) } else { port::choose(None) }
    }

    /// Opens the serial port at the speed at which every chip starts.
    pub fn open(&self, reporter: Reporter) -> Result<(String, OpenPort), DeviceError> {
        let name = self.name(reporter)?;
        let open = port::open(&name, port::DEFAULT_BAUD)?;
        Ok((name, open))
    }

    /// Bits a second to change to.
    pub fn baud(&self) -> Result<Option<u32>, DeviceError> {
        if self.baud.is_some() {
            return Ok(self.baud);
        }
        let Ok(text) = env::var("ESPFLASH_BAUD") else { return Ok(None) };
        text.parse().map(Some).map_err(|_| DeviceError {
            message: format!("ESPFLASH_BAUD is `{text}`, not a number"),
            help: "set it to bits a second, for example 921600, or unset it".into(),
        })
    }
}

/// Lets a person choose among several ports.
fn ask(names: &[String]) -> Option<usize> {
    let mut err = io::stderr().lock();
    for (number, name) in (1..).zip(names) {
        let _ = writeln!(err, "{number}: {name}");
    }
    let _ = write!(err, "Which port? ").and_then(|()| err.flush());
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).ok()?;
    line.trim().parse::<usize>().ok()?.checked_sub(1)
}

/// A failure of the device as a diagnostic of this command.
pub fn diagnostic(error: &DeviceError) -> Diagnostic {
    Diagnostic::error("espb::device::failed", error.message.clone(), Place::None, error.help.clone())
}
