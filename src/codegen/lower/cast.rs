//! Conversions between scalars.
//!
//! Must never hold: conversions that cost nothing; uses look through those (`operand`).

use super::Lower;
use super::emit::{imm, int, reg};
use crate::codegen::abi::{self, Kind};
use crate::codegen::machine::{Source, VReg};
use crate::codegen::refusal::Lowered;
use crate::ir::{CastOp, Operand};
use espb_format::opcode::Opcode;

impl Lower<'_, '_> {
    /// `dest = op operand`, of kind `to`.
    pub fn cast(&mut self, dest: VReg, to: Kind, op: CastOp, operand: &Operand) -> Lowered<()> {
        let from = self.kind_of(operand)?;
        match op {
            CastOp::Trunc => self.truncate(dest, to, operand),
            CastOp::PtrToInt | CastOp::IntToPtr if to.bits() <= from.bits() => self.truncate(dest, to, operand),
            CastOp::ZeroExtend | CastOp::PtrToInt | CastOp::IntToPtr => self.extend(dest, to, from, false, operand),
            CastOp::SignExtend => self.extend(dest, to, from, true, operand),
            CastOp::Bitcast if to.bits() == from.bits() => {
                for lane in 0..to.lanes() {
                    let source = self.source(operand, 0, lane)?;
                    self.set_lane(dest.lane(lane), source);
                }
                Ok(())
            }
            CastOp::Bitcast => Err(abi::wide(to.bits())),
            CastOp::FloatTrunc => {
                let a = self.get64(operand)?;
                self.op(Opcode::F64ToF32, &[reg(dest.whole()), reg(a)]);
                Ok(())
            }
            CastOp::FloatExtend => {
                let a = self.get(operand)?;
                self.op(Opcode::F32ToF64, &[reg(dest.whole()), reg(a)]);
                Ok(())
            }
            CastOp::FloatToUnsigned | CastOp::FloatToSigned => {
                self.float_to_int(dest, to, op == CastOp::FloatToSigned, operand)
            }
            CastOp::UnsignedToFloat | CastOp::SignedToFloat => {
                self.int_to_float(dest, to, from, op == CastOp::SignedToFloat, operand)
            }
        }
    }

    fn truncate(&mut self, dest: VReg, to: Kind, operand: &Operand) -> Lowered<()> {
        if to == Kind::Int(1) {
            let low = match self.source(operand, 0, 0)? {
                Source::Lane(low) => low,
                other => {
                    let low = self.temp();
                    self.set_lane(low, other);
                    low
                }
            };
            self.op(Opcode::AndImmediate, &[reg(dest.whole()), reg(low), imm(1)]);
            return Ok(());
        }
        for lane in 0..to.lanes() {
            let source = self.source(operand, 0, lane)?;
            self.set_lane(dest.lane(lane), source);
        }
        Ok(())
    }

    fn extend(&mut self, dest: VReg, to: Kind, from: Kind, signed: bool, operand: &Operand) -> Lowered<()> {
        match (from.lanes(), to.lanes(), signed) {
            (1, 1, false) => {
                let a = self.get(operand)?;
                self.zero_extend_into(dest.whole(), a, from.bits());
            }
            (1, 1, true) => {
                let a = self.get(operand)?;
                self.sign_extend_into(dest.whole(), a, from.bits());
            }
            (1, _, false) => {
                let a = self.get_zero_extended(operand)?;
                self.set_pair(dest, Source::Lane(a), int(0));
            }
            (1, _, true) => {
                let a = self.get_sign_extended(operand)?;
                self.op(Opcode::SignExtend64, &[reg(dest.whole()), reg(a)]);
            }
            (_, _, false) => {
                let a = self.get64(operand)?;
                self.zero_extend64_into(dest, a, from.bits());
            }
            (_, _, true) => {
                let a = self.get64(operand)?;
                self.sign_extend64_into(dest, a, from.bits());
            }
        }
        Ok(())
    }

    /// Out of range the result is undefined, so a narrower one comes out of the next wider conversion.
    fn float_to_int(&mut self, dest: VReg, to: Kind, signed: bool, operand: &Operand) -> Lowered<()> {
        let double = self.kind_of(operand)? == Kind::F64;
        let a = if double { self.get64(operand)? } else { self.get(operand)? };
        let opcode = match (double, to.lanes(), signed) {
            (false, 1, true) => Opcode::F32ToI32,
            (false, 1, false) => Opcode::F32ToU32,
            (false, _, true) => Opcode::F32ToI64,
            (false, _, false) => Opcode::F32ToU64,
            (true, 1, true) => Opcode::F64ToI32,
            (true, 1, false) => Opcode::F64ToU32,
            (true, _, true) => Opcode::F64ToI64,
            (true, _, false) => Opcode::F64ToU64,
        };
        if to == Kind::Int(1) {
            let wide = self.unary(opcode, a);
            self.op(Opcode::AndImmediate, &[reg(dest.whole()), reg(wide), imm(1)]);
        } else {
            self.op(opcode, &[reg(dest.whole()), reg(a)]);
        }
        Ok(())
    }

    fn int_to_float(&mut self, dest: VReg, to: Kind, from: Kind, signed: bool, operand: &Operand) -> Lowered<()> {
        let a = match (from.lanes(), signed) {
            (1, true) => self.get_sign_extended(operand)?,
            (1, false) => self.get_zero_extended(operand)?,
            (_, true) => self.get_sign_extended64(operand)?,
            (_, false) => self.get_zero_extended64(operand)?,
        };
        let opcode = match (from.lanes(), signed, to) {
            (1, true, Kind::F32) => Opcode::I32ToF32,
            (1, false, Kind::F32) => Opcode::U32ToF32,
            (_, true, Kind::F32) => Opcode::I64ToF32,
            (_, false, Kind::F32) => Opcode::U64ToF32,
            (1, true, _) => Opcode::I32ToF64,
            (1, false, _) => Opcode::U32ToF64,
            (_, true, _) => Opcode::I64ToF64,
            (_, false, _) => Opcode::U64ToF64,
        };
        self.op(opcode, &[reg(dest.whole()), reg(a)]);
        Ok(())
    }
}
