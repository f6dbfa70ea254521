//! Integer arithmetic of 33 to 64 bits.
//!
//! Must never hold: comparisons (`compare`) or conversions (`cast`).

use super::Lower;
use super::emit::{fits_i8, imm, int, reg};
use super::operand::sign_extend;
use crate::codegen::abi::Kind;
use crate::codegen::machine::{Reg, Source, VReg};
use crate::codegen::refusal::Lowered;
use crate::ir::{BinaryOp, CastOp, InstructionKind, Operand};
use espb_format::opcode::Opcode;

impl Lower<'_, '_> {
    /// `dest = lhs op rhs` for 33 to 64 bits.
    pub fn binary64(&mut self, dest: VReg, bits: u32, op: BinaryOp, lhs: &Operand, rhs: &Operand) -> Lowered<()> {
        use BinaryOp::*;
        let commutes = matches!(op, Add | Mul | And | Or | Xor);
        let (lhs, rhs) = if commutes && self.number_of(lhs)?.is_some() { (rhs, lhs) } else { (lhs, rhs) };
        if let Some(value) = self.number_of(rhs)?
            && self.binary64_number(dest, bits, op, lhs, value)?
        {
            return Ok(());
        }
        if op == MulHigh {
            let (a, b) = (self.get64(lhs)?, self.get64(rhs)?);
            self.multiply_high(dest, a, b, false);
            return Ok(());
        }
        if op == Or && (self.join(dest, lhs, rhs)? || self.join(dest, rhs, lhs)?) {
            return Ok(());
        }
        if op == Mul
            && bits == 64
            && let Some((signed, a, b)) = self.widened_factors(lhs, rhs)?
        {
            let opcode = if signed { Opcode::MulWideSigned } else { Opcode::MulWideUnsigned };
            self.op(opcode, &[reg(dest.whole()), reg(a), reg(b)]);
            return Ok(());
        }
        let (opcode, a, b) = match op {
            Add => (Opcode::Add64, self.get64(lhs)?, self.get64(rhs)?),
            Sub => (Opcode::Sub64, self.get64(lhs)?, self.get64(rhs)?),
            Mul => (Opcode::Mul64, self.get64(lhs)?, self.get64(rhs)?),
            And => (Opcode::And64, self.get64(lhs)?, self.get64(rhs)?),
            Or => (Opcode::Or64, self.get64(lhs)?, self.get64(rhs)?),
            Xor => (Opcode::Xor64, self.get64(lhs)?, self.get64(rhs)?),
            UDiv => (Opcode::DivUnsigned64, self.get_zero_extended64(lhs)?, self.get_zero_extended64(rhs)?),
            URem => (Opcode::RemUnsigned64, self.get_zero_extended64(lhs)?, self.get_zero_extended64(rhs)?),
            SDiv => (Opcode::DivSigned64, self.get_sign_extended64(lhs)?, self.get_sign_extended64(rhs)?),
            SRem => (Opcode::RemSigned64, self.get_sign_extended64(lhs)?, self.get_sign_extended64(rhs)?),
            Shl => (Opcode::ShiftLeft64, self.get64(lhs)?, self.get64(rhs)?),
            LShr => (Opcode::ShiftRightUnsigned64, self.get_zero_extended64(lhs)?, self.get64(rhs)?),
            AShr => (Opcode::ShiftRightSigned64, self.get_sign_extended64(lhs)?, self.get64(rhs)?),
            MulHigh | FAdd | FSub | FMul | FDiv | FRem => return Ok(()),
        };
        self.op(opcode, &[reg(dest.whole()), reg(a), reg(b)]);
        Ok(())
    }

    /// The factors of a multiplication of two 32-bit numbers that were extended alike.
    fn widened_factors(&mut self, lhs: &Operand, rhs: &Operand) -> Lowered<Option<(bool, Reg, Reg)>> {
        let Some((op, a)) = self.extended_from_32(lhs) else { return Ok(None) };
        let signed = op == CastOp::SignExtend;
        let b = match (self.extended_from_32(rhs), self.number_of(rhs)?) {
            (Some((other, b)), _) if other == op => self.get_extended(&b, signed)?,
            (None, Some(value)) if !signed && value <= u64::from(u32::MAX) => self.number(value as u32),
            (None, Some(value)) if signed && i64::from(value as i32) as u64 == value => self.number(value as u32),
            _ => return Ok(None),
        };
        Ok(Some((signed, self.get_extended(&a, signed)?, b)))
    }

    fn get_extended(&mut self, operand: &Operand, signed: bool) -> Lowered<Reg> {
        if signed { self.get_sign_extended(operand) } else { self.get_zero_extended(operand) }
    }

    /// The operand of an extension from at most 32 bits.
    fn extended_from_32(&self, operand: &Operand) -> Option<(CastOp, Operand)> {
        let Operand::Value(value) = operand else { return None };
        match &self.inst_of(*value)?.kind {
            InstructionKind::Cast { op: op @ (CastOp::ZeroExtend | CastOp::SignExtend), operand }
                if self.kind_of(operand).is_ok_and(|kind| kind.bits() <= 32) =>
            {
                Some((*op, operand.clone()))
            }
            _ => None,
        }
    }

    /// `(zext a) | (zext b) << 32` puts two registers side by side.
    fn join(&mut self, dest: VReg, low: &Operand, high: &Operand) -> Lowered<bool> {
        let (Some((CastOp::ZeroExtend, low)), Operand::Value(high)) = (self.extended_from_32(low), high) else {
            return Ok(false);
        };
        let Some(InstructionKind::Binary { op: BinaryOp::Shl, lhs, rhs }) = self.inst_of(*high).map(|inst| &inst.kind)
        else {
            return Ok(false);
        };
        if self.leaf_kind(*high, 0) != Kind::Int(64) || self.number_of(rhs)? != Some(32) {
            return Ok(false);
        }
        let high = match self.extended_from_32(lhs) {
            Some((CastOp::ZeroExtend, operand)) => self.get_zero_extended(&operand)?,
            Some((_, operand)) => self.get_sign_extended(&operand)?,
            None => self.get64(lhs)?.vreg.lane(0),
        };
        let low = self.get_zero_extended(&low)?;
        self.set_pair(dest, Source::Lane(low), Source::Lane(high));
        Ok(true)
    }

    fn binary64_number(&mut self, dest: VReg, bits: u32, op: BinaryOp, lhs: &Operand, value: u64) -> Lowered<bool> {
        use BinaryOp::*;
        let signed = sign_extend(value, bits);
        match op {
            Add | Sub => {
                let signed = if op == Sub { signed.wrapping_neg() } else { signed };
                if !fits_i8(signed) {
                    return Ok(false);
                }
                let a = self.get64(lhs)?;
                self.op(Opcode::AddImmediate64, &[reg(dest.whole()), reg(a), imm(signed)]);
            }
            And | Or | Xor => {
                let a = self.get64(lhs)?.vreg;
                for lane in 0..2 {
                    let half = (value >> (32 * u32::from(lane))) as u32;
                    match op {
                        And => self.and_number(dest.lane(lane), a.lane(lane), half),
                        Or => self.or_number(dest.lane(lane), a.lane(lane), half),
                        _ => self.xor_number(dest.lane(lane), a.lane(lane), half),
                    }
                }
            }
            Mul if value.is_power_of_two() => self.shift64(dest, Shl, lhs, value.trailing_zeros())?,
            Shl | LShr | AShr if value >= bits.into() => self.set_pair(dest, int(0), int(0)),
            Shl | LShr | AShr => self.shift64(dest, op, lhs, value as u32)?,
            UDiv if value.is_power_of_two() => self.shift64(dest, LShr, lhs, value.trailing_zeros())?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// A shift by a number; by 32 or more it only moves a word.
    fn shift64(&mut self, dest: VReg, op: BinaryOp, lhs: &Operand, distance: u32) -> Lowered<()> {
        let a = match op {
            BinaryOp::LShr => self.get_zero_extended64(lhs)?,
            BinaryOp::AShr => self.get_sign_extended64(lhs)?,
            _ => self.get64(lhs)?,
        };
        let (low, high) = (a.vreg.lane(0), a.vreg.lane(1));
        match (op, distance) {
            (_, 0) => self.set_pair(dest, Source::Lane(low), Source::Lane(high)),
            (BinaryOp::Shl, 32) => self.set_pair(dest, int(0), Source::Lane(low)),
            (BinaryOp::LShr, 32) => self.set_pair(dest, Source::Lane(high), int(0)),
            (BinaryOp::Shl, _) => {
                self.op(Opcode::ShiftLeftImmediate64, &[reg(dest.whole()), reg(a), imm(distance.into())])
            }
            (BinaryOp::LShr, _) => {
                self.op(Opcode::ShiftRightUnsignedImmediate64, &[reg(dest.whole()), reg(a), imm(distance.into())])
            }
            _ => self.op(Opcode::ShiftRightSignedImmediate64, &[reg(dest.whole()), reg(a), imm(distance.into())]),
        }
        Ok(())
    }
}
