//! The RISC-V core: Unicorn's instruction translation with trap entry, interrupts and time of our own.
//!
//! Time is counted in instructions by one block hook, so that two runs are identical to the cycle. Unicorn's own clock,
//! instruction limit and memory hooks are not used: they are slow or not deterministic. No peripheral is known here.

mod block;
mod breakpoints;
mod csr;
mod effective;
mod engine;
mod profile;

use std::ops::Range;

use unicorn_engine::{RegisterRISCV, Unicorn, uc_error};

use super::{Bus, Cpu, CpuStop, DispatchPair, Fault, NEVER, Request, Ticks, Unmodelled};
use block::Cost;
use breakpoints::Breakpoints;
use csr::{Counts, CustomCsrs};
use effective::Access;
use profile::Profile;

/// a0 to a7.
const ARGUMENTS: [RegisterRISCV; 8] = [
    RegisterRISCV::X10,
    RegisterRISCV::X11,
    RegisterRISCV::X12,
    RegisterRISCV::X13,
    RegisterRISCV::X14,
    RegisterRISCV::X15,
    RegisterRISCV::X16,
    RegisterRISCV::X17,
];
/// `mstatus` fields (the privileged specification, section 3.1.6).
const MSTATUS_MIE: u32 = 1 << 3;
const MSTATUS_MPIE: u32 = 1 << 7;
const MSTATUS_MPP_MACHINE: u32 = 3 << 11;

/// Exception causes (the privileged specification, table 14).
mod cause {
    pub const FETCH_ACCESS: u32 = 1;
    pub const ILLEGAL: u32 = 2;
    pub const BREAKPOINT: u32 = 3;
    pub const LOAD_ACCESS: u32 = 5;
    pub const STORE_ACCESS: u32 = 7;
    pub const ECALL_MACHINE: u32 = 11;
    pub const INTERRUPT: u32 = 1 << 31;
}

const EBREAK: u32 = 0x0010_0073;
const C_EBREAK: u32 = 0x9002;
const WFI: u32 = 0x1050_0073;

/// An address that no instruction has (it is odd), given to Unicorn as "run until".
const NO_END: u64 = 1;

/// What the hooks share with [`RiscV::run`].
struct Shared<B> {
    bus: B,
    now: Ticks,
    /// The latest time that the chip has been told.
    told: Ticks,
    /// Blocks beginning at or after this moment are not run.
    stop_at: Ticks,
    deadline: Ticks,
    ticks_per_cycle: u64,
    instructions: u64,
    /// Core cycles, which go on while the core sleeps.
    cycles: u64,
    /// Ticks slept that do not make a cycle yet.
    cycle_fraction: Ticks,
    dispatches: u64,
    dispatch_range: Range<u32>,
    profile: Option<Profile>,
    /// An interrupt line wants to be delivered as soon as `mstatus.MIE` allows.
    line_pending: bool,
    /// A hook stopped the run; otherwise it ended at a `wfi`.
    stopped: bool,
    /// An exception that came through the interrupt hook; the pc stands 4 bytes behind its instruction.
    exception: Option<u32>,
    unmodelled: Option<(Unmodelled, &'static str)>,
    csrs: CustomCsrs,
    costs: engine::CostTable,
    /// The block begun last: its address and what was charged for it.
    block: (u32, Cost),
    breakpoints: Breakpoints,
}

impl<B: Bus> Shared<B> {
    fn counts(&self) -> Counts {
        Counts { cycles: self.cycles, instructions: self.instructions }
    }

    fn charge(&mut self, address: u32, cost: Cost) {
        if let Some(profile) = &mut self.profile
            && self.block.1.ends_in_dispatch
        {
            profile.arrive(address, self.instructions);
        }
        let instructions = u64::from(cost.instructions);
        self.now += instructions * self.ticks_per_cycle;
        self.instructions += instructions;
        self.cycles += instructions;
        self.dispatches += u64::from(cost.ends_in_dispatch);
        self.block = (address, cost);
    }

    /// Takes the instructions that an exception cut off back out of the account. Time never falls behind what the chip has
    /// been told already.
    fn refund(&mut self, instructions: u32) {
        let instructions = u64::from(instructions);
        self.now = self.now.saturating_sub(instructions * self.ticks_per_cycle).max(self.told);
        self.instructions -= instructions;
        self.cycles -= instructions;
        // A cut-off block did not reach its last instruction.
        self.dispatches -= u64::from(self.block.1.ends_in_dispatch && instructions > 0);
    }

    /// Lets the cycle counter go on during sleep; a cycle's fraction is kept, so that slices do not change the count.
    fn sleep(&mut self, ticks: Ticks) {
        let ticks = self.cycle_fraction + ticks;
        self.cycles += ticks / self.ticks_per_cycle;
        self.cycle_fraction = ticks % self.ticks_per_cycle;
    }

    /// Looks at the chip again, after anything that may have changed it.
    fn look_at_bus(&mut self) {
        self.told = self.now;
        self.ticks_per_cycle = self.bus.ticks_per_cycle();
        self.line_pending = self.bus.interrupt(self.now).is_some();
        self.stop_at =
            if self.bus.has_request(self.now) { 0 } else { self.deadline.min(self.bus.next_event(self.now)) };
    }
}

/// A RISC-V core on bus `B`.
pub struct RiscV<B: Bus + 'static> {
    uc: Unicorn<'static, Shared<B>>,
    pc: u32,
    /// The core executed `wfi` and nothing has woken it yet.
    asleep: bool,
}

impl<B: Bus> RiscV<B> {
    fn shared(&self) -> &Shared<B> {
        self.uc.get_data()
    }

    fn shared_mut(&mut self) -> &mut Shared<B> {
        self.uc.get_data_mut()
    }

    fn control(&self, register: RegisterRISCV) -> u32 {
        self.uc.reg_read(register).unwrap_or(0) as u32
    }

    fn set_control(&mut self, register: RegisterRISCV, value: u32) {
        // Writing a register that the engine knows cannot fail.
        let _ = self.uc.reg_write(register, u64::from(value));
    }

    /// The instruction at `address`, zero-extended from 16 bits where compressed.
    fn instruction_at(&self, address: u32) -> u32 {
        engine::fetch(&self.uc, address)
    }

    /// Enters the trap handler: the privileged specification, section 3.1.6 and 3.1.7. Interrupts are vectored, as the
    /// ESP32-C3's `mtvec` always is.
    fn enter_trap(&mut self, cause: u32, epc: u32, value: u32) {
        let mstatus = self.control(RegisterRISCV::MSTATUS);
        let previous = if mstatus & MSTATUS_MIE != 0 { MSTATUS_MPIE } else { 0 };
        let mstatus = mstatus & !(MSTATUS_MIE | MSTATUS_MPIE) | previous | MSTATUS_MPP_MACHINE;
        self.set_control(RegisterRISCV::MSTATUS, mstatus);
        self.set_control(RegisterRISCV::MEPC, epc);
        self.set_control(RegisterRISCV::MCAUSE, cause);
        self.set_control(RegisterRISCV::MTVAL, value);
        let base = self.control(RegisterRISCV::MTVEC) & !0xff;
        let line = if cause & cause::INTERRUPT != 0 { cause & 31 } else { 0 };
        self.pc = base.wrapping_add(4 * line);
    }

    /// Takes the instructions of the present block that begin at or behind `pc` back out of the account.
    fn refund_from(&mut self, pc: u32) {
        let (block, cost) = self.shared().block;
        let offset = pc.wrapping_sub(block);
        if offset <= cost.last_offset {
            let code = engine::code(&self.uc, block, cost.last_offset as usize + 4);
            let executed = block::instructions_before(&code, offset);
            self.shared_mut().refund(cost.instructions.saturating_sub(executed));
        }
    }

    /// Delivers an exception to the program, or reports it where the program has no handler.
    fn raise(&mut self, cause: u32, epc: u32, value: u32, what: &str) -> Option<CpuStop> {
        // The instruction itself counts as executed.
        self.refund_from(epc.wrapping_add(1));
        let handler = self.control(RegisterRISCV::MTVEC) & !0xff;
        if self.shared().bus.page(handler).is_none_or(|page| !page.executable) {
            return Some(CpuStop::Fault(Fault {
                what: format!("{what} with no trap handler installed (mtvec is {handler:#010x})"),
                pc: epc,
                address: value,
                name: String::from("outside every memory"),
            }));
        }
        self.enter_trap(cause, epc, value);
        None
    }

    fn engine_fault(&self, what: String) -> CpuStop {
        CpuStop::Fault(Fault { what, pc: self.pc, address: self.pc, name: String::from("the emulator's engine") })
    }

    /// What the end of a run means.
    fn after_stop(&mut self) -> Option<CpuStop> {
        if let Some((unmodelled, kind)) = self.shared_mut().unmodelled.take() {
            return Some(CpuStop::Fault(Fault {
                what: format!("{kind} an unmodelled register"),
                pc: self.pc,
                address: unmodelled.address,
                name: unmodelled.name,
            }));
        }
        if let Some(number) = self.shared_mut().exception.take() {
            // The interrupt hook always stands 4 bytes behind the instruction, whatever its length.
            let epc = self.pc.wrapping_sub(4);
            return match number {
                8..=11 => self.raise(cause::ECALL_MACHINE, epc, 0, "an environment call"),
                cause::BREAKPOINT => self.raise(cause::BREAKPOINT, epc, epc, "a breakpoint"),
                cause::ILLEGAL => {
                    let instruction = self.instruction_at(epc);
                    self.raise(cause::ILLEGAL, epc, instruction, "an illegal instruction")
                }
                other => self.raise(other, epc, 0, "an exception"),
            };
        }
        let pc = self.pc;
        if self.shared_mut().breakpoints.take_reached(pc) {
            return Some(CpuStop::Breakpoint);
        }
        if self.shared().stopped {
            return None;
        }
        self.after_halt()
    }

    /// What it means that the engine stopped without a hook. It does not say; the instruction does.
    fn after_halt(&mut self) -> Option<CpuStop> {
        let pc = self.pc;
        if self.shared().bus.page(pc).is_none_or(|page| !page.executable) {
            return self.raise(cause::FETCH_ACCESS, pc, pc, "a jump to an address without executable memory");
        }
        // The engine stands behind a `wfi`, which does not end its block, and before everything else.
        let (block, _) = self.shared().block;
        if pc != block && self.instruction_at(pc.wrapping_sub(4)) == WFI {
            self.refund_from(pc);
            self.asleep = true;
            return None;
        }
        let instruction = self.instruction_at(pc);
        if matches!(instruction, EBREAK | C_EBREAK) {
            return self.raise(cause::BREAKPOINT, pc, pc, "a breakpoint");
        }
        match effective::operand(instruction) {
            Some((access, base, offset)) => {
                let address = self.register(base).wrapping_add_signed(offset);
                match access {
                    Access::Load => {
                        self.raise(cause::LOAD_ACCESS, pc, address, "a load from an address without memory")
                    }
                    Access::Store => {
                        self.raise(cause::STORE_ACCESS, pc, address, "a store to an address without writable memory")
                    }
                }
            }
            None => Some(self.engine_fault(String::from("the engine stopped without a reason"))),
        }
    }

    /// Carries out what the chip asked for. `Some` if it reset itself.
    fn serve_requests(&mut self) -> Option<CpuStop> {
        let now = self.now();
        while let Some(request) = self.shared_mut().bus.take_request(now) {
            match request {
                Request::Yield => return Some(CpuStop::Yield),
                Request::Remap => engine::forget_translations(&mut self.uc, false),
                Request::Fill(backing, bytes) => {
                    if let Err(reason) = self.load(backing, &bytes) {
                        return Some(self.engine_fault(reason));
                    }
                }
                Request::Reset(cause) => return Some(CpuStop::Reset(cause)),
            }
        }
        None
    }

    /// Lets a sleeping core wait until something wakes it or the chip has a request; `Err` if nothing will before the
    /// deadline.
    fn wait(&mut self) -> Result<(), CpuStop> {
        let shared = self.shared_mut();
        while !shared.line_pending {
            if shared.bus.has_request(shared.now) {
                return Ok(());
            }
            let deadline = shared.deadline;
            let event = shared.bus.next_event(shared.now);
            if event == NEVER {
                return Err(CpuStop::Idle);
            }
            let until = event.min(deadline).max(shared.now);
            shared.sleep(until - shared.now);
            shared.now = until;
            shared.look_at_bus();
            if !shared.line_pending && shared.now >= deadline {
                return Err(CpuStop::Deadline);
            }
        }
        self.asleep = false;
        Ok(())
    }
}

impl<B: Bus> Cpu for RiscV<B> {
    type Bus = B;

    fn bus(&self) -> &B {
        &self.shared().bus
    }

    fn bus_mut(&mut self) -> &mut B {
        &mut self.shared_mut().bus
    }

    fn map_memory(&mut self, backing: u32, size: u32) -> Result<(), String> {
        engine::map_memory(&mut self.uc, backing, size)
    }

    fn map_registers(&mut self, base: u32, size: u32) -> Result<(), String> {
        engine::map_registers(&mut self.uc, base, size)
    }

    fn load(&mut self, backing: u32, bytes: &[u8]) -> Result<(), String> {
        self.uc
            .mem_write(u64::from(backing), bytes)
            .map_err(|error| format!("{} bytes do not fit the memory at {backing:#010x} ({error:?})", bytes.len()))?;
        // Code that ran before must not be run from the engine's cache.
        engine::forget_translations(&mut self.uc, true);
        Ok(())
    }

    fn peek(&self, backing: u32, length: usize) -> Result<Vec<u8>, String> {
        self.uc
            .mem_read_as_vec(u64::from(backing), length)
            .map_err(|error| format!("no memory of {length} bytes at {backing:#010x} ({error:?})"))
    }

    fn start_at(&mut self, pc: u32, stack: u32, interrupts: bool) -> Result<(), String> {
        self.pc = pc;
        self.asleep = false;
        self.set_control(RegisterRISCV::X2, stack);
        self.set_control(RegisterRISCV::MSTATUS, MSTATUS_MPP_MACHINE | if interrupts { MSTATUS_MIE } else { 0 });
        Ok(())
    }

    fn pc(&self) -> u32 {
        self.pc
    }

    fn register(&self, number: u8) -> u32 {
        engine::general_register(&self.uc, number)
    }

    fn now(&self) -> Ticks {
        self.shared().now
    }

    fn instructions(&self) -> u64 {
        self.shared().instructions
    }

    fn count_dispatches(&mut self, range: Range<u32>) {
        let shared = self.shared_mut();
        shared.dispatch_range = range;
        shared.dispatches = 0;
        shared.costs.clear();
    }

    fn dispatches(&self) -> u64 {
        self.shared().dispatches
    }

    fn profile_dispatches(&mut self) {
        self.shared_mut().profile = Some(Profile::default());
    }

    fn dispatch_pairs(&self) -> Vec<DispatchPair> {
        self.shared().profile.as_ref().map(Profile::pairs).unwrap_or_default()
    }

    fn set_breakpoints(&mut self, addresses: &[u32]) {
        self.shared_mut().breakpoints.set(addresses);
    }

    fn return_early(&mut self, value: u32) {
        self.pc = self.register(1);
        self.set_control(RegisterRISCV::X10, value);
    }

    fn divert(&mut self, address: u32, arguments: &[u32]) {
        for (register, value) in ARGUMENTS.into_iter().zip(arguments) {
            self.set_control(register, *value);
        }
        self.pc = address;
    }

    fn run(&mut self, deadline: Ticks) -> CpuStop {
        self.shared_mut().deadline = deadline;
        loop {
            if let Some(stop) = self.serve_requests() {
                return stop;
            }
            self.shared_mut().look_at_bus();
            if self.asleep {
                if let Err(stop) = self.wait() {
                    return stop;
                }
                if self.asleep {
                    continue;
                }
            }
            if self.shared().now >= deadline {
                return CpuStop::Deadline;
            }
            if self.shared().line_pending && self.control(RegisterRISCV::MSTATUS) & MSTATUS_MIE != 0 {
                let shared = self.shared_mut();
                if let Some(line) = shared.bus.interrupt(shared.now) {
                    self.enter_trap(cause::INTERRUPT | u32::from(line), self.pc, 0);
                }
                self.shared_mut().look_at_bus();
            }
            self.shared_mut().stopped = false;
            let result = self.uc.emu_start(u64::from(self.pc), NO_END, 0, 0);
            self.pc = self.control(RegisterRISCV::PC);
            let stop = match result {
                // The engine calls most of its stops an exception, and a few a success, without a system to it.
                Ok(()) | Err(uc_error::EXCEPTION) => self.after_stop(),
                Err(uc_error::INSN_INVALID) => {
                    let instruction = self.instruction_at(self.pc);
                    self.raise(cause::ILLEGAL, self.pc, instruction, "an illegal instruction")
                }
                Err(other) => Some(self.engine_fault(format!("the engine refused to go on ({other:?})"))),
            };
            if let Some(stop) = stop {
                return stop;
            }
        }
    }
}

#[cfg(test)]
mod tests;
