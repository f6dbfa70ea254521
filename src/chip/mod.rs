//! The emulated chips: a whole ESP32-C3 that boots the flash image a real one would.
//!
//! `cpu` knows no chip, `soc` no instruction set, `boot` no ELF file. specs/fidelity.md says what is modelled.

mod boot;
pub mod cpu;
mod rom;
pub mod soc;

use std::fmt;
use std::ops::Range;
use std::time::Instant;

use cpu::riscv::RiscV;
use cpu::{Bus, Cpu, CpuStop, DispatchPair, Ticks};
use soc::esp32c3::regions::{self, FLASH_BACKING, FLASH_SIZES, Region};
use soc::esp32c3::{Esp32c3, TICKS_PER_SECOND};

pub use cpu::Fault;
pub use soc::esp32c3::Sent;
pub use soc::esp32c3::pads::{Board, Level, Pin, PinLevel};
pub use soc::flash_chip::FlashChange;

/// Virtual time between two looks at the wall clock: a few milliseconds of host time at most, yet thousands of times what a
/// look costs.
const WALL_CLOCK_SLICE: Ticks = TICKS_PER_SECOND / 1000;
/// Where the application finds its first stack: below the mask ROM's variables, as the bootloader leaves it.
const BOOT_STACK: u32 = 0x3fcd_e700;

/// Why a chip could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChipError(String);

impl fmt::Display for ChipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ChipError {}

impl From<String> for ChipError {
    fn from(reason: String) -> Self {
        Self(reason)
    }
}

/// What differs between two chips of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineOptions {
    /// The factory address in eFuse.
    pub mac: [u8; 6],
    /// What is connected to the pins.
    pub board: Board,
}

impl Default for MachineOptions {
    /// A locally administered address, so that it is nobody's.
    fn default() -> Self {
        Self { mac: [0x02, 0x00, 0x00, 0xe5, 0x9b, 0x01], board: Board::default() }
    }
}

/// When [`Machine::run`] returns at the latest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Until {
    /// Virtual time; `None` for no limit.
    pub deadline: Option<Ticks>,
    /// Return when UART0 has sent a line's end, a frame's end (0x00) or all it had.
    pub wake_on_output: bool,
    /// Host time. Looked at every millisecond of virtual time; where exactly the run stops then is not deterministic, what the
    /// chip does is.
    pub wall_clock: Option<Instant>,
}

/// Why [`Machine::run`] returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The virtual deadline is reached.
    Deadline,
    /// [`Until::wake_on_output`]: there is output to take.
    Output,
    /// The host's time limit is reached.
    WallClock,
    /// The core sleeps and nothing inside the chip will ever wake it. Input may.
    Idle,
    /// The program reset the chip; the text names the cause.
    Reset(&'static str),
    /// An address of [`Machine::set_breakpoints`] is reached; what is there comes next.
    Breakpoint,
    /// The emulation cannot go on.
    Fault(Fault),
}

/// A chip that runs.
pub struct Machine {
    cpu: RiscV<Esp32c3>,
}

impl Machine {
    /// Virtual ticks in a second: one tick is one core cycle at the highest clock, 160 MHz.
    pub const TICKS_PER_SECOND: u64 = TICKS_PER_SECOND;

    /// An ESP32-C3 with the full flash image `flash` (from offset 0; padded to the next power of two), ready to execute
    /// the application's first instruction.
    ///
    /// # Errors
    /// If the image holds no sound application, or is larger than 16 MB.
    pub fn esp32c3(mut flash: Vec<u8>, options: MachineOptions) -> Result<Self, ChipError> {
        let size = flash.len().next_power_of_two().max(FLASH_SIZES.start as usize);
        if size >= FLASH_SIZES.end as usize {
            return Err(ChipError(format!("a flash image of {} bytes is larger than the chip's 16 MB", flash.len())));
        }
        flash.resize(size, 0xff);
        let application = boot::find_application(&flash)?;
        let rom = rom::Rom::esp32c3()?;
        let mut cpu = RiscV::new(Esp32c3::new(flash.clone(), options.mac, &options.board))?;
        for Region { base, size } in [regions::ROM, regions::SRAM0, regions::SRAM1, regions::RTC_FAST] {
            cpu.map_memory(base, size)?;
        }
        cpu.map_memory(FLASH_BACKING, size as u32)?;
        cpu.map_registers(regions::REGISTERS.base, regions::REGISTERS.size)?;
        cpu.load(FLASH_BACKING, &flash)?;
        for contents in rom.contents()?.into_iter().chain(rom.boot_state(size as u32)?) {
            load_at(&mut cpu, contents.address, &contents.bytes)?;
        }
        for mapping in application.mappings {
            cpu.bus_mut().map_flash_page(mapping.entry, mapping.page);
        }
        for copy in application.copies {
            load_at(&mut cpu, copy.address, flash.get(copy.flash).unwrap_or_default())?;
        }
        // The ROM and the bootloader leave interrupts enabled; esp-hal relies on it.
        cpu.start_at(application.entry, BOOT_STACK, true)?;
        Ok(Self { cpu })
    }

    /// Runs until something in `until` or another reason to stop.
    pub fn run(&mut self, until: Until) -> Stop {
        let deadline = until.deadline.unwrap_or(Ticks::MAX);
        self.cpu.bus_mut().set_wake_on_output(until.wake_on_output);
        loop {
            let slice = match until.wall_clock {
                Some(limit) if Instant::now() >= limit => return Stop::WallClock,
                Some(_) => deadline.min(self.now() + WALL_CLOCK_SLICE),
                None => deadline,
            };
            return match self.cpu.run(slice) {
                CpuStop::Deadline if slice < deadline => continue,
                CpuStop::Deadline => Stop::Deadline,
                CpuStop::Yield => Stop::Output,
                CpuStop::Idle => Stop::Idle,
                CpuStop::Reset(cause) => Stop::Reset(cause),
                CpuStop::Breakpoint => Stop::Breakpoint,
                CpuStop::Fault(fault) => Stop::Fault(fault),
            };
        }
    }

    /// Virtual time since reset.
    pub fn now(&self) -> Ticks {
        self.cpu.now()
    }

    /// Instructions executed since reset.
    pub fn instructions(&self) -> u64 {
        self.cpu.instructions()
    }

    /// Counts, from now on, executed indirect jumps (neither calls nor returns) at addresses within `range`: an
    /// interpreter's dispatches.
    pub fn count_dispatches(&mut self, range: Range<u32>) {
        self.cpu.count_dispatches(range);
    }

    /// Dispatches counted since [`Machine::count_dispatches`].
    pub fn dispatches(&self) -> u64 {
        self.cpu.dispatches()
    }

    /// Tells apart, from now on, where the jumps of [`Machine::count_dispatches`] lead.
    pub fn profile_dispatches(&mut self) {
        self.cpu.profile_dispatches();
    }

    /// What [`Machine::profile_dispatches`] found, in no order.
    pub fn dispatch_pairs(&self) -> Vec<DispatchPair> {
        self.cpu.dispatch_pairs()
    }

    /// What UART0 has sent since the last call, with the moment each byte was complete.
    pub fn take_uart_output(&mut self) -> Vec<Sent> {
        let now = self.now();
        self.cpu.bus_mut().take_uart_output(now)
    }

    /// Sends bytes to UART0, from now on, at the baud rate it is set to.
    pub fn send_uart_input(&mut self, bytes: &[u8]) {
        let now = self.now();
        self.cpu.bus_mut().send_uart_input(now, bytes);
    }

    /// Records the pins' levels from now on, for [`Machine::take_pin_levels`].
    pub fn record_pins(&mut self) {
        let now = self.now();
        self.cpu.bus_mut().record_pads(now);
    }

    /// What the pins were at when recording began, then each change since the last call, in order.
    pub fn take_pin_levels(&mut self) -> Vec<PinLevel> {
        let now = self.now();
        self.cpu.bus_mut().take_pad_edges(now)
    }

    /// The flash chip's present contents.
    pub fn flash(&self) -> &[u8] {
        let flash = self.cpu.bus().flash();
        flash.bytes(0..flash.size())
    }

    /// Stops at these addresses from now on, and at no others. They must be entries of functions or places returned to.
    pub fn set_breakpoints(&mut self, addresses: &[u32]) {
        self.cpu.set_breakpoints(addresses);
    }

    /// Instead of executing the function at whose entry the core stands, returns this word to its caller: how tests make a
    /// function of the firmware fail.
    pub fn return_early(&mut self, value: u32) {
        self.cpu.return_early(value);
    }

    /// Instead of executing the function at whose entry the core stands, goes to `address` with these words in the first argument
    /// registers: how tests have the firmware do what it never would.
    pub fn divert(&mut self, address: u32, arguments: &[u32]) {
        self.cpu.divert(address, arguments);
    }

    /// A peripheral's register, as the program would read it now.
    ///
    /// # Errors
    /// Where no register is modelled.
    pub fn peripheral_register(&mut self, address: u32) -> Result<u32, ChipError> {
        let now = self.now();
        let unmodelled = |_| ChipError(format!("there is no register at {address:#010x}"));
        self.cpu.bus_mut().read(now, address, 4).map_err(unmodelled)
    }

    /// Keeps every program and erase command of the flash from now on, for [`Machine::flash_history`].
    pub fn keep_flash_history(&mut self) {
        self.cpu.bus_mut().keep_flash_history();
    }

    /// The changes of the flash that were kept, in order.
    pub fn flash_history(&self) -> &[FlashChange] {
        self.cpu.bus().flash().history()
    }

    /// The next instruction's address, for reports.
    pub fn pc(&self) -> u32 {
        self.cpu.pc()
    }

    /// A general register, for reports.
    pub fn register(&self, number: u8) -> u32 {
        self.cpu.register(number)
    }

    /// Writes bytes of memory as the program sees them at `address`; says whether there is writable memory.
    pub fn store(&mut self, address: u32, bytes: &[u8]) -> bool {
        let mut at = address;
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(page) = self.cpu.bus().page(at).filter(|page| page.writable) else { return false };
            let in_page = at % 0x1000;
            let (chunk, behind) = rest.split_at((0x1000 - in_page as usize).min(rest.len()));
            if self.cpu.load(page.backing + in_page, chunk).is_err() {
                return false;
            }
            at = at.wrapping_add(chunk.len() as u32);
            rest = behind;
        }
        true
    }

    /// Whether the program may store at this address, and whether it may execute there.
    pub fn writable_executable(&self, address: u32) -> (bool, bool) {
        self.cpu.bus().writable_executable(address)
    }

    /// Bytes of memory as the program sees them at `address`; `None` where no memory is mapped.
    pub fn memory(&self, address: u32, length: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let at = address.checked_add(bytes.len() as u32)?;
            let page = self.cpu.bus().page(at).filter(|_| !regions::REGISTERS.contains(at))?;
            let in_page = at % 0x1000;
            let chunk = (0x1000 - in_page as usize).min(length - bytes.len());
            bytes.extend(self.cpu.peek(page.backing + in_page, chunk).ok()?);
        }
        Some(bytes)
    }
}

/// Writes `bytes` where the program would see them at `address`.
fn load_at(cpu: &mut RiscV<Esp32c3>, address: u32, bytes: &[u8]) -> Result<(), ChipError> {
    let page = cpu.bus().page(address).ok_or_else(|| ChipError(format!("there is no memory at {address:#010x}")))?;
    cpu.load(page.backing + address % 0x1000, bytes)?;
    Ok(())
}

#[cfg(test)]
mod tests;
