//! Arithmetic, comparisons and conversions of integers of more than 64 bits, part by part.
//!
//! Must never hold: division, which LLVM's `expand-ir-insts` has written with the rest, or conversions from and to floating point (`wide_float`).

use super::{Expanded, Expander, LOW_BITS, Shape, wide, wide_parts};
use crate::ir::constant::{Constant, ConstantKind};
use crate::ir::instruction::{BinaryOp, CastOp, InstructionKind, IntPredicate, Operand};
use crate::ir::types::TypeId;

/// Bits of two full parts. Products, quotients and most intrinsics exist up to here.
const TWO_PARTS: u32 = 2 * LOW_BITS;

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
        let parts = match op {
            BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => {
                let (a, b) = (self.parts(lhs), self.parts(rhs));
                a.iter().zip(&b).map(|(a, b)| self.binary(op, a, b)).collect()
            }
            BinaryOp::Add | BinaryOp::Sub => self.wide_sum(op, lhs, rhs),
            BinaryOp::Shl | BinaryOp::LShr | BinaryOp::AShr => {
                let by = self.part(rhs, 0);
                self.wide_shift(bits, op, lhs, &by)?
            }
            BinaryOp::Mul if bits <= TWO_PARTS => {
                let (low, high) = self.wide_product(bits - LOW_BITS, lhs, rhs);
                vec![low, high]
            }
            BinaryOp::UDiv | BinaryOp::URem | BinaryOp::SDiv | BinaryOp::SRem if bits <= TWO_PARTS => {
                return self.wide_quotient(bits, ty, op, lhs, rhs);
            }
            BinaryOp::Mul => return Err(wide("a product", bits)),
            _ => return Err(wide("a division", bits)),
        };
        Ok(self.gather(ty, parts))
    }

    /// The parts of a wide integer, the lowest first.
    pub(super) fn parts(&mut self, operand: &Operand) -> Vec<Operand> {
        let count = self.bits(self.type_of(operand)).div_ceil(LOW_BITS);
        (0..count).map(|index| self.part(operand, index)).collect()
    }

    /// The part with the sign.
    pub(super) fn top(&mut self, operand: &Operand) -> Operand {
        let count = self.bits(self.type_of(operand)).div_ceil(LOW_BITS);
        self.part(operand, count - 1)
    }

    /// Sum or difference: each part takes the carry or borrow of the one below it.
    fn wide_sum(&mut self, op: BinaryOp, lhs: &Operand, rhs: &Operand) -> Vec<Operand> {
        let (a, b) = (self.parts(lhs), self.parts(rhs));
        let mut carry: Option<Operand> = None;
        let mut parts = Vec::with_capacity(a.len());
        for (a, b) in a.iter().zip(&b) {
            let mut part = self.binary(op, a, b);
            let mut out = if op == BinaryOp::Add {
                self.compare(IntPredicate::Ult, &part, a)
            } else {
                self.compare(IntPredicate::Ult, a, b)
            };
            if let Some(carry) = carry {
                let width = self.bits(self.type_of(&part));
                let carry = self.resize(&carry, width, CastOp::ZeroExtend);
                let before = part;
                part = self.binary(op, &before, &carry);
                let again = if op == BinaryOp::Add {
                    self.compare(IntPredicate::Ult, &part, &before)
                } else {
                    self.compare(IntPredicate::Ult, &before, &carry)
                };
                out = self.binary(BinaryOp::Or, &out, &again);
            }
            parts.push(part);
            carry = Some(out);
        }
        parts
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

    /// The parts of a shift by `by` (64 bits), which is less than the width. The last part is shifted as 64 bits.
    pub(super) fn wide_shift(
        &mut self,
        bits: u32,
        op: BinaryOp,
        operand: &Operand,
        by: &Operand,
    ) -> Expanded<Vec<Operand>> {
        let extension = if op == BinaryOp::AShr { CastOp::SignExtend } else { CastOp::ZeroExtend };
        let parts = self.parts(operand);
        let mut parts: Vec<Operand> = parts.iter().map(|part| self.resize(part, LOW_BITS, extension)).collect();
        parts = match (by, parts.as_slice()) {
            (Operand::Constant(Constant { kind: ConstantKind::Int(number), .. }), _) => {
                self.known_shift(op, &parts, *number as u64)
            }
            (_, [low, high]) => {
                let (low, high) = self.variable_shift(op, low, high, by)?;
                vec![low, high]
            }
            // Powers of two, those that the distance contains.
            _ => {
                for power in (0..).map(|exponent| 1u64 << exponent).take_while(|power| *power < bits.into()) {
                    let shifted = self.known_shift(op, &parts, power);
                    let bit = self.binary_number(BinaryOp::And, by, power);
                    let zero = self.number(LOW_BITS, 0);
                    let contained = self.compare(IntPredicate::Ne, &bit, &zero);
                    let pairs = shifted.iter().zip(&parts);
                    parts = pairs.map(|(shifted, part)| self.select(&contained, shifted, part)).collect();
                }
                parts
            }
        };
        let widths = wide_parts(bits);
        Ok(parts.iter().zip(widths).map(|(part, width)| self.resize(part, width, CastOp::ZeroExtend)).collect())
    }

    /// Parts of 64 bits shifted by a number.
    fn known_shift(&mut self, op: BinaryOp, parts: &[Operand], by: u64) -> Vec<Operand> {
        let count = parts.len();
        let (whole, within) = ((by / u64::from(LOW_BITS)) as usize, by % u64::from(LOW_BITS));
        let left = op == BinaryOp::Shl;
        let filling = match parts.last() {
            Some(last) if op == BinaryOp::AShr => self.binary_number(op, last, 63),
            _ => self.number(LOW_BITS, 0),
        };
        let source = |index: usize, further: usize| {
            let index = if left { index.checked_sub(whole + further) } else { index.checked_add(whole + further) };
            index.and_then(|index| parts.get(index)).cloned()
        };
        let mut shifted = Vec::with_capacity(count);
        for index in 0..count {
            let (main, carried) = if left { (op, BinaryOp::LShr) } else { (BinaryOp::LShr, BinaryOp::Shl) };
            shifted.push(match (source(index, 0), source(index, 1)) {
                (Some(part), _) if within == 0 => part,
                (Some(part), Some(next)) => {
                    let moved = self.binary_number(main, &part, within);
                    let carry = self.binary_number(carried, &next, u64::from(LOW_BITS) - within);
                    self.binary(BinaryOp::Or, &moved, &carry)
                }
                (Some(part), None) => self.binary_number(op, &part, within),
                (None, _) => filling.clone(),
            });
        }
        shifted
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

    /// `lhs predicate rhs`: the highest parts that differ decide, and only the last has a sign.
    pub(super) fn wide_compare(&mut self, predicate: IntPredicate, lhs: &Operand, rhs: &Operand) -> Operand {
        use IntPredicate as P;
        let (a, b) = (self.parts(lhs), self.parts(rhs));
        let unsigned = match predicate {
            P::Eq | P::Ne => P::Eq,
            P::Ugt | P::Sgt => P::Ugt,
            P::Uge | P::Sge => P::Uge,
            P::Ult | P::Slt => P::Ult,
            P::Ule | P::Sle => P::Ule,
        };
        let mut result: Option<Operand> = None;
        for (index, (a, b)) in a.iter().zip(&b).enumerate() {
            let last = index + 1 == wide_parts(self.bits(self.type_of(lhs))).len();
            let signed = last && !matches!(predicate, P::Eq | P::Ne);
            let own = self.compare(if signed { predicate } else { unsigned }, a, b);
            result = Some(match result {
                None => own,
                Some(below) if unsigned == P::Eq => self.binary(BinaryOp::And, &below, &own),
                Some(below) => {
                    let equal = self.compare(P::Eq, a, b);
                    self.select(&equal, &below, &own)
                }
            });
        }
        let result = result.unwrap_or_else(|| self.number(1, 1));
        if predicate == P::Ne { self.binary_number(BinaryOp::Xor, &result, 1) } else { result }
    }

    /// A conversion from or to a wide integer.
    pub(super) fn wide_cast(&mut self, ty: TypeId, op: CastOp, operand: &Operand) -> Expanded<Operand> {
        let from = self.type_of(operand);
        let (before, after) = (self.bits(from), self.bits(ty));
        match (op, self.shape(from), self.shape(ty)) {
            (CastOp::Trunc, Shape::Wide { .. }, Shape::Scalar) => {
                let low = self.part(operand, 0);
                Ok(self.resize(&low, after, CastOp::ZeroExtend))
            }
            (CastOp::IntToPtr, Shape::Wide { .. }, Shape::Scalar) => {
                let operand = self.part(operand, 0);
                Ok(self.emit(ty, InstructionKind::Cast { op, operand }))
            }
            (CastOp::Trunc, Shape::Wide { .. }, Shape::Wide { .. }) => {
                let parts = self.parts(operand);
                let kept = parts.iter().zip(wide_parts(after));
                let kept = kept.map(|(part, width)| self.resize(part, width, CastOp::ZeroExtend)).collect();
                Ok(self.gather(ty, kept))
            }
            (CastOp::ZeroExtend | CastOp::SignExtend | CastOp::PtrToInt, _, Shape::Wide { .. }) => {
                let extension = if op == CastOp::SignExtend { op } else { CastOp::ZeroExtend };
                let mut parts = match self.shape(from) {
                    Shape::Wide { .. } => self.parts(operand),
                    _ if op == CastOp::PtrToInt => {
                        let integer = self.int(before);
                        vec![self.emit(integer, InstructionKind::Cast { op, operand: operand.clone() })]
                    }
                    _ => vec![operand.clone()],
                };
                let Some(last) = parts.pop() else { return Err(wide("a conversion", after)) };
                let widths = wide_parts(after);
                let width = widths.get(parts.len()).copied().unwrap_or(LOW_BITS);
                let top = self.resize(&last, width, extension);
                let spread = match extension {
                    CastOp::SignExtend => self.binary_number(BinaryOp::AShr, &top, u64::from(width) - 1),
                    _ => self.number(width, 0),
                };
                parts.push(top);
                for width in widths.into_iter().skip(parts.len()) {
                    parts.push(self.resize(&spread, width, extension));
                }
                Ok(self.gather(ty, parts))
            }
            _ if before.max(after) <= TWO_PARTS => self.wide_float_cast(ty, op, operand),
            _ => Err(wide("a conversion", before.max(after))),
        }
    }
}
