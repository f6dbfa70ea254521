//! The smallest machine around the emulated core: code, RAM, a console register and an exit register.
//! fixtures/corpus/native has its other half, the linker script and the runtime.

use std::mem;

use espb::chip::cpu::riscv::RiscV;
use espb::chip::cpu::{Bus, Cpu, CpuStop, NEVER, Page, Request, Ticks, Unmodelled};
use object::{Object, ObjectSegment};

use super::NativeEnd;

const CODE: u32 = 0x4000_0000;
const CODE_SIZE: u32 = 4 << 20;
const RAM: u32 = 0x2000_0000;
const RAM_SIZE: u32 = 16 << 20;
const REGISTERS: u32 = 0x1000_0000;
const REGISTERS_SIZE: u32 = 0x1000;
const PAGE: u32 = 0x1000;

#[derive(Default)]
struct Machine {
    output: Vec<u8>,
    status: Option<u32>,
}

impl Bus for Machine {
    fn read(&mut self, _: Ticks, address: u32, _: u8) -> Result<u32, Unmodelled> {
        Err(Unmodelled { address, name: String::from("a register that can only be written") })
    }

    fn write(&mut self, _: Ticks, address: u32, _: u8, value: u32) -> Result<(), Unmodelled> {
        match address - REGISTERS {
            0 => self.output.push(value as u8),
            4 => self.status = Some(value),
            _ => return Err(Unmodelled { address, name: String::from("no register") }),
        }
        Ok(())
    }

    fn interrupt(&mut self, _: Ticks) -> Option<u8> {
        None
    }

    fn next_event(&mut self, _: Ticks) -> Ticks {
        NEVER
    }

    fn page(&self, address: u32) -> Option<Page> {
        let within = |base: u32, size: u32| address.wrapping_sub(base) < size;
        let code = within(CODE, CODE_SIZE);
        let written = within(RAM, RAM_SIZE) || within(REGISTERS, REGISTERS_SIZE);
        let page = Page { backing: address & !(PAGE - 1), writable: written, executable: code };
        (code || written).then_some(page)
    }

    fn core_register(&mut self, _: u16, _: Option<u32>) -> Option<u32> {
        None
    }

    fn ticks_per_cycle(&self) -> u64 {
        1
    }

    fn take_request(&mut self, now: Ticks) -> Option<Request> {
        self.has_request(now).then_some(Request::Yield)
    }

    fn has_request(&self, _: Ticks) -> bool {
        self.status.is_some()
    }
}

/// Runs an executable for at most `limit` instructions: what it printed, how it ended, how many instructions it took.
pub fn run(file: &object::File<'_>, limit: u64) -> Result<(Vec<u8>, NativeEnd, u64), String> {
    let mut core = RiscV::new(Machine::default())?;
    core.map_memory(CODE, CODE_SIZE)?;
    core.map_memory(RAM, RAM_SIZE)?;
    core.map_registers(REGISTERS, REGISTERS_SIZE)?;
    for segment in file.segments() {
        let bytes = segment.data().map_err(|error| format!("the native executable: {error}"))?;
        if !bytes.is_empty() {
            core.load(segment.address() as u32, bytes)?;
        }
    }
    core.start_at(file.entry() as u32, RAM + RAM_SIZE, false)?;
    let stop = core.run(limit);
    let end = match (stop, core.bus().status) {
        (CpuStop::Yield, Some(status)) => NativeEnd::Exited(status as u8),
        (CpuStop::Deadline, _) => NativeEnd::TooLong,
        (other, _) => NativeEnd::Crashed(format!("{other:?}")),
    };
    let instructions = core.instructions();
    Ok((mem::take(&mut core.bus_mut().output), end, instructions))
}
