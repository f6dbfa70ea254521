//! From an instance to a running call: find the function, turn the arguments into its slots, start the main task.
//! A refused call leaves the instance as it was.

use espb_format::{
    container::Module,
    signature::{Signature, ValType},
};
use espb_link::{
    event::{Refusal, State},
    request::{Argument, Call, Start},
};
use espb_vm::{Instance, Stacks};

use super::{MAX_SLOTS, PlannedCall, Running, load::Refused, task};

/// Priority of the main task, as in ESP-IDF.
const MAIN_PRIORITY: u32 = 1;

/// Plans the call that `start` asks for; [`begin`] makes it.
pub fn plan(running: &'static Running, start: &Start<'_>) -> Result<(), Refused> {
    let state = running.state();
    if state == State::Running {
        return Err(Refused::new(
            Refusal::Request,
            format_args!("the instance has a call in progress; send Stop first"),
        ));
    }
    let instance = running.instance();
    let function = function_of(instance.module(), start.call)?;
    let signature = signature_of(instance.module(), function)?;
    let arguments = match start.call {
        Call::Entry => entry_arguments(instance, &signature, &start.arguments)?,
        Call::Export(_) => export_arguments(instance, &signature, &start.arguments)?,
    };
    instance.set_fuel(start.fuel);
    let constructors = state == State::Loaded;
    running.plan(PlannedCall { function, arguments, detached: start.detached, constructors });
    Ok(())
}

/// Starts the main task, which makes the planned call.
pub fn begin(running: &'static Running) -> Result<(), Refused> {
    task::spawn(running, c"main", Stacks::Main, task::Work::Call, MAIN_PRIORITY, |_| Ok(())).map_err(|trap| {
        running.forget_call();
        Refused::new(Refusal::Memory, format_args!("the main task cannot start: {trap}"))
    })
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
