//! 128-bit integers: only the high half of a product, as compilers write it with `__int128`.
//!
//! Must never hold: other 128-bit arithmetic, which is refused.

use super::Lower;
use super::emit::{imm, int, reg};
use crate::codegen::abi::{self, Kind};
use crate::codegen::machine::{Reg, Source, VReg};
use crate::codegen::refusal::Lowered;
use crate::ir::{BinaryOp, CastOp, InstructionKind, Operand};
use espb_format::opcode::Opcode;

impl Lower<'_, '_> {
    /// `trunc (lshr (mul (ext a), (ext b)), 64)` and `trunc (mul …)`.
    pub fn cast_wide(&mut self, dest: VReg, to: Kind, op: CastOp, operand: &Operand) -> Lowered<()> {
        let bits = self.kind_of(operand)?.bits().max(to.bits());
        if op != CastOp::Trunc || to != Kind::Int(64) {
            return Err(abi::wide(bits));
        }
        let Some(InstructionKind::Binary { op, lhs, rhs }) = self.defining(operand) else { return Err(abi::wide(bits)) };
        let (product, high) = match op {
            BinaryOp::LShr | BinaryOp::AShr if self.number_of(&rhs)? == Some(64) => (self.defining(&lhs), true),
            _ => (Some(InstructionKind::Binary { op, lhs, rhs }), false),
        };
        let Some(InstructionKind::Binary { op: BinaryOp::Mul, lhs, rhs }) = product else { return Err(abi::wide(bits)) };
        let ((Some((signed, a)), Some((other, b))), true) = ((self.extended(&lhs)?, self.extended(&rhs)?), bits == 128) else {
            return Err(abi::wide(bits));
        };
        if signed != other {
            return Err(abi::wide(bits));
        }
        if high {
            self.multiply_high(dest, a, b, signed);
        } else {
            self.op(Opcode::Mul64, &[reg(dest.whole()), reg(a), reg(b)]);
        }
        Ok(())
    }

    fn defining(&self, operand: &Operand) -> Option<InstructionKind> {
        match operand {
            Operand::Value(value) => self.inst_of(*value).map(|inst| inst.kind.clone()),
            Operand::Constant(_) => None,
        }
    }

    /// A factor that was extended from at most 64 bits, as a pair, and whether as signed.
    fn extended(&mut self, operand: &Operand) -> Lowered<Option<(bool, Reg)>> {
        if let Some(value) = self.number_of(operand)? {
            return Ok(Some((false, self.number64(value).whole())));
        }
        Ok(match self.defining(operand) {
            Some(InstructionKind::Cast { op: op @ (CastOp::ZeroExtend | CastOp::SignExtend), operand }) => {
                let signed = op == CastOp::SignExtend;
                Some((signed, self.get_as_64(&operand, signed)?))
            }
            _ => None,
        })
    }

    /// `dest` = high 64 bits of `a × b`, from four 32-bit products (Warren, "Hacker's Delight", section 8-2).
    pub fn multiply_high(&mut self, dest: VReg, a: Reg, b: Reg, signed: bool) {
        let (a_low, a_high) = (a.vreg.lane(0), a.vreg.lane(1));
        let (b_low, b_high) = (b.vreg.lane(0), b.vreg.lane(1));
        let product = |lower: &mut Self, x, y| lower.binary_op64(Opcode::MulWideUnsigned, x, y);
        let plus_word = |lower: &mut Self, sum: VReg, word: Reg| {
            let wide = lower.temp64();
            lower.set_pair(wide, Source::Lane(word), int(0));
            lower.binary_op64(Opcode::Add64, sum.whole(), wide.whole())
        };
        let low = product(self, a_low, b_low);
        let middle = product(self, a_high, b_low);
        let middle = plus_word(self, middle, low.lane(1));
        let other = product(self, a_low, b_high);
        let other = plus_word(self, other, middle.lane(0));
        let high = product(self, a_high, b_high);
        let high = plus_word(self, high, middle.lane(1));
        let mut high = plus_word(self, high, other.lane(1));
        if signed {
            for (sign, factor) in [(a, b), (b, a)] {
                let mask = self.temp64();
                self.op(Opcode::ShiftRightSignedImmediate64, &[reg(mask.whole()), reg(sign), imm(63)]);
                let part = self.binary_op64(Opcode::And64, mask.whole(), factor);
                high = self.binary_op64(Opcode::Sub64, high.whole(), part.whole());
            }
        }
        self.set_pair(dest, Source::Lane(high.lane(0)), Source::Lane(high.lane(1)));
    }
}
