//! The verifier: reads the code of a module once, before anything runs.
//!
//! Linear time, no memory but the stack: because extension words name themselves, "is this word the start of an instruction" needs no map.
//! Which rule guards what is in specs/format.md, "Code"; what is accepted here, the interpreter does not check again.
//! Never here: contracts of host functions, which the firmware alone knows.

use core::ops::Deref;

use crate::container::{Function, Module, SectionKind};
use crate::error::{FormatError, Reason};
use crate::instruction::{Instruction, is_extension, table_target};
use crate::opcode::{Flow, Opcode};
use crate::operand::Operand;
use crate::pair::Pair;
use crate::signature::Signature;

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
pub fn verify<'a>(module: &Module<'a>) -> Result<Verified<'a>, FormatError> {
    for index in 0..module.function_count() {
        let Some(function) = module.function(index as u16) else { continue };
        let end = module.function_end(index as u16).unwrap_or(function.start);
        let signature = module.signature(function.signature);
        let result = signature.map_or(0, |signature| signature.result_slots());
        FunctionCheck { module, function, end, result }.run()?;
    }
    Ok(Verified(*module))
}

struct FunctionCheck<'m, 'a> {
    module: &'m Module<'a>,
    function: Function,
    end: u32,
    /// Slots of its result.
    result: u8,
}

impl FunctionCheck<'_, '_> {
    fn run(&self) -> Result<(), FormatError> {
        let mut at = self.function.start;
        while at < self.end {
            at = self.instruction(at).map_err(|reason| self.error(reason, at))?;
        }
        Ok(())
    }

    fn error(&self, reason: Reason, word: u32) -> FormatError {
        FormatError::new(reason, self.module.section_offset(SectionKind::Code) + word * 4)
    }

    /// The word at this position, where it belongs to the function.
    fn word(&self, at: u32) -> Option<u32> {
        if at < self.end { self.module.code_word(at) } else { None }
    }

    /// Checks the instruction at `at` and gives the position of the next.
    fn instruction(&self, at: u32) -> Result<u32, Reason> {
        let word = self.word(at).ok_or(Reason::FallThrough)?;
        let instruction = Instruction::decode(word, self.word(at + 1))?;
        for (operand, value) in instruction.operands() {
            self.operand(operand, value, at)?;
        }
        self.call(&instruction)?;
        let mut next = at + instruction.words();
        if instruction.opcode.flow() == Flow::Switch {
            next = self.jump_table(at, instruction.operands[1] as u32)?;
        }
        let leaves = matches!(instruction.opcode.flow(), Flow::Leave | Flow::Jump);
        if next > self.end || next == self.end && !leaves {
            return Err(Reason::FallThrough);
        }
        match Pair::from_byte(word as u8) {
            Some(pair) if !self.word(next).is_some_and(|second| pair.holds(word, second)) => Err(Reason::Pair),
            _ => Ok(next),
        }
    }

    fn jump_table(&self, at: u32, length: u32) -> Result<u32, Reason> {
        for entry in at + 1..=at + length {
            let word = self.word(entry).filter(|word| is_extension(*word)).ok_or(Reason::Extension)?;
            self.target(at, table_target(word).into())?;
        }
        Ok(at + 1 + length)
    }

    /// A target must be a word of this function that starts an instruction.
    fn target(&self, at: u32, distance: i64) -> Result<(), Reason> {
        let target = i64::from(at) + distance;
        if target < self.function.start.into() || target >= self.end.into() {
            return Err(Reason::Target);
        }
        match self.word(target as u32) {
            Some(word) if !is_extension(word) => Ok(()),
            _ => Err(Reason::Target),
        }
    }

    fn operand(&self, operand: Operand, value: i64, at: u32) -> Result<(), Reason> {
        let slots = i64::from(self.function.slots);
        let statics = i64::from(self.module.static_size());
        let frame = i64::from(self.function.linear_frame);
        let constants = self.module.section(SectionKind::Constants).len() as i64;
        let holds = |condition: bool, reason: Reason| if condition { Ok(()) } else { Err(reason) };
        match operand {
            Operand::W32 | Operand::R32 | Operand::X32 | Operand::W64 | Operand::R64 | Operand::X64 => {
                holds(value + i64::from(operand.slots()) <= slots, Reason::Register)
            }
            Operand::Window => holds(value >= 2 && value <= slots, Reason::Call),
            Operand::Shift32 => holds(value < 32, Reason::Displacement),
            Operand::Shift64 => holds(value < 64, Reason::Displacement),
            Operand::Stack(width) => holds((value + 1) * i64::from(width) <= frame, Reason::Displacement),
            Operand::Static(width) => holds((value + 1) * i64::from(width) <= statics, Reason::Displacement),
            Operand::StackAddress => holds(value <= frame, Reason::Displacement),
            Operand::StaticAddress => holds(value <= statics, Reason::Displacement),
            Operand::ConstantAddress => holds(value <= constants, Reason::Displacement),
            Operand::ThreadLocalAddress => holds(
                self.module.thread_local().is_some_and(|record| value <= i64::from(record.size)),
                Reason::Displacement,
            ),
            Operand::Target8 | Operand::Target16 | Operand::Target24 => self.target(at, value),
            Operand::Function => holds((value as usize) < self.module.function_count(), Reason::Index),
            Operand::Import => holds((value as usize) < self.module.import_count(), Reason::Index),
            Operand::Callback => holds((value as usize) < self.module.callback_count(), Reason::Index),
            Operand::Signature => holds((value as usize) < self.module.signature_count(), Reason::Index),
            Operand::I8
            | Operand::U8
            | Operand::I16
            | Operand::I32
            | Operand::Displacement(_)
            | Operand::TableLength
            | Operand::TrapCode => Ok(()),
        }
    }

    /// Windows must hold what the callee takes and gives; returns and tail calls must fit the function's own signature.
    fn call(&self, instruction: &Instruction) -> Result<(), Reason> {
        let [first, second, third] = instruction.operands;
        let signature_of =
            |index: i64| u16::try_from(index).ok().and_then(|index| self.module.signature(index)).ok_or(Reason::Index);
        let own = |index: i64| {
            let callee = u16::try_from(index).ok().and_then(|index| self.module.function(index));
            signature_of(callee.ok_or(Reason::Index)?.signature.into())
        };
        let callee = match instruction.opcode {
            Opcode::Call => own(second)?,
            Opcode::TailCall => return self.tail_call(own(first)?),
            Opcode::TailCallIndirect => return self.tail_call(signature_of(second)?),
            Opcode::CallIndirect => {
                Some(signature_of(third)?).filter(|signature| !signature.is_variadic()).ok_or(Reason::Call)?
            }
            Opcode::CallImport => {
                Some(self.import(second)?).filter(|signature| !signature.is_variadic()).ok_or(Reason::Call)?
            }
            Opcode::CallImportVariadic => {
                let fixed = self.import(second)?;
                let all = signature_of(third)?;
                let fits = fixed.is_variadic()
                    && !all.is_variadic()
                    && fixed.result() == all.result()
                    && fixed.param_count() <= all.param_count()
                    && fixed.params().zip(all.params()).all(|(fixed, all)| fixed == all);
                if !fits {
                    return Err(Reason::Call);
                }
                all
            }
            Opcode::Return | Opcode::ReturnValue | Opcode::ReturnValue64 => {
                let given = match instruction.opcode {
                    Opcode::Return => 0,
                    Opcode::ReturnValue => 1,
                    _ => 2,
                };
                return if self.result == given { Ok(()) } else { Err(Reason::Return) };
            }
            _ => return Ok(()),
        };
        let room = callee.param_slots().max(callee.result_slots());
        if first + i64::from(room) <= i64::from(self.function.slots) { Ok(()) } else { Err(Reason::Call) }
    }

    /// The frame must hold the arguments, and the result must be one that this function may give.
    fn tail_call(&self, callee: Signature) -> Result<(), Reason> {
        if callee.is_variadic() || callee.param_slots() > self.function.slots {
            Err(Reason::Call)
        } else if callee.result_slots() != self.result {
            Err(Reason::Return)
        } else {
            Ok(())
        }
    }

    fn import(&self, index: i64) -> Result<Signature, Reason> {
        let import = u16::try_from(index).ok().and_then(|index| self.module.import(index)).ok_or(Reason::Index)?;
        Ok(import.signature)
    }
}
