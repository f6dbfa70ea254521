//! The long and the rare parts of instructions, out of the interpreter's loop so that its state stays in registers.

use crate::context::{Context, Trapped};
use crate::cursor::Cursor;
use crate::host::{HostCall, HostFunction};
use crate::layout::Granule;
use crate::trap::{Trap, TrapKind};

/// A trap's kind and value.
pub(crate) type Failure = (TrapKind, u32);

pub(crate) fn failure(trap: Trap) -> Failure {
    (trap.kind, trap.value)
}

/// Calls the import that the instruction names, at which the context is parked, with the arguments in its window, and puts the result there.
/// The arguments are of so many slots, or as many as the import's parameters.
#[inline(never)]
pub(crate) fn call_host(context: &Context<'_>, argument_slots: Option<u8>) -> Result<(), Trapped> {
    let at = context.parked();
    let binding = context.binding(at.half());
    let mut call = HostCall {
        import: at.half(),
        function: HostFunction(binding.function),
        arguments: at.window(argument_slots.unwrap_or(binding.argument_slots)),
        context,
    };
    let outcome = context.instance().host().call(&mut call);
    // Entries that the host has made are over: the context is parked there again, and asking it costs less than keeping it.
    let at = context.parked();
    match outcome {
        Ok(result) => match binding.result_slots {
            0 => {}
            1 => at.write_slot(at.byte::<1>(), result as u32),
            _ => at.write_pair(at.byte::<1>(), result),
        },
        Err(trap) => return Err(context.fail_with(Trap { import: at.half(), ..trap })),
    }
    if context.instance().is_stopped() { Err(context.fail(TrapKind::Stopped, 0)) } else { Ok(()) }
}

/// Slots of the arguments of a variadic call.
#[cold]
#[inline(never)]
pub(crate) fn variadic_slots(context: &Context<'_>, signature: u16) -> u8 {
    context.module().signature(signature).map_or(0, |signature| signature.param_slots())
}

/// The function behind an address, if it is one of this instance and of a signature that says the same as this one.
#[inline(never)]
pub(crate) fn indirect_target(context: &Context<'_>, address: u32, wanted: u16) -> Result<u16, Failure> {
    let module = context.module();
    let callback = context.instance().thunks().index(address);
    let function = callback.and_then(|index| module.callback(index)).ok_or((TrapKind::IndirectCall, address))?;
    let own = context.program().function(function).signature();
    if own == wanted || module.signature(own) == module.signature(wanted) {
        Ok(function)
    } else {
        Err((TrapKind::IndirectSignature, address))
    }
}

/// The linear stack pointer after taking `size` bytes.
#[inline(never)]
pub(crate) fn stack_allocate(context: &Context<'_>, sp: u32, size: u32) -> Result<u32, Failure> {
    let rounded = size.checked_next_multiple_of(Granule::SIZE).filter(|size| *size <= sp - context.stack_limit());
    rounded.map(|size| sp - size).ok_or((TrapKind::LinearStackOverflow, size))
}

/// The linear stack pointer of `spset`: aligned, in the stack, and not above the part that the function's own frame occupies.
#[inline(never)]
pub(crate) fn stack_restore(context: &Context<'_>, at: Cursor) -> Result<u32, Failure> {
    let wanted = at.read::<1>();
    if is_own_stack_pointer(context, at, wanted) { Ok(wanted) } else { Err((TrapKind::StackPointer, wanted)) }
}

/// Whether the linear stack pointer can have had this value in the call whose frame and function the cursor has.
pub(crate) fn is_own_stack_pointer(context: &Context<'_>, at: Cursor, wanted: u32) -> bool {
    let entry = at.link().1;
    let frame = context
        .module()
        .function_at(context.program().word_of(at.pc()))
        .map_or(0, |index| context.program().function(index).linear_frame());
    wanted >= context.stack_limit() && wanted <= entry - frame && wanted.is_multiple_of(Granule::SIZE)
}
