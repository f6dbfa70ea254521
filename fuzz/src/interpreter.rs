//! A generated module, perhaps changed here and there, on the virtual machine: whatever the verifier accepts must leave everything alone
//! that is not its own. Accesses outside the blocks handed to the VM are AddressSanitizer's to find; the rest is compared afterwards, also
//! that what the block held before makes no difference.

use std::mem::MaybeUninit;

use arbitrary::Unstructured;
use espb_format::container::{Module, SectionKind};
use espb_format::verifier::verify;
use espb_vm::{Context, Granule, Instance, Layout, Stacks, Thunks, Trap};

use crate::container::repair;
use crate::host::RecordingHost;
use crate::program::{self, Style};

/// Taken backward branches and calls of a run.
pub const FUEL: u64 = 400;
/// Memory that a module may have.
const AVAILABLE: usize = 1 << 16;
/// Most bytes of a shadow stack that a module gets, whatever it asks for.
const MOST_SHADOW: u32 = 1 << 14;
/// Where the thunks seem to lie.
const THUNKS: u32 = 0x4200_1000;
/// What somebody left in the block.
const DIRT: Granule = Granule([0xa5a5_a5a5; 4]);
/// Longest access: what starts on the last byte of linear memory reaches so far behind it.
const ACCESS: usize = 8;

/// Makes a module from the first bytes, changes it as the last ones say, and runs it.
pub fn attack(data: &[u8]) -> bool {
    let mut bytes = Unstructured::new(data);
    let Ok(changes) = bytes.int_in_range(0..=4) else { return false };
    let places: Vec<(u32, u32)> = (0..changes).filter_map(|_| bytes.arbitrary().ok()).collect();
    let Ok(mut module) = program::module(&mut bytes, Style::Any, 1) else { return false };
    if changes == 0 {
        if let Err(error) = Module::parse(&module).and_then(|module| verify(&module).map(|_| ())) {
            panic!("a generated module is refused: {error}");
        }
    }
    for (place, value) in places {
        change(&mut module, place, value);
    }
    repair(&mut module);
    let outcomes = [Granule::ZERO, DIRT].map(|before| run(&module, &RecordingHost::default(), before));
    assert_eq!(outcomes[0], outcomes[1], "what was in the block before is seen");
    outcomes[0].is_some()
}

/// Changes a byte or a bit of the module, mostly in its code.
fn change(module: &mut [u8], place: u32, value: u32) {
    let code = Module::parse(module)
        .map(|module| (module.section_offset(SectionKind::Code) as usize, module.code_words() * 4))
        .ok()
        .filter(|_| value & 3 != 0);
    let (start, length) = code.unwrap_or((0, module.len()));
    let at = start + place as usize % length.max(1);
    let Some(byte) = module.get_mut(at) else { return };
    match value >> 2 & 3 {
        0 => *byte = (value >> 8) as u8,
        1 => *byte ^= 1 << (value >> 8 & 7),
        // A register of the frame, most likely.
        _ => *byte = (value >> 8) as u8 % 24 * 4,
    }
}

/// Loads a module into a block full of `before` and calls each of its functions with zeros until one traps. `None` where the module is
/// refused; else how the last call ended.
///
/// # Panics
/// Where the module changed what is not its own.
pub fn run(bytes: &[u8], host: &RecordingHost, before: Granule) -> Option<Result<u64, Trap>> {
    // At a multiple of 4 and not a byte longer than it is, so that what reads past its end is seen.
    let words: Vec<u32> =
        bytes.chunks_exact(4).map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]])).collect();
    // SAFETY: as many bytes as the words have.
    let bytes = unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u8>(), words.len() * 4) };
    let original = bytes.to_vec();
    let module = verify(&Module::parse(bytes).ok()?).ok()?;
    let layout = Layout::of(&module, AVAILABLE).ok()?;
    let mut block = vec![MaybeUninit::new(before); layout.granules()];
    let outcome = {
        let thunks = Thunks { first: THUNKS, shift: 3, count: module.callback_count() as u16 };
        let instance = Instance::new(module, &mut block, thunks, host).ok()?;
        instance.set_fuel(Some(FUEL));
        let bindings: Vec<_> = (0..module.import_count() as u16).map(|index| instance.binding(index)).collect();
        let mut shadow = vec![0; (layout.shadow_stack.min(MOST_SHADOW) / 4) as usize];
        let outcome = call_all(&instance, &mut shadow);
        let after: Vec<_> = (0..module.import_count() as u16).map(|index| instance.binding(index)).collect();
        assert_eq!(bindings, after, "a module changed what its imports are bound to");
        // The blocks that the host handed out and nobody freed are there, and no others.
        for address in std::mem::take(&mut host.ledger().blocks).into_keys() {
            instance.release(address).expect("a live block of the ledger");
        }
        assert_eq!(instance.heap_use().live, 0, "the heap holds blocks that nobody allocated");
        outcome
    };
    assert!(bytes == original, "a module changed itself");
    // SAFETY: the block was made of values.
    let padding = unsafe { block[(layout.linear() / Granule::SIZE) as usize].assume_init() };
    let [padding, before] = [padding, before].map(|granule| granule.0.map(u32::to_le_bytes));
    let (padding, before) = (&padding.as_flattened()[ACCESS - 1..], &before.as_flattened()[ACCESS - 1..]);
    // Zero as soon as the module reaches the end of its memory.
    assert!(padding == before || padding.iter().all(|byte| *byte == 0), "a module wrote behind its padding");
    Some(outcome)
}

fn call_all(instance: &Instance<'_>, shadow: &mut [u32]) -> Result<u64, Trap> {
    let context = Context::new(instance, shadow, Stacks::Main, 3)?;
    let mut last = Ok(0);
    for index in 0..instance.module().function_count() as u16 {
        let function = instance.module().function(index);
        let signature = function.and_then(|function| instance.module().signature(function.signature));
        let slots = signature.map_or(0, |signature| signature.param_slots());
        last = context.call(index, &vec![0; slots.into()]);
        assert_eq!(last.is_err(), instance.report().is_some(), "a trap without a report");
        if last.is_err() {
            break;
        }
    }
    last
}
