//! Loading and running the modules of a test.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};

use espb_format::container::{Import, Module};
use espb_format::error::FormatError;
use espb_format::verifier::verify;
use espb_vm::{Context, Granule, Host, HostCall, HostFunction, Instance, Layout, Stacks, Thunks, Trap};

use super::ModuleBuilder;

type Function = Box<dyn Fn(&mut HostCall<'_>) -> Result<u64, Trap> + Sync>;

/// A host whose functions are closures, bound by name.
#[derive(Default)]
pub struct TestHost {
    functions: Vec<(&'static str, Function)>,
    locked: AtomicBool,
}

impl TestHost {
    pub fn with(
        mut self,
        name: &'static str,
        function: impl Fn(&mut HostCall<'_>) -> Result<u64, Trap> + Sync + 'static,
    ) -> Self {
        self.functions.push((name, Box::new(function)));
        self
    }
}

// SAFETY: `critical` lets one caller in at a time.
unsafe impl Host for TestHost {
    fn bind(&self, _: &Module<'_>, _: u16, import: &Import<'_>) -> Option<HostFunction> {
        self.functions.iter().position(|(name, _)| *name == import.name).map(|index| HostFunction(index as u16))
    }

    fn call(&self, call: &mut HostCall<'_>) -> Result<u64, Trap> {
        self.functions[usize::from(call.function.0)].1(call)
    }

    fn critical(&self, body: &mut dyn FnMut()) {
        while self.locked.swap(true, Ordering::Acquire) {
            std::thread::yield_now();
        }
        body();
        self.locked.store(false, Ordering::Release);
    }
}

/// Loads a module whose callbacks have thunks from 0x4200_1000 on, 8 bytes apart.
pub fn with_instance<R>(module: ModuleBuilder, host: &TestHost, test: impl FnOnce(&Instance<'_>) -> R) -> R {
    load(&module.finish(), host, test).unwrap_or_else(|error| panic!("the test's module is refused: {error}"))
}

/// The same for a module that the verifier may refuse.
pub fn load<R>(bytes: &[u8], host: &TestHost, test: impl FnOnce(&Instance<'_>) -> R) -> Result<R, FormatError> {
    // Modules lie at multiples of 4.
    let mut place = vec![Granule::ZERO; bytes.len().div_ceil(16)];
    // SAFETY: the granules are plain bytes, and there are at least as many.
    let place = unsafe { std::slice::from_raw_parts_mut(place.as_mut_ptr().cast::<u8>(), bytes.len()) };
    place.copy_from_slice(bytes);
    let module = Module::parse(place)?;
    let module = verify(&module)?;
    let layout = Layout::of(&module, 1 << 20).expect("a megabyte suffices");
    // What was there before must not show.
    let mut block = vec![MaybeUninit::new(Granule([0xa5a5_a5a5; 4])); layout.granules()];
    let thunks = Thunks { first: 0x4200_1000, shift: 3, count: module.callback_count() as u16 };
    let instance = Instance::new(module, &mut block, thunks, host)
        .unwrap_or_else(|error| panic!("the test's module does not load: {error}"));
    Ok(test(&instance))
}

/// Runs function 0 of a module.
pub fn outcome(module: ModuleBuilder, host: &TestHost, arguments: &[u32]) -> Result<u64, Trap> {
    with_instance(module, host, |instance| {
        let mut shadow = vec![0; instance.layout().shadow_stack as usize / 4];
        let context = Context::new(instance, &mut shadow, Stacks::Main, 4).expect("the main stack is free");
        context.call(0, arguments)
    })
}

/// Runs a single function.
pub fn run(types: &str, text: &str, arguments: &[u32]) -> Result<u64, Trap> {
    outcome(ModuleBuilder::new().function(types, 16, 64, text), &TestHost::default(), arguments)
}
