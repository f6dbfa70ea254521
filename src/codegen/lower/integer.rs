//! Integer arithmetic of at most 32 bits.
//!
//! Must never hold: 64-bit forms (`integer64`) or comparisons (`compare`).

use super::Lower;
use super::emit::{fits_i8, imm, int, reg};
use super::operand::sign_extend;
use crate::codegen::abi::{self, Kind};
use crate::codegen::machine::{Reg, Source, VReg};
use crate::codegen::refusal::Lowered;
use crate::ir::{BinaryOp, Operand};
use espb_format::opcode::Opcode;

impl Lower<'_, '_> {
    /// `dest = lhs op rhs`.
    pub fn binary(&mut self, dest: VReg, kind: Kind, op: BinaryOp, lhs: &Operand, rhs: &Operand) -> Lowered<()> {
        use BinaryOp::*;
        if matches!(op, FAdd | FSub | FMul | FDiv | FRem) {
            return self.float_binary(dest, kind, op, lhs, rhs);
        }
        match kind {
            Kind::Int(1) => self.boolean(dest.whole(), op, lhs, rhs),
            Kind::Int(bits @ 0..=32) => self.binary32(dest.whole(), bits, op, lhs, rhs),
            Kind::Int(bits @ 33..=64) => self.binary64(dest, bits, op, lhs, rhs),
            Kind::Int(bits) => Err(abi::wide(bits)),
            Kind::F32 | Kind::F64 => self.float_binary(dest, kind, op, lhs, rhs),
        }
    }

    /// One-bit integers are 0 or 1 in their register and stay so.
    fn boolean(&mut self, to: Reg, op: BinaryOp, lhs: &Operand, rhs: &Operand) -> Lowered<()> {
        use BinaryOp::*;
        let opcode = match op {
            Add | Sub | Xor => Opcode::Xor,
            Mul | And => Opcode::And,
            Or => Opcode::Or,
            URem | SRem => {
                self.set_lane(to, int(0));
                return Ok(());
            }
            // The other operand must be 1 for a division and 0 for a shift: anything else is undefined.
            _ => {
                let source = self.source(lhs, 0, 0)?;
                self.set_lane(to, source);
                return Ok(());
            }
        };
        match (opcode, self.number_of(rhs)?) {
            (Opcode::Xor, Some(value)) => {
                let a = self.get(lhs)?;
                self.xor_number(to, a, value as u32);
            }
            _ => {
                let (a, b) = (self.get(lhs)?, self.get(rhs)?);
                self.op(opcode, &[reg(to), reg(a), reg(b)]);
            }
        }
        Ok(())
    }

    fn binary32(&mut self, to: Reg, bits: u32, op: BinaryOp, lhs: &Operand, rhs: &Operand) -> Lowered<()> {
        use BinaryOp::*;
        let commutes = matches!(op, Add | Mul | And | Or | Xor);
        let (lhs, rhs) = if commutes && self.number_of(lhs)?.is_some() { (rhs, lhs) } else { (lhs, rhs) };
        if let Some(value) = self.number_of(rhs)?
            && self.binary32_number(to, bits, op, lhs, value)?
        {
            return Ok(());
        }
        if op == Sub
            && let Some(value) = self.signed_number_of(lhs)?
            && fits_i8(value)
        {
            let b = self.get(rhs)?;
            self.op(Opcode::ReverseSubImmediate, &[reg(to), reg(b), imm(value)]);
            return Ok(());
        }
        let (opcode, a, b) = match op {
            Add => (Opcode::Add, self.get(lhs)?, self.get(rhs)?),
            Sub => (Opcode::Sub, self.get(lhs)?, self.get(rhs)?),
            Mul => (Opcode::Mul, self.get(lhs)?, self.get(rhs)?),
            And => (Opcode::And, self.get(lhs)?, self.get(rhs)?),
            Or => (Opcode::Or, self.get(lhs)?, self.get(rhs)?),
            Xor => (Opcode::Xor, self.get(lhs)?, self.get(rhs)?),
            UDiv => (Opcode::DivUnsigned, self.get_zero_extended(lhs)?, self.get_zero_extended(rhs)?),
            URem => (Opcode::RemUnsigned, self.get_zero_extended(lhs)?, self.get_zero_extended(rhs)?),
            SDiv => (Opcode::DivSigned, self.get_sign_extended(lhs)?, self.get_sign_extended(rhs)?),
            SRem => (Opcode::RemSigned, self.get_sign_extended(lhs)?, self.get_sign_extended(rhs)?),
            Shl => (Opcode::ShiftLeft, self.get(lhs)?, self.shift_amount(rhs, bits)?),
            LShr => (Opcode::ShiftRightUnsigned, self.get_zero_extended(lhs)?, self.shift_amount(rhs, bits)?),
            AShr => (Opcode::ShiftRightSigned, self.get_sign_extended(lhs)?, self.shift_amount(rhs, bits)?),
            MulHigh | FAdd | FSub | FMul | FDiv | FRem => return Ok(()),
        };
        self.op(opcode, &[reg(to), reg(a), reg(b)]);
        Ok(())
    }

    /// A shift distance. Five low bits count and the distance is below the width, so only a type of less than five bits needs care.
    fn shift_amount(&mut self, operand: &Operand, bits: u32) -> Lowered<Reg> {
        if bits < 5 { self.get_zero_extended(operand) } else { self.get(operand) }
    }

    /// The same with a number on the right; false where there is no better form than a register.
    fn binary32_number(&mut self, to: Reg, bits: u32, op: BinaryOp, lhs: &Operand, value: u64) -> Lowered<bool> {
        use BinaryOp::*;
        let signed = sign_extend(value, bits) as i32;
        let unsigned = value as u32;
        match op {
            Add => {
                let a = self.get(lhs)?;
                self.add_number(to, a, signed);
            }
            Sub => {
                let a = self.get(lhs)?;
                self.add_number(to, a, signed.wrapping_neg());
            }
            Mul if unsigned.is_power_of_two() => {
                let a = self.get(lhs)?;
                self.shift_left_into(to, a, unsigned.trailing_zeros());
            }
            Mul => {
                let a = self.get(lhs)?;
                self.multiply_into(to, a, signed);
            }
            And => {
                let a = self.get(lhs)?;
                self.and_number(to, a, unsigned);
            }
            Or => {
                let a = self.get(lhs)?;
                self.or_number(to, a, signed as u32);
            }
            Xor => {
                let a = self.get(lhs)?;
                self.xor_number(to, a, signed as u32);
            }
            Shl | LShr | AShr if unsigned >= bits => self.set_lane(to, int(0)),
            Shl => {
                let a = self.get(lhs)?;
                self.shift_left_into(to, a, unsigned);
            }
            LShr => {
                let a = self.get_zero_extended(lhs)?;
                self.op(Opcode::ShiftRightUnsignedImmediate, &[reg(to), reg(a), imm(unsigned.into())]);
            }
            AShr => {
                let a = self.get_sign_extended(lhs)?;
                self.op(Opcode::ShiftRightSignedImmediate, &[reg(to), reg(a), imm(unsigned.into())]);
            }
            UDiv if unsigned.is_power_of_two() => {
                let a = self.get_zero_extended(lhs)?;
                self.op(Opcode::ShiftRightUnsignedImmediate, &[reg(to), reg(a), imm(unsigned.trailing_zeros().into())]);
            }
            URem if unsigned.is_power_of_two() => {
                let a = self.get(lhs)?;
                self.and_number(to, a, unsigned - 1);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// `to = a << distance`.
    pub fn shift_left_into(&mut self, to: Reg, a: Reg, distance: u32) {
        match distance {
            0 => self.set_lane(to, Source::Lane(a)),
            _ => self.op(Opcode::ShiftLeftImmediate, &[reg(to), reg(a), imm(i64::from(distance) & 31)]),
        }
    }

    /// `to = a × factor`.
    pub fn multiply_into(&mut self, to: Reg, a: Reg, factor: i32) {
        let factor = i64::from(factor);
        let opcode = if fits_i8(factor) { Opcode::MulImmediate } else { Opcode::MulImmediateWide };
        self.op(opcode, &[reg(to), reg(a), imm(factor)]);
    }
}
