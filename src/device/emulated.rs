//! An emulated chip behind a transport: the embedded firmware image with the module in its slot, its UART as byte stream.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use espb_image::{Chip, FlashImage, Placement};
use object::{Object, ObjectSymbol};

use super::firmware::{self, Firmware};
use super::profile::Profile;
use super::transport::{Counters, DeviceError, Received, Transport};
use super::waveform::Waveform;
use crate::chip::{Board, Level, Machine, MachineOptions, Pin, PinLevel, Stop, Until};

/// The firmware's interpreter loop, whose dispatches are the VM instructions (firmware/vm).
const INTERPRETER: &str = "espb_interpret";

/// Virtual ticks after which the pins' changes are written at the latest, so that they need little memory.
const WAVEFORM_SLICE: u64 = Machine::TICKS_PER_SECOND / 100;

/// What is around the chip.
#[derive(Default)]
pub struct Attached {
    /// What is connected to its pins.
    pub board: Board,
    /// Takes the levels of its pins as a value change dump.
    pub waveform: Option<BufWriter<File>>,
    /// Holds what the partition for non-volatile storage holds, before and after.
    pub nvs: Option<PathBuf>,
}

/// A level at a time since reset.
pub fn pin_level(time: Duration, pin: Pin, level: Level) -> PinLevel {
    PinLevel { at: to_ticks(time), pin, level }
}

/// What is counted while the chip runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Machine instructions alone.
    Nothing,
    /// VM instructions too.
    Instructions,
    /// VM instructions by opcode, which takes longer.
    Opcodes,
}

/// A booted chip.
pub struct EmulatedDevice {
    machine: Machine,
    firmware: Firmware,
    deadline: Option<u64>,
    wall_clock: Option<Instant>,
    waveform: Option<Waveform<BufWriter<File>>>,
    nvs: Option<(PathBuf, Range<usize>)>,
    watcher: Option<Watcher>,
    /// Why the chip stopped, to be told when its last words were.
    ended: Option<Stop>,
    has_reset: bool,
}

/// Looks at the chip, or interferes, where it has reached a breakpoint.
pub type Watcher = Box<dyn FnMut(&mut Machine)>;

impl EmulatedDevice {
    /// A chip just out of reset with `module` in its slot, waiting to be told to start it. `timeout` limits the wall-clock time
    /// of the whole run; VM instructions are counted as `count` says.
    pub fn boot(
        chip: Chip,
        module: &[u8],
        timeout: Option<Duration>,
        count: Count,
        attached: Attached,
    ) -> Result<Self, DeviceError> {
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
        let options = MachineOptions { board: attached.board, ..MachineOptions::default() };
        let mut flash = image.merged();
        let nvs = match attached.nvs {
            Some(path) => {
                let region = image.nvs_region().map_err(|error| broken(error.to_string()))?;
                let region = region.ok_or_else(|| broken("it has no partition for non-volatile storage".into()))?;
                let range = region.offset.0 as usize..(region.offset.0 + region.size) as usize;
                restore(&path, flash.get_mut(range.clone()).unwrap_or_default())?;
                Some((path, range))
            }
            None => None,
        };
        let mut machine = Machine::esp32c3(flash, options).map_err(|error| broken(error.to_string()))?;
        if count != Count::Nothing {
            machine.count_dispatches(
                symbol(&firmware, INTERPRETER).ok_or_else(|| broken(format!("it has no symbol {INTERPRETER}")))?,
            );
        }
        if count == Count::Opcodes {
            machine.profile_dispatches();
        }
        let waveform = match attached.waveform {
            Some(file) => {
                machine.record_pins();
                Some(Waveform::new(file, &chip.to_string()).map_err(unwritten)?)
            }
            None => None,
        };
        let wall_clock = timeout.map(|timeout| Instant::now() + timeout);
        Ok(Self {
            machine,
            firmware,
            deadline: None,
            wall_clock,
            waveform,
            nvs,
            watcher: None,
            ended: None,
            has_reset: false,
        })
    }

    /// Where a function of the firmware lies.
    pub fn symbol(&self, name: &str) -> Option<Range<u32>> {
        symbol(&self.firmware, name)
    }

    /// Has `watcher` called each time that the chip is about to execute one of these addresses, entries of functions or places
    /// returned to. It replaces the one before and may set other breakpoints.
    pub fn watch(&mut self, addresses: &[u32], watcher: Watcher) {
        self.machine.set_breakpoints(addresses);
        self.watcher = Some(watcher);
    }

    /// A chip just out of reset with this whole flash.
    pub fn with_flash(chip: Chip, flash: Vec<u8>) -> Result<Self, DeviceError> {
        let help = "run `make firmware`, then build espb again";
        let firmware = firmware::of(chip).ok_or_else(|| DeviceError {
            message: format!("this espb carries no firmware for {chip}"),
            help: help.into(),
        })?;
        let machine = Machine::esp32c3(flash, MachineOptions::default())
            .map_err(|error| DeviceError { message: error.to_string(), help: help.into() })?;
        Ok(Self {
            machine,
            firmware,
            deadline: None,
            wall_clock: None,
            waveform: None,
            nvs: None,
            watcher: None,
            ended: None,
            has_reset: false,
        })
    }

    /// The chip itself.
    pub fn machine(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// Runs the chip; what its pins did meanwhile is in the waveform, if there is one.
    fn run(&mut self) -> Result<Stop, DeviceError> {
        let until = Until { deadline: self.deadline, wake_on_output: true, wall_clock: self.wall_clock };
        let Some(waveform) = &mut self.waveform else { return Ok(self.machine.run(until)) };
        loop {
            let end = self.deadline.unwrap_or(u64::MAX);
            let slice = end.min(self.machine.now() + WAVEFORM_SLICE);
            let stop = self.machine.run(Until { deadline: Some(slice), ..until });
            waveform.write(&self.machine.take_pin_levels()).map_err(unwritten)?;
            if stop != Stop::Deadline || slice == end {
                return Ok(stop);
            }
        }
    }
}

fn unwritten(error: io::Error) -> DeviceError {
    DeviceError {
        message: format!("the waveform cannot be written: {error}"),
        help: "check that there is room and that you may write there".into(),
    }
}

/// Puts the file's bytes, if there is such a file, into the partition.
fn restore(path: &Path, partition: &mut [u8]) -> Result<(), DeviceError> {
    let help = "name a file that --nvs wrote, or one that is not there yet";
    match fs::read(path) {
        Ok(bytes) if bytes.len() == partition.len() => {
            partition.copy_from_slice(&bytes);
            Ok(())
        }
        Ok(bytes) => Err(DeviceError {
            message: format!(
                "{} holds {} bytes, the partition for non-volatile storage {}",
                path.display(),
                bytes.len(),
                partition.len()
            ),
            help: help.into(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => {
            Err(DeviceError { message: format!("{} cannot be read: {error}", path.display()), help: help.into() })
        }
    }
}

/// Where a function of the firmware lies.
fn symbol(firmware: &Firmware, name: &str) -> Option<Range<u32>> {
    let elf = object::File::parse(firmware.elf).ok()?;
    let symbol = elf.symbols().find(|symbol| symbol.name() == Ok(name))?;
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
            let stop = match self.ended.take() {
                Some(stop) => stop,
                None => self.run()?,
            };
            let bytes: Vec<u8> = self.machine.take_uart_output().iter().map(|sent| sent.byte).collect();
            if !bytes.is_empty() {
                // A limit that was reached at the same time is reached again by the next call; an end is not.
                self.ended = matches!(stop, Stop::Reset(_) | Stop::Fault(_) | Stop::Breakpoint).then_some(stop);
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
                Stop::Breakpoint => {
                    if let Some(watcher) = &mut self.watcher {
                        watcher(&mut self.machine);
                    }
                    continue;
                }
                Stop::Reset(cause) => {
                    self.has_reset = true;
                    Err(DeviceError {
                        message: format!("the firmware reset the chip ({cause})"),
                        help: "this is a fault of the firmware: please report it with the module that caused it".into(),
                    })
                }
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

    fn finish(&mut self) -> Result<(), DeviceError> {
        let now = self.machine.now();
        if let Some(waveform) = &mut self.waveform {
            waveform.finish(now).map_err(unwritten)?;
        }
        let Some((path, range)) = &self.nvs else { return Ok(()) };
        let partition = self.machine.flash().get(range.clone()).unwrap_or_default();
        fs::write(path, partition).map_err(|error| DeviceError {
            message: format!("{} cannot be written: {error}", path.display()),
            help: "check that the folder exists and that you may write there".into(),
        })
    }

    fn now(&self) -> Duration {
        to_duration(self.machine.now())
    }

    fn has_reset(&self) -> bool {
        self.has_reset
    }

    fn set_deadline(&mut self, deadline: Option<Duration>) {
        self.deadline = deadline.map(to_ticks);
    }

    fn profile(&self) -> Option<Profile> {
        let pairs = self.machine.dispatch_pairs();
        if pairs.is_empty() {
            return None;
        }
        Profile::new(self.firmware.elf, &self.symbol(INTERPRETER)?, &pairs)
    }

    fn counters(&self) -> Option<Counters> {
        Some(Counters {
            cycles: self.machine.now(),
            instructions: self.machine.instructions(),
            vm_instructions: self.machine.dispatches(),
        })
    }
}
