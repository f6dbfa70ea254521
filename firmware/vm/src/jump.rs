//! setjmp and longjmp inside a module, out of the interpreter's loop.
//!
//! What `setjmp` writes lies in the module's memory, so `longjmp` believes none of it: the frame must be one that is active in this
//! entry from the host, the position a `setjmp` of the function that runs in it, and the stack pointer one that `spset` would take there.
//! Anything else is a trap. Never here: what the words mean to C (the library's `jmp_buf`).

use espb_format::opcode::Opcode;

use crate::context::Context;
use crate::cursor::Cursor;
use crate::slow::{self, Failure, failure};
use crate::trap::TrapKind;

/// The words at a `jmp_buf`: byte offset of the frame in the shadow stack, word of the `setjmp`, linear stack pointer.
const WORDS: usize = 3;

fn address(buffer: u32, index: usize) -> u32 {
    buffer.wrapping_add(4 * index as u32)
}

/// `setjmp`: notes where it stands and gives 0.
#[inline(never)]
pub(crate) fn set(context: &Context<'_>, at: Cursor, sp: u32) -> Result<(), Failure> {
    let buffer = at.read::<2>();
    let words: [u32; WORDS] = [context.offset_of(at.fp()), context.program().word_of(at.pc()), sp];
    for (index, word) in words.iter().enumerate() {
        context.instance().memory().write_word(address(buffer, index), *word).map_err(failure)?;
    }
    at.write(0);
    Ok(())
}

/// `longjmp`: the cursor behind the `setjmp`, and the linear stack pointer there.
#[inline(never)]
pub(crate) fn long(context: &Context<'_>, at: Cursor) -> Result<(Cursor, u32), Failure> {
    let (buffer, value) = (at.read::<1>(), at.read::<2>());
    let mut words = [0; WORDS];
    for (index, word) in words.iter_mut().enumerate() {
        *word = context.instance().memory().read_word(address(buffer, index)).map_err(failure)?;
    }
    let [frame, position, sp] = words;
    let gone = (TrapKind::LongJump, buffer);
    // Up the frames of this entry. A caller stands behind its call, so one word back is inside its function.
    let (mut there, mut inside) = (at, context.program().word_of(at.pc()));
    while context.offset_of(there.fp()) != frame {
        let (link, _) = there.link();
        if link.is_entry() {
            return Err(gone);
        }
        // SAFETY: the link is that of this frame and no entry.
        unsafe { there.leave(context.program().position(link)) };
        inside = context.program().word_of(there.pc()).wrapping_sub(1);
    }
    let module = context.module();
    let function = module.function_at(inside).ok_or(gone)?;
    let is_set_jump = module.code_word(position).is_some_and(|word| word as u8 == Opcode::SetJump as u8);
    if !is_set_jump || module.function_at(position) != Some(function) {
        return Err(gone);
    }
    // SAFETY: in verified code each word with the byte of an opcode is an instruction; this one is of the function whose frame `there` has.
    let mut there = unsafe { Cursor::new(context.program().code(position), there.fp()) };
    if !slow::is_own_stack_pointer(context, there, sp) {
        return Err(gone);
    }
    there.write(value.max(1));
    there.go(1);
    Ok((there, sp))
}
