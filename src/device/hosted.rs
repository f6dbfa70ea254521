//! An emulated chip that lives on its own, its console on a line: what a board on a cable is. It keeps real time as far as it can,
//! and its flash over resets.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::transport::DeviceError;
use crate::chip::{ChipError, Machine, MachineOptions, Stop, Until};

/// Virtual time between two looks at the line.
const SLICE: Duration = Duration::from_millis(2);

/// The other end of the console: where input comes from and output goes. Neither waits.
pub trait ConsoleLine {
    /// Bytes for the chip, if there are any.
    fn take_input(&mut self) -> io::Result<Vec<u8>>;

    /// Bytes from the chip. Without a listener they are lost, as on a cable.
    fn put_output(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// Runs a chip with this flash until `go_on` says no; gives its flash back. A reset boots it again.
pub fn serve(
    flash: Vec<u8>,
    line: &mut dyn ConsoleLine,
    go_on: &mut dyn FnMut(&Machine) -> bool,
) -> Result<Vec<u8>, DeviceError> {
    let boot = |flash| Machine::esp32c3(flash, MachineOptions::default()).map_err(|error| unbootable(&error));
    let broken = |error: io::Error| DeviceError {
        message: format!("the link of the emulated chip failed: {error}"),
        help: "start `espb emulate` again".into(),
    };
    let mut machine = boot(flash)?;
    let mut began = Instant::now();
    while go_on(&machine) {
        let input = line.take_input().map_err(broken)?;
        if !input.is_empty() {
            machine.send_uart_input(&input);
        }
        let deadline = machine.now() + ticks(SLICE);
        let stop = machine.run(Until { deadline: Some(deadline), ..Until::default() });
        let output: Vec<u8> = machine.take_uart_output().iter().map(|sent| sent.byte).collect();
        if !output.is_empty() {
            line.put_output(&output).map_err(broken)?;
        }
        match stop {
            Stop::Reset(_) => {
                machine = boot(machine.flash().to_vec())?;
                began = Instant::now();
            }
            Stop::Fault(fault) => {
                return Err(DeviceError {
                    message: format!(
                        "{} at address {:#010x} ({}), pc {:#010x}",
                        fault.what, fault.address, fault.name, fault.pc
                    ),
                    help: "the emulated chip does not model this: see specs/fidelity.md".into(),
                });
            }
            // Idle: only input can wake it. Nobody sets breakpoints here.
            Stop::Deadline | Stop::Output | Stop::WallClock | Stop::Idle | Stop::Breakpoint => {}
        }
        let ahead = virtual_time(&machine).saturating_sub(began.elapsed());
        // Idle time passes as on a real chip; a chip that is behind catches up.
        thread::sleep(if stop == Stop::Idle { SLICE } else { ahead });
    }
    Ok(machine.flash().to_vec())
}

fn ticks(time: Duration) -> u64 {
    (time.as_micros() as u64).saturating_mul(Machine::TICKS_PER_SECOND / 1_000_000)
}

fn virtual_time(machine: &Machine) -> Duration {
    Duration::from_micros(machine.now() / (Machine::TICKS_PER_SECOND / 1_000_000))
}

fn unbootable(error: &ChipError) -> DeviceError {
    DeviceError { message: error.to_string(), help: "use an image that `espb image` wrote".into() }
}
