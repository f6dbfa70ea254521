//! The host of the fuzzed modules: the functions of [`crate::program::IMPORTS`], a trace of what was printed, and a ledger of the heap that
//! the VM's own bookkeeping is held to. Never here: what is attacked.

use std::collections::BTreeMap;
use std::sync::Mutex;

use espb_format::container::{Import, Module};
use espb_vm::{Host, HostCall, HostFunction, Trap};

use crate::program::IMPORTS;

/// What a run has done so far.
#[derive(Default)]
pub struct Ledger {
    /// What was printed.
    pub output: Vec<u8>,
    /// Live heap blocks: address and size.
    pub blocks: BTreeMap<u32, u32>,
}

/// A host that keeps a [`Ledger`].
#[derive(Default)]
pub struct RecordingHost {
    ledger: Mutex<Ledger>,
}

impl RecordingHost {
    /// The ledger.
    ///
    /// # Panics
    /// After a panic of another user.
    pub fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("nobody panics with it")
    }

    fn allocated(&self, address: Option<u32>, size: u32) -> u64 {
        let Some(address) = address else { return 0 };
        let mut ledger = self.ledger();
        let overlap = ledger.blocks.range(..address + size.max(1)).next_back();
        assert!(overlap.is_none_or(|(start, length)| start + (*length).max(1) <= address), "two heap blocks overlap");
        ledger.blocks.insert(address, size);
        address.into()
    }
}

// SAFETY: a run has one thread.
unsafe impl Host for RecordingHost {
    fn bind(&self, _: &Module<'_>, _: u16, import: &Import<'_>) -> Option<HostFunction> {
        IMPORTS.iter().position(|(name, _)| *name == import.name).map(|index| HostFunction(index as u16))
    }

    fn call(&self, call: &mut HostCall<'_>) -> Result<u64, Trap> {
        let (instance, argument) = (call.instance(), call.word(0));
        Ok(match IMPORTS[usize::from(call.function.0)].0 {
            "abs" => (argument as i32).unsigned_abs().into(),
            "putchar" => {
                self.ledger().output.push(argument as u8);
                u64::from(argument as u8)
            }
            "malloc" => self.allocated(instance.allocate(argument), argument),
            "realloc" => {
                let size = call.word(1);
                let known = argument == 0 || self.ledger().blocks.contains_key(&argument);
                let moved = instance.reallocate(argument, size);
                assert_eq!(moved.is_ok(), known, "realloc of {argument:#x}");
                let moved = moved?;
                if moved.is_some() {
                    self.ledger().blocks.remove(&argument);
                }
                self.allocated(moved, size)
            }
            _ => {
                let known = argument == 0 || self.ledger().blocks.remove(&argument).is_some();
                let freed = instance.release(argument);
                assert_eq!(freed.is_ok(), known, "free of {argument:#x}");
                freed?;
                0
            }
        })
    }

    fn critical(&self, body: &mut dyn FnMut()) {
        body();
    }
}
