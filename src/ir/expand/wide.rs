//! Arithmetic, comparisons and conversions of integers of 65 to 128 bits, on their low 64 bits and the rest.
//!
//! Must never hold: division, which LLVM's `expand-ir-insts` has written with the rest, and conversions from and to floating point, which are
//! refused.

use super::{Expanded, Expander, LOW_BITS, Shape, wide};
use crate::ir::constant::{Constant, ConstantKind};
use crate::ir::instruction::{BinaryOp, CastOp, InstructionKind, IntPredicate, Operand};
use crate::ir::types::TypeId;

impl Expander<'_> {
    /// `lhs op rhs`, of type `ty` and `bits` bits.
    pub(super) fn wide_binary(
        &mut self,
        bits: u32,
        ty: TypeId,
        op: BinaryOp,
        lhs: &Operand,
        rhs: &Operand,
    ) -> Expanded<Operand> {
        let rest = bits - LOW_BITS;
        let (low, high) = match op {
            BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => {
                let ((a, b), (c, d)) = (self.halves(lhs), self.halves(rhs));
                (self.binary(op, &a, &c), self.binary(op, &b, &d))
            }
            BinaryOp::Add => {
                let ((a, b), (c, d)) = (self.halves(lhs), self.halves(rhs));
                let low = self.binary(BinaryOp::Add, &a, &c);
                let carry = self.compare(IntPredicate::Ult, &low, &a);
                let carry = self.resize(&carry, rest, CastOp::ZeroExtend);
                let high = self.binary(BinaryOp::Add, &b, &d);
                (low, self.binary(BinaryOp::Add, &high, &carry))
            }
            BinaryOp::Sub => {
                let ((a, b), (c, d)) = (self.halves(lhs), self.halves(rhs));
                let borrow = self.compare(IntPredicate::Ult, &a, &c);
                let borrow = self.resize(&borrow, rest, CastOp::ZeroExtend);
                let high = self.binary(BinaryOp::Sub, &b, &d);
                (self.binary(BinaryOp::Sub, &a, &c), self.binary(BinaryOp::Sub, &high, &borrow))
            }
            BinaryOp::Mul => self.wide_product(rest, lhs, rhs),
            BinaryOp::Shl | BinaryOp::LShr | BinaryOp::AShr => {
                let by = self.part(rhs, 0);
                self.wide_shift(rest, op, lhs, &by)?
            }
            BinaryOp::UDiv | BinaryOp::URem | BinaryOp::SDiv | BinaryOp::SRem => {
                return self.wide_quotient(bits, ty, op, lhs, rhs);
            }
            _ => return Err(wide("an operation", bits)),
        };
        Ok(self.gather(ty, vec![low, high]))
    }

    /// A division by a power of two or its negative; all others are loops already.
    fn wide_quotient(
        &mut self,
        bits: u32,
        ty: TypeId,
        op: BinaryOp,
        lhs: &Operand,
        rhs: &Operand,
    ) -> Expanded<Operand> {
        let unsigned = match rhs {
            Operand::Constant(Constant { kind: ConstantKind::Aggregate(parts), .. }) => match parts.as_slice() {
                [Constant { kind: ConstantKind::Int(low), .. }, Constant { kind: ConstantKind::Int(high), .. }] => {
                    low | high << LOW_BITS
                }
                _ => 0,
            },
            _ => 0,
        };
        let signed = matches!(op, BinaryOp::SDiv | BinaryOp::SRem);
        let negative = signed && unsigned >> (bits - 1) & 1 != 0;
        let divisor = if negative { unsigned.wrapping_neg() << (128 - bits) >> (128 - bits) } else { unsigned };
        let power = divisor.trailing_zeros();
        if !divisor.is_power_of_two() {
            return Err(wide("a division", bits));
        }
        let number = |this: &mut Self, value: u128| {
            let parts =
                vec![this.number(LOW_BITS, value as u64), this.number(bits - LOW_BITS, (value >> LOW_BITS) as u64)];
            this.gather(ty, parts)
        };
        let (low_bits, by) = (number(self, divisor - 1), number(self, power.into()));
        if op == BinaryOp::URem {
            return self.wide_binary(bits, ty, BinaryOp::And, lhs, &low_bits);
        }
        if op == BinaryOp::UDiv {
            return self.wide_binary(bits, ty, BinaryOp::LShr, lhs, &by);
        }
        // Rounds towards zero: a negative number first gets what is below the divisor.
        let sign = number(self, u128::from(bits - 1));
        let spread = self.wide_binary(bits, ty, BinaryOp::AShr, lhs, &sign)?;
        let bias = self.wide_binary(bits, ty, BinaryOp::And, &spread, &low_bits)?;
        let sum = self.wide_binary(bits, ty, BinaryOp::Add, lhs, &bias)?;
        if op == BinaryOp::SDiv {
            let quotient = self.wide_binary(bits, ty, BinaryOp::AShr, &sum, &by)?;
            let zero = number(self, 0);
            return if negative { self.wide_binary(bits, ty, BinaryOp::Sub, &zero, &quotient) } else { Ok(quotient) };
        }
        let whole = number(self, !(divisor - 1));
        let multiple = self.wide_binary(bits, ty, BinaryOp::And, &sum, &whole)?;
        self.wide_binary(bits, ty, BinaryOp::Sub, lhs, &multiple)
    }

    /// The product modulo 2^(64 + rest): the low parts' exact product, and what the high parts add to its upper half.
    fn wide_product(&mut self, rest: u32, lhs: &Operand, rhs: &Operand) -> (Operand, Operand) {
        let ((a, b), (c, d)) = (self.halves(lhs), self.halves(rhs));
        let low = self.binary(BinaryOp::Mul, &a, &c);
        let mut high = self.binary(BinaryOp::MulHigh, &a, &c);
        high = self.resize(&high, rest, CastOp::ZeroExtend);
        for (part, other) in [(b, c), (d, a)] {
            let other = self.resize(&other, rest, CastOp::ZeroExtend);
            let product = self.binary(BinaryOp::Mul, &part, &other);
            high = self.binary(BinaryOp::Add, &high, &product);
        }
        (low, high)
    }

    /// A shift by `by` (64 bits), which is less than the width. The high part is shifted as 64 bits.
    pub(super) fn wide_shift(
        &mut self,
        rest: u32,
        op: BinaryOp,
        operand: &Operand,
        by: &Operand,
    ) -> Expanded<(Operand, Operand)> {
        let (low, high) = self.halves(operand);
        let high =
            self.resize(&high, LOW_BITS, if op == BinaryOp::AShr { CastOp::SignExtend } else { CastOp::ZeroExtend });
        let known = match by {
            Operand::Constant(Constant { kind: ConstantKind::Int(number), .. }) => Some(*number as u64),
            _ => None,
        };
        let (low, high) = match known {
            Some(0) => (low, high),
            Some(number) if op == BinaryOp::Shl => {
                let number = number.min(u64::from(2 * LOW_BITS - 1));
                match number.checked_sub(LOW_BITS.into()) {
                    Some(beyond) => (self.number(LOW_BITS, 0), self.binary_number(BinaryOp::Shl, &low, beyond)),
                    None => {
                        let carried = self.binary_number(BinaryOp::LShr, &low, u64::from(LOW_BITS) - number);
                        let shifted = self.binary_number(BinaryOp::Shl, &high, number);
                        let shifted = self.binary(BinaryOp::Or, &shifted, &carried);
                        (self.binary_number(BinaryOp::Shl, &low, number), shifted)
                    }
                }
            }
            Some(number) => {
                let number = number.min(u64::from(2 * LOW_BITS - 1));
                let filling =
                    if op == BinaryOp::AShr { self.binary_number(op, &high, 63) } else { self.number(LOW_BITS, 0) };
                match number.checked_sub(LOW_BITS.into()) {
                    Some(beyond) => (self.binary_number(op, &high, beyond), filling),
                    None => {
                        let carried = self.binary_number(BinaryOp::Shl, &high, u64::from(LOW_BITS) - number);
                        let shifted = self.binary_number(BinaryOp::LShr, &low, number);
                        (self.binary(BinaryOp::Or, &shifted, &carried), self.binary_number(op, &high, number))
                    }
                }
            }
            None => self.variable_shift(op, &low, &high, by)?,
        };
        Ok((low, self.resize(&high, rest, CastOp::ZeroExtend)))
    }

    /// The same by an unknown distance: both the result for less than 64 and the one for more are made of shifts modulo 64.
    fn variable_shift(
        &mut self,
        op: BinaryOp,
        low: &Operand,
        high: &Operand,
        by: &Operand,
    ) -> Expanded<(Operand, Operand)> {
        let ty = self.int(LOW_BITS);
        let within = self.binary_number(BinaryOp::And, by, 63);
        let limit = self.number(LOW_BITS, 63);
        let far = self.compare(IntPredicate::Ugt, by, &limit);
        let zero = self.number(LOW_BITS, 0);
        if op == BinaryOp::Shl {
            let moved = self.binary(op, low, &within);
            let joined = self.intrinsic_of(ty, "llvm.fshl", &[high.clone(), low.clone(), within])?;
            return Ok((self.select(&far, &zero, &moved), self.select(&far, &moved, &joined)));
        }
        let filling = if op == BinaryOp::AShr { self.binary_number(op, high, 63) } else { zero };
        let moved = self.binary(op, high, &within);
        let joined = self.intrinsic_of(ty, "llvm.fshr", &[high.clone(), low.clone(), within])?;
        Ok((self.select(&far, &moved, &joined), self.select(&far, &filling, &moved)))
    }

    /// `lhs predicate rhs`: the high parts decide unless they are equal.
    pub(super) fn wide_compare(&mut self, predicate: IntPredicate, lhs: &Operand, rhs: &Operand) -> Operand {
        use IntPredicate as P;
        let ((a, b), (c, d)) = (self.halves(lhs), self.halves(rhs));
        let equal = self.compare(P::Eq, &b, &d);
        // With equal high parts the low ones decide, which have no sign.
        let unsigned = match predicate {
            P::Eq | P::Ne => {
                let low = self.compare(P::Eq, &a, &c);
                let both = self.binary(BinaryOp::And, &low, &equal);
                return if predicate == P::Eq { both } else { self.binary_number(BinaryOp::Xor, &both, 1) };
            }
            P::Ugt | P::Sgt => P::Ugt,
            P::Uge | P::Sge => P::Uge,
            P::Ult | P::Slt => P::Ult,
            P::Ule | P::Sle => P::Ule,
        };
        let (low, high) = (self.compare(unsigned, &a, &c), self.compare(predicate, &b, &d));
        self.select(&equal, &low, &high)
    }

    /// A conversion from or to a wide integer.
    pub(super) fn wide_cast(&mut self, ty: TypeId, op: CastOp, operand: &Operand) -> Expanded<Operand> {
        let from = self.type_of(operand);
        let (before, after) = (self.bits(from), self.bits(ty));
        match (op, self.shape(from), self.shape(ty)) {
            (CastOp::Trunc | CastOp::IntToPtr, Shape::Wide { .. }, Shape::Scalar) => {
                let low = self.part(operand, 0);
                if op == CastOp::Trunc {
                    return Ok(self.resize(&low, after, CastOp::ZeroExtend));
                }
                Ok(self.emit(ty, InstructionKind::Cast { op, operand: low }))
            }
            (CastOp::Trunc | CastOp::ZeroExtend | CastOp::SignExtend, Shape::Wide { .. }, Shape::Wide { .. }) => {
                let (low, high) = self.halves(operand);
                let high = self.resize(&high, after - LOW_BITS, op);
                Ok(self.gather(ty, vec![low, high]))
            }
            (CastOp::ZeroExtend | CastOp::SignExtend | CastOp::PtrToInt, Shape::Scalar, Shape::Wide { .. }) => {
                let number = if op == CastOp::PtrToInt {
                    let integer = self.int(before);
                    self.emit(integer, InstructionKind::Cast { op, operand: operand.clone() })
                } else {
                    operand.clone()
                };
                let low =
                    self.resize(&number, LOW_BITS, if op == CastOp::SignExtend { op } else { CastOp::ZeroExtend });
                let high = if op == CastOp::SignExtend {
                    let sign = self.binary_number(BinaryOp::AShr, &low, 63);
                    self.resize(&sign, after - LOW_BITS, op)
                } else {
                    self.number(after - LOW_BITS, 0)
                };
                Ok(self.gather(ty, vec![low, high]))
            }
            _ => Err(wide("a conversion", before.max(after))),
        }
    }
}
