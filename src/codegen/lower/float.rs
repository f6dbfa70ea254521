//! Floating-point arithmetic.
//!
//! Must never hold: comparisons (`compare`), conversions (`cast`) or library functions (`intrinsic`).

use super::Lower;
use super::emit::reg;
use crate::codegen::abi::Kind;
use crate::codegen::machine::{Source, VReg};
use crate::codegen::refusal::Lowered;
use crate::ir::{BinaryOp, Operand};
use espb_format::opcode::Opcode;

/// The sign bit of the word that holds it.
pub const SIGN: u32 = 0x8000_0000;

impl Lower<'_, '_> {
    /// `dest = lhs op rhs`; the remainder is libm's `fmod`.
    pub fn float_binary(&mut self, dest: VReg, kind: Kind, op: BinaryOp, lhs: &Operand, rhs: &Operand) -> Lowered<()> {
        let double = kind == Kind::F64;
        let opcode = match (op, double) {
            (BinaryOp::FAdd, false) => Opcode::AddF32,
            (BinaryOp::FSub, false) => Opcode::SubF32,
            (BinaryOp::FMul, false) => Opcode::MulF32,
            (BinaryOp::FDiv, false) => Opcode::DivF32,
            (BinaryOp::FAdd, true) => Opcode::AddF64,
            (BinaryOp::FSub, true) => Opcode::SubF64,
            (BinaryOp::FMul, true) => Opcode::MulF64,
            (BinaryOp::FDiv, true) => Opcode::DivF64,
            _ => return self.library(dest, if double { "fmod" } else { "fmodf" }, kind, &[lhs, rhs]),
        };
        let (a, b) = if double { (self.get64(lhs)?, self.get64(rhs)?) } else { (self.get(lhs)?, self.get(rhs)?) };
        self.op(opcode, &[reg(dest.whole()), reg(a), reg(b)]);
        Ok(())
    }

    /// `dest = −operand`: flips the sign bit, also of a NaN.
    pub fn float_negate(&mut self, dest: VReg, kind: Kind, operand: &Operand) -> Lowered<()> {
        self.change_sign_word(dest, kind, operand, |lower, to, from| lower.xor_number(to, from, SIGN))
    }

    /// `dest = operand` with a changed word that holds the sign.
    pub fn change_sign_word(
        &mut self,
        dest: VReg,
        kind: Kind,
        operand: &Operand,
        change: impl FnOnce(&mut Self, crate::codegen::machine::Reg, crate::codegen::machine::Reg),
    ) -> Lowered<()> {
        if kind == Kind::F64 {
            let a = self.get64(operand)?.vreg;
            change(self, dest.lane(1), a.lane(1));
            self.set_lane(dest.lane(0), Source::Lane(a.lane(0)));
        } else {
            let a = self.get(operand)?;
            change(self, dest.whole(), a);
        }
        Ok(())
    }
}
