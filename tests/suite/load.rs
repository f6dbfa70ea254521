//! What loading a module costs on the chip, as it grows: time in proportion, and no more memory.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use espb::chip::Machine;
use espb::device::client::{Client, Heard, Message};
use espb::device::emulated::{Attached, Count, EmulatedDevice};
use espb_format::container::{Module, SectionKind};
use espb_format::writer::ModuleWriter;
use espb_image::Chip;
use espb_link::Source;
use espb_link::request::Request;

use crate::compile::to_ir;
use crate::program::espb;

/// Bytes below the stack pointer that are looked at: more than verification may take.
const LOOKED_AT: u32 = 10 * 1024;
/// What verification may take.
const MOST: u32 = 8 * 1024;
const PATTERN: u8 = 0xa5;

/// A kernel as a module, with little memory of its own.
fn kernel(folder: &Path) -> Vec<u8> {
    let (ir, module) = (to_ir(Path::new("fixtures/kernels/tokenizer.c"), folder), folder.join("kernel.espb"));
    let [ir, output] = [&ir, &module].map(|path| path.display().to_string());
    let built = espb(["build", &ir, "-o", &output, "--heap", "4K:4K", "--strip"]);
    assert_eq!(built.code, 0, "{}", built.transcript());
    std::fs::read(module).expect("just built")
}

/// The module with all of its functions so many times; the copies call the functions of the first.
fn repeated(module: &[u8], times: usize) -> Vec<u8> {
    let module = Module::parse(module).expect("just built");
    let mut writer = ModuleWriter::from(&module);
    let words = module.code_words() as u32;
    let functions: Vec<u8> = (0..times as u32)
        .flat_map(|copy| {
            (0..module.function_count()).flat_map(move |index| {
                let mut function = module.function(index as u16).expect("it is one of them");
                function.start += copy * words;
                function.encode()
            })
        })
        .collect();
    writer.section(SectionKind::Functions, functions);
    writer.section(SectionKind::Code, module.section(SectionKind::Code).repeat(times));
    writer.finish()
}

/// Machine instructions and bytes of stack that the firmware's acceptance of a module takes. It allocates nothing.
fn accept(module: &[u8]) -> (u64, u32) {
    let mut device =
        EmulatedDevice::boot(Chip::Esp32c3, module, None, Count::Nothing, Attached::default()).expect("it boots");
    let [accept, allocator] =
        ["espb_accept", "pvPortMalloc"].map(|name| device.symbol(name).expect("it is in the firmware").start);
    let measured = Rc::new(RefCell::new(None));
    let (found, mut entered) = (measured.clone(), None);
    device.watch(
        &[accept],
        Box::new(move |machine: &mut Machine| match entered.take() {
            None => {
                let stack = machine.register(2);
                assert!(machine.store(stack - LOOKED_AT, &[PATTERN; LOOKED_AT as usize]));
                entered = Some((machine.instructions(), stack));
                machine.set_breakpoints(&[machine.register(1), allocator]);
            }
            Some((before, stack)) => {
                assert_ne!(machine.pc(), allocator, "something is allocated");
                let below = machine.memory(stack - LOOKED_AT, LOOKED_AT as usize).expect("the task's stack");
                let untouched = below.iter().take_while(|byte| **byte == PATTERN).count() as u32;
                *found.borrow_mut() = Some((machine.instructions() - before, LOOKED_AT - untouched));
                machine.set_breakpoints(&[]);
            }
        }),
    );
    let mut client = Client::new(&mut device);
    loop {
        match client.receive(&mut |_| {}).expect("the chip goes on") {
            Heard::Message(Message::Hello { .. }, _) => {
                let load = Request::Load { source: Source::Newest, allowed: Default::default() };
                client.send(&load).expect("the chip takes bytes");
            }
            Heard::Message(Message::Loaded(_), _) => break,
            other => panic!("{other:?}"),
        }
    }
    let measured = measured.borrow_mut().take();
    measured.expect("a module was accepted")
}

#[test]
fn verification_takes_time_in_proportion_and_eight_kilobytes_at_most() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let module = kernel(folder.path());
    let code = Module::parse(&module).expect("just built").section(SectionKind::Code).len();
    let sizes = [32, 64, 128, 256];
    let costs: Vec<(usize, u64, u32)> = sizes
        .iter()
        .map(|kilobytes| {
            let large = repeated(&module, kilobytes * 1024 / code + 1);
            let (instructions, stack) = accept(&large);
            (large.len(), instructions, stack)
        })
        .collect();
    assert!(costs.last().is_some_and(|(size, ..)| *size > 250_000), "{costs:?}");
    for (size, instructions, stack) in &costs {
        let each = *instructions as f64 / *size as f64;
        assert!((5.0..30.0).contains(&each), "{each:.1} instructions a byte: {costs:?}");
        assert!(*stack <= MOST, "{stack} bytes of stack for {size} bytes");
    }
    let rates: Vec<f64> =
        costs.windows(2).map(|pair| (pair[1].1 - pair[0].1) as f64 / (pair[1].0 - pair[0].0) as f64).collect();
    let spread = rates.iter().fold(0.0, |most: f64, rate| most.max((rate / rates[0] - 1.0).abs()));
    // The ticks that come in between are the rest.
    assert!(spread < 0.05, "each further byte costs {rates:?}");
    assert!(costs.iter().all(|(_, _, stack)| stack.abs_diff(costs[0].2) < 256), "{costs:?}");
}
