//! `espb monitor`: the console of a device, with the link's events beside its text.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::Args;
use espb_format::checksum::crc32;
use espb_format::container::Module;
use espb_image::Chip;
use espb_slots::Seal;

use super::console::Console;
use super::event;
use super::exit::Exit;
use super::find;
use super::image::ModuleFile;
use super::link::{LinkArgs, report};
use super::project::here;
use super::report::Reporter;
use crate::device::client::{Client, Heard, Message};
use crate::device::crash;
use crate::device::dialogue::Trouble;
use crate::device::transport::Transport;
use crate::device::trap;
use crate::diagnostic::{Diagnostic, Place};

/// Show a device's console: text, events of the link, traps with C lines; what is typed goes to the device
#[derive(Debug, Args)]
pub struct MonitorArgs {
    /// The module that runs, for names and lines in traps; others are looked for in this folder and those below
    #[arg(value_name = "MODULE")]
    module: Option<PathBuf>,
    #[command(flatten)]
    link: LinkArgs,
    /// End successfully when this text has appeared; with --timeout a script's test of a device
    #[arg(long, value_name = "TEXT")]
    expect: Option<String>,
    /// The chip, for the firmware's own crashes
    #[arg(long, value_name = "CHIP", default_value = "esp32c3")]
    chip: Chip,
}

/// How long one wait for the device is, between two looks at the keyboard.
const LOOK: Duration = Duration::from_millis(20);

/// Runs the command.
pub fn run(args: &MonitorArgs, reporter: Reporter) -> Exit {
    let module = match args.module.as_deref().map(ModuleFile::read).transpose() {
        Ok(module) => module,
        Err(error) => {
            return reporter.refuse(&error);
        }
    };
    let opened = args.link.open(reporter);
    let watched = opened
        .map_err(Trouble::Device)
        .and_then(|mut transport| watch(&mut transport, module.as_ref(), args.expect.as_deref(), args.chip, reporter));
    watched.unwrap_or_else(|trouble| report(reporter, &trouble))
}

/// Shows the console until `expect` appears or the time is over.
pub fn watch(
    transport: &mut dyn Transport,
    module: Option<&ModuleFile>,
    expect: Option<&str>,
    chip: Chip,
    reporter: Reporter,
) -> Result<Exit, Trouble> {
    let parsed = module.and_then(|module| Module::parse(Seal::split(&module.bytes).0).ok());
    let keyboard = keyboard();
    let mut console = Console::new(reporter);
    let mut line = Line::default();
    let mut client = Client::new(transport);
    loop {
        if let Ok(typed) = keyboard.try_recv() {
            client.transport().send(&typed)?;
        }
        let deadline = client.transport().now() + LOOK;
        client.transport().set_deadline(Some(deadline));
        let mut lines = Vec::new();
        let heard = client.receive(&mut |text| {
            console.write(text);
            lines.extend(line.push(text));
        });
        for text in &lines {
            if let Some(crash) = crash::recognise(text, chip) {
                reporter.diagnostic(&crash);
            }
        }
        for text in lines.iter().map(String::as_str).chain([line.text.as_str()]) {
            if expect.is_some_and(|expect| text.contains(expect)) {
                console.finish();
                return Ok(Exit::Success);
            }
        }
        match heard {
            Ok(Heard::Deadline) => {}
            Ok(Heard::Timeout) if expect.is_some() => {
                let message = "the expected text did not appear in time";
                let help = "see above what the device printed instead";
                reporter.diagnostic(&Diagnostic::error("espb::monitor::expect", message, Place::None, help));
                return Ok(Exit::Timeout);
            }
            Ok(Heard::Timeout) => return Ok(Exit::Success),
            Ok(Heard::Message(message, _)) => show(&message, parsed.as_ref(), reporter),
            Err(error) => return Err(error.into()),
        }
    }
}

fn show(message: &Message, named: Option<&Module<'_>>, reporter: Reporter) {
    let Message::Trapped { trap, .. } = message else { return event::show(message, reporter) };
    let is_it = |module: &&Module<'_>| crc32(module.bytes()) == trap.module_crc32;
    if let Some(module) = named.filter(is_it) {
        return reporter.diagnostic(&trap::diagnostic(trap, module));
    }
    let found = find::module(&here(), trap.module_crc32);
    match found.as_ref().and_then(|(_, bytes)| Module::parse(Seal::split(bytes).0).ok()) {
        Some(module) => reporter.diagnostic(&trap::diagnostic(trap, &module)),
        None => event::show(message, reporter),
    }
}

/// What is typed, a line at a time. A thread waits for it, since nothing else could wait for two things at once.
fn keyboard() -> mpsc::Receiver<Vec<u8>> {
    let (typed, keyboard) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = [0; 256];
        while let Ok(length @ 1..) = io::stdin().lock().read(&mut bytes) {
            // A zero byte would look like a frame.
            let text = bytes.iter().take(length).copied().filter(|byte| *byte != 0).collect();
            if typed.send(text).is_err() {
                return;
            }
        }
    });
    keyboard
}

/// Longest line that is kept for recognising something in it.
const LONGEST_LINE: usize = 4096;

#[derive(Default)]
struct Line {
    text: String,
}

impl Line {
    /// Takes text and gives the lines that it completed.
    fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for character in String::from_utf8_lossy(bytes).chars() {
            if character == '\n' || self.text.len() >= LONGEST_LINE {
                lines.push(std::mem::take(&mut self.text));
            } else {
                self.text.push(character);
            }
        }
        lines
    }
}
