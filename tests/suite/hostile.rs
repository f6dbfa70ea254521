//! Whatever the bytes of a module, the loader refuses it with reason and offset, or it runs and can be stopped: never a panic, never a hang.

use std::fs;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use espb_format::container::{Import, Module};
use espb_format::error::FormatError;
use espb_format::verifier::{Verified, verify};
use espb_vm::{Context, Granule, Host, HostCall, HostFunction, Instance, Stacks, Thunks, Trap};

use crate::compile::to_ir;
use crate::mutant::{mutate, mutate_code, repair};
use crate::program::espb;
use crate::random::Random;

/// Damaged modules that are tried, over all sources.
const MUTANTS: u32 = 100_000;
/// RAM that an accepted mutant gets.
const GRANULES: usize = 4096;
/// Taken backward branches and calls that an accepted mutant gets.
const FUEL: u64 = 2_000;
/// Programs that the mutants are made from: together they have every section and most opcodes.
const SOURCES: [&str; 3] =
    ["fixtures/tasks/hello_task.c", "fixtures/language/compute.c", "fixtures/language/data_and_tables.c"];

/// A host whose functions all return 0: what is attacked here is the loader and the interpreter.
struct Silent;

// SAFETY: a test runs an instance in one thread only.
unsafe impl Host for Silent {
    fn bind(&self, _: &Module<'_>, index: u16, _: &Import<'_>) -> Option<HostFunction> {
        Some(HostFunction(index))
    }

    fn call(&self, _: &mut HostCall<'_>) -> Result<u64, Trap> {
        Ok(0)
    }

    fn critical(&self, body: &mut dyn FnMut()) {
        body();
    }
}

fn module_of(source: &str, folder: &Path) -> Vec<u8> {
    let output = folder.join("module.espb");
    let ir = to_ir(Path::new(source), folder);
    let built = espb(["build".into(), ir.into_os_string(), "-o".into(), output.clone().into_os_string()]);
    assert_eq!(built.code, 0, "{}", built.transcript());
    fs::read(output).expect("the module just built")
}

fn accept(bytes: &[u8]) -> Result<Verified<'_>, FormatError> {
    verify(&Module::parse(bytes)?)
}

/// Loads and runs an accepted module: entry and every export-like function with zeros as arguments.
fn exercise(module: Verified<'_>) {
    let mut block = vec![MaybeUninit::new(Granule::ZERO); GRANULES];
    let thunks = Thunks { first: 0x4200_1000, shift: 3, count: 64 };
    let Ok(instance) = Instance::new(module, &mut block, thunks, &Silent) else { return };
    instance.set_fuel(Some(FUEL));
    let mut shadow = vec![0; (module.limits().shadow_stack / 4).min(4096) as usize];
    let Ok(context) = Context::new(&instance, &mut shadow, Stacks::Main, 4) else { return };
    for index in 0..module.function_count() {
        let function = module.function(index as u16).and_then(|function| module.signature(function.signature));
        let slots = function.map_or(0, |signature| signature.param_slots());
        if context.call(index as u16, &vec![0; slots.into()]).is_err() {
            return;
        }
    }
}

/// What must hold for any bytes. Returns whether they were accepted.
fn check(bytes: &[u8]) -> bool {
    match accept(bytes) {
        Ok(module) => {
            exercise(module);
            true
        }
        Err(error) => {
            assert!(error.offset as usize <= bytes.len(), "{error} points outside {} bytes", bytes.len());
            false
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for source in SOURCES {
        let module = module_of(source, folder.path());
        assert!(check(&module), "{source} as built is accepted");
        for length in 0..module.len() {
            assert!(!check(&module[..length]), "{source} cut to {length} bytes");
            let mut repaired = module[..length].to_vec();
            repair(&mut repaired);
            assert!(accept(&repaired).is_err(), "{source} cut to {length} bytes with a right checksum");
        }
    }
}

#[test]
fn a_hundred_thousand_damaged_modules_do_no_harm() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let modules: Vec<Vec<u8>> = SOURCES.iter().map(|source| module_of(source, folder.path())).collect();
    let mut random = Random(0x6573_7062_2026_1122);
    let (mut accepted, mut refused) = (0, 0);
    for number in 0..MUTANTS {
        let original = &modules[number as usize % modules.len()];
        let bytes = if number % 2 == 0 { mutate(original, &mut random) } else { mutate_code(original, &mut random) };
        match catch_unwind(AssertUnwindSafe(|| check(&bytes))) {
            Ok(true) => accepted += 1,
            Ok(false) => refused += 1,
            Err(_) => panic!("mutant {number} panicked"),
        }
    }
    // Both sides must be reached, or the test shows nothing.
    assert!(accepted > 1_000 && refused > 1_000, "{accepted} accepted, {refused} refused");
}
