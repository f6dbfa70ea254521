//! An emulated chip behind a transport: the embedded firmware image with the module in its slot, its UART as byte stream.

use std::ops::Range;
use std::time::{Duration, Instant};

use espb_image::{Chip, FlashImage, Placement};
use object::{Object, ObjectSymbol};

use super::firmware::{self, Firmware};
use super::transport::{Counters, DeviceError, Received, Transport};
use crate::chip::{Machine, MachineOptions, Stop, Until};

/// The firmware's interpreter loop, whose dispatches are the VM instructions (firmware/vm).
const INTERPRETER: &str = "espb_interpret";

/// A booted chip.
pub struct EmulatedDevice {
    machine: Machine,
    deadline: Option<u64>,
    wall_clock: Option<Instant>,
}

impl EmulatedDevice {
    /// A chip just out of reset with `module` in its slot, waiting to be told to start it. `timeout` limits the wall-clock time
    /// of the whole run; with `count` VM instructions are counted.
    pub fn boot(chip: Chip, module: &[u8], timeout: Option<Duration>, count: bool) -> Result<Self, DeviceError> {
        let firmware = firmware::of(chip).ok_or_else(|| DeviceError {
            message: format!("this espb carries no firmware for {chip}"),
            help: "run `make firmware`, then build espb again".into(),
        })?;
        let broken = |reason: String| DeviceError {
            message: format!("the embedded firmware cannot be used: {reason}"),
            help: "run `make firmware`, then build espb again".into(),
        };
        let mut image = FlashImage::from_merged(firmware.image).map_err(|error| broken(error.to_string()))?;
        let placement = Placement { file: module, name: "", autostart: false, slot: None, key: None };
        image.place_module(&placement).map_err(|error| DeviceError {
            message: error.to_string(),
            help: "make the module smaller: build with -Os and --strip".into(),
        })?;
        let mut machine =
            Machine::esp32c3(image.merged(), MachineOptions::default()).map_err(|error| broken(error.to_string()))?;
        if count {
            machine.count_dispatches(
                interpreter(&firmware).ok_or_else(|| broken(format!("it has no symbol {INTERPRETER}")))?,
            );
        }
        Ok(Self { machine, deadline: None, wall_clock: timeout.map(|timeout| Instant::now() + timeout) })
    }
}

/// Where the firmware's interpreter loop lies.
fn interpreter(firmware: &Firmware) -> Option<Range<u32>> {
    let elf = object::File::parse(firmware.elf).ok()?;
    let symbol = elf.symbols().find(|symbol| symbol.name() == Ok(INTERPRETER))?;
    let start = u32::try_from(symbol.address()).ok()?;
    Some(start..start.checked_add(u32::try_from(symbol.size()).ok()?)?)
}

fn to_ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos() * u128::from(Machine::TICKS_PER_SECOND) / 1_000_000_000).unwrap_or(u64::MAX)
}

fn to_duration(ticks: u64) -> Duration {
    let per_second = Machine::TICKS_PER_SECOND;
    Duration::new(ticks / per_second, (ticks % per_second * 1_000_000_000 / per_second) as u32)
}

impl Transport for EmulatedDevice {
    fn send(&mut self, bytes: &[u8]) -> Result<(), DeviceError> {
        self.machine.send_uart_input(bytes);
        Ok(())
    }

    fn receive(&mut self) -> Result<Received, DeviceError> {
        loop {
            let stop =
                self.machine.run(Until { deadline: self.deadline, wake_on_output: true, wall_clock: self.wall_clock });
            let bytes: Vec<u8> = self.machine.take_uart_output().iter().map(|sent| sent.byte).collect();
            if !bytes.is_empty() {
                // A limit that was reached at the same time is reached again by the next call.
                return Ok(Received::Bytes(bytes));
            }
            return match stop {
                Stop::Output => continue,
                Stop::Deadline => Ok(Received::Deadline),
                Stop::WallClock => Ok(Received::Timeout),
                Stop::Idle => Err(DeviceError {
                    message: "the emulated chip sleeps and nothing will ever wake it".into(),
                    help: "this is a fault of the firmware: please report it with the module that caused it".into(),
                }),
                Stop::Reset(cause) => Err(DeviceError {
                    message: format!("the firmware reset the chip ({cause})"),
                    help: "this is a fault of the firmware: please report it with the module that caused it".into(),
                }),
                Stop::Fault(fault) => Err(DeviceError {
                    message: format!(
                        "{} at address {:#010x} ({}), pc {:#010x}",
                        fault.what, fault.address, fault.name, fault.pc
                    ),
                    help: "the emulated chip does not model this: see specs/fidelity.md".into(),
                }),
            };
        }
    }

    fn now(&self) -> Duration {
        to_duration(self.machine.now())
    }

    fn set_deadline(&mut self, deadline: Option<Duration>) {
        self.deadline = deadline.map(to_ticks);
    }

    fn counters(&self) -> Option<Counters> {
        Some(Counters {
            cycles: self.machine.now(),
            instructions: self.machine.instructions(),
            vm_instructions: self.machine.dispatches(),
        })
    }
}
