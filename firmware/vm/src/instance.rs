//! A loaded module: its memory, its bindings and what its tasks share. Never here: running it ([`crate::context`]).

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

use espb_format::container::{Module, NONE, RelocationKind, SectionKind};
use espb_format::verifier::Verified;

use crate::address::Region;
use crate::backtrace::Frame;
use crate::heap::{self, Heap, HeapUse};
use crate::host::{Host, HostFunction};
use crate::layout::{Granule, Layout, LoadError};
use crate::linear::{Linear, clear};
use crate::memory::Memory;
use crate::trap::{Trap, TrapKind};

/// The thunks of an instance: a run of native entry points at equal distances, the first for the first address-taken function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thunks {
    /// Address of the first.
    pub first: u32,
    /// log₂ of the distance in bytes.
    pub shift: u8,
    /// How many there are; at least as many as the module has address-taken functions.
    pub count: u16,
}

impl Thunks {
    /// For modules without address-taken functions.
    pub const NONE: Self = Self { first: 0, shift: 0, count: 0 };

    /// Address of the thunk with this index.
    #[inline(always)]
    pub fn address(&self, index: u16) -> u32 {
        self.first.wrapping_add(u32::from(index) << self.shift)
    }

    /// How many distances an address lies behind the first thunk, if a whole number.
    #[inline(always)]
    pub(crate) fn place(&self, address: u32) -> Option<u32> {
        let distance = address.wrapping_sub(self.first);
        let place = distance >> self.shift;
        (place << self.shift == distance).then_some(place)
    }

    /// Index of the thunk at this address.
    #[inline(always)]
    pub fn index(&self, address: u32) -> Option<u16> {
        let index = self.place(address)?;
        (index < u32::from(self.count)).then_some(index as u16)
    }
}

/// The first trap of an instance and how its task had come there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The trap, with its place.
    pub trap: Trap,
    /// Frames that were active, innermost first.
    pub frames: [Frame; Self::FRAMES],
    /// How many of them are filled in.
    pub depth: u8,
}

impl Report {
    /// Most frames that a report keeps.
    pub const FRAMES: usize = 12;

    /// The frames, innermost first.
    pub fn frames(&self) -> &[Frame] {
        &self.frames[..usize::from(self.depth).min(Self::FRAMES)]
    }
}

/// What an import is bound to.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Binding {
    pub(crate) function: u16,
    pub(crate) argument_slots: u8,
    pub(crate) result_slots: u8,
}

/// A function that native code may call: what an entry through its thunk needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Callee {
    pub(crate) function: u16,
    pub(crate) argument_slots: u8,
    pub(crate) result_slots: u8,
}

impl Callee {
    /// The function with this index.
    pub(crate) fn of(module: &Module<'_>, function: u16) -> Option<Self> {
        let signature = module.signature(module.function(function)?.signature)?;
        Some(Self { function, argument_slots: signature.param_slots(), result_slots: signature.result_slots() })
    }
}

/// State that tasks change; reached only in [`Instance::locked`].
struct Shared {
    heap: heap::State,
    fuel: Option<u64>,
    stack_peak: u32,
    shadow_peak: u32,
    report: Option<Report>,
}

/// A loaded module. It borrows the module's bytes, one block of memory and the host.
pub struct Instance<'m> {
    module: Verified<'m>,
    host: &'m dyn Host,
    linear: Linear,
    constant: Region,
    layout: Layout,
    thunks: Thunks,
    bitmaps: *mut u32,
    bindings: *const Binding,
    callees: *const Callee,
    stopped: AtomicBool,
    main_taken: AtomicBool,
    shared: UnsafeCell<Shared>,
    block: PhantomData<&'m mut [Granule]>,
}

// SAFETY: the raw pointers lead into the block that the instance alone borrows. `bindings` and `callees` are not written after `new`; the bitmaps
// and `shared` are reached in `Host::critical` only, which excludes other tasks, and `linear` grows there; linear memory is reached
// through raw pointers only, and which task writes it when is the module's affair. `Host` is `Sync`.
unsafe impl Sync for Instance<'_> {}
// SAFETY: nothing in it belongs to a task.
unsafe impl Send for Instance<'_> {}

impl<'m> Instance<'m> {
    /// Loads a module into a block of memory, whatever that held: copies data, zeroes bss, applies relocations, binds imports. The rest
    /// of the block is zeroed when it is handed out.
    ///
    /// [`Layout::of`] says how large the block should be; the instance takes as much of it as its limits allow.
    pub fn new(
        module: Verified<'m>,
        block: &'m mut [MaybeUninit<Granule>],
        thunks: Thunks,
        host: &'m dyn Host,
    ) -> Result<Self, LoadError> {
        let layout = Layout::of(&module, core::mem::size_of_val::<[MaybeUninit<Granule>]>(block))?;
        let needed = module.callback_count() as u32;
        if needed > u32::from(thunks.count) {
            return Err(LoadError::Thunks { needed, available: thunks.count.into() });
        }
        // The heap's bitmaps, and what lies behind them.
        let tail = ((layout.linear() + Granule::SIZE) / Granule::SIZE) as usize;
        clear(block.get_mut(tail..layout.granules()).unwrap_or_default());
        let linear = Linear::new(block, &layout, module.section(SectionKind::Data).len());
        let start = linear.pointer();
        // SAFETY: by `Layout::of` the block is long enough for linear memory, padding, both bitmaps, the bindings and the callees, in
        // this order; every part starts at a multiple of 4.
        let (bitmaps, bindings, callees) = unsafe {
            let bitmaps = start.add((layout.linear() + Granule::SIZE) as usize).cast::<u32>();
            let bindings = bitmaps.add(2 * layout.bitmap_words()).cast::<Binding>();
            (bitmaps, bindings, bindings.add(module.import_count()).cast::<Callee>())
        };
        for index in 0..module.import_count() {
            let unbound = LoadError::Import(index as u16);
            let import = module.import(index as u16).ok_or(unbound)?;
            let function = host.bind(&module, index as u16, &import).ok_or(unbound)?;
            let binding = Binding {
                function: function.0,
                argument_slots: import.signature.param_slots(),
                result_slots: import.signature.result_slots(),
            };
            // SAFETY: `Layout::of` counted one binding an import.
            unsafe { bindings.add(index).write(binding) };
        }
        for index in 0..module.callback_count() {
            // `Module::parse` has checked these indices.
            let function = module.callback(index as u16).unwrap_or(NONE);
            let callee =
                Callee::of(&module, function).unwrap_or(Callee { function, argument_slots: 0, result_slots: 0 });
            // SAFETY: `Layout::of` counted one callee a callback.
            unsafe { callees.add(index).write(callee) };
        }
        let mut shared =
            Shared { heap: heap::State::default(), fuel: None, stack_peak: 0, shadow_peak: 0, report: None };
        // SAFETY: two bitmaps of this many words lie at `bitmaps`, and nobody else knows of them yet.
        let words = unsafe { core::slice::from_raw_parts_mut(bitmaps, 2 * layout.bitmap_words()) };
        Heap::over(words, layout.heap / Granule::SIZE, &mut shared.heap).reserve_tail();
        let instance = Self {
            constant: Region::constant(module.section(SectionKind::Constants)),
            module,
            host,
            linear,
            layout,
            thunks,
            bitmaps,
            bindings,
            callees,
            stopped: AtomicBool::new(false),
            main_taken: AtomicBool::new(false),
            shared: UnsafeCell::new(shared),
            block: PhantomData,
        };
        instance.initialise();
        Ok(instance)
    }

    /// Copies the data and applies the relocations.
    fn initialise(&self) {
        let memory = self.memory();
        let data = self.module.section(SectionKind::Data);
        let start = self.linear.start();
        // The data lie in linear memory by `Layout::of` and the relocated words in the data by `Module::parse`, so none of these fails.
        let _ = memory.write(start, data);
        for relocation in self.module.relocations() {
            let place = start + relocation.offset;
            let Ok(word) = memory.read_word(place) else { continue };
            let word = match relocation.kind {
                RelocationKind::Linear => word.wrapping_add(start),
                RelocationKind::Constant => word.wrapping_add(self.constant.start()),
                RelocationKind::Callback => self.thunks.address(word as u16),
            };
            let _ = memory.write_word(place, word);
        }
    }

    /// The module.
    pub fn module(&self) -> &Verified<'m> {
        &self.module
    }

    /// The host.
    pub fn host(&self) -> &'m dyn Host {
        self.host
    }

    /// How its memory is divided.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Its thunks.
    pub fn thunks(&self) -> Thunks {
        self.thunks
    }

    /// Its memory.
    pub fn memory(&self) -> Memory<'_> {
        Memory { linear: &self.linear, constant: self.constant }
    }

    /// Address of linear memory.
    pub fn linear_address(&self) -> u32 {
        self.linear.start()
    }

    /// Address of the constant data.
    pub fn constant_address(&self) -> u32 {
        self.constant.start()
    }

    /// The host function that an import is bound to.
    pub fn binding(&self, import: u16) -> Option<HostFunction> {
        // SAFETY: `new` wrote a binding for every import, and the index is one.
        let bound = || unsafe { self.bindings.add(import.into()).read() };
        (usize::from(import) < self.module.import_count()).then(|| HostFunction(bound().function))
    }

    /// The address-taken function with this index.
    ///
    /// # Safety
    /// The module has so many.
    #[inline(always)]
    pub(crate) unsafe fn callee(&self, callback: u16) -> &Callee {
        // SAFETY: `new` wrote a callee for every callback, and none is written after that.
        unsafe { &*self.callees.add(callback.into()) }
    }

    pub(crate) fn bindings(&self) -> *const Binding {
        self.bindings
    }

    /// Makes every task that runs the module trap with [`TrapKind::Stopped`] within about a thousand backward branches or calls, and
    /// when its present host call returns. Callable from anywhere, also from an interrupt.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether it was stopped or has trapped. It stays so.
    #[inline(always)]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Sets the fuel: how many taken backward branches and calls all tasks together may still do. `None` for no limit.
    pub fn set_fuel(&self, fuel: Option<u64>) {
        self.locked(|shared| shared.fuel = fuel);
    }

    /// Fuel left, without what running contexts have taken in advance; `None` where there is no limit.
    pub fn fuel(&self) -> Option<u64> {
        self.locked(|shared| shared.fuel)
    }

    /// Takes up to `most` units of fuel.
    pub(crate) fn take_fuel(&self, most: u32) -> u32 {
        self.locked(|shared| match &mut shared.fuel {
            None => most,
            Some(left) => {
                let taken = (*left).min(most.into());
                *left -= taken;
                taken as u32
            }
        })
    }

    /// Gives unused fuel back.
    pub(crate) fn return_fuel(&self, unused: u32) {
        self.locked(|shared| {
            if let Some(left) = &mut shared.fuel {
                *left = left.saturating_add(unused.into());
            }
        });
    }

    /// The first trap, if any task has trapped.
    pub fn report(&self) -> Option<Report> {
        self.locked(|shared| shared.report)
    }

    /// Keeps the first trap and stops the other tasks.
    #[cold]
    pub(crate) fn record(&self, report: Report) {
        self.locked(|shared| {
            shared.report.get_or_insert(report);
        });
        self.stop();
    }

    /// Allocates `size` bytes (at least one granule), aligned to 16; `None` when the heap has no such gap.
    pub fn allocate(&self, size: u32) -> Option<u32> {
        self.take(size).map(|(address, _)| address)
    }

    /// The same, zeroed, for `count` elements of `size` bytes.
    pub fn allocate_zeroed(&self, count: u32, size: u32) -> Option<u32> {
        let bytes = count.checked_mul(size)?;
        let (address, used) = self.take(bytes)?;
        // The block was just taken from linear memory, so this does not fail.
        let _ = self.memory().fill(address, 0, bytes.min(used));
        Some(address)
    }

    /// Takes a block and commits it. Its address, and how many of its first bytes may have been written to before.
    fn take(&self, size: u32) -> Option<(u32, u32)> {
        let (address, reached) = self.with_heap(|heap| {
            let address = self.heap_start() + heap.allocate(size)? * Granule::SIZE;
            Some((address, self.linear.committed()))
        })?;
        self.commit(address, size.max(1));
        Some((address, reached.size().saturating_sub(reached.offset(address))))
    }

    /// Lets the module reach so many bytes from this address of linear memory, and all before them.
    fn commit(&self, address: u32, size: u32) {
        let is_reached = || self.linear.committed().contains(address, size);
        // In steps: what else there is to do on the chip happens between them.
        while !is_reached() {
            self.locked(|_| {
                if !is_reached() {
                    self.linear.commit_step();
                }
            });
        }
    }

    /// Gives a block back. Address 0 is ignored; what is no live block is a trap.
    pub fn release(&self, address: u32) -> Result<(), Trap> {
        if address == 0 {
            return Ok(());
        }
        let granule = self.heap_granule(address)?;
        self.with_heap(|heap| heap.release(granule)).ok_or(Trap::new(TrapKind::HeapMisuse, address)).map(|_| ())
    }

    /// Changes a block's size, moving it where it must. `None` (and the block unchanged) when the heap has no such gap.
    pub fn reallocate(&self, address: u32, size: u32) -> Result<Option<u32>, Trap> {
        if address == 0 {
            return Ok(self.allocate(size));
        }
        let granule = self.heap_granule(address)?;
        let misuse = || Trap::new(TrapKind::HeapMisuse, address);
        let old = self.with_heap(|heap| heap.size(granule)).ok_or_else(misuse)?;
        if self.with_heap(|heap| heap.resize(granule, size)).is_some() {
            self.commit(address, size);
            return Ok(Some(address));
        }
        let Some(moved) = self.allocate(size) else { return Ok(None) };
        self.memory().copy(moved, address, size.min(old * Granule::SIZE))?;
        self.release(address)?;
        Ok(Some(moved))
    }

    /// Bytes that a live block can hold, for `malloc_usable_size`.
    pub fn block_size(&self, address: u32) -> Result<u32, Trap> {
        let granule = self.heap_granule(address)?;
        let size = self.with_heap(|heap| heap.size(granule)).ok_or(Trap::new(TrapKind::HeapMisuse, address))?;
        Ok(size * Granule::SIZE)
    }

    /// Use of the heap so far.
    pub fn heap_use(&self) -> HeapUse {
        self.locked(|shared| shared.heap.usage())
    }

    /// Highest use of any linear stack, in bytes, that was noted ([`Context::note_peaks`](crate::Context::note_peaks)).
    pub fn stack_peak(&self) -> u32 {
        self.locked(|shared| shared.stack_peak)
    }

    /// Highest use of any shadow stack, in bytes, that was noted.
    pub fn shadow_peak(&self) -> u32 {
        self.locked(|shared| shared.shadow_peak)
    }

    pub(crate) fn note_peaks(&self, stack: u32, shadow: u32) {
        self.locked(|shared| {
            shared.stack_peak = shared.stack_peak.max(stack);
            shared.shadow_peak = shared.shadow_peak.max(shadow);
        });
    }

    /// The start of the main linear stack, which is the caller's now, if it was free.
    pub(crate) fn take_main_stack(&self) -> Option<u32> {
        let is_free = self.locked(|_| {
            let free = !self.main_taken.load(Ordering::Relaxed);
            self.main_taken.store(true, Ordering::Relaxed);
            free
        });
        is_free.then(|| {
            self.commit(self.main_stack(), self.layout.stack);
            self.main_stack()
        })
    }

    pub(crate) fn return_main_stack(&self) {
        self.main_taken.store(false, Ordering::Relaxed);
    }

    fn main_stack(&self) -> u32 {
        self.linear.start() + self.layout.statics
    }

    fn heap_start(&self) -> u32 {
        self.main_stack() + self.layout.stack
    }

    fn heap_granule(&self, address: u32) -> Result<u32, Trap> {
        let offset = address.wrapping_sub(self.heap_start());
        if offset < self.layout.heap && offset.is_multiple_of(Granule::SIZE) {
            Ok(offset / Granule::SIZE)
        } else {
            Err(Trap::new(TrapKind::HeapMisuse, address))
        }
    }

    fn with_heap<R>(&self, work: impl FnOnce(&mut Heap<'_>) -> Option<R>) -> Option<R> {
        self.locked(|shared| {
            // SAFETY: two bitmaps of this many words lie at `bitmaps`; `locked` excludes every other user of them.
            let words = unsafe { core::slice::from_raw_parts_mut(self.bitmaps, 2 * self.layout.bitmap_words()) };
            work(&mut Heap::over(words, self.layout.heap / Granule::SIZE, &mut shared.heap))
        })
    }

    /// Runs `work` on the shared state while no other task runs. Not re-entrant: `work` must not call it again.
    fn locked<R: Default>(&self, work: impl FnOnce(&mut Shared) -> R) -> R {
        let mut work = Some(work);
        let mut result = R::default();
        self.host.critical(&mut || {
            if let Some(work) = work.take() {
                // SAFETY: `Host::critical` excludes other tasks, and no closure given to `locked` calls `locked`.
                result = work(unsafe { &mut *self.shared.get() });
            }
        });
        result
    }
}
