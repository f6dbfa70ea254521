//! From a module in flash to a running call: parse, verify, check contracts, instantiate, start the main task.
//! Each refusal says why; a refused module leaves nothing behind.

use alloc::boxed::Box;
use core::{cell::Cell, fmt::Write, mem::MaybeUninit, ptr};

use critical_section::Mutex;
use espb_format::{
    container::Module,
    signature::{Signature, ValType},
    verifier,
};
use espb_link::{
    event::{Loaded, Refusal},
    request::{Argument, Call, Start},
};
use espb_vm::{Granule, Instance, Layout, LoadError, Stacks};

use super::{MAX_SLOTS, Progress, Running, largest_block, publish, task};
use crate::{counters, host, kernel, kernel::ffi, thunk};

/// Bytes of heap that an instance leaves to the firmware, for stacks of tasks (about 10 KB each) and kernel objects.
const RESERVE: usize = 104 * 1024;
/// Priority of the main task, as in ESP-IDF.
const MAIN_PRIORITY: u32 = 1;

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

impl From<espb_format::error::FormatError> for Refused {
    fn from(error: espb_format::error::FormatError) -> Self {
        let refused = Self::new(Refusal::Format, format_args!("{error}"));
        Self { code: error.reason as u8, offset: Some(error.offset), ..refused }
    }
}

/// Loads the module; `begin` starts it.
pub fn load(bytes: &'static [u8], start: &Start<'_>) -> Result<(&'static Running, Loaded), Refused> {
    let before = counters::instructions();
    let free = kernel::heap::free_bytes();
    if Running::current().is_some() {
        return Err(Refused::new(Refusal::Request, format_args!("a module is running; send Stop first")));
    }
    let module = Module::parse(bytes)?;
    let module = verifier::verify(&module)?;
    host::check_imports(&module)?;
    let function = function_of(&module, start.call)?;

    let available = largest_block().saturating_sub(RESERVE);
    let layout = Layout::of(&module, available).map_err(refusal)?;
    let block = allocate(&layout)?;
    // SAFETY: the block was just allocated for this many granules and is freed in `end::free`, after the instance.
    let instance =
        Instance::new(module, unsafe { &mut *block }, thunk::pool(), &host::DEVICE_HOST).map_err(|error| {
            // SAFETY: the instance was not made, so nobody uses the block.
            unsafe { free_block(block) };
            refusal(error)
        })?;
    let mut running = Box::new(Running {
        instance: Some(instance),
        block,
        function,
        arguments: heapless::Vec::new(),
        critical: ptr::null_mut(),
        detached: start.detached,
        progress: Mutex::new(Cell::new(Progress::default())),
    });
    let prepared = prepare(&mut running, start);
    let linear_memory = layout.linear();
    let overhead = (free - kernel::heap::free_bytes()) as u32 - linear_memory;
    if let Err(refused) = prepared {
        super::end::free(running);
        return Err(refused);
    }
    let loaded = Loaded {
        load_instructions: counters::instructions() - before,
        linear_memory,
        overhead,
        free_heap: kernel::heap::free_bytes() as u32,
    };
    Ok((publish(running), loaded))
}

fn prepare(running: &mut Running, start: &Start<'_>) -> Result<(), Refused> {
    // SAFETY: makes a recursive mutex on the kernel's heap.
    running.critical = unsafe { ffi::xQueueCreateMutex(ffi::QUEUE_TYPE_RECURSIVE_MUTEX) };
    if running.critical.is_null() {
        return Err(Refused::new(Refusal::Memory, format_args!("no memory for the instance's mutex")));
    }
    let Some(instance) = &running.instance else { return Ok(()) };
    instance.set_fuel(start.fuel);
    let signature = signature_of(instance.module(), running.function)?;
    running.arguments = match start.call {
        Call::Entry => entry_arguments(instance, &signature, &start.arguments)?,
        Call::Export(_) => export_arguments(instance, &signature, &start.arguments)?,
    };
    Ok(())
}

/// Starts the main task, which makes the call.
pub fn begin(running: &'static Running) -> Result<(), Refused> {
    task::spawn(running, c"main", Stacks::Main, task::Work::Call, MAIN_PRIORITY, |_| Ok(()))
        .map_err(|trap| Refused::new(Refusal::Memory, format_args!("the main task cannot start: {trap}")))
}

fn function_of(module: &Module<'_>, call: Call<'_>) -> Result<u16, Refused> {
    match call {
        Call::Entry => module.limits().entry.ok_or_else(|| {
            Refused::new(Refusal::Call, format_args!("the module has no entry; name an export with --call"))
        }),
        Call::Export(name) => module
            .exports()
            .find(|export| export.name == name)
            .map(|export| export.function)
            .ok_or_else(|| Refused::new(Refusal::Call, format_args!("the module exports no function `{name}`"))),
    }
}

/// The signature of a function of a verified module.
pub fn signature_of(module: &Module<'_>, function: u16) -> Result<Signature, Refused> {
    module
        .function(function)
        .and_then(|function| module.signature(function.signature))
        .ok_or_else(|| Refused::new(Refusal::Call, format_args!("the module has no function {function}")))
}

fn allocate(layout: &Layout) -> Result<*mut [Granule], Refused> {
    let granules = layout.granules();
    let block = kernel::heap::allocate_at_end(granules * size_of::<Granule>()).cast::<Granule>();
    if block.is_null() {
        return Err(Refused::new(Refusal::Memory, format_args!("the heap has no block of {} bytes", layout.block)));
    }
    // SAFETY: the block has room for as many granules and the heap's alignment of 16, which is theirs.
    unsafe { core::slice::from_raw_parts_mut(block.cast::<MaybeUninit<Granule>>(), granules) }
        .fill(MaybeUninit::new(Granule::ZERO));
    Ok(ptr::slice_from_raw_parts_mut(block, granules))
}

/// Frees an instance's block.
///
/// # Safety
/// The block came from `allocate` and nobody uses it any more.
pub(super) unsafe fn free_block(block: *mut [Granule]) {
    // SAFETY: as the caller promises.
    unsafe { kernel::heap::free(block.cast()) };
}

fn refusal(error: LoadError) -> Refused {
    let kind = match error {
        LoadError::Import(_) => Refusal::Import,
        LoadError::Memory { .. } | LoadError::Thunks { .. } => Refusal::Memory,
        LoadError::Alignment | LoadError::Code(_) => Refusal::Format,
    };
    Refused::new(kind, format_args!("{error}"))
}

type Slots = heapless::Vec<u32, MAX_SLOTS>;

/// `argc`, `argv`, `envp`: as many as the entry declares.
fn entry_arguments(
    instance: &Instance<'_>,
    signature: &Signature,
    arguments: &[Argument<'_>],
) -> Result<Slots, Refused> {
    if signature.param_count() > 3 || signature.params().any(|param| param != ValType::I32) {
        return Err(Refused::new(
            Refusal::Call,
            format_args!("the entry must take (int argc, char *argv[], char *envp[]) or fewer of these"),
        ));
    }
    let count = arguments.len() as u32;
    let mut slots = Slots::new();
    if signature.param_count() > 0 {
        // argv with its terminating null, then envp: only a null.
        let vector = instance.allocate_zeroed(count + 2, 4).ok_or_else(no_room)?;
        for (index, argument) in (0u32..).zip(arguments) {
            let Argument::Text(text) = argument else {
                return Err(Refused::new(Refusal::Call, format_args!("arguments of the entry must be text")));
            };
            let copy = copy_text(instance, text)?;
            instance.memory().write_word(vector + 4 * index, copy).map_err(|_| no_room())?;
        }
        let all = [count, vector, vector + 4 * (count + 1)];
        slots.extend(all.into_iter().take(signature.param_count()));
    }
    Ok(slots)
}

fn export_arguments(
    instance: &Instance<'_>,
    signature: &Signature,
    arguments: &[Argument<'_>],
) -> Result<Slots, Refused> {
    if signature.param_count() != arguments.len() {
        return Err(Refused::new(
            Refusal::Call,
            format_args!("the function takes {} arguments, not {}", signature.param_count(), arguments.len()),
        ));
    }
    let mut slots = Slots::new();
    for (position, (param, argument)) in (1..).zip(signature.params().zip(arguments)) {
        let bits = match (param, *argument) {
            (ValType::I32, Argument::Text(text)) => copy_text(instance, text)?.into(),
            (ValType::I32, Argument::Integer(value)) if (-(1 << 31)..1 << 32).contains(&value) => {
                u64::from(value as u32)
            }
            (ValType::I64, Argument::Integer(value)) => value as u64,
            (ValType::F32, Argument::Integer(value)) => u64::from((value as f32).to_bits()),
            (ValType::F64, Argument::Integer(value)) => (value as f64).to_bits(),
            (ValType::F32, Argument::Number(value)) => u64::from((value as f32).to_bits()),
            (ValType::F64, Argument::Number(value)) => value.to_bits(),
            _ => {
                return Err(Refused::new(
                    Refusal::Call,
                    format_args!("argument {position} does not fit the parameter's type {}", param.name()),
                ));
            }
        };
        let words = [bits as u32, (bits >> 32) as u32];
        for word in words.into_iter().take(param.slots().into()) {
            slots.push(word).map_err(|_| Refused::new(Refusal::Call, format_args!("too many arguments")))?;
        }
    }
    Ok(slots)
}

fn copy_text(instance: &Instance<'_>, text: &str) -> Result<u32, Refused> {
    let address = instance.allocate_zeroed(1, text.len() as u32 + 1).ok_or_else(no_room)?;
    instance.memory().write(address, text.as_bytes()).map_err(|_| no_room())?;
    Ok(address)
}

fn no_room() -> Refused {
    Refused::new(
        Refusal::Memory,
        format_args!("the module's heap has no room for the arguments; build it with a larger --heap"),
    )
}
