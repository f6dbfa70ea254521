//! What the user connects to an emulated chip: levels from a file, wires between pins, a waveform, a flash that lasts.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use clap::Args;

use super::files;
use super::size::parse_duration;
use crate::chip::{Board, Level, Pin};
use crate::device::emulated::{Attached, pin_level};
use crate::diagnostic::{Diagnostic, Place};

/// Options for what is around an emulated chip.
#[derive(Debug, Args)]
#[command(next_help_heading = "Around the emulated chip")]
pub struct BoardArgs {
    /// Apply the levels in this file to pins; a line each: time since reset, pin, 0, 1 or z (let go), e.g. `150ms 9 0`
    #[arg(long, value_name = "FILE")]
    gpio: Option<PathBuf>,
    /// Connect two pins, e.g. 4:5
    #[arg(long, value_name = "PIN:PIN", value_parser = parse_wire)]
    wire: Vec<(Pin, Pin)>,
    /// Write the levels of all pins to this file as a waveform, for GTKWave and the like
    #[arg(long, value_name = "FILE")]
    vcd: Option<PathBuf>,
}

impl BoardArgs {
    /// Reads and opens the files.
    pub fn attach(&self) -> Result<Attached, Diagnostic> {
        let mut board = Board { wires: self.wire.clone(), inputs: Vec::new() };
        if let Some(path) = &self.gpio {
            let text = String::from_utf8_lossy(&files::read(path)?).into_owned();
            for (number, line) in (1..).zip(text.lines()) {
                if let Some((time, pin, level)) =
                    parse_line(line).map_err(|message| complaint(path, number, message))?
                {
                    board.inputs.push(pin_level(time, pin, level));
                }
            }
        }
        let waveform = match &self.vcd {
            Some(path) => Some(File::create(path).map(BufWriter::new).map_err(|error| unwritable(path, &error))?),
            None => None,
        };
        Ok(Attached { board, waveform })
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error(
        "espb::cli::unwritable",
        format!("cannot write the file: {error}"),
        Place::File(path.display().to_string()),
        "check that the folder exists and that you may write there",
    )
}

fn complaint(path: &Path, line: u32, message: String) -> Diagnostic {
    Diagnostic::error(
        "espb::run::gpio",
        message,
        Place::Line { file: path.display().to_string(), line, column: 0 },
        "write a time since reset, a pin and its level, e.g. `150ms 9 0`; z lets go of the pin, # begins a comment",
    )
}

fn parse_pin(text: &str) -> Result<Pin, String> {
    let number = text.strip_prefix("gpio").unwrap_or(text);
    number.parse().ok().and_then(Pin::new).ok_or_else(|| format!("`{text}` is no pin: they are 0 to 21"))
}

fn parse_wire(text: &str) -> Result<(Pin, Pin), String> {
    let (one, other) = text.split_once(':').ok_or_else(|| format!("`{text}` is no wire: write two pins, e.g. 4:5"))?;
    Ok((parse_pin(one)?, parse_pin(other)?))
}

/// A line of the file of levels; `None` if it says nothing.
fn parse_line(line: &str) -> Result<Option<(std::time::Duration, Pin, Level)>, String> {
    let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
    match words.as_slice() {
        [] => Ok(None),
        [time, pin, level] => {
            let level = match *level {
                "0" => Level::Low,
                "1" => Level::High,
                "z" => Level::Floating,
                other => return Err(format!("`{other}` is no level: write 0, 1 or z")),
            };
            Ok(Some((parse_duration(time)?, parse_pin(pin)?, level)))
        }
        _ => Err(format!("{} words in a line, not 3", words.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_line_is_a_time_a_pin_and_a_level() {
        let pin = Pin::new(9).expect("a pin");
        assert_eq!(parse_line("1.5ms gpio9 0 # pressed"), Ok(Some((Duration::from_micros(1500), pin, Level::Low))));
        assert_eq!(parse_line("2s 9 z"), Ok(Some((Duration::from_secs(2), pin, Level::Floating))));
        assert_eq!(parse_line("  # nothing"), Ok(None));
        for wrong in ["5ms 9", "5ms 22 0", "5 9 0", "5ms 9 2", "5ms 9 0 1"] {
            assert!(parse_line(wrong).is_err(), "{wrong}");
        }
        assert!(parse_wire("4:5").is_ok() && parse_wire("4-5").is_err() && parse_wire("4:22").is_err());
    }
}
