//! Operands: what a use really reads, after looking through definitions that cost nothing.
//!
//! Must never hold: code for a definition; a use that needs a value puts only constants into registers here.

use super::Lower;
use super::emit::int;
use crate::codegen::abi::Kind;
use crate::codegen::machine::{Const, InstKind, Reg, Source};
use crate::codegen::refusal::Lowered;
use crate::codegen::unit::Scalar;
use crate::ir::{BinaryOp, Callee, CastOp, ConstantKind, InstructionKind, Operand, ValueId};

/// What a use reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A leaf of a value; of a 64-bit one perhaps only a lane.
    Value { value: ValueId, leaf: usize, lane: u8 },
    /// A constant.
    Constant(Scalar),
}

impl Lower<'_, '_> {
    /// The kind of a scalar operand.
    pub fn kind_of(&self, operand: &Operand) -> Lowered<Kind> {
        match operand {
            Operand::Value(value) => Ok(self.leaf_kind(*value, 0)),
            Operand::Constant(constant) => self.unit.kind(constant.ty),
        }
    }

    /// What leaf `leaf` of the operand is.
    pub fn see(&mut self, operand: &Operand, leaf: usize) -> Lowered<Seen> {
        match operand {
            Operand::Constant(constant) => self.unit.leaf(constant, leaf).map(Seen::Constant),
            Operand::Value(value) => self.see_value(*value, leaf),
        }
    }

    /// The same of a value.
    pub fn see_value(&mut self, value: ValueId, leaf: usize) -> Lowered<Seen> {
        let itself = Seen::Value { value, leaf, lane: 0 };
        let Some(inst) = self.inst_of(value) else { return Ok(itself) };
        match &inst.kind {
            InstructionKind::Freeze { operand } => Ok(match self.see(operand, leaf)? {
                Seen::Constant(Scalar::Undefined) => Seen::Constant(Scalar::Bits(0)),
                seen => seen,
            }),
            InstructionKind::ExtractValue { aggregate, path } => {
                let (before, _) = self.path(aggregate, path)?;
                self.see(aggregate, before + leaf)
            }
            InstructionKind::InsertValue { aggregate, element, path } => {
                let (before, count) = self.path(aggregate, path)?;
                if leaf >= before && leaf < before + count {
                    self.see(element, leaf - before)
                } else {
                    self.see(aggregate, leaf)
                }
            }
            InstructionKind::Cast { op, operand } => {
                Ok(self.see_cast(*op, operand, self.leaf_kind(value, leaf))?.unwrap_or(itself))
            }
            InstructionKind::Address { base, offset, indices, .. } if indices.is_empty() => match self.see(base, 0)? {
                Seen::Constant(Scalar::Address(address)) => {
                    Ok(displaced(address, *offset).map_or(itself, Seen::Constant))
                }
                seen if *offset == 0 => Ok(seen),
                _ => Ok(itself),
            },
            InstructionKind::Alloca { .. } if self.out.frame_pointer.is_none() => Ok(self
                .allocas
                .get(&value)
                .map_or(itself, |offset| Seen::Constant(Scalar::Address(Const::Stack(*offset))))),
            InstructionKind::Call(call) => match (&call.callee, call.arguments.first()) {
                (Callee::Intrinsic { name, .. }, Some(first)) if passes_first_argument(name) => {
                    self.see(&first.operand, leaf)
                }
                _ => Ok(itself),
            },
            _ => Ok(itself),
        }
    }

    fn see_cast(&mut self, op: CastOp, operand: &Operand, to: Kind) -> Lowered<Option<Seen>> {
        let Ok(from) = self.kind_of(operand) else { return Ok(None) };
        if to == Kind::Int(1) && from != Kind::Int(1) || from.bits() > 64 || to.bits() > 64 {
            return Ok(None);
        }
        let free = match op {
            CastOp::Bitcast => from.lanes() == to.lanes() && from.bits() == to.bits(),
            CastOp::Trunc => return self.see_truncation(operand, to),
            CastOp::PtrToInt | CastOp::IntToPtr if from.bits() >= to.bits() => return self.see_truncation(operand, to),
            CastOp::ZeroExtend | CastOp::IntToPtr | CastOp::PtrToInt => {
                to.lanes() == 1 && self.is_zero_extended(operand)?
            }
            CastOp::SignExtend => to.lanes() == 1 && self.is_sign_extended(operand)?,
            _ => false,
        };
        if !free {
            return Ok(None);
        }
        Ok(Some(match (self.see(operand, 0)?, op) {
            (Seen::Constant(Scalar::Bits(value)), CastOp::SignExtend) => {
                Seen::Constant(Scalar::Bits(sign_extend(value, from.bits()) as u64 & mask(to.bits())))
            }
            (seen, _) => seen,
        }))
    }

    /// The low bits of an operand, which lie in its first lane; those of a 64-bit value shifted right by 32 lie in its second.
    fn see_truncation(&mut self, operand: &Operand, to: Kind) -> Lowered<Option<Seen>> {
        if to.lanes() == 1
            && let Operand::Value(value) = operand
            && let Some(inst) = self.inst_of(*value)
            && let InstructionKind::Binary { op: BinaryOp::LShr | BinaryOp::AShr, lhs, rhs } = &inst.kind
            && self.leaf_kind(*value, 0) == Kind::Int(64)
            && self.number_of(rhs)? == Some(32)
            && let Seen::Value { value, leaf, lane: 0 } = self.see(lhs, 0)?
            && self.leaf_kind(value, leaf).lanes() == 2
        {
            return Ok(Some(Seen::Value { value, leaf, lane: 1 }));
        }
        Ok(Some(match self.see(operand, 0)? {
            Seen::Constant(Scalar::Bits(value)) => Seen::Constant(Scalar::Bits(value & mask(to.bits()))),
            Seen::Constant(Scalar::Address(_)) if to.bits() < 32 => return Ok(None),
            seen => seen,
        }))
    }

    /// The value of a constant integer or float operand, zero-extended.
    pub fn number_of(&mut self, operand: &Operand) -> Lowered<Option<u64>> {
        if let Operand::Constant(constant) = operand
            && matches!(constant.kind, ConstantKind::Int(_) | ConstantKind::Zero)
            && self.unit.kind(constant.ty).is_ok_and(|kind| kind.bits() > 64)
        {
            return Ok(match constant.kind {
                ConstantKind::Int(value) => u64::try_from(value).ok(),
                _ => Some(0),
            });
        }
        Ok(match self.see(operand, 0)? {
            Seen::Constant(Scalar::Bits(value)) => Some(value),
            _ => None,
        })
    }

    /// The value of a constant integer operand, sign-extended from its width.
    pub fn signed_number_of(&mut self, operand: &Operand) -> Lowered<Option<i64>> {
        let bits = self.kind_of(operand)?.bits();
        Ok(self.number_of(operand)?.map(|value| sign_extend(value, bits)))
    }

    /// A lane of an operand as a source of a copy.
    pub fn source(&mut self, operand: &Operand, leaf: usize, lane: u8) -> Lowered<Source> {
        let seen = self.see(operand, leaf)?;
        let narrow = match operand {
            Operand::Value(value) => self.leaf_kind(*value, leaf),
            Operand::Constant(constant) => self.unit.kind(constant.ty).unwrap_or(Kind::Int(1)),
        };
        Ok(match seen {
            Seen::Value { value, leaf, lane: first } => Source::Lane(self.want(value, leaf).lane(first + lane)),
            Seen::Constant(Scalar::Bits(value)) => int((value >> (32 * u32::from(lane))) as u32),
            Seen::Constant(Scalar::Address(address)) => {
                if lane == 0 {
                    Source::Const(address)
                } else {
                    int(0)
                }
            }
            // A narrow value counts as extended where its definition is, so even an undefined one must be.
            Seen::Constant(Scalar::Undefined) => {
                if matches!(narrow, Kind::Int(32 | 64) | Kind::F32 | Kind::F64) {
                    Source::Undefined
                } else {
                    int(0)
                }
            }
        })
    }

    /// A 32-bit operand in a register. Bits above the width of a narrow integer are unspecified.
    pub fn get(&mut self, operand: &Operand) -> Lowered<Reg> {
        self.get_leaf(operand, 0)
    }

    /// A 32-bit leaf of an operand in a register.
    pub fn get_leaf(&mut self, operand: &Operand, leaf: usize) -> Lowered<Reg> {
        match self.source(operand, leaf, 0)? {
            Source::Lane(reg) => Ok(reg),
            Source::Undefined => Ok(self.number(0)),
            other => {
                let result = self.temp();
                self.set_lane(result, other);
                Ok(result)
            }
        }
    }

    /// A 64-bit operand in a pair.
    pub fn get64(&mut self, operand: &Operand) -> Lowered<Reg> {
        self.get64_leaf(operand, 0)
    }

    /// A 64-bit leaf of an operand in a pair.
    pub fn get64_leaf(&mut self, operand: &Operand, leaf: usize) -> Lowered<Reg> {
        match (self.source(operand, leaf, 0)?, self.source(operand, leaf, 1)?) {
            (Source::Lane(low), Source::Lane(_)) => Ok(low),
            (low, high) => {
                let pair = self.temp64();
                let defined = |source| if source == Source::Undefined { int(0) } else { source };
                self.push(InstKind::Copy(vec![(pair.lane(0), defined(low)), (pair.lane(1), defined(high))]));
                Ok(pair.whole())
            }
        }
    }
}

/// The constant `offset` bytes further, where that is still a constant of the machine.
pub fn displaced(address: Const, offset: i32) -> Option<Scalar> {
    let moved = match address {
        Const::Linear(start) => Const::Linear(start.wrapping_add_signed(offset)),
        Const::Rodata(start) => Const::Rodata(start.wrapping_add_signed(offset)),
        Const::Stack(start) => Const::Stack(start.wrapping_add_signed(offset)),
        Const::Int(start) => return Some(Scalar::Bits(start.wrapping_add_signed(offset).into())),
        Const::Callback(_) if offset == 0 => address,
        Const::Callback(_) => return None,
    };
    Some(Scalar::Address(moved))
}

/// Intrinsics whose result is their first argument.
fn passes_first_argument(name: &str) -> bool {
    matches!(
        name,
        "llvm.expect"
            | "llvm.expect.with.probability"
            | "llvm.launder.invariant.group"
            | "llvm.strip.invariant.group"
            | "llvm.ssa.copy"
            | "llvm.annotation"
            | "llvm.ptr.annotation"
            | "llvm.arithmetic.fence"
    )
}

/// A mask of the low `bits` bits.
pub fn mask(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// The low `bits` bits of a number, sign-extended.
pub fn sign_extend(value: u64, bits: u32) -> i64 {
    let unused = 64 - bits.clamp(1, 64);
    (value << unused) as i64 >> unused
}
