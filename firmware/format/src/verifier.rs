//! The verifier: reads the code of a module once, before anything runs.
//!
//! Linear time, no memory but the stack: because extension words name themselves, "is this word the start of an instruction" needs no map.
//! Which rule guards what is in specs/format.md, "Code"; what is accepted here, the interpreter does not check again.
//! Never here: contracts of host functions, which the firmware alone knows.

mod class;

use core::ops::Deref;

use crate::container::{Function, Module, SectionKind};
use crate::error::{FormatError, Reason};
use crate::instruction::{is_extension, table_target};
use crate::pair::Pair;
use crate::signature::Signature;
use class::{Bound, Class, Rest};

/// A module whose code keeps every rule. Only the verifier makes one.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'a>(Module<'a>);

impl<'a> Deref for Verified<'a> {
    type Target = Module<'a>;

    fn deref(&self) -> &Module<'a> {
        &self.0
    }
}

/// Checks the code of a structurally correct module.
#[inline(never)]
pub fn verify<'a>(module: &Module<'a>) -> Result<Verified<'a>, FormatError> {
    let code = module.code();
    let mut bounds = bounds_of(module);
    for (function, end) in module.functions() {
        let signature = module.signature(function.signature);
        bounds[Bound::Stack4 as usize] = function.linear_frame / 4;
        bounds[Bound::Stack8 as usize] = function.linear_frame / 8;
        bounds[Bound::StackAddress as usize] = function.linear_frame + 1;
        let check = FunctionCheck {
            module,
            words: code.get(function.start as usize..end as usize).unwrap_or_default(),
            bounds: &bounds,
            slots: function.slots,
            result: signature.map_or(0, |signature| signature.result_slots()),
        };
        check.run().map_err(|(reason, at)| {
            let offset = module.section_offset(SectionKind::Code) + (function.start + at as u32) * 4;
            FormatError::new(reason, offset)
        })?;
    }
    Ok(Verified(*module))
}

/// What half fields must be less than, by [`Bound`]; those of a function's frame are filled in later.
fn bounds_of(module: &Module<'_>) -> [u32; Bound::COUNT] {
    let statics = module.static_size();
    let mut bounds = [0; Bound::COUNT];
    bounds[Bound::Static1 as usize] = statics;
    bounds[Bound::Static2 as usize] = statics / 2;
    bounds[Bound::Static4 as usize] = statics / 4;
    bounds[Bound::Static8 as usize] = statics / 8;
    bounds[Bound::StaticAddress as usize] = statics + 1;
    bounds[Bound::ConstantAddress as usize] = module.section(SectionKind::Constants).len() as u32 + 1;
    bounds[Bound::ThreadLocalAddress as usize] = module.thread_local().map_or(0, |record| record.size + 1);
    bounds[Bound::Function as usize] = module.function_count() as u32;
    bounds[Bound::Import as usize] = module.import_count() as u32;
    bounds[Bound::Callback as usize] = module.callback_count() as u32;
    bounds
}

/// A byte in each of the three fields of an instruction.
const EACH: u32 = 0x01_0101;
/// In each field a bit above the numbers of registers, which a subtraction leaves set as long as the register lies in the frame.
const GUARDS: u32 = 0x40 * EACH;

struct FunctionCheck<'m, 'a> {
    module: &'m Module<'a>,
    /// Its code, as it lies in memory.
    words: &'m [u32],
    bounds: &'m [u32; Bound::COUNT],
    /// Slots of its frame.
    slots: u8,
    /// Slots of its result.
    result: u8,
}

impl FunctionCheck<'_, '_> {
    /// Reads the function from front to back. A refusal comes with the word where it was found.
    fn run(&self) -> Result<(), (Reason, usize)> {
        let frame = GUARDS + u32::from(self.slots) * EACH;
        let mut at = 0;
        let mut leaves = false;
        let mut last = 0;
        while let Some(word) = self.words.get(at) {
            let word = u32::from_le(*word);
            let class = Class::of(word as u8);
            let fields = word >> 8;
            if fields & class.zero != 0 {
                return Err((stray(class, fields & class.zero), at));
            }
            // Three subtractions at once: none borrows from the next, as 64 + 1 − 2 − 63 is not negative.
            if (frame - class.slots - (fields >> 2 & class.registers)) & GUARDS != GUARDS {
                return Err((Reason::Register, at));
            }
            (last, leaves) = (at, class.leaves);
            at = if class.rest == Rest::Nothing && !class.pair {
                at + 1
            } else {
                self.rest(class, word, at).map_err(|reason| (reason, at))?
            };
        }
        if leaves { Ok(()) } else { Err((Reason::FallThrough, last)) }
    }

    /// Checks what registers and unused bits leave, and gives the position of the next instruction.
    fn rest(&self, class: &Class, word: u32, at: usize) -> Result<usize, Reason> {
        let next = self.operands(class, word, at)?;
        if class.pair
            && let (Some(pair), Some(second)) = (Pair::from_byte(word as u8), self.word(next))
            && !pair.continues(word, second)
        {
            return Err(Reason::Pair);
        }
        Ok(next)
    }

    fn operands(&self, class: &Class, word: u32, at: usize) -> Result<usize, Reason> {
        let half = word >> 16;
        match class.rest {
            Rest::Unknown => return Err(Reason::Opcode),
            Rest::Nothing => {}
            Rest::Bounded => self.bounded(half, class.bound)?,
            Rest::Extension => {
                self.extension(at)?;
                return Ok(at + 2);
            }
            Rest::Target8 => self.target(at, word as i32 >> 24)?,
            Rest::Target16 => self.target(at, word as i32 >> 16)?,
            Rest::Target24 => self.target(at, word as i32 >> 8)?,
            Rest::Table => return self.jump_table(at, half as usize),
            Rest::Call => self.call(word, self.callee(half)?)?,
            Rest::CallIndirect => {
                self.call(word, self.signature_behind(word, at).and_then(fixed)?)?;
                return Ok(at + 2);
            }
            Rest::CallImport => self.call(word, self.import(half).and_then(fixed)?)?,
            Rest::CallImportVariadic => {
                let all = self.signature_behind(word, at)?;
                let continues = all.continues(&self.import(half)?);
                self.call(word, Some(all).filter(|_| continues).ok_or(Reason::Call)?)?;
                return Ok(at + 2);
            }
            Rest::Return => self.gives(0)?,
            Rest::ReturnValue => self.gives(1)?,
            Rest::ReturnValue64 => self.gives(2)?,
            Rest::TailCall => self.tail_call(self.callee(half)?)?,
            Rest::TailCallIndirect => {
                self.tail_call(self.signature_behind(word, at)?)?;
                return Ok(at + 2);
            }
        }
        Ok(at + 1)
    }

    fn bounded(&self, value: u32, bound: Bound) -> Result<(), Reason> {
        let limit = self.bounds.get(bound as usize).copied().unwrap_or(0);
        let reason = if bound.is_index() { Reason::Index } else { Reason::Displacement };
        if value < limit { Ok(()) } else { Err(reason) }
    }

    /// The word at this position, where it belongs to the function.
    fn word(&self, at: usize) -> Option<u32> {
        self.words.get(at).copied().map(u32::from_le)
    }

    /// The payload of the extension word behind the instruction at `at`.
    fn extension(&self, at: usize) -> Result<u32, Reason> {
        self.word(at + 1).filter(|word| is_extension(*word)).map(|word| word >> 8).ok_or(Reason::Extension)
    }

    /// The signature in the extension word behind the instruction at `at`, which repeats the instruction's field a.
    fn signature_behind(&self, word: u32, at: usize) -> Result<Signature, Reason> {
        let extension = self.extension(at)?;
        if (extension ^ word >> 8) & 0xff != 0 {
            return Err(Reason::Extension);
        }
        self.signature(extension >> 8)
    }

    fn jump_table(&self, at: usize, length: usize) -> Result<usize, Reason> {
        for entry in at + 1..=at + length {
            let word = self.word(entry).filter(|word| is_extension(*word)).ok_or(Reason::Extension)?;
            self.target(at, table_target(word))?;
        }
        Ok(at + 1 + length)
    }

    /// A target must be a word of this function that starts an instruction.
    fn target(&self, at: usize, distance: i32) -> Result<(), Reason> {
        // Before the function's start wraps around to far behind its end.
        let target = (at as u32).wrapping_add_signed(distance);
        self.word(target as usize).filter(|word| !is_extension(*word)).map(|_| ()).ok_or(Reason::Target)
    }

    /// The window must hold what the callee takes and gives, and leave room for the link.
    fn call(&self, word: u32, callee: Signature) -> Result<(), Reason> {
        let window = word >> 10 & 0x3f;
        let room = callee.param_slots().max(callee.result_slots());
        if window >= 2 && window + u32::from(room) <= u32::from(self.slots) { Ok(()) } else { Err(Reason::Call) }
    }

    /// The frame must hold the arguments, and the result must be one that this function may give.
    fn tail_call(&self, callee: Signature) -> Result<(), Reason> {
        if callee.is_variadic() || callee.param_slots() > self.slots {
            return Err(Reason::Call);
        }
        self.gives(callee.result_slots())
    }

    fn gives(&self, slots: u8) -> Result<(), Reason> {
        if self.result == slots { Ok(()) } else { Err(Reason::Return) }
    }

    /// The signature of the function with this index.
    fn callee(&self, index: u32) -> Result<Signature, Reason> {
        let Function { signature, .. } = self.module.function(index as u16).ok_or(Reason::Index)?;
        self.signature(signature.into())
    }

    fn signature(&self, index: u32) -> Result<Signature, Reason> {
        u16::try_from(index).ok().and_then(|index| self.module.signature(index)).ok_or(Reason::Index)
    }

    fn import(&self, index: u32) -> Result<Signature, Reason> {
        self.module.import_signature(index as u16).ok_or(Reason::Index)
    }
}

/// A signature that says of every argument what it is.
fn fixed(signature: Signature) -> Result<Signature, Reason> {
    if signature.is_variadic() { Err(Reason::Call) } else { Ok(signature) }
}

/// Which rule bits break that must be zero: those of registers first, then of fields without an operand, else a shift distance is too
/// large.
#[cold]
fn stray(class: &Class, bits: u32) -> Reason {
    let low = class.zero & EACH;
    let registers = class.zero >> 1 & low & !(class.zero >> 2 & low);
    if bits & (registers * 0xff) != 0 {
        Reason::Register
    } else if bits & (low * 0xff) != 0 {
        Reason::Reserved
    } else {
        Reason::Displacement
    }
}
