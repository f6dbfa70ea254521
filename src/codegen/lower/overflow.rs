//! Arithmetic that says whether it overflowed, and classes of floats.
//!
//! Must never hold: names of intrinsics (`intrinsic`).

use super::Lower;
use super::emit::{imm, int, reg};
use crate::codegen::abi::Kind;
use crate::codegen::machine::{Reg, Source, VReg};
use crate::codegen::refusal::{Lowered, Refusal};
use crate::ir::{BinaryOp, Operand};
use espb_format::opcode::Opcode;

/// Bits of `llvm.is.fpclass`'s mask (LLVM Language Reference).
const CLASS_NAN: u32 = 0x003;
const CLASS_NEGATIVE_INFINITY: u32 = 0x004;
const CLASS_NEGATIVE_NORMAL: u32 = 0x008;
const CLASS_NEGATIVE_SUBNORMAL: u32 = 0x010;
const CLASS_NEGATIVE_ZERO: u32 = 0x020;

impl Lower<'_, '_> {
    /// `value = a op b` and `overflow` = 1 if the exact result does not fit `bits` (2 to 32, or 64).
    #[expect(clippy::too_many_arguments, reason = "two results, two operands and what to do with them")]
    pub fn checked(
        &mut self,
        value: VReg,
        overflow: Reg,
        bits: u32,
        signed: bool,
        op: BinaryOp,
        a: &Operand,
        b: &Operand,
    ) -> Lowered<()> {
        if bits == 64 {
            return self.checked64(value, overflow, signed, op, a, b);
        }
        let (a, b) = if signed {
            (self.get_sign_extended(a)?, self.get_sign_extended(b)?)
        } else {
            (self.get_zero_extended(a)?, self.get_zero_extended(b)?)
        };
        if bits < 32 && (op != BinaryOp::Mul || bits <= 16) {
            // The exact result fits 32 bits: it overflowed if extending its low bits changes it.
            let opcode = match op {
                BinaryOp::Add => Opcode::Add,
                BinaryOp::Sub => Opcode::Sub,
                _ => Opcode::Mul,
            };
            let exact = self.binary_op(opcode, a, b);
            let extended = self.temp();
            if signed {
                self.sign_extend_into(extended, exact, bits);
            } else {
                self.zero_extend_into(extended, exact, bits);
            }
            self.op(Opcode::SetNotEqual, &[reg(overflow), reg(exact), reg(extended)]);
            self.set_lane(value.whole(), Source::Lane(extended));
            return Ok(());
        }
        if op == BinaryOp::Mul {
            let product = self.binary_op64(if signed { Opcode::MulWideSigned } else { Opcode::MulWideUnsigned }, a, b);
            let low = self.temp();
            if signed {
                self.sign_extend_into(low, product.lane(0), bits);
            } else {
                self.zero_extend_into(low, product.lane(0), bits);
            }
            let wide = self.temp64();
            if signed {
                self.op(Opcode::SignExtend64, &[reg(wide.whole()), reg(low)]);
            } else {
                self.set_pair(wide, Source::Lane(low), int(0));
            }
            self.op(Opcode::SetNotEqual64, &[reg(overflow), reg(product.whole()), reg(wide.whole())]);
            self.set_lane(value.whole(), Source::Lane(low));
            return Ok(());
        }
        let sum = self.binary_op(if op == BinaryOp::Add { Opcode::Add } else { Opcode::Sub }, a, b);
        match (signed, op) {
            (false, BinaryOp::Add) => self.op(Opcode::SetLessUnsigned, &[reg(overflow), reg(sum), reg(a)]),
            (false, _) => self.op(Opcode::SetLessUnsigned, &[reg(overflow), reg(a), reg(b)]),
            (true, _) => {
                let changed = self.binary_op(Opcode::Xor, sum, a);
                let other = if op == BinaryOp::Add {
                    self.binary_op(Opcode::Xor, sum, b)
                } else {
                    self.binary_op(Opcode::Xor, a, b)
                };
                let both = self.binary_op(Opcode::And, changed, other);
                self.op(Opcode::ShiftRightUnsignedImmediate, &[reg(overflow), reg(both), imm(31)]);
            }
        }
        self.set_lane(value.whole(), Source::Lane(sum));
        Ok(())
    }

    fn checked64(
        &mut self,
        value: VReg,
        overflow: Reg,
        signed: bool,
        op: BinaryOp,
        a: &Operand,
        b: &Operand,
    ) -> Lowered<()> {
        let (a, b) = (self.get64(a)?, self.get64(b)?);
        if op == BinaryOp::Mul {
            return self.checked_product64(value, overflow, signed, a, b);
        }
        let sum = self.binary_op64(if op == BinaryOp::Add { Opcode::Add64 } else { Opcode::Sub64 }, a, b);
        match (signed, op) {
            (false, BinaryOp::Add) => self.op(Opcode::SetLessUnsigned64, &[reg(overflow), reg(sum.whole()), reg(a)]),
            (false, _) => self.op(Opcode::SetLessUnsigned64, &[reg(overflow), reg(a), reg(b)]),
            (true, _) => {
                let (sign_a, sign_b, sign) = (a.vreg.lane(1), b.vreg.lane(1), sum.lane(1));
                let changed = self.binary_op(Opcode::Xor, sign, sign_a);
                let other = if op == BinaryOp::Add { sign } else { sign_a };
                let other = self.binary_op(Opcode::Xor, other, sign_b);
                let both = self.binary_op(Opcode::And, changed, other);
                self.op(Opcode::ShiftRightUnsignedImmediate, &[reg(overflow), reg(both), imm(31)]);
            }
        }
        self.set_pair(value, Source::Lane(sum.lane(0)), Source::Lane(sum.lane(1)));
        Ok(())
    }

    /// A product fits 64 bits if the high half of the exact product only repeats the low half's sign.
    fn checked_product64(&mut self, value: VReg, overflow: Reg, signed: bool, a: Reg, b: Reg) -> Lowered<()> {
        let high = self.temp64();
        self.multiply_high(high, a, b, signed);
        let low = self.binary_op64(Opcode::Mul64, a, b);
        let expected = self.temp64();
        if signed {
            let sign = self.with_imm(Opcode::ShiftRightSignedImmediate, low.lane(1), 31);
            self.set_pair(expected, Source::Lane(sign), Source::Lane(sign));
        } else {
            self.set_pair(expected, int(0), int(0));
        }
        self.op(Opcode::SetNotEqual64, &[reg(overflow), reg(high.whole()), reg(expected.whole())]);
        self.set_pair(value, Source::Lane(low.lane(0)), Source::Lane(low.lane(1)));
        Ok(())
    }

    /// `dest` = 1 if the float belongs to a class of the mask: its bits as an integer, ordered by magnitude, lie in one of the classes' ranges.
    pub fn float_class(&mut self, dest: VReg, operand: &Operand, test: &Operand) -> Lowered<()> {
        let Some(classes) = self.number_of(test)? else {
            return Err(Refusal::unsupported(
                "llvm.is.fpclass with a variable test",
                "compile without the option that makes it",
            ));
        };
        let classes = classes as u32;
        let double = self.kind_of(operand)? == Kind::F64;
        // Of a double, the high word decides; a low word that is not zero counts as one more unit, and never turns a NaN into anything else.
        let (word, low) = if double {
            let pair = self.get64(operand)?.vreg;
            let low = self.with_imm(Opcode::SetNotEqualImmediate, pair.lane(0), 0);
            (pair.lane(1), Some(low))
        } else {
            (self.get(operand)?, None)
        };
        let magnitude = self.temp();
        self.and_number(magnitude, word, 0x7fff_ffff);
        let negative = self.with_imm(Opcode::ShiftRightUnsignedImmediate, word, 31);
        let (infinity, normal, quiet) = if double {
            (0x7ff0_0000u32, 0x0010_0000u32, 0x0008_0000u32)
        } else {
            (0x7f80_0000, 0x0080_0000, 0x0040_0000)
        };
        // Magnitude doubled plus the low word's flag keeps the order and makes every class a range of integers.
        let key = match low {
            Some(low) => {
                let doubled = self.with_imm(Opcode::ShiftLeftImmediate, magnitude, 1);
                self.binary_op(Opcode::Or, doubled, low)
            }
            None => magnitude,
        };
        let scale = u32::from(double);
        let at = |value: u32| value << scale;
        let top = if double { u32::MAX } else { 0x7fff_ffff };
        let (zero, subnormal) = ((0, 0), (1, at(normal) - 1));
        let (finite, infinite) = ((at(normal), at(infinity) - 1), (at(infinity), at(infinity)));
        let (signalling, quiet) = ((at(infinity) + 1, at(infinity | quiet) - 1), (at(infinity | quiet), top));
        let signed = [
            (CLASS_NEGATIVE_ZERO, 0x040, zero),
            (CLASS_NEGATIVE_SUBNORMAL, 0x080, subnormal),
            (CLASS_NEGATIVE_NORMAL, 0x100, finite),
            (CLASS_NEGATIVE_INFINITY, 0x200, infinite),
        ];
        let mut parts = Vec::new();
        for (class, range) in [(0x001, signalling), (0x002, quiet)] {
            if classes & CLASS_NAN & class != 0 {
                parts.push(self.in_range(key, range));
            }
        }
        for (minus, plus, range) in signed {
            let (minus, plus) = (classes & minus != 0, classes & plus != 0);
            if minus || plus {
                let inside = self.in_range(key, range);
                parts.push(match (minus, plus) {
                    (true, true) => inside,
                    (true, false) => self.binary_op(Opcode::And, inside, negative),
                    _ => {
                        let positive = self.with_imm(Opcode::XorImmediate, negative, 1);
                        self.binary_op(Opcode::And, inside, positive)
                    }
                });
            }
        }
        let mut any: Option<Reg> = None;
        for part in parts {
            any = Some(match any {
                None => part,
                Some(any) => self.binary_op(Opcode::Or, any, part),
            });
        }
        let source = any.map_or(int(0), Source::Lane);
        self.set_lane(dest.whole(), source);
        Ok(())
    }

    /// 1 if `first ≤ key ≤ last`, unsigned.
    fn in_range(&mut self, key: Reg, (first, last): (u32, u32)) -> Reg {
        let distance = if first == 0 {
            key
        } else {
            let distance = self.temp();
            self.add_number(distance, key, (first as i32).wrapping_neg());
            distance
        };
        match (last - first).checked_add(1) {
            Some(length) => {
                let length = self.number(length);
                self.binary_op(Opcode::SetLessUnsigned, distance, length)
            }
            None => self.number(1),
        }
    }
}
