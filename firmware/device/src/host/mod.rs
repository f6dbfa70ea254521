//! The host functions: how an import finds one, and what happens around each call. One file a group; a new function is one
//! line in its group's table and one line in `hints/`. What a function may be given is said there, never here.

mod atomic;
mod clock;
mod conversion;
mod copies;
mod cpu;
mod demand;
mod esp_err;
mod esp_event;
mod esp_log;
mod esp_system;
mod esp_timer;
mod event;
mod format;
mod gpio;
mod interrupt;
mod marshal;
mod math;
mod memory;
mod nvs;
mod queue;
mod random;
mod real;
mod stdin;
mod stdio;
mod stdlib;
mod stream;
mod string;
mod task;
mod task_info;
mod timer;
mod uart;

pub use copies::Copies;
pub use demand::describe as describe_demand;
pub use stdlib::Seed;

use espb_format::{
    container::{Import, Module, SectionKind},
    contract::{self, Contradiction, DecodeError, Flags, HandleKind, HostContract},
};
use espb_vm::{Host, HostCall, HostFunction, Instance, Trap, TrapKind};

use crate::{
    input,
    instance::{Failure, Running, end, task::ModuleTask},
    kernel::{self, OutOfMemory, ffi},
    native_call,
};

include!(concat!(env!("OUT_DIR"), "/contracts.rs"));

/// The functions with `restricted` in their hints line that every module may call all the same: their names, separated by commas, from
/// the build's environment.
const ALLOWED: &str = match option_env!("ESPB_ALLOW") {
    Some(names) => names,
    None => "",
};

/// A host function's code.
#[derive(Clone, Copy)]
pub enum Action {
    /// Native code that takes the argument slots as they are (at most eight) and whose rules the contract states fully.
    Native(native_call::Function),
    /// As `Native`, of the kind that interrupt handlers call: it runs with interrupts off.
    FromInterrupt(native_call::Function),
    /// Code of this firmware that looks at the call itself. Arguments have been checked against the contract.
    Own(fn(&mut Call<'_, '_>) -> Result<u64, Trap>),
}

/// A line of a group's table.
#[derive(Clone, Copy)]
pub struct Registration {
    name: &'static str,
    action: Action,
}

/// `native!("name", path)`: a native function under an import name; `native!(@ name)`: under its own.
macro_rules! native {
    ($name:literal, $function:path) => {
        $crate::host::Registration {
            name: $name,
            action: $crate::host::Action::Native($crate::native_function!($function)),
        }
    };
    (@ $function:ident) => {
        $crate::host::Registration {
            name: stringify!($function),
            action: $crate::host::Action::Native($crate::native_function!($function)),
        }
    };
}
use native;

/// `from_interrupt!("name", path)`: a native function that expects interrupts to be off.
macro_rules! from_interrupt {
    ($name:literal, $function:path) => {
        $crate::host::Registration {
            name: $name,
            action: $crate::host::Action::FromInterrupt($crate::native_function!($function)),
        }
    };
}
use from_interrupt;

/// A function of this firmware under its import name.
const fn own(name: &'static str, function: fn(&mut Call<'_, '_>) -> Result<u64, Trap>) -> Registration {
    Registration { name, action: Action::Own(function) }
}

const GROUPS: &[&[Registration]] = &[
    task::TABLE,
    task_info::TABLE,
    queue::TABLE,
    timer::TABLE,
    event::TABLE,
    stream::TABLE,
    esp_timer::TABLE,
    esp_event::TABLE,
    gpio::TABLE,
    uart::TABLE,
    nvs::TABLE,
    nvs::NUMBER_TABLE,
    interrupt::TABLE,
    esp_err::TABLE,
    esp_log::TABLE,
    esp_system::TABLE,
    stdio::TABLE,
    stdin::TABLE,
    stdlib::TABLE,
    memory::TABLE,
    string::TABLE,
    math::TABLE,
    math::POINTERS,
    random::TABLE,
    real::TABLE,
    clock::TABLE,
    atomic::TABLE,
    cpu::TABLE,
];

/// The code of each contract, in the contracts' order; `None` where this firmware has none.
static ACTIONS: [Option<Action>; HOST_CONTRACTS.len()] = ACTIONS_OF_CONTRACTS;
const ACTIONS_OF_CONTRACTS: [Option<Action>; HOST_CONTRACTS.len()] = join();

const fn join() -> [Option<Action>; HOST_CONTRACTS.len()] {
    let mut actions = [None; HOST_CONTRACTS.len()];
    let mut group = 0;
    while group < GROUPS.len() {
        let mut line = 0;
        while line < GROUPS[group].len() {
            let registration = GROUPS[group][line];
            actions[position(registration.name)] = Some(registration.action);
            line += 1;
        }
        group += 1;
    }
    actions
}

/// For each contract whether this firmware has the function, where a test finds it in the image.
#[unsafe(export_name = "espb_registered")]
static REGISTERED: [bool; HOST_CONTRACTS.len()] = registered();

const fn registered() -> [bool; HOST_CONTRACTS.len()] {
    let actions = join();
    let mut all = [false; HOST_CONTRACTS.len()];
    let mut index = 0;
    while index < all.len() {
        all[index] = actions[index].is_some();
        index += 1;
    }
    all
}

/// Position of a name in the sorted contracts. Evaluated at compile time: a name without a hints line does not build.
const fn position(name: &str) -> usize {
    let (mut low, mut high) = (0, HOST_CONTRACTS.len());
    while low < high {
        let middle = low + (high - low) / 2;
        match compare(HOST_CONTRACTS[middle].name.as_bytes(), name.as_bytes()) {
            0 => return middle,
            less if less < 0 => low = middle + 1,
            _ => high = middle,
        }
    }
    panic!("a registered host function has no line in hints/")
}

const fn compare(left: &[u8], right: &[u8]) -> i32 {
    let mut at = 0;
    while at < left.len() && at < right.len() {
        if left[at] != right[at] {
            return left[at] as i32 - right[at] as i32;
        }
        at += 1;
    }
    left.len() as i32 - right.len() as i32
}

/// A host call with the instance it belongs to.
pub struct Call<'c, 'a> {
    /// The VM's view.
    pub vm: &'c mut HostCall<'a>,
    /// The instance.
    pub running: &'static Running,
}

impl Call<'_, '_> {
    /// The argument slot at this position.
    pub fn word(&self, slot: usize) -> u32 {
        self.vm.word(slot)
    }

    /// Calls native code with these words.
    pub fn native(&self, function: native_call::Function, words: &[u32]) -> Result<u64, Trap> {
        // SAFETY: the words were checked against the function's contract, which says what is behind them.
        unsafe { call_native(self.running, self.vm, function, words) }
    }
}

/// Calls native code on behalf of an instance.
///
/// # Safety
/// The words are arguments that the function can take.
#[inline(always)]
unsafe fn call_native(
    running: &Running,
    vm: &HostCall<'_>,
    function: native_call::Function,
    words: &[u32],
) -> Result<u64, Trap> {
    let missing = Trap::new(TrapKind::Host, Failure::Memory as u32);
    let task = ModuleTask::of(vm.context()).ok_or(missing)?;
    // SAFETY: as the caller promises; the context, and with it the state, is the current task's.
    match unsafe { task.native_call().call(function, words) } {
        Some(result) => Ok(result),
        None => Err(refused_by_kernel(running, task)),
    }
}

/// The trap for a call that the kernel's source asserts not to be made.
#[cold]
#[inline(never)]
fn refused_by_kernel(running: &Running, task: &ModuleTask) -> Trap {
    let Some(assertion) = task.native_call().take_assertion() else {
        return Trap::new(TrapKind::Host, Failure::KernelAssertion as u32);
    };
    running.note_assertion(assertion);
    Trap::new(TrapKind::Host, Failure::KernelAssertion as u32 + assertion.line)
}

/// A trap where the instance was stopped: for host functions to ask from time to time where their work can be long.
pub fn go_on(instance: &Instance<'_>) -> Result<(), Trap> {
    if instance.is_stopped() { Err(Trap::new(TrapKind::Stopped, 0)) } else { Ok(()) }
}

impl Call<'_, '_> {
    /// As [`Call::native`], with interrupts off. A failed assertion turns them on again.
    pub fn native_from_interrupt(&self, function: native_call::Function, words: &[u32]) -> Result<u64, Trap> {
        kernel::without_interrupts(|| self.native(function, words))
    }
}

fn contract_at(function: HostFunction) -> Option<(&'static HostContract, Action)> {
    let index = usize::from(function.0);
    Some((HOST_CONTRACTS.get(index)?, (*ACTIONS.get(index)?)?))
}

fn find(name: &str) -> Option<HostFunction> {
    let index = HOST_CONTRACTS.binary_search_by(|contract| contract.name.cmp(name)).ok()?;
    REGISTERED.get(index)?.then_some(HostFunction(index as u16))
}

/// The native functions whose arguments and results are mere values, and whether callbacks may call them. Their calls have nothing
/// to check: they are the short way.
static PLAIN: [Option<(native_call::Function, bool)>; HOST_CONTRACTS.len()] = plain();

const fn plain() -> [Option<(native_call::Function, bool)>; HOST_CONTRACTS.len()] {
    let mut plain = [None; HOST_CONTRACTS.len()];
    let mut index = 0;
    while index < plain.len() {
        let contract = &HOST_CONTRACTS[index];
        if let (Some(Action::Native(function)), true) =
            (ACTIONS_OF_CONTRACTS[index], contract.immeta.is_empty() && contract.cbmeta.is_empty())
        {
            plain[index] = Some((function, contract.flags.contains(Flags::FROM_CALLBACK)));
        }
        index += 1;
    }
    plain
}

/// Why an import is bound to nothing.
pub enum Unbound {
    /// There is no such function.
    Unknown,
    /// The module's record of it is none.
    Record(DecodeError),
    /// The module means something else by it.
    Contradiction(Contradiction),
}

impl core::fmt::Display for Unbound {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unknown => f.write_str("this firmware has no such function"),
            Self::Record(error) => error.fmt(f),
            Self::Contradiction(difference) => difference.fmt(f),
        }
    }
}

/// The function of this name, if what the module says of it is what this firmware's contract says.
pub fn bind_import(module: &Module<'_>, import: &Import<'_>) -> Result<HostFunction, Unbound> {
    let function = find(import.name).ok_or(Unbound::Unknown)?;
    let (contract, _) = contract_at(function).ok_or(Unbound::Unknown)?;
    let record =
        |kind, offset| contract::record(module.section(kind), offset).map(|(bytes, _)| bytes).map_err(Unbound::Record);
    let immeta = record(SectionKind::MarshalMeta, import.marshal)?;
    let cbmeta = record(SectionKind::CallbackMeta, import.callbacks)?;
    contract.check(&import.signature, immeta, cbmeta).map_err(Unbound::Contradiction)?;
    Ok(function)
}

/// The first import that affects the whole device and is neither in `allowed` nor among those that this firmware allows every module.
pub fn not_allowed<'m>(module: &Module<'m>, instance: &Instance<'_>, allowed: &[&str]) -> Option<&'m str> {
    let restricted = (0..module.import_count() as u16).filter(|index| {
        let bound = instance.binding(*index).and_then(contract_at);
        bound.is_some_and(|(contract, _)| contract.flags.contains(Flags::RESTRICTED))
    });
    let is_allowed = |name: &str| ALLOWED.split(',').chain(allowed.iter().copied()).any(|one| one.trim() == name);
    restricted.filter_map(|index| Some(module.import(index)?.name)).find(|name| !is_allowed(name))
}

// SAFETY: `critical` turns interrupts off, so on one core nothing else runs.
unsafe impl Host for Running {
    fn bind(&self, module: &Module<'_>, _index: u16, import: &Import<'_>) -> Option<HostFunction> {
        bind_import(module, import).ok()
    }

    fn call(&self, vm: &mut HostCall<'_>) -> Result<u64, Trap> {
        if let (Some(Some((function, from_callback))), Some(task)) =
            (PLAIN.get(usize::from(vm.function.0)), ModuleTask::of(vm.context()))
            && (*from_callback || !task.is_firmware())
        {
            // SAFETY: values need no check; the context, and with it the state, is the current task's.
            return match unsafe { task.native_call().call(*function, vm.arguments) } {
                Some(result) => Ok(result),
                None => Err(refused_by_kernel(self, task)),
            };
        }
        self.call_checked(vm)
    }

    fn critical(&self, body: &mut dyn FnMut()) {
        critical_section::with(|_| body());
    }
}

impl Running {
    /// A host call with everything that its contract demands.
    #[inline(never)]
    fn call_checked(&self, vm: &mut HostCall<'_>) -> Result<u64, Trap> {
        // The verifier has bound every import.
        let missing = Trap::new(TrapKind::Host, Failure::Memory as u32);
        let (contract, action) = contract_at(vm.function).ok_or(missing)?;
        let checked = marshal::check(vm, self, contract)?;
        let mut call = Call { vm, running: self.leaked() };
        let mut run = || {
            let result = marshal::release(&call, &checked).and_then(|()| match action {
                Action::Native(function) => call.native(function, call.vm.arguments),
                Action::FromInterrupt(function) => call.native_from_interrupt(function, call.vm.arguments),
                Action::Own(function) => function(&mut call),
            });
            marshal::settle(&call, &checked, result)
        };
        if checked.is_transition() { end::undeletable(run) } else { run() }
    }
}

/// Deletes an object that is on no list (any more) and that no task uses. Tasks are not deleted here.
fn delete_object(kind: HandleKind, handle: u32) {
    match kind {
        HandleKind::EspTimer => esp_timer::delete(handle),
        HandleKind::Timer => timer::delete(handle),
        HandleKind::EventGroup => event::delete(handle),
        HandleKind::StreamBuffer => stream::delete(handle),
        HandleKind::Queue => queue::delete(handle),
        HandleKind::Nvs => nvs::close(handle),
        HandleKind::Task | HandleKind::File => {}
    }
}

/// Deletes an object that was just made, which nothing has used yet, without waiting for anybody.
fn discard_object(kind: HandleKind, handle: u32) {
    match kind {
        HandleKind::Timer => timer::discard(handle),
        other => delete_object(other, handle),
    }
}

/// Whether something that is no task refers to the object, so that it cannot be deleted.
fn is_bound(kind: HandleKind, handle: u32) -> bool {
    kind == HandleKind::Queue && (queue::is_set_with_members(handle) || uart::is_told(handle))
}

/// Starts what host functions need beside their callers.
pub fn start() -> Result<(), OutOfMemory> {
    esp_timer::init()?;
    esp_event::init()?;
    input::init()?;
    uart::init()
}

/// A task of a module is no more: whatever it was in the middle of is another's now.
pub fn forget_task(task: ffi::TaskHandle) {
    uart::forget_task(task);
    input::forget_task(task);
}

/// Turns off whatever could still ask for callbacks of an instance, and gives its hardware back.
pub fn release_hardware(running: &'static Running) {
    uart::release(running);
    gpio::release(running);
    esp_event::forget(running);
    esp_timer::forget(running.instance().thunks());
    esp_log::forget(running);
}

/// Deletes what an instance without tasks still owns: timers before what their callbacks may use.
pub fn delete_objects(running: &Running) {
    for kind in [
        HandleKind::EspTimer,
        HandleKind::Timer,
        HandleKind::EventGroup,
        HandleKind::StreamBuffer,
        HandleKind::Queue,
        HandleKind::Nvs,
    ] {
        while let Some(handle) = running.objects().take(kind) {
            delete_object(kind, handle);
        }
    }
}
