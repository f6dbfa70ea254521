//! From the bytes of a module to an instance: parse, verify, take memory and thunks, bind imports.
//! Each refusal says why; a refused module leaves nothing behind.

use alloc::boxed::Box;
use core::{fmt::Write, mem::MaybeUninit, ptr};

use espb_format::{
    container::Module,
    error::FormatError,
    verifier::{self, Verified},
};
use espb_link::{
    Source,
    event::{Loaded, MAX_INSTANCES, Refusal},
};
use espb_vm::{Granule, Instance, Layout, LoadError, Thunks};

use super::{Running, registry, upload::Upload};
use crate::{
    counters, host,
    kernel::{self, OutOfMemory, ffi},
    thunk,
};

/// Bytes of heap that an instance leaves to the firmware, for stacks of tasks (about 10 KB each) and kernel objects.
const RESERVE: usize = 104 * 1024;
/// The same for an instance that cannot be had otherwise: its main task's stack and a few objects.
const LEAST_RESERVE: usize = 32 * 1024;

/// Why a module or a call was refused.
pub struct Refused {
    /// What kind of refusal.
    pub kind: Refusal,
    /// The verifier's reason, else 0.
    pub code: u8,
    /// Place in the module.
    pub offset: Option<u32>,
    /// In words.
    pub reason: heapless::String<192>,
}

impl Refused {
    /// A refusal without a place.
    pub fn new(kind: Refusal, reason: core::fmt::Arguments<'_>) -> Self {
        let mut text = heapless::String::new();
        // A reason that is too long is cut.
        let _ = text.write_fmt(reason);
        Self { kind, code: 0, offset: None, reason: text }
    }
}

impl From<FormatError> for Refused {
    fn from(error: FormatError) -> Self {
        let refused = Self::new(Refusal::Format, format_args!("{error}"));
        Self { code: error.reason as u8, offset: Some(error.offset), ..refused }
    }
}

/// Makes an instance of a module, which `start` then runs. It may call the restricted functions in `allowed`.
pub fn load(origin: Origin, allowed: &[&str]) -> Result<(&'static Running, Loaded), Refused> {
    let before = counters::instructions();
    let free = kernel::heap::free_bytes();
    if registry::is_full() {
        let reason = format_args!("{MAX_INSTANCES} instances are loaded, as many as there can be; stop one first");
        return Err(Refused::new(Refusal::Request, reason));
    }
    // It takes as long as the module and its bss are.
    let running = kernel::in_background(|| assemble(origin, allowed))?;
    if !registry::add(running) {
        unreachable!("only the link task adds instances, and there was a place");
    }
    let linear_memory = running.instance().layout().linear();
    let loaded = Loaded {
        instance: running.id(),
        load_instructions: counters::instructions() - before,
        linear_memory,
        // Exact if no other task took or gave memory.
        overhead: (free.saturating_sub(kernel::heap::free_bytes()) as u32).saturating_sub(linear_memory),
        free_heap: kernel::heap::free_bytes() as u32,
    };
    Ok((running, loaded))
}

/// Where the bytes of a module are.
pub enum Origin {
    /// In this slot, in place.
    Slot(u8, &'static [u8]),
    /// In RAM, brought by the upload of this number.
    Upload(u32, Upload),
}

/// Verifies the module and makes the instance with everything that belongs to it, in this order: a module that the verifier does
/// not accept takes nothing.
fn assemble(origin: Origin, allowed: &[&str]) -> Result<&'static Running, Refused> {
    let (source, bytes, upload) = match origin {
        Origin::Slot(slot, bytes) => (Source::Slot(slot), bytes, None),
        // SAFETY: the upload goes into the instance and is freed with it, after the VM's instance, which uses the bytes.
        Origin::Upload(token, upload) => (Source::Upload { token }, unsafe { upload.leaked() }, Some(upload)),
    };
    let module = accept(bytes)?;
    let needed = module.callback_count();
    let thunks =
        u16::try_from(needed).map_err(|_| thunk::COUNT).and_then(registry::free_thunks).map_err(|longest| {
            let reason = format_args!("the module needs {needed} callback thunks in a row and {longest} are free");
            Refused::new(Refusal::Memory, reason)
        })?;
    let running = leak(source, upload)?;
    complete(running, module, thunks, allowed).inspect_err(|_| {
        // SAFETY: leaked above, and nobody else knows of it.
        super::end::free(unsafe { Box::from_raw(ptr::from_ref(running).cast_mut()) });
    })?;
    Ok(running)
}

/// What the module's bytes alone decide. Tests find it in the image.
#[unsafe(export_name = "espb_accept")]
#[inline(never)]
fn accept(bytes: &'static [u8]) -> Result<Verified<'static>, FormatError> {
    verifier::verify(&Module::parse(bytes)?)
}

/// An instance to be on the heap. Out of line: it is large, and the verifier needs the stack.
#[inline(never)]
fn leak(source: Source, upload: Option<Upload>) -> Result<&'static Running, Refused> {
    match kernel::heap::try_box(Running::new(registry::next_id(), source, upload)) {
        Ok(running) => Ok(Box::leak(running)),
        Err(OutOfMemory) => Err(Refused::new(Refusal::Memory, format_args!("no memory for the instance"))),
    }
}

fn complete(
    running: &'static Running,
    module: Verified<'static>,
    thunks: Thunks,
    allowed: &[&str],
) -> Result<(), Refused> {
    // SAFETY: makes a recursive mutex on the kernel's heap.
    running.critical.set(unsafe { ffi::xQueueCreateMutex(ffi::QUEUE_TYPE_RECURSIVE_MUTEX) });
    if running.critical.get().is_null() {
        return Err(Refused::new(Refusal::Memory, format_args!("no memory for the instance's mutex")));
    }
    // No other task takes what was just seen to be free.
    let block = kernel::without_switching(|| layout_of(&module).and_then(|layout| allocate(&layout)))?;
    running.block.set(block);
    // SAFETY: the block was just allocated for this many granules and is freed in `end::free`, after the instance.
    let instance = match Instance::new(module, unsafe { &mut *block }, thunks, running) {
        // At once to where it stays: it is large. The cell was empty.
        Ok(instance) => running.instance.get_or_init(|| instance),
        Err(LoadError::Import(index)) => return Err(unbound(&module, index)),
        Err(other) => return Err(refusal(other)),
    };
    match host::not_allowed(&module, instance, allowed) {
        None => Ok(()),
        Some(name) => {
            let reason = format_args!("import `{name}`: it affects the whole device, and nobody has allowed it");
            Err(Refused::new(Refusal::Import, reason))
        }
    }
}

/// How much memory the instance gets: what it may use of that which tasks and kernel objects leave; beside other instances, which
/// may have taken all of that, what it needs at least.
fn layout_of(module: &Module<'static>) -> Result<Layout, Refused> {
    let largest = kernel::heap::largest_free_block();
    let share = largest.saturating_sub(RESERVE);
    match Layout::of(module, share) {
        Err(LoadError::Memory { needed, .. }) => {
            let all = largest.saturating_sub(LEAST_RESERVE);
            Layout::of(module, all.min(needed as usize)).map_err(|error| match error {
                LoadError::Memory { needed, .. } => refusal(LoadError::Memory { needed, available: all as u32 }),
                other => refusal(other),
            })
        }
        layout => layout.map_err(refusal),
    }
}

fn allocate(layout: &Layout) -> Result<*mut [MaybeUninit<Granule>], Refused> {
    let granules = layout.granules();
    let block = kernel::heap::allocate_at_end(granules * size_of::<Granule>());
    if block.is_null() {
        return Err(Refused::new(Refusal::Memory, format_args!("the heap has no block of {} bytes", layout.block)));
    }
    Ok(ptr::slice_from_raw_parts_mut(block.cast(), granules))
}

/// Says once more, in words, what the host functions have against an import.
#[cold]
fn unbound(module: &Verified<'static>, index: u16) -> Refused {
    let reason = module.import(index).and_then(|import| Some((import.name, host::bind_import(module, &import).err()?)));
    match reason {
        Some((name, reason)) => Refused::new(Refusal::Import, format_args!("import `{name}`: {reason}")),
        None => refusal(LoadError::Import(index)),
    }
}

fn refusal(error: LoadError) -> Refused {
    let kind = match error {
        LoadError::Import(_) => Refusal::Import,
        LoadError::Memory { .. } | LoadError::Thunks { .. } => Refusal::Memory,
    };
    Refused::new(kind, format_args!("{error}"))
}
