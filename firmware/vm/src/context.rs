//! A context: what one native task needs to run module code. Its shadow stack lies in host memory, its linear stack in the module's.
//!
//! The shadow stack holds the frames. A frame's registers start at its frame pointer; below it lie two words, the [`Link`](crate::link::Link) and the
//! caller's linear stack pointer. An entry from the host has two words more below: the frame pointer (as offset in bytes) and the
//! position (in words) of what it interrupted. At the bottom of the stack, where it interrupted nothing, the offset is 0.

mod entry;

use core::cell::Cell;
use core::marker::PhantomData;

use espb_format::container::{Module, NONE};

use crate::address::Region;
use crate::backtrace::{Backtrace, Frame};
use crate::cursor::Cursor;
use crate::instance::{Binding, Instance, Report, Thunks};
use crate::layout::Granule;
use crate::program::{Program, Record};
use crate::trap::{Trap, TrapKind};

pub use entry::Callback;

/// Frame pointer, as offset, of a context that runs nothing. No frame has it: an entry's header lies below the first.
pub(crate) const NOTHING: u32 = 0;
/// Fuel that a context takes in advance, and so how many backward branches and calls pass between two looks at the stop flag.
const FUEL_SLICE: u32 = 1024;
/// Bytes that `memmove` and `memset` copy or set for a unit of fuel; what is less is free.
const BYTES_PER_FUEL: u32 = 256;

/// Where a context's linear stack comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stacks {
    /// The main stack that the module declares; one context at a time can have it.
    Main,
    /// So many bytes of the module's heap, given back when the context ends.
    Heap(u32),
    /// Memory of the module, which stays its own.
    At {
        /// Its first byte.
        address: u32,
        /// How many there are.
        size: u32,
    },
}

/// What one native task needs to run module code. It must stay with its task and ends with it.
pub struct Context<'i> {
    instance: &'i Instance<'i>,
    /// Copies of what the interpreter needs at once.
    program: Program,
    linear: Cell<Region>,
    constant: Region,
    bindings: *const Binding,
    thunks: Thunks,
    shadow: *mut u8,
    shadow_size: u32,
    shadow_limit: *mut u8,
    stack_low: u32,
    stack_high: u32,
    stacks: Stacks,
    /// Address of the block of thread-local variables; 0 before its first use.
    thread_block: Cell<u32>,
    most_entries: u8,
    entries: Cell<u8>,
    /// A word of the host's.
    host_data: Cell<*const ()>,
    /// Where the last interrupted function stood, and the bytes of its frame: a sort interrupts one place thousands of times.
    interrupted: Cell<(*const u8, usize)>,
    /// The address, the signature and the function of the last indirect call: most places call the same function again and again.
    last_callee: Cell<(u32, u32, Record)>,
    /// Instruction at which the task left the interpreter (or will enter it).
    pub(crate) pc: Cell<*const u8>,
    /// Frame pointer at that moment.
    pub(crate) fp: Cell<*mut u8>,
    /// Linear stack pointer at that moment.
    pub(crate) sp: Cell<u32>,
    /// Fuel taken in advance and not used.
    pub(crate) fuel: Cell<u32>,
    /// Why the interpreter stopped last.
    trap: Cell<Trap>,
    /// Fuel that may still be taken, whatever the instance has; `None` for no limit.
    budget: Cell<Option<u32>>,
    lifetime: PhantomData<&'i mut [u32]>,
}

/// That the interpreter or a part of it has stopped: the context has kept why.
pub(crate) struct Trapped;

impl<'i> Context<'i> {
    /// A context with this shadow stack, which is zeroed. `most_entries` bounds how deeply callbacks and host functions may call each
    /// other (each entry takes native stack); 0 allows none at all.
    ///
    /// Fails with [`TrapKind::LinearStackOverflow`] where the heap has no room for the linear stack, the main one is taken, or the module may
    /// not write where the stack is to be.
    pub fn new(
        instance: &'i Instance<'i>,
        shadow: &'i mut [u32],
        stacks: Stacks,
        most_entries: u8,
    ) -> Result<Self, Trap> {
        shadow.fill(0);
        let none = |size| Trap::new(TrapKind::LinearStackOverflow, size);
        let (stack_low, size) = match stacks {
            Stacks::Main => {
                let size = instance.layout().stack;
                (instance.take_main_stack().ok_or(none(size))?, size)
            }
            Stacks::Heap(size) => {
                let size = size.checked_next_multiple_of(Granule::SIZE).ok_or(none(size))?;
                (instance.allocate_zeroed(1, size).ok_or(none(size))?, size)
            }
            Stacks::At { address, size } => {
                let low = address.checked_next_multiple_of(Granule::SIZE).ok_or(none(size))?;
                let high = address.checked_add(size).ok_or(none(size))? / Granule::SIZE * Granule::SIZE;
                let size = high.checked_sub(low).ok_or(none(size))?;
                instance.memory().fill(low, 0, size).map_err(|_| none(size))?;
                (low, size)
            }
        };
        let base = shadow.as_mut_ptr().cast::<u8>();
        let (program, memory) = (Program::of(instance.module()), instance.memory());
        Ok(Self {
            instance,
            program,
            linear: Cell::new(memory.linear.committed()),
            constant: memory.constant,
            bindings: instance.bindings(),
            thunks: instance.thunks(),
            shadow: base,
            shadow_size: u32::try_from(shadow.len() * 4).unwrap_or(!3),
            shadow_limit: base.wrapping_add(shadow.len() * 4),
            stack_low,
            stack_high: stack_low + size,
            stacks,
            thread_block: Cell::new(0),
            most_entries,
            entries: Cell::new(0),
            host_data: Cell::new(core::ptr::null()),
            interrupted: Cell::new((core::ptr::null(), 0)),
            // No signature has this index.
            last_callee: Cell::new((0, u32::MAX, program.function(0))),
            pc: Cell::new(program.code(0)),
            fp: Cell::new(base),
            sp: Cell::new(stack_low + size),
            fuel: Cell::new(0),
            trap: Cell::new(Trap::new(TrapKind::Stopped, 0)),
            budget: Cell::new(None),
            lifetime: PhantomData,
        })
    }

    /// The instance.
    pub fn instance(&self) -> &'i Instance<'i> {
        self.instance
    }

    /// What [`Context::set_host_data`] left, null at first.
    #[inline(always)]
    pub fn host_data(&self) -> *const () {
        self.host_data.get()
    }

    /// Keeps a word for the host, which finds it again in its host calls: what it knows of the task, say.
    pub fn set_host_data(&self, data: *const ()) {
        self.host_data.set(data);
    }

    /// Whether no entry from the host is in progress.
    #[inline(always)]
    pub fn is_idle(&self) -> bool {
        self.entries.get() == 0
    }

    /// Keeps why the interpreter stops.
    #[cold]
    #[inline(never)]
    pub(crate) fn fail(&self, kind: TrapKind, value: u32) -> Trapped {
        self.fail_with(Trap::new(kind, value))
    }

    /// Keeps the trap with which the interpreter stops.
    #[cold]
    pub(crate) fn fail_with(&self, trap: Trap) -> Trapped {
        self.trap.set(trap);
        Trapped
    }

    /// Completes the trap that was kept with its place and records it.
    #[cold]
    #[inline(never)]
    fn finish(&self) -> Trap {
        let mut trap = self.trap.get();
        let mut frames = [Frame { function: NONE, offset: 0 }; Report::FRAMES];
        let mut depth = 0;
        for (place, frame) in frames.iter_mut().zip(self.backtrace()) {
            *place = frame;
            depth += 1;
        }
        if trap.function == NONE && depth > 0 {
            trap.function = frames[0].function;
            trap.offset = frames[0].offset;
        }
        self.instance.record(Report { trap, frames, depth });
        trap
    }

    /// The frames of this task, innermost first, as of its last host call or trap.
    pub fn backtrace(&self) -> Backtrace<'_> {
        Backtrace::new(self)
    }

    /// Word of the current instruction; `None` outside any entry.
    pub(crate) fn position(&self) -> Option<u32> {
        (self.fp.get() != self.shadow).then(|| self.program.word_of(self.pc.get()))
    }

    /// Byte offset of the current frame pointer in the shadow stack.
    pub(crate) fn frame_offset(&self) -> u32 {
        self.offset_of(self.fp.get())
    }

    /// Byte offset of a frame pointer of this context in the shadow stack.
    pub(crate) fn offset_of(&self, fp: *mut u8) -> u32 {
        (fp.addr() - self.shadow.addr()) as u32
    }

    /// Address of this task's block of thread-local variables, which the first use makes.
    pub(crate) fn thread_block(&self) -> Result<u32, Trap> {
        if self.thread_block.get() == 0 {
            // Verified code asks for it only where the module has such variables.
            let Some(record) = self.module().thread_local() else { return Ok(0) };
            let none = Trap::new(TrapKind::ThreadLocal, record.size);
            let block = self.instance.allocate_zeroed(1, record.size).ok_or(none)?;
            self.instance.memory().copy(block, self.instance.linear_address() + record.template, record.initialised)?;
            self.thread_block.set(block);
        }
        Ok(self.thread_block.get())
    }

    /// A word of the shadow stack; 0 past its end.
    pub(crate) fn shadow_word(&self, index: u32) -> u32 {
        if index < self.shadow_size / 4 {
            // SAFETY: the index was just checked.
            unsafe { self.shadow.cast::<u32>().add(index as usize).read() }
        } else {
            0
        }
    }

    pub(crate) fn module(&self) -> &Module<'i> {
        self.instance.module()
    }

    #[inline(always)]
    pub(crate) fn program(&self) -> Program {
        self.program
    }

    #[inline(always)]
    pub(crate) fn linear(&self) -> Region {
        self.linear.get()
    }

    /// Takes a new copy of how far linear memory reaches; whether that is further than before.
    #[cold]
    pub(crate) fn see_committed(&self) -> bool {
        let committed = self.instance.memory().linear.committed();
        committed.size() > self.linear.replace(committed).size()
    }

    #[inline(always)]
    pub(crate) fn constant(&self) -> Region {
        self.constant
    }

    /// The module function behind a thunk's address.
    #[inline(always)]
    pub(crate) fn callee(&self, address: u32) -> Option<Record> {
        self.thunks.place(address).and_then(|place| self.program.callback(place))
    }

    /// The function of the last indirect call, if that was one to this address with this signature.
    #[inline(always)]
    pub(crate) fn last_callee(&self, address: u32, signature: u16) -> Option<Record> {
        let (last_address, last_signature, record) = self.last_callee.get();
        (last_address == address && last_signature == signature.into()).then_some(record)
    }

    /// Keeps what [`Self::last_callee`] answers; the callee must have been checked.
    #[inline(always)]
    pub(crate) fn remember_callee(&self, address: u32, signature: u16, record: Record) {
        self.last_callee.set((address, signature.into(), record));
    }

    /// What an import of verified code is bound to.
    #[inline(always)]
    pub(crate) fn binding(&self, import: u16) -> Binding {
        // SAFETY: verified code calls imports of the table only, and `Instance::new` wrote a binding for each.
        unsafe { self.bindings.add(import.into()).read() }
    }

    /// Where the interpreter was parked. In a context that runs nothing there is no frame.
    #[inline(always)]
    pub(crate) fn parked(&self) -> Cursor {
        // SAFETY: what `park` kept was a cursor's, and who uses the frame knows that there is one.
        unsafe { Cursor::new(self.pc.get(), self.fp.get()) }
    }

    /// Keeps the interpreter's state for backtraces, nested entries and the way back.
    #[inline(always)]
    pub(crate) fn park(&self, at: Cursor, sp: u32, fuel: u32) {
        self.pc.set(at.pc());
        self.fp.set(at.fp());
        self.sp.set(sp);
        self.fuel.set(fuel);
    }

    /// First address past the shadow stack.
    #[inline(always)]
    pub(crate) fn shadow_limit(&self) -> *mut u8 {
        self.shadow_limit
    }

    /// Lowest value of the linear stack pointer.
    #[inline(always)]
    pub(crate) fn stack_limit(&self) -> u32 {
        self.stack_low
    }

    /// Limits the fuel that this context may take from now on, beside what the instance has: for a task that others wait for. What
    /// the context has taken in advance, about a thousand units, comes on top.
    pub fn set_budget(&self, budget: Option<u32>) {
        self.budget.set(budget);
    }

    /// Looks at the stop flag and takes more fuel.
    #[cold]
    pub(crate) fn refill(&self) -> Result<u32, TrapKind> {
        match self.take_fuel(FUEL_SLICE)? {
            0 => Err(TrapKind::OutOfFuel),
            taken => Ok(taken),
        }
    }

    /// Pays for an instruction that touches so many bytes, so that time goes with fuel.
    pub(crate) fn charge(&self, bytes: u32) -> Result<(), TrapKind> {
        match bytes / BYTES_PER_FUEL {
            0 => Ok(()),
            units if self.take_fuel(units)? == units => Ok(()),
            _ => Err(TrapKind::OutOfFuel),
        }
    }

    /// Takes up to `most` units.
    fn take_fuel(&self, most: u32) -> Result<u32, TrapKind> {
        if self.instance.is_stopped() {
            return Err(TrapKind::Stopped);
        }
        let taken = self.instance.take_fuel(self.budget.get().map_or(most, |budget| budget.min(most)));
        self.budget.set(self.budget.get().map(|budget| budget - taken));
        Ok(taken)
    }

    /// Records how much of its stacks this context has used so far, for [`Instance::stack_peak`] and [`Instance::shadow_peak`]. It takes a
    /// few machine instructions for each word of the stacks, so a context that ends does not do it by itself.
    pub fn note_peaks(&self) {
        self.instance.note_peaks(self.stack_peak(), self.shadow_peak());
    }

    /// Highest use of this context's linear stack so far, in bytes: down to the lowest byte that is not zero.
    pub fn stack_peak(&self) -> u32 {
        let size = self.stack_high - self.stack_low;
        let lowest = self.linear().pointer(self.stack_low).cast::<u32>();
        // SAFETY: the stack lies in linear memory, and both its ends are multiples of 16. The module may write to it meanwhile.
        let is_zero = |index: &u32| unsafe { lowest.add(*index as usize).read_volatile() } == 0;
        size - (0..size / 4).take_while(is_zero).count() as u32 * 4
    }

    /// Highest use of this context's shadow stack so far, in bytes: up to the highest word that is not zero.
    pub fn shadow_peak(&self) -> u32 {
        let words = self.shadow_size / 4;
        (0..words).rev().find(|index| self.shadow_word(*index) != 0).map_or(0, |index| (index + 1) * 4)
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        self.instance.return_fuel(self.fuel.get());
        // As for the stack below: a module that freed the block has only itself to blame.
        let _ = self.instance.release(self.thread_block.get());
        match self.stacks {
            Stacks::Main => self.instance.return_main_stack(),
            // A module that freed its own task's stack has already trapped for it or will when it uses the block; nothing is left to do.
            Stacks::Heap(_) => drop(self.instance.release(self.stack_low)),
            Stacks::At { .. } => {}
        }
    }
}
