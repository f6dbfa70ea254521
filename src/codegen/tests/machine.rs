//! A host that runs modules and notes what they report through `out(long long)`.

use espb_format::container::{Import, Module};
use espb_format::verifier::verify;
use espb_vm::atomic::{Atomic, perform};
use espb_vm::{Context, Granule, Host, HostCall, HostFunction, Instance, Layout, Stacks, Thunks, Trap};
use std::mem::MaybeUninit;
use std::sync::Mutex;

/// libatomic's functions, whose numbers are 100 + 16 × position + width.
const ATOMICS: [(&str, Atomic); 10] = [
    ("load", Atomic::Load),
    ("store", Atomic::Store),
    ("exchange", Atomic::Exchange),
    ("compare_exchange", Atomic::CompareExchange),
    ("fetch_add", Atomic::FetchAdd),
    ("fetch_sub", Atomic::FetchSub),
    ("fetch_and", Atomic::FetchAnd),
    ("fetch_or", Atomic::FetchOr),
    ("fetch_xor", Atomic::FetchXor),
    ("fetch_nand", Atomic::FetchNand),
];

/// Backward branches and calls that a program may make; the longest makes about a tenth.
const FUEL: u64 = 20_000_000;

#[derive(Default)]
struct Recorder {
    reported: Mutex<Vec<i64>>,
}

// SAFETY: the tests run an instance in one thread only, so nothing can interfere with `critical`.
unsafe impl Host for Recorder {
    fn bind(&self, _: &Module<'_>, _: u16, import: &Import<'_>) -> Option<HostFunction> {
        if let Some(name) = import.name.strip_prefix("__atomic_") {
            let (operation, width) = name.rsplit_once('_')?;
            let operation = ATOMICS.iter().position(|(known, _)| *known == operation)? as u16;
            return Some(HostFunction(100 + operation * 16 + width.parse::<u16>().ok()?));
        }
        match import.name {
            "out" => Some(HostFunction(0)),
            "count_words" => Some(HostFunction(1)),
            _ => None,
        }
    }

    fn call(&self, call: &mut HostCall<'_>) -> Result<u64, Trap> {
        if let Some((operation, width)) = call.function.0.checked_sub(100).map(|code| (code / 16, code % 16)) {
            return perform(call, ATOMICS[usize::from(operation)].1, width as u8);
        }
        if call.function == HostFunction(1) {
            return Ok(call.arguments.len() as u64);
        }
        self.reported.lock().expect("nobody panics with the lock").push(call.double_word(0) as i64);
        Ok(0)
    }

    fn critical(&self, body: &mut dyn FnMut()) {
        body();
    }
}

/// Verifies and runs a module's entry: what it reported, and its result or trap.
pub fn run(bytes: &[u8]) -> (Vec<i64>, Result<u64, Trap>) {
    let mut words = vec![0u32; bytes.len().div_ceil(4)];
    for (word, four) in words.iter_mut().zip(bytes.chunks(4)) {
        let mut padded = [0; 4];
        padded[..four.len()].copy_from_slice(four);
        *word = u32::from_ne_bytes(padded);
    }
    // SAFETY: the words hold at least as many bytes, and bytes have no alignment.
    let place = unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u8>(), bytes.len()) };
    let module = Module::parse(place).expect("the container is well-formed");
    let module = verify(&module).expect("the verifier accepts what the translator makes");
    let layout = Layout::of(&module, 1 << 20).expect("a megabyte suffices");
    let mut block = vec![MaybeUninit::new(Granule::ZERO); layout.granules()];
    let thunks = Thunks { first: 0x4200_1000, shift: 3, count: module.callback_count() as u16 };
    let host = Recorder::default();
    let instance =
        Instance::new(module, &mut block, thunks, &host).unwrap_or_else(|error| panic!("it does not load: {error}"));
    // A program that was translated wrongly may not end by itself.
    instance.set_fuel(Some(FUEL));
    let mut shadow = vec![0; instance.layout().shadow_stack as usize / 4];
    let context = Context::new(&instance, &mut shadow, Stacks::Main, 4).expect("the main stack is free");
    let entry = instance.module().limits().entry.expect("there is an entry");
    let result = context.call(entry, &[]);
    drop(context);
    let reported = host.reported.lock().expect("nobody panics with the lock").clone();
    (reported, result)
}
