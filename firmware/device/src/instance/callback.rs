//! Native code calls a function of the module: from a thunk into the current task's context.

use espb_vm::{Context, Trap, TrapKind, abi};

use super::{Failure, Running, registry, task::ModuleTask};
use crate::link;

/// Taken backward branches and calls of a callback on a firmware task, on which other callbacks wait: a tenth of a second or so.
const FUEL: u32 = 1_000_000;

/// Runs the function behind thunk `index` of the pool. A callback that comes after its instance has ended, or that traps, gives 0.
///
/// # Safety
/// `words` points to the eight argument registers with the caller's stack arguments behind them.
pub unsafe fn run(index: u16, words: *const u32) -> u64 {
    let Some((running, callback)) = registry::owner_of(index) else { return 0 };
    // SAFETY: as the caller promises.
    match unsafe { enter(running, callback, words) } {
        Ok(result) => result,
        Err(trap) => {
            fail(running, trap);
            0
        }
    }
}

/// Ends the instance.
#[cold]
#[inline(never)]
fn fail(running: &Running, trap: Trap) {
    running.note_trap(trap);
    link::wake();
}

unsafe fn enter(running: &'static Running, index: u16, words: *const u32) -> Result<u64, Trap> {
    let task = ModuleTask::current_or_new(running)?;
    let context = task.context().ok_or(Trap::new(TrapKind::Host, Failure::Memory as u32))?;
    let others_wait = task.is_firmware() && context.is_idle();
    if others_wait {
        context.set_budget(Some(FUEL));
        task.note_entry();
    }
    let callback = context.callback(index).ok_or(Trap::new(TrapKind::Entry, index.into()))?;
    let slots = usize::from(callback.argument_slots());
    let result = if slots <= abi::REGISTERS {
        // All in registers: their words are the slots.
        // SAFETY: the eight register words are there.
        callback.call(unsafe { core::slice::from_raw_parts(words, slots) })?
    } else {
        // SAFETY: as this function's caller promises.
        unsafe { enter_with_stack(context, index, words) }?
    };
    if others_wait && task.was_cut_short() {
        // Before it met the end of its fuel.
        return Err(Trap::new(TrapKind::OutOfFuel, 0));
    }
    Ok(result)
}

/// The same where arguments lie on the caller's stack, with gaps perhaps.
#[inline(never)]
unsafe fn enter_with_stack(context: &Context<'static>, index: u16, words: *const u32) -> Result<u64, Trap> {
    let module = context.instance().module();
    let function = module.callback(index).and_then(|function| module.function(function));
    let signature = function.and_then(|function| module.signature(function.signature));
    let signature = signature.ok_or(Trap::new(TrapKind::Entry, index.into()))?;
    // SAFETY: the eight register words are there.
    let registers = unsafe { &*words.cast::<[u32; abi::REGISTERS]>() };
    let mut slots = [0; abi::MAX_STACK_WORDS];
    // SAFETY: a caller that keeps to the signature has put its stack arguments there.
    let stack = |word: usize| unsafe { words.add(abi::REGISTERS + word).read() };
    let count = abi::from_native(&signature, registers, stack, &mut slots);
    context.call_callback(index, slots.get(..count).unwrap_or_default())
}
