//! The same generated module on the virtual machine of this host and on the one in the emulated chip: the same output, the same result or
//! trap, at the same place, after the same fuel.

use std::time::Duration;

use arbitrary::Unstructured;
use espb_format::container::Module;
use espb_format::verifier::verify;
use espb_fuzz::corpus::noise;
use espb_fuzz::host::RecordingHost;
use espb_fuzz::program::{self, Style};
use espb_link::event::Value;
use espb_link::request::Call;
use espb_vm::{Context, Granule, Instance, Layout, Stacks, Thunks};

use crate::chip::{Conversation, End, boot};

/// Programs of a module, which share a boot.
const PROGRAMS: u16 = 24;
/// Taken backward branches and calls of a program.
const FUEL: u64 = 600;
/// Virtual time for a program, most of which the line takes for what it prints.
const RUN: Duration = Duration::from_secs(2);
/// Bytes that a module is made from.
const SIZE: usize = 40_000;

/// How a program ended and what it printed.
#[derive(Debug, PartialEq)]
struct Trace {
    /// The result, or the trap's number and the function and word of each frame.
    end: Result<u32, (u8, Vec<(u16, u32)>)>,
    output: Vec<u8>,
}

/// Compares both machines over the programs of module `number`. Answers how many returned and how many trapped.
pub fn compare(number: u64) -> Result<(u32, u32), String> {
    let bytes: Vec<u8> = noise(number).take(SIZE).collect();
    let module = program::module(&mut Unstructured::new(&bytes), Style::Portable, PROGRAMS.into())
        .map_err(|error| format!("module {number}: {error}"))?;
    let mut device = boot(&module)?;
    let mut chip = Conversation::with(&mut device)?;
    let (mut returned, mut trapped) = (0, 0);
    for program in 0..PROGRAMS {
        let there =
            on_chip(&mut chip, program).map_err(|error| format!("module {number}, program {program}: {error}"))?;
        let here = on_host(&module, program);
        if here != there {
            return Err(format!("module {number}, program {program}: {here:?} on the host, {there:?} on the chip"));
        }
        *(if here.end.is_ok() { &mut returned } else { &mut trapped }) += 1;
    }
    Ok((returned, trapped))
}

fn on_chip(chip: &mut Conversation<'_>, program: u16) -> Result<Trace, String> {
    let instance = chip.load()??;
    let (end, output) = chip.call(instance, Call::Export(&program::root_name(program)), Some(FUEL), RUN)?;
    let end = match end.ok_or("it does not end")?? {
        End::Returned(Value::I32(value)) => Ok(value as u32),
        End::Returned(other) => return Err(format!("it returned {other:?}")),
        End::Trapped(trap) => Err((trap.code, trap.backtrace)),
    };
    Ok(Trace { end, output })
}

fn on_host(module: &[u8], program: u16) -> Trace {
    let words: Vec<u32> = module.as_chunks().0.iter().map(|word| u32::from_ne_bytes(*word)).collect();
    // SAFETY: as many bytes as the words have.
    let bytes = unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u8>(), words.len() * 4) };
    let module = Module::parse(bytes).and_then(|module| verify(&module)).expect("generated modules are accepted");
    let layout = Layout::of(&module, 1 << 20).expect("it wants little memory");
    let mut block = vec![Granule::ZERO; layout.granules()];
    let thunks = Thunks { first: 0x4200_1000, shift: 3, count: module.callback_count() as u16 };
    let host = RecordingHost::default();
    let instance = Instance::new(module, &mut block, thunks, &host).expect("there is what it wants");
    instance.set_fuel(Some(FUEL));
    let mut shadow = vec![0; layout.shadow_stack as usize / 4];
    let context = Context::new(&instance, &mut shadow, Stacks::Main, 3).expect("the main stack is free");
    let end = match context.call(program, &[]) {
        Ok(value) => Ok(value as u32),
        Err(trap) => {
            let report = instance.report().expect("it has trapped");
            let frames = report.frames().iter().map(|frame| (frame.function, frame.offset / 4)).collect();
            Err((trap.kind as u8, frames))
        }
    };
    // A zero byte would look like a frame and is not sent.
    let output = host.ledger().output.iter().copied().filter(|byte| *byte != 0).collect();
    Trace { end, output }
}
