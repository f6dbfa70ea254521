//! Instructions and terminators.
//!
//! Must never hold: calls, see `calls`.

use super::super::super::expand::Rearrangement;
use super::super::super::llvm::{Instruction as LlvmInstruction, LLVMOpcode, Value};
use super::super::super::{InstructionKind, Operand, ScaledIndex, SwitchCase, Terminator};
use super::constants::{int_bits, unsupported};
use super::functions::Values;
use super::operations::{binary, cast, float_predicate, int_predicate, ordering, rmw};
use super::{Converter, Refusal, Result};

const UNWIND_HELP: &str = "compile C++ with -fno-exceptions";

impl<'m> Converter<'m, '_> {
    /// Operand `index` of an instruction.
    fn at(&mut self, instruction: LlvmInstruction<'m>, index: u32, values: &Values<'m>) -> Result<Operand> {
        let value = super::constants::operand(instruction.value(), index)?;
        self.operand(value, values)
    }

    /// An instruction that is neither phi nor terminator; `entry` tells whether it is in the entry block.
    pub(super) fn instruction(
        &mut self,
        instruction: LlvmInstruction<'m>,
        values: &Values<'m>,
        entry: bool,
    ) -> Result<InstructionKind> {
        use LLVMOpcode::*;
        let opcode = instruction.opcode();
        if let Some(op) = binary(opcode) {
            let (lhs, rhs) = (self.at(instruction, 0, values)?, self.at(instruction, 1, values)?);
            return Ok(InstructionKind::Binary { op, lhs, rhs });
        }
        if let Some(op) = cast(opcode) {
            return Ok(InstructionKind::Cast { op, operand: self.at(instruction, 0, values)? });
        }
        Ok(match opcode {
            LLVMFNeg => InstructionKind::FloatNegate { operand: self.at(instruction, 0, values)? },
            LLVMFreeze => InstructionKind::Freeze { operand: self.at(instruction, 0, values)? },
            LLVMICmp => InstructionKind::Compare {
                predicate: int_predicate(some(instruction.int_predicate(), instruction)?),
                lhs: self.at(instruction, 0, values)?,
                rhs: self.at(instruction, 1, values)?,
            },
            LLVMFCmp => InstructionKind::FloatCompare {
                predicate: float_predicate(some(instruction.float_predicate(), instruction)?),
                lhs: self.at(instruction, 0, values)?,
                rhs: self.at(instruction, 1, values)?,
            },
            LLVMSelect => InstructionKind::Select {
                condition: self.at(instruction, 0, values)?,
                if_true: self.at(instruction, 1, values)?,
                if_false: self.at(instruction, 2, values)?,
            },
            LLVMGetElementPtr => self.address(instruction.value(), values)?,
            LLVMAlloca => self.alloca(instruction, values, entry)?,
            LLVMExtractValue => InstructionKind::ExtractValue {
                aggregate: self.at(instruction, 0, values)?,
                path: instruction.indices(),
            },
            LLVMInsertValue => InstructionKind::InsertValue {
                aggregate: self.at(instruction, 0, values)?,
                element: self.at(instruction, 1, values)?,
                path: instruction.indices(),
            },
            LLVMVAArg => InstructionKind::VaArg { list: self.at(instruction, 0, values)? },
            LLVMCall => InstructionKind::Call(Box::new(self.call(instruction, values)?)),
            LLVMLoad | LLVMStore | LLVMAtomicRMW | LLVMAtomicCmpXchg | LLVMFence => {
                self.memory_access(instruction, values)?
            }
            LLVMInvoke | LLVMLandingPad | LLVMResume | LLVMCatchPad | LLVMCleanupPad | LLVMCatchSwitch
            | LLVMCatchRet | LLVMCleanupRet => {
                return Err(Refusal::new("C++ exceptions are not supported", UNWIND_HELP));
            }
            LLVMCallBr => {
                return Err(Refusal::new("assembly that jumps (asm goto) is not supported", "write it in C"));
            }
            _ => return Err(unsupported(instruction.value())),
        })
    }

    /// An instruction that takes an element out of a vector or puts one in. The scalarizer leaves known indices only.
    pub(super) fn rearrangement(
        &mut self,
        instruction: LlvmInstruction<'m>,
        values: &Values<'m>,
    ) -> Result<Option<Rearrangement>> {
        let known = |index| {
            let index = instruction.value().operand(index).and_then(|index| index.small_int());
            index.map(|index| u32::try_from(index).unwrap_or(u32::MAX)).ok_or_else(|| unsupported(instruction.value()))
        };
        Ok(Some(match instruction.opcode() {
            LLVMOpcode::LLVMExtractElement => {
                Rearrangement::Extract { vector: self.at(instruction, 0, values)?, index: known(1)? }
            }
            LLVMOpcode::LLVMInsertElement => Rearrangement::Insert {
                vector: self.at(instruction, 0, values)?,
                element: self.at(instruction, 1, values)?,
                index: known(2)?,
            },
            _ => return Ok(None),
        }))
    }

    fn memory_access(&mut self, instruction: LlvmInstruction<'m>, values: &Values<'m>) -> Result<InstructionKind> {
        let (align, volatile) = (instruction.alignment(), instruction.is_volatile());
        let atomic = ordering(instruction.ordering());
        Ok(match instruction.opcode() {
            LLVMOpcode::LLVMLoad => {
                InstructionKind::Load { address: self.at(instruction, 0, values)?, align, volatile, ordering: atomic }
            }
            LLVMOpcode::LLVMStore => InstructionKind::Store {
                value: self.at(instruction, 0, values)?,
                address: self.at(instruction, 1, values)?,
                align,
                volatile,
                ordering: atomic,
            },
            LLVMOpcode::LLVMFence => InstructionKind::Fence { ordering: some(atomic, instruction)? },
            LLVMOpcode::LLVMAtomicRMW => InstructionKind::AtomicRmw {
                op: some(instruction.rmw_operation().and_then(rmw), instruction)?,
                address: self.at(instruction, 0, values)?,
                value: self.at(instruction, 1, values)?,
                volatile,
                ordering: some(atomic, instruction)?,
            },
            _ => {
                let (success, failure, weak) = some(instruction.compare_exchange(), instruction)?;
                InstructionKind::CompareExchange {
                    address: self.at(instruction, 0, values)?,
                    expected: self.at(instruction, 1, values)?,
                    replacement: self.at(instruction, 2, values)?,
                    weak,
                    volatile,
                    success: some(ordering(success), instruction)?,
                    failure: some(ordering(failure), instruction)?,
                }
            }
        })
    }

    fn address(&mut self, gep: Value<'m>, values: &Values<'m>) -> Result<InstructionKind> {
        let steps = self.gep_steps(gep)?;
        let base = super::constants::operand(gep, 0)?;
        let mut indices = Vec::with_capacity(steps.indices.len());
        for (index, scale) in steps.indices {
            indices.push(ScaledIndex { index: self.operand(index, values)?, scale });
        }
        Ok(InstructionKind::Address {
            base: self.operand(base, values)?,
            offset: steps.offset as i32,
            indices,
            in_bounds: gep.gep_in_bounds(),
        })
    }

    fn alloca(&mut self, alloca: LlvmInstruction<'m>, values: &Values<'m>, entry: bool) -> Result<InstructionKind> {
        let ty = self.type_id(some(alloca.allocated_type(), alloca)?)?;
        let layout = self.module.types.layout(ty);
        let align = self.kept_alignment(ty, alloca.alignment().max(1));
        let count = super::constants::operand(alloca.value(), 0)?;
        match count.small_int() {
            Some(count) if entry => {
                let size = count.checked_mul(u64::from(layout.size)).and_then(|size| u32::try_from(size).ok());
                let size = size.ok_or_else(|| Refusal::new("a local variable of 4 GB or more", "make it smaller"))?;
                Ok(InstructionKind::Alloca { size, align })
            }
            _ => Ok(InstructionKind::DynamicAlloca {
                count: self.operand(count, values)?,
                element_size: layout.size,
                align,
            }),
        }
    }

    /// The terminator, `None` for other instructions.
    pub(super) fn terminator(
        &mut self,
        instruction: LlvmInstruction<'m>,
        values: &Values<'m>,
    ) -> Result<Option<Terminator>> {
        let successors = instruction.successors();
        Ok(Some(match (instruction.opcode(), successors.as_slice()) {
            (LLVMOpcode::LLVMRet, _) => {
                let operand = instruction.value().operand(0);
                Terminator::Return(operand.map(|value| self.operand(value, values)).transpose()?)
            }
            (LLVMOpcode::LLVMUnreachable, _) => Terminator::Unreachable,
            (LLVMOpcode::LLVMBr, [target]) => Terminator::Jump(self.block_id(*target)?),
            (LLVMOpcode::LLVMBr, [if_true, if_false]) => Terminator::Branch {
                condition: self.at(instruction, 0, values)?,
                if_true: self.block_id(*if_true)?,
                if_false: self.block_id(*if_false)?,
            },
            (LLVMOpcode::LLVMSwitch, [default, targets @ ..]) => {
                let mut cases = Vec::with_capacity(targets.len());
                for (index, target) in (1..).zip(targets) {
                    let value = some(instruction.case_value(index), instruction)?;
                    cases.push(SwitchCase { value: int_bits(value)?, target: self.block_id(*target)? });
                }
                if instruction
                    .value()
                    .operand(0)
                    .and_then(|value| value.ty().int_width())
                    .is_none_or(|width| width > 64)
                {
                    let help = "switch over an integer of at most 64 bits, or compare with `if`";
                    return Err(Refusal::new("a switch over an integer of more than 64 bits is not supported", help));
                }
                let value = self.at(instruction, 0, values)?;
                Terminator::Switch { value, default: self.block_id(*default)?, cases }
            }
            (LLVMOpcode::LLVMIndirectBr, targets) => {
                let mut targets = targets.iter().map(|target| self.block_id(*target)).collect::<Result<Vec<_>>>()?;
                targets.sort_unstable();
                targets.dedup();
                Terminator::IndirectBranch { address: self.at(instruction, 0, values)?, targets }
            }
            _ => return Ok(None),
        }))
    }
}

/// What LLVM says about every instruction of the opcode.
fn some<T>(answer: Option<T>, instruction: LlvmInstruction<'_>) -> Result<T> {
    answer.ok_or_else(|| unsupported(instruction.value()))
}
