//! Narrow integers: what is known of the bits above their width, and code that makes them definite.
//!
//! Must never hold: assumptions about a value whose definition is not looked at here.

use super::Lower;
use super::emit::{imm, int, reg};
use super::operand::{mask, sign_extend};
use crate::codegen::abi::Kind;
use crate::codegen::analysis::Def;
use crate::codegen::machine::{Reg, Source, VReg};
use crate::codegen::refusal::Lowered;
use crate::ir::{BinaryOp, Callee, CastOp, InstructionKind, Operand, ValueId};
use espb_format::opcode::Opcode;

/// How far definitions are followed.
const DEPTH: u32 = 6;

impl Lower<'_, '_> {
    /// Whether the register of a 32-bit-class operand has only zeros above the operand's width.
    pub fn is_zero_extended(&mut self, operand: &Operand) -> Lowered<bool> {
        Ok(self.zero_extended(operand, DEPTH))
    }

    /// Whether it has copies of the sign there.
    pub fn is_sign_extended(&mut self, operand: &Operand) -> Lowered<bool> {
        Ok(self.sign_extended(operand, DEPTH))
    }

    fn width(&self, operand: &Operand) -> u32 {
        self.kind_of(operand).map_or(128, Kind::bits)
    }

    fn zero_extended(&self, operand: &Operand, depth: u32) -> bool {
        let bits = self.width(operand);
        match operand {
            _ if bits == 32 || bits == 1 => true,
            _ if bits > 32 || depth == 0 => false,
            Operand::Constant(_) => true,
            Operand::Value(value) => self.zero_extended_value(*value, bits, depth - 1),
        }
    }

    fn zero_extended_value(&self, value: ValueId, bits: u32, depth: u32) -> bool {
        let inst = match self.facts.def(value) {
            Def::Parameter(index) => {
                return self
                    .function
                    .parameters
                    .get(index as usize)
                    .is_some_and(|parameter| parameter.attributes.zero_extend);
            }
            _ => match self.inst_of(value) {
                Some(inst) => inst,
                None => return false,
            },
        };
        match &inst.kind {
            InstructionKind::Load { .. } => self.leaf_count(value) == 1 && !self.loads_signed(value),
            InstructionKind::Freeze { operand } => self.zero_extended(operand, depth),
            InstructionKind::Binary { op: BinaryOp::And, lhs, rhs } => {
                self.zero_extended(lhs, depth) || self.zero_extended(rhs, depth)
            }
            InstructionKind::Binary { op: BinaryOp::Or | BinaryOp::Xor, lhs, rhs } => {
                self.zero_extended(lhs, depth)
                    && self.zero_extended(rhs, depth)
                    && !self.is_negative(rhs)
                    && !self.is_negative(lhs)
            }
            InstructionKind::Binary { op: BinaryOp::LShr | BinaryOp::UDiv | BinaryOp::URem, .. } => true,
            InstructionKind::Cast { op: CastOp::ZeroExtend, operand } => self.width(operand) < bits,
            InstructionKind::Select { if_true, if_false, .. } => {
                self.zero_extended(if_true, depth) && self.zero_extended(if_false, depth)
            }
            InstructionKind::Call(call) => match call.callee {
                Callee::Intrinsic { .. } | Callee::InlineAsm { .. } => false,
                _ => call.result_attributes.zero_extend,
            },
            _ => false,
        }
    }

    /// Whether a constant has its sign bit set: lowering may then use it sign-extended.
    fn is_negative(&self, operand: &Operand) -> bool {
        let bits = self.width(operand);
        match operand {
            Operand::Constant(constant) => match constant.kind {
                crate::ir::ConstantKind::Int(value) => value >> (bits.max(1) - 1) & 1 != 0,
                crate::ir::ConstantKind::Zero => false,
                _ => true,
            },
            Operand::Value(_) => false,
        }
    }

    fn sign_extended(&self, operand: &Operand, depth: u32) -> bool {
        let bits = self.width(operand);
        match operand {
            _ if bits == 32 => true,
            _ if bits > 32 || bits == 1 || depth == 0 => false,
            Operand::Constant(_) => true,
            Operand::Value(value) => {
                let inst = match self.facts.def(*value) {
                    Def::Parameter(index) => {
                        return self
                            .function
                            .parameters
                            .get(index as usize)
                            .is_some_and(|parameter| parameter.attributes.sign_extend);
                    }
                    _ => match self.inst_of(*value) {
                        Some(inst) => inst,
                        None => return false,
                    },
                };
                match &inst.kind {
                    InstructionKind::Load { .. } => self.leaf_count(*value) == 1 && self.loads_signed(*value),
                    InstructionKind::Binary { op: BinaryOp::AShr, .. } => true,
                    InstructionKind::Cast { op: CastOp::SignExtend, operand } => self.width(operand) < bits,
                    InstructionKind::Call(call) => match call.callee {
                        Callee::Intrinsic { .. } | Callee::InlineAsm { .. } => false,
                        _ => call.result_attributes.sign_extend,
                    },
                    _ => false,
                }
            }
        }
    }

    /// Whether a load of 8 or 16 bits extends the sign: when more uses want that than the opposite.
    pub fn loads_signed(&self, value: ValueId) -> bool {
        let uses = self.facts.uses(value);
        matches!(self.leaf_kind(value, 0), Kind::Int(8 | 16)) && uses.signed > uses.unsigned
    }

    /// `to = a`, zero-extended from `bits`.
    pub fn zero_extend_into(&mut self, to: Reg, a: Reg, bits: u32) {
        self.and_number(to, a, mask(bits.min(32)) as u32);
    }

    /// `to = a`, sign-extended from `bits`.
    pub fn sign_extend_into(&mut self, to: Reg, a: Reg, bits: u32) {
        match bits {
            8 => self.op(Opcode::SignExtend8, &[reg(to), reg(a)]),
            16 => self.op(Opcode::SignExtend16, &[reg(to), reg(a)]),
            1 => self.op(Opcode::ReverseSubImmediate, &[reg(to), reg(a), imm(0)]),
            32.. => self.set_lane(to, Source::Lane(a)),
            _ => self.spread_sign(to, a, bits),
        }
    }

    /// `to = a`, sign-extended from `bits` (1 to 31), whatever lies above them.
    fn spread_sign(&mut self, to: Reg, a: Reg, bits: u32) {
        let distance = i64::from(32 - bits);
        let shifted = self.with_imm(Opcode::ShiftLeftImmediate, a, distance);
        self.op(Opcode::ShiftRightSignedImmediate, &[reg(to), reg(shifted), imm(distance)]);
    }

    /// A 32-bit-class integer operand, zero-extended, in a register.
    pub fn get_zero_extended(&mut self, operand: &Operand) -> Lowered<Reg> {
        let bits = self.width(operand);
        if let Some(value) = self.number_of(operand)? {
            return Ok(self.number(value as u32));
        }
        let raw = self.get(operand)?;
        if self.is_zero_extended(operand)? {
            return Ok(raw);
        }
        let result = self.temp();
        self.zero_extend_into(result, raw, bits);
        Ok(result)
    }

    /// A 32-bit-class integer operand, sign-extended, in a register.
    pub fn get_sign_extended(&mut self, operand: &Operand) -> Lowered<Reg> {
        let bits = self.width(operand);
        if let Some(value) = self.number_of(operand)? {
            return Ok(self.number(sign_extend(value, bits) as u32));
        }
        let raw = self.get(operand)?;
        if self.is_sign_extended(operand)? {
            return Ok(raw);
        }
        let result = self.temp();
        self.sign_extend_into(result, raw, bits);
        Ok(result)
    }

    /// A 64-bit-class integer operand, zero-extended, in a pair.
    pub fn get_zero_extended64(&mut self, operand: &Operand) -> Lowered<Reg> {
        let bits = self.width(operand);
        let raw = self.get64(operand)?;
        if bits >= 64 || self.number_of(operand)?.is_some() {
            return Ok(raw);
        }
        let result = self.temp64();
        self.zero_extend64_into(result, raw, bits);
        Ok(result.whole())
    }

    /// `to = a`, zero-extended from `bits` (33 to 64).
    pub fn zero_extend64_into(&mut self, to: VReg, a: Reg, bits: u32) {
        self.and_number(to.lane(1), a.vreg.lane(1), mask(bits - 32) as u32);
        self.set_lane(to.lane(0), Source::Lane(a.vreg.lane(0)));
    }

    /// A 64-bit-class integer operand, sign-extended, in a pair.
    pub fn get_sign_extended64(&mut self, operand: &Operand) -> Lowered<Reg> {
        let bits = self.width(operand);
        if let Some(value) = self.number_of(operand)? {
            return Ok(self.number64(sign_extend(value, bits) as u64).whole());
        }
        let raw = self.get64(operand)?;
        if bits >= 64 {
            return Ok(raw);
        }
        let result = self.temp64();
        self.sign_extend64_into(result, raw, bits);
        Ok(result.whole())
    }

    /// `to = a`, sign-extended from `bits` (33 to 64).
    pub fn sign_extend64_into(&mut self, to: VReg, a: Reg, bits: u32) {
        let high = a.vreg.lane(1);
        match bits - 32 {
            // Not a boolean: its register holds anything above the one bit.
            1 => self.spread_sign(to.lane(1), high, 1),
            more => self.sign_extend_into(to.lane(1), high, more),
        }
        self.set_lane(to.lane(0), Source::Lane(a.vreg.lane(0)));
    }

    /// An integer operand of any width as a sign- or zero-extended pair.
    pub fn get_as_64(&mut self, operand: &Operand, signed: bool) -> Lowered<Reg> {
        let bits = self.width(operand);
        if bits > 32 {
            return if signed { self.get_sign_extended64(operand) } else { self.get_zero_extended64(operand) };
        }
        let pair = self.temp64();
        if let Some(value) = self.number_of(operand)? {
            let value = if signed { sign_extend(value, bits) as u64 } else { value };
            self.set_pair(pair, int(value as u32), int((value >> 32) as u32));
        } else if signed {
            let low = self.get_sign_extended(operand)?;
            self.op(Opcode::SignExtend64, &[reg(pair.whole()), reg(low)]);
        } else {
            let low = self.get_zero_extended(operand)?;
            self.set_pair(pair, Source::Lane(low), int(0));
        }
        Ok(pair.whole())
    }
}
