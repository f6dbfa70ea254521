//! What a processor core is to the rest of the emulator, and what the chip around it is to the core.
//!
//! Virtual time belongs to the core and is passed into every [`Bus`] call. Nothing here, or in the folder below, may know a
//! peripheral's address; nothing in `soc` may know an instruction set.

pub mod riscv;

use std::ops::Range;

/// A moment of virtual time, in ticks of the chip's reference clock (for the ESP32-C3: 160 MHz), counted from reset.
pub type Ticks = u64;

/// No event will ever come.
pub const NEVER: Ticks = Ticks::MAX;

/// What a page of the address space is, as the bus sees it. Pages are 4 KB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where the page lies in the core's backing memory (see [`Cpu::map_memory`]).
    pub backing: u32,
    /// Stores are allowed.
    pub writable: bool,
    /// Instructions may be fetched. Pages without it have much cheaper stores.
    pub executable: bool,
}

/// An access that the emulated chip does not model. Never answered with a silent zero: it stops the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmodelled {
    /// The bus address.
    pub address: u32,
    /// What is known to be there, e.g. `AES` or `a reserved region`.
    pub name: String,
}

/// Something that the chip wants the core to do before its next instruction block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The address mapping changed: forget cached translations.
    Remap,
    /// Backing memory at this address takes these bytes.
    Fill(u32, Vec<u8>),
    /// The chip resets itself; the text names the cause.
    Reset(&'static str),
    /// The host outside wants to look at the chip. Repeats until the host has.
    Yield,
}

/// The chip as its core sees it. Knows no instruction set.
pub trait Bus {
    /// A load of `size` (1, 2 or 4) bytes from a memory-mapped register.
    fn read(&mut self, now: Ticks, address: u32, size: u8) -> Result<u32, Unmodelled>;
    /// A store of `size` (1, 2 or 4) bytes to a memory-mapped register.
    fn write(&mut self, now: Ticks, address: u32, size: u8, value: u32) -> Result<(), Unmodelled>;
    /// The interrupt line to deliver, after matrix, enable, priority and threshold.
    fn interrupt(&mut self, now: Ticks) -> Option<u8>;
    /// When the chip's state next changes by itself; always later than `now`, or [`NEVER`].
    fn next_event(&mut self, now: Ticks) -> Ticks;
    /// The page at `address`, or `None` where a bus access fails.
    fn page(&self, address: u32) -> Option<Page>;
    /// A custom control register: reads it, then, with `value`, writes it. `None` if the chip has no such register.
    fn core_register(&mut self, number: u16, value: Option<u32>) -> Option<u32>;
    /// How many ticks of the reference clock one core cycle takes at the present clock setting.
    fn ticks_per_cycle(&self) -> u64;
    /// The next thing to do before the core goes on, in order.
    fn take_request(&mut self, now: Ticks) -> Option<Request>;
    /// Whether [`Bus::take_request`] has something. Asked after every register access.
    fn has_request(&self, now: Ticks) -> bool;
}

/// Why a core stopped where the chip cannot continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happened, e.g. `load from an unmodelled register`.
    pub what: String,
    /// The instruction that did it.
    pub pc: u32,
    /// The address concerned (the instruction's own for an exception without one).
    pub address: u32,
    /// The peripheral or region at `address`, if known.
    pub name: String,
}

/// Why [`Cpu::run`] returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CpuStop {
    /// Virtual time reached the deadline (it may pass it by no more than nothing: the next block was not begun).
    Deadline,
    /// The chip asked for it ([`Request::Yield`]).
    Yield,
    /// The core sleeps, no line is pending and no event will come.
    Idle,
    /// The chip reset itself.
    Reset(&'static str),
    /// The core stands at an address of [`Cpu::set_breakpoints`] and will go on past it.
    Breakpoint,
    /// Something that the emulator cannot carry on from.
    Fault(Fault),
}

/// Two counted indirect jumps in a row. Where an interrupt comes between a jump and its target, the jump is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DispatchPair {
    /// Where the first led.
    pub first: u32,
    /// Where the second led.
    pub second: u32,
    /// How often.
    pub count: u64,
    /// Instructions between the second and the jump that followed it.
    pub instructions: u64,
}

/// A processor core with its backing memory and its bus.
pub trait Cpu {
    /// The chip around it.
    type Bus: Bus;

    /// The chip.
    fn bus(&self) -> &Self::Bus;
    /// The chip, to change it from outside while the core stands still.
    fn bus_mut(&mut self) -> &mut Self::Bus;
    /// Gives the core backing memory: `size` bytes (a multiple of 4 KB) at `backing`, zeroed.
    fn map_memory(&mut self, backing: u32, size: u32) -> Result<(), String>;
    /// Routes `size` bytes at `base` to [`Bus::read`] and [`Bus::write`].
    fn map_registers(&mut self, base: u32, size: u32) -> Result<(), String>;
    /// Writes backing memory from outside.
    fn load(&mut self, backing: u32, bytes: &[u8]) -> Result<(), String>;
    /// Reads backing memory from outside.
    fn peek(&self, backing: u32, length: usize) -> Result<Vec<u8>, String>;
    /// Sets the state a bootloader hands over: entry point, stack pointer, interrupts enabled or not.
    fn start_at(&mut self, pc: u32, stack: u32, interrupts: bool) -> Result<(), String>;
    /// The next instruction's address.
    fn pc(&self) -> u32;
    /// A general register by number, for reports and tests.
    fn register(&self, number: u8) -> u32;
    /// Virtual time.
    fn now(&self) -> Ticks;
    /// Instructions executed since reset.
    fn instructions(&self) -> u64;
    /// Counts, from now on, the executed indirect jumps within `range` that neither link nor return.
    fn count_dispatches(&mut self, range: Range<u32>);
    /// How many of them were executed since.
    fn dispatches(&self) -> u64;
    /// Tells apart, from now on, where these jumps lead.
    fn profile_dispatches(&mut self);
    /// What [`Cpu::profile_dispatches`] found, in no order.
    fn dispatch_pairs(&self) -> Vec<DispatchPair>;
    /// Stops at these addresses from now on, and at no others. They must be entries of functions or places returned to.
    fn set_breakpoints(&mut self, addresses: &[u32]);
    /// Instead of executing the function at whose entry the core stands, returns this word to its caller.
    fn return_early(&mut self, value: u32);
    /// Instead of executing what it stands at, goes to `address` with these words in the first argument registers (at most eight).
    fn divert(&mut self, address: u32, arguments: &[u32]);
    /// Runs until `deadline` or an earlier reason to stop.
    fn run(&mut self, deadline: Ticks) -> CpuStop;
}
