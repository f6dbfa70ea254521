//! The host functions: how an import finds one, and what happens around each call. One file a group; a new function is one
//! line in its group's table and one line in `hints/`. What a function may be given is said there, never here.

mod atomic;
mod clock;
mod conversion;
mod copies;
mod cpu;
mod demand;
mod esp_err;
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
mod stdio;
mod stdlib;
mod stream;
mod string;
mod task;
mod task_info;
mod timer;

pub use copies::Copies;
pub use demand::describe as describe_demand;
pub use stdlib::Seed;

use espb_format::{
    container::{Import, Module, SectionKind},
    contract::{self, Flags, HandleKind, HostContract},
};
use espb_link::event::Refusal;
use espb_vm::{Host, HostCall, HostFunction, Instance, Trap, TrapKind};

use crate::{
    instance::{Failure, Running, end, load::Refused},
    kernel::{self, OutOfMemory},
    native_call,
};

include!(concat!(env!("OUT_DIR"), "/contracts.rs"));

/// The functions with `restricted` in their hints line that modules may call all the same.
const ALLOWED: &[&str] = &[];

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

const GROUPS: [&[Registration]; 25] = [
    task::TABLE,
    task_info::TABLE,
    queue::TABLE,
    timer::TABLE,
    event::TABLE,
    stream::TABLE,
    esp_timer::TABLE,
    gpio::TABLE,
    nvs::TABLE,
    nvs::NUMBER_TABLE,
    interrupt::TABLE,
    esp_err::TABLE,
    esp_log::TABLE,
    esp_system::TABLE,
    stdio::TABLE,
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
static ACTIONS: [Option<Action>; HOST_CONTRACTS.len()] = join();

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
        unsafe { native_call::call(function, words) }.map_err(|assertion| {
            self.running.note_assertion(assertion);
            Trap::new(TrapKind::Host, Failure::KernelAssertion as u32 + assertion.line)
        })
    }
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
    let found = contract::find(HOST_CONTRACTS, name)?;
    let index = HOST_CONTRACTS.iter().position(|contract| core::ptr::eq(contract, found))?;
    REGISTERED.get(index)?.then_some(HostFunction(index as u16))
}

/// Compares every import with this firmware's contracts.
pub fn check_imports(module: &Module<'_>) -> Result<(), Refused> {
    for import in module.imports() {
        let refuse = |reason: &dyn core::fmt::Display| {
            Refused::new(Refusal::Import, format_args!("import `{}`: {reason}", import.name))
        };
        let Some((contract, _)) = find(import.name).and_then(contract_at) else {
            return Err(refuse(&"this firmware has no such function"));
        };
        let record = |kind, offset| contract::record(module.section(kind), offset).map(|(bytes, _)| bytes);
        let immeta = record(SectionKind::MarshalMeta, import.marshal).map_err(|error| refuse(&error))?;
        let cbmeta = record(SectionKind::CallbackMeta, import.callbacks).map_err(|error| refuse(&error))?;
        contract.check(&import.signature, immeta, cbmeta).map_err(|difference| refuse(&difference))?;
        if contract.flags.contains(Flags::RESTRICTED) && !ALLOWED.contains(&import.name) {
            return Err(refuse(&"it affects the whole device, which this firmware does not allow modules"));
        }
    }
    Ok(())
}

// SAFETY: `critical` turns interrupts off, so on one core nothing else runs.
unsafe impl Host for Running {
    fn bind(&self, _index: u16, import: &Import<'_>) -> Option<HostFunction> {
        find(import.name)
    }

    fn call(&self, vm: &mut HostCall<'_>) -> Result<u64, Trap> {
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

    fn critical(&self, body: &mut dyn FnMut()) {
        critical_section::with(|_| body());
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

/// Starts what host functions need beside their callers.
pub fn start() -> Result<(), OutOfMemory> {
    esp_timer::init()
}

/// Turns off whatever could still ask for callbacks of an instance, and gives its hardware back.
pub fn release_hardware(running: &'static Running) {
    gpio::release(running);
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
