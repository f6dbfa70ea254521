//! Walking the frames of a context. Never here: names and lines, which the line table gives for an offset.

use espb_format::instruction::is_extension;

use crate::context::{Context, NOTHING};
use crate::link::Link;

/// An active call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Index of the function.
    pub function: u16,
    /// Byte offset in the code section of the instruction that runs: the one that trapped, or the call that has not returned.
    pub offset: u32,
}

/// The frames of a context, innermost first, through host calls down to the first entry.
pub struct Backtrace<'a> {
    context: &'a Context<'a>,
    /// Frame pointer as byte offset in the shadow stack, and word of the instruction.
    next: Option<(u32, u32)>,
}

impl<'a> Backtrace<'a> {
    pub(crate) fn new(context: &'a Context<'a>) -> Self {
        Self { context, next: context.position().map(|position| (context.frame_offset(), position)) }
    }

    /// The caller's frame pointer and position.
    fn caller(&self, fp: u32) -> Option<(u32, u32)> {
        let below = |words: u32| Some(self.context.shadow_word((fp / 4).checked_sub(words)?));
        let link = Link::from_word(below(2)?);
        if link.is_entry() {
            let (interrupted, position) = (below(4)?, below(3)?);
            return (interrupted != NOTHING).then_some((interrupted, position));
        }
        let program = self.context.program();
        let last = program.word_of(program.position(link)).checked_sub(1)?;
        let word = self.context.module().code_word(last)?;
        // An indirect call has its signature in an extension word. Either word has the window.
        let call = if is_extension(word) { last.checked_sub(1)? } else { last };
        Some((fp.checked_sub(word >> 8 & 0xff)?, call))
    }
}

impl Iterator for Backtrace<'_> {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        let (fp, position) = self.next?;
        let function = self.context.module().function_at(position)?;
        self.next = self.caller(fp);
        Some(Frame { function, offset: position * 4 })
    }
}
