//! Small builders of machine instructions, used by all of lowering.
//!
//! Must never hold: knowledge of IR instructions.

use super::Lower;
use crate::codegen::machine::{Arg, Const, Inst, InstKind, Reg, Source, VReg};
use espb_format::instruction::range;
use espb_format::opcode::Opcode;
use espb_format::operand::Operand;

/// A register operand.
pub fn reg(reg: Reg) -> Arg {
    Arg::Reg(reg)
}

/// A number operand.
pub fn imm(value: i64) -> Arg {
    Arg::Imm(value)
}

/// Whether a number fits a signed byte.
pub fn fits_i8(value: i64) -> bool {
    let (low, high) = range(Operand::I8);
    (low..=high).contains(&value)
}

impl Lower<'_, '_> {
    /// Appends an instruction.
    pub fn push(&mut self, kind: InstKind) {
        self.code.push(Inst { kind, location: self.location });
    }

    /// Appends an instruction of the table.
    pub fn op(&mut self, opcode: Opcode, args: &[Arg]) {
        let mut all = [Arg::Imm(0); 3];
        for (place, arg) in all.iter_mut().zip(args) {
            *place = *arg;
        }
        self.push(InstKind::Op { opcode, args: all });
    }

    /// A fresh 32-bit register.
    pub fn temp(&mut self) -> Reg {
        self.out.vreg(1).whole()
    }

    /// A fresh pair.
    pub fn temp64(&mut self) -> VReg {
        self.out.vreg(2)
    }

    /// `opcode` with a fresh result.
    pub fn unary(&mut self, opcode: Opcode, a: Reg) -> Reg {
        let result = self.temp();
        self.op(opcode, &[reg(result), reg(a)]);
        result
    }

    /// `opcode` with a fresh result.
    pub fn with_imm(&mut self, opcode: Opcode, a: Reg, value: i64) -> Reg {
        let result = self.temp();
        self.op(opcode, &[reg(result), reg(a), imm(value)]);
        result
    }

    /// `opcode` with a fresh result.
    pub fn binary_op(&mut self, opcode: Opcode, a: Reg, b: Reg) -> Reg {
        let result = self.temp();
        self.op(opcode, &[reg(result), reg(a), reg(b)]);
        result
    }

    /// `opcode` with a fresh pair as result.
    pub fn binary_op64(&mut self, opcode: Opcode, a: Reg, b: Reg) -> VReg {
        let result = self.temp64();
        self.op(opcode, &[reg(result.whole()), reg(a), reg(b)]);
        result
    }

    /// Sets one lane.
    pub fn set_lane(&mut self, to: Reg, from: Source) {
        self.push(InstKind::Copy(vec![(to, from)]));
    }

    /// Sets both lanes of a pair at once.
    pub fn set_pair(&mut self, to: VReg, low: Source, high: Source) {
        self.push(InstKind::Copy(vec![(to.lane(0), low), (to.lane(1), high)]));
    }

    /// A number in a fresh register.
    pub fn number(&mut self, value: u32) -> Reg {
        let result = self.temp();
        self.set_lane(result, Source::Const(Const::Int(value)));
        result
    }

    /// A 64-bit number in a fresh pair.
    pub fn number64(&mut self, value: u64) -> VReg {
        let result = self.temp64();
        self.set_pair(result, int(value as u32), int((value >> 32) as u32));
        result
    }

    /// `to = a + value`.
    pub fn add_number(&mut self, to: Reg, a: Reg, value: i32) {
        let value = i64::from(value);
        let opcode = if fits_i8(value) { Opcode::AddImmediate } else { Opcode::AddImmediateWide };
        self.op(opcode, &[reg(to), reg(a), imm(value)]);
    }

    /// `to = a and mask`.
    pub fn and_number(&mut self, to: Reg, a: Reg, mask: u32) {
        match mask {
            0 => self.set_lane(to, int(0)),
            u32::MAX => self.set_lane(to, Source::Lane(a)),
            0xffff => self.op(Opcode::ZeroExtend16, &[reg(to), reg(a)]),
            1..=0xff => self.op(Opcode::AndByte, &[reg(to), reg(a), imm(mask.into())]),
            _ if fits_i8((mask as i32).into()) => {
                self.op(Opcode::AndImmediate, &[reg(to), reg(a), imm((mask as i32).into())])
            }
            _ => self.op(Opcode::AndImmediateWide, &[reg(to), reg(a), imm((mask as i32).into())]),
        }
    }

    /// `to = a or value`.
    pub fn or_number(&mut self, to: Reg, a: Reg, value: u32) {
        let signed = i64::from(value as i32);
        match value {
            0 => self.set_lane(to, Source::Lane(a)),
            u32::MAX => self.set_lane(to, int(u32::MAX)),
            _ if fits_i8(signed) => self.op(Opcode::OrImmediate, &[reg(to), reg(a), imm(signed)]),
            _ => self.op(Opcode::OrImmediateWide, &[reg(to), reg(a), imm(signed)]),
        }
    }

    /// `to = a xor value`.
    pub fn xor_number(&mut self, to: Reg, a: Reg, value: u32) {
        let signed = i64::from(value as i32);
        match value {
            0 => self.set_lane(to, Source::Lane(a)),
            _ if fits_i8(signed) => self.op(Opcode::XorImmediate, &[reg(to), reg(a), imm(signed)]),
            _ => self.op(Opcode::XorImmediateWide, &[reg(to), reg(a), imm(signed)]),
        }
    }
}

/// A number as a source.
pub fn int(value: u32) -> Source {
    Source::Const(Const::Int(value))
}
