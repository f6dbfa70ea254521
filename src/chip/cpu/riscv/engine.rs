//! The dealings with Unicorn: set-up, hooks, caches. The traps, quirks and speeds noted here were measured with
//! unicorn-engine 2.1.5.
//!
//! No decision about interrupts or exceptions is taken here.

use unicorn_engine::{Arch, ControlType, MemType, Mode, Prot, RegisterRISCV, TlbEntry, TlbType, Unicorn, uc_ctl};

use super::block::{self, Cost};
use super::csr::{CsrAccess, CustomCsrs, Source};
use super::{Bus, MSTATUS_MIE, RiscV, Shared, cause};

/// Unicorn's SiFive E31 (RV32IMAC), the nearest to the ESP32-C3's RV32IMC.
const CPU_MODEL_E31: i32 = 2;
/// Unicorn reserves 1 GiB of address space for translated code otherwise. Bytes.
const TRANSLATION_BUFFER: u32 = 32 << 20;
const PAGE: u32 = 4096;

/// The costs of blocks seen, by address: a direct-mapped table, because a hash per block would cost as much as the block.
pub struct CostTable {
    entries: Vec<(u32, u32, Cost)>,
}

impl CostTable {
    const BITS: u32 = 15;
    /// No block is at an odd address.
    const EMPTY: (u32, u32, Cost) = (1, 0, Cost { instructions: 0, ends_in_dispatch: false, last_offset: 0 });

    fn new() -> Self {
        Self { entries: vec![Self::EMPTY; 1 << Self::BITS] }
    }

    pub fn clear(&mut self) {
        self.entries.fill(Self::EMPTY);
    }

    fn slot(address: u32) -> usize {
        (address >> 1 & ((1 << Self::BITS) - 1)) as usize
    }

    #[inline]
    fn get(&self, address: u32, size: u32) -> Option<Cost> {
        match self.entries.get(Self::slot(address)) {
            Some(&(at, length, cost)) if at == address && length == size => Some(cost),
            _ => None,
        }
    }

    fn insert(&mut self, address: u32, size: u32, cost: Cost) {
        if let Some(entry) = self.entries.get_mut(Self::slot(address)) {
            *entry = (address, size, cost);
        }
    }
}

impl<B: Bus> RiscV<B> {
    /// A core on `bus`, without memory yet.
    pub fn new(bus: B) -> Result<Self, String> {
        let ticks_per_cycle = bus.ticks_per_cycle();
        let shared = Shared {
            bus,
            now: 0,
            told: 0,
            stop_at: 0,
            deadline: 0,
            ticks_per_cycle,
            instructions: 0,
            cycles: 0,
            cycle_fraction: 0,
            dispatches: 0,
            dispatch_range: 0..0,
            profile: None,
            line_pending: false,
            stopped: false,
            exception: None,
            unmodelled: None,
            csrs: CustomCsrs::default(),
            costs: CostTable::new(),
            block: (0, Cost::default()),
        };
        let fail = |step: &'static str| move |error| format!("the emulator's engine failed at {step} ({error:?})");
        let mut uc =
            Unicorn::new_with_data(Arch::RISCV, Mode::RISCV32, shared).map_err(fail("creating a RISC-V core"))?;
        uc.ctl_set_cpu_model(CPU_MODEL_E31).map_err(fail("choosing the core"))?;
        set_translation_buffer(&uc)?;
        // With the default TLB every page counts as executable, which makes stores ten times as slow.
        uc.ctl_set_tlb_type(TlbType::VIRTUAL).map_err(fail("choosing the address translation"))?;
        uc.add_tlb_hook(0, u64::from(u32::MAX), |uc, address, _kind: MemType| {
            let page = uc.get_data().bus.page(address as u32)?;
            let mut perms = Prot::READ;
            if page.writable {
                perms |= Prot::WRITE;
            }
            if page.executable {
                perms |= Prot::EXEC;
            }
            Some(TlbEntry { paddr: u64::from(page.backing), perms })
        })
        .map_err(fail("hooking the address translation"))?;
        uc.add_block_hook(0, u64::from(u32::MAX), |uc, address, size| begin_block(uc, address as u32, size))
            .map_err(fail("hooking blocks"))?;
        uc.add_intr_hook(exception).map_err(fail("hooking exceptions"))?;
        Ok(Self { uc, pc: 0, asleep: false })
    }
}

fn set_translation_buffer<B: Bus>(uc: &Unicorn<'static, Shared<B>>) -> Result<(), String> {
    let control = ControlType(ControlType::TCG_BUFFER_SIZE.0 | ControlType::IO_WRITE.0);
    // SAFETY: the handle is live (we own `uc`), and this control takes exactly one 32-bit argument by value
    // (uc_ctl_set_tcg_buffer_size in unicorn.h). The safe wrapper does not offer it.
    let result = unsafe { uc_ctl(uc.get_handle(), control, TRANSLATION_BUFFER) };
    match result {
        unicorn_engine::uc_error::OK => Ok(()),
        error => Err(format!("the emulator's engine refused its buffer size ({error:?})")),
    }
}

/// The one block hook: charges the block, or stops before it.
fn begin_block<B: Bus>(uc: &mut Unicorn<'_, Shared<B>>, address: u32, size: u32) {
    let shared = uc.get_data_mut();
    if shared.now >= shared.stop_at || (shared.line_pending && interrupts_enabled(uc)) {
        uc.get_data_mut().stopped = true;
        // Stops before the block's first instruction; the same block begins again on resume.
        let _ = uc.emu_stop();
        return;
    }
    let shared = uc.get_data_mut();
    if let Some(cost) = shared.costs.get(address, size) {
        shared.charge(address, cost);
        return;
    }
    let bytes = code(uc, address, size as usize);
    let mut cost = block::cost(&bytes);
    let shared = uc.get_data_mut();
    cost.ends_in_dispatch &= shared.dispatch_range.contains(&address.wrapping_add(cost.last_offset));
    shared.costs.insert(address, size, cost);
    shared.charge(address, cost);
}

fn interrupts_enabled<B: Bus>(uc: &Unicorn<'_, Shared<B>>) -> bool {
    uc.reg_read(RegisterRISCV::MSTATUS).unwrap_or(0) as u32 & MSTATUS_MIE != 0
}

/// The exception hook. A control register of ours is answered here and the program goes on; all else stops the run.
fn exception<B: Bus>(uc: &mut Unicorn<'_, Shared<B>>, number: u32) {
    if number == cause::ILLEGAL && access_csr(uc).is_some() {
        return;
    }
    let shared = uc.get_data_mut();
    shared.exception = Some(number);
    shared.stopped = true;
    let _ = uc.emu_stop();
}

fn access_csr<B: Bus>(uc: &mut Unicorn<'_, Shared<B>>) -> Option<()> {
    let behind = uc.reg_read(RegisterRISCV::PC).ok()? as u32;
    let access = CsrAccess::decode(fetch(uc, behind.wrapping_sub(4)))?;
    let operand = match access.source {
        Source::Register(number) => general_register(uc, number),
        Source::Immediate(value) => value,
    };
    let shared = uc.get_data_mut();
    let counts = shared.counts();
    let (old, ours) = match shared.csrs.read(access.number, counts) {
        Some(old) => (old, true),
        None => (shared.bus.core_register(access.number, None)?, false),
    };
    if let Some(value) = access.updated(old, operand) {
        if ours {
            shared.csrs.write(access.number, value, counts);
        } else {
            shared.bus.core_register(access.number, Some(value))?;
            shared.look_at_bus();
        }
    }
    if access.destination != 0 {
        uc.reg_write(i32::from(RegisterRISCV::X0) + i32::from(access.destination), u64::from(old)).ok()?;
    }
    Some(())
}

pub fn general_register<D>(uc: &Unicorn<'_, D>, number: u8) -> u32 {
    uc.reg_read(i32::from(RegisterRISCV::X0) + i32::from(number & 31)).unwrap_or(0) as u32
}

/// Up to `length` bytes of code at `address`, across a page boundary if need be; fewer where the mapping ends.
pub fn code<B: Bus>(uc: &Unicorn<'_, Shared<B>>, address: u32, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let at = address.wrapping_add(bytes.len() as u32);
        let Some(page) = uc.get_data().bus.page(at) else { break };
        let in_page = (PAGE - at % PAGE) as usize;
        let chunk = in_page.min(length - bytes.len());
        match uc.mem_read_as_vec(u64::from(page.backing + at % PAGE), chunk) {
            Ok(read) => bytes.extend(read),
            Err(_) => break,
        }
    }
    bytes
}

/// The instruction at `address`, zero-extended where compressed; 0 (illegal) where there is no memory.
pub fn fetch<B: Bus>(uc: &Unicorn<'_, Shared<B>>, address: u32) -> u32 {
    match *code(uc, address, 4).as_slice() {
        [a, b, c, d] if block::is_long(u16::from_le_bytes([a, b])) => u32::from_le_bytes([a, b, c, d]),
        [a, b, ..] => u32::from(u16::from_le_bytes([a, b])),
        _ => 0,
    }
}

/// Forgets cached address translations and, with `code`, translated code.
pub fn forget_translations<B: Bus>(uc: &mut Unicorn<'static, Shared<B>>, code: bool) {
    // Neither control can fail on a live engine.
    let _ = uc.ctl_flush_tlb();
    if code {
        let _ = uc.ctl_flush_tb();
    }
    uc.get_data_mut().costs.clear();
}

pub fn map_memory<B: Bus>(uc: &mut Unicorn<'static, Shared<B>>, backing: u32, size: u32) -> Result<(), String> {
    uc.mem_map(u64::from(backing), u64::from(size), Prot::ALL)
        .map_err(|error| format!("the emulator's engine refused {size} bytes of memory at {backing:#010x} ({error:?})"))
}

pub fn map_registers<B: Bus>(uc: &mut Unicorn<'static, Shared<B>>, base: u32, size: u32) -> Result<(), String> {
    uc.mmio_map(
        u64::from(base),
        u64::from(size),
        Some(move |uc: &mut Unicorn<'_, Shared<B>>, offset: u64, size: usize| {
            let shared = uc.get_data_mut();
            let result = shared.bus.read(shared.now, base + offset as u32, size as u8);
            match result {
                Ok(value) => {
                    shared.look_at_bus();
                    u64::from(value)
                }
                Err(unmodelled) => {
                    give_up(uc, unmodelled, "load from");
                    0
                }
            }
        }),
        Some(move |uc: &mut Unicorn<'_, Shared<B>>, offset: u64, size: usize, value: u64| {
            let shared = uc.get_data_mut();
            match shared.bus.write(shared.now, base + offset as u32, size as u8, value as u32) {
                Ok(()) => shared.look_at_bus(),
                Err(unmodelled) => give_up(uc, unmodelled, "store to"),
            }
        }),
    )
    .map_err(|error| format!("the emulator's engine refused registers at {base:#010x} ({error:?})"))
}

/// Stops inside a register access. Only right because such a run is never resumed: the access would repeat for ever.
fn give_up<B: Bus>(uc: &mut Unicorn<'_, Shared<B>>, unmodelled: super::Unmodelled, kind: &'static str) {
    let shared = uc.get_data_mut();
    if shared.unmodelled.is_none() {
        shared.unmodelled = Some((unmodelled, kind));
    }
    shared.stopped = true;
    shared.stop_at = 0;
    let _ = uc.emu_stop();
}
