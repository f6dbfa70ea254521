//! Entries: the host runs a function of the module on a context and gets its result.
//!
//! Never here: what runs inside of the interpreter, and calls from there to the host ([`crate::slow`]).

use super::{Context, Trapped};
use crate::cursor::Cursor;
use crate::instance::Callee;
use crate::interpreter::interpret;
use crate::link::Link;
use crate::slow::Failure;
use crate::trap::{Trap, TrapKind};

/// Bytes of an entry's header: what it interrupted and the link.
const ENTRY_HEADER: usize = 16;

/// A function that native code may call, on the context that it shall run on.
#[derive(Clone, Copy)]
pub struct Callback<'c> {
    context: &'c Context<'c>,
    callee: &'c Callee,
}

impl Callback<'_> {
    /// Slots that its arguments take.
    #[inline(always)]
    pub fn argument_slots(&self) -> u8 {
        self.callee.argument_slots
    }

    /// Runs it as [`Context::call`] does.
    #[inline(always)]
    pub fn call(&self, arguments: &[u32]) -> Result<u64, Trap> {
        self.context.run(self.callee, arguments)
    }
}

impl Context<'_> {
    /// The address-taken function with this index: what is behind a thunk.
    #[inline(always)]
    pub fn callback(&self, callback: u16) -> Option<Callback<'_>> {
        // SAFETY: the program is the instance's.
        let callee = || unsafe { self.instance.callee(callback) };
        self.program.has_callback(callback).then(|| Callback { context: self, callee: callee() })
    }

    /// Runs the address-taken function with this index; else as [`Context::call`].
    pub fn call_callback(&self, callback: u16, arguments: &[u32]) -> Result<u64, Trap> {
        match self.callback(callback) {
            Some(callback) => callback.call(arguments),
            None => Err(self.refuse(callback)),
        }
    }

    /// Runs a function of the module with these argument slots and gives its result: nothing (0), one word or two.
    ///
    /// Where this task is inside a host call, the function runs on top of the frames there are. A trap ends the whole instance: it is
    /// recorded ([`crate::Instance::report`]) and every other task of the instance stops too.
    pub fn call(&self, function: u16, arguments: &[u32]) -> Result<u64, Trap> {
        match Callee::of(self.module(), function) {
            Some(callee) => self.run(&callee, arguments),
            None => Err(self.refuse(function)),
        }
    }

    /// The trap for a function that does not exist.
    #[cold]
    fn refuse(&self, index: u16) -> Trap {
        self.fail(TrapKind::Entry, index.into());
        self.finish()
    }

    #[inline(never)]
    fn run(&self, callee: &Callee, arguments: &[u32]) -> Result<u64, Trap> {
        // First of all, because it may call: little needs to be kept meanwhile.
        let taken = self.interrupted_bytes();
        let (interrupted, sp) = (self.parked(), self.sp.get());
        let outcome = match self.prepare(callee, arguments, interrupted, taken, sp) {
            Ok((at, sp)) => {
                let outcome = interpret(self, at, sp);
                self.entries.set(self.entries.get() - 1);
                outcome
            }
            Err((kind, value)) => Err(self.fail(kind, value)),
        };
        let outcome = match outcome {
            Ok(()) => Ok(self.result(callee.result_slots)),
            Err(Trapped) => Err(self.finish()),
        };
        self.pc.set(interrupted.pc());
        self.fp.set(interrupted.fp());
        self.sp.set(sp);
        outcome
    }

    /// Counts the entry and lays its frame above what it interrupts, which has taken so many bytes from its frame pointer on. Gives where the
    /// interpreter starts, and its linear stack pointer there.
    #[inline(always)]
    fn prepare(
        &self,
        callee: &Callee,
        arguments: &[u32],
        interrupted: Cursor,
        taken: usize,
        sp: u32,
    ) -> Result<(Cursor, u32), Failure> {
        if self.instance.is_stopped() {
            return Err((TrapKind::Stopped, 0));
        }
        let entries = self.entries.get();
        if entries >= self.most_entries {
            return Err((TrapKind::EntryDepth, self.most_entries.into()));
        }
        if usize::from(callee.argument_slots) != arguments.len() {
            return Err((TrapKind::Entry, callee.function.into()));
        }
        let record = self.program.function(callee.function);
        let header = interrupted.fp().wrapping_add(taken);
        // What is interrupted fits, so the difference is not negative.
        if self.shadow_limit.addr().wrapping_sub(header.addr()) < ENTRY_HEADER + record.frame() {
            return Err((TrapKind::ShadowStackOverflow, 0));
        }
        let linear_frame = record.linear_frame();
        if sp - self.stack_low < linear_frame {
            return Err((TrapKind::LinearStackOverflow, linear_frame));
        }
        self.entries.set(entries + 1);
        let (pc, fp) = (self.program.code(record.start()), header.wrapping_add(ENTRY_HEADER));
        let fp_before = self.offset_of(interrupted.fp());
        let words = [fp_before, self.program.word_of(interrupted.pc()), Link::ENTRY.word(), sp];
        // SAFETY: header and frame were found to fit above; the arguments fill the parameters, which the frame holds; the position is the
        // entry of the function whose frame this is.
        let at = unsafe {
            header.cast::<[u32; ENTRY_HEADER / 4]>().write(words);
            // One by one: they are few, and a call of memcpy, which LLVM would make of plain writes, costs more than they do.
            for (index, argument) in arguments.iter().enumerate() {
                fp.cast::<u32>().add(index).write_volatile(*argument);
            }
            Cursor::new(pc, fp)
        };
        // For whoever asks meanwhile whether and where this task runs.
        self.pc.set(pc);
        self.fp.set(fp);
        Ok((at, sp - linear_frame))
    }

    /// Bytes that the frame takes that a host call left; 0 where there is none.
    #[inline(always)]
    fn interrupted_bytes(&self) -> usize {
        if self.fp.get() == self.shadow {
            return 0;
        }
        let (pc, bytes) = self.interrupted.get();
        if pc == self.pc.get() { bytes } else { self.find_interrupted_bytes() }
    }

    #[inline(never)]
    fn find_interrupted_bytes(&self) -> usize {
        let at = self.parked();
        let function = self.module().function_at(self.program.word_of(at.pc()));
        // Verified code runs inside of some function; without one the frame could be all that is left.
        let left = self.shadow_limit.addr() - at.fp().addr();
        let bytes = function.map_or(left, |index| self.program.function(index).frame());
        self.interrupted.set((at.pc(), bytes));
        bytes
    }

    /// The result in the first slots of the entry frame, which has just returned.
    #[inline(always)]
    fn result(&self, slots: u8) -> u64 {
        let at = self.parked();
        match slots {
            0 => 0,
            1 => at.read_slot(0).into(),
            _ => at.read_pair(0),
        }
    }
}
