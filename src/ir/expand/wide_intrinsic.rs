//! Intrinsics on integers of more than 64 bits; beyond 128 only those that are comparisons and sums.
//!
//! Must never hold: anything that `wide` can say with operators only.

use super::{Expanded, Expander, LOW_BITS, Shape, wide, wide_parts};
use crate::ir::instruction::{BinaryOp, CastOp, IntPredicate, Operand};
use crate::ir::types::TypeId;

impl Expander<'_> {
    /// `name(arguments)`, of which some have `bits` bits; the result is of type `ty`.
    pub(super) fn wide_intrinsic(
        &mut self,
        bits: u32,
        ty: TypeId,
        name: &str,
        arguments: &[Operand],
    ) -> Expanded<Operand> {
        let rest = bits - LOW_BITS;
        let refusal = || wide(&format!("the intrinsic {name}"), bits);
        let predicate = match name {
            "llvm.smin" => Some(IntPredicate::Slt),
            "llvm.smax" => Some(IntPredicate::Sgt),
            "llvm.umin" => Some(IntPredicate::Ult),
            "llvm.umax" => Some(IntPredicate::Ugt),
            _ => None,
        };
        match (name, arguments) {
            _ if bits > 2 * LOW_BITS && !(predicate.is_some() || is_sum(name)) => Err(refusal()),
            (_, [a, b]) if predicate.is_some() => {
                let first = self.wide_compare(predicate.unwrap_or(IntPredicate::Ult), a, b);
                Ok(self.select(&first, a, b))
            }
            ("llvm.abs", [a, ..]) => {
                let zero = self.zero(ty, rest);
                let negative = self.wide_compare(IntPredicate::Slt, a, &zero);
                let negated = self.wide_binary(bits, ty, BinaryOp::Sub, &zero, a)?;
                Ok(self.select(&negative, &negated, a))
            }
            ("llvm.ctpop", [a]) => {
                let (low, high) = self.counted("llvm.ctpop", a)?;
                let sum = self.binary(BinaryOp::Add, &low, &high);
                Ok(self.small(ty, rest, sum))
            }
            ("llvm.ctlz" | "llvm.cttz", [a, ..]) => {
                let (low, high) = self.halves(a);
                let (low_count, high_count) = self.counted(name, a)?;
                let leading = name == "llvm.ctlz";
                let (first, first_count, next_count, first_bits) =
                    if leading { (high, high_count, low_count, rest) } else { (low, low_count, high_count, LOW_BITS) };
                let zero = self.number(first_bits, 0);
                let empty = self.compare(IntPredicate::Eq, &first, &zero);
                let beyond = self.binary_number(BinaryOp::Add, &next_count, first_bits.into());
                let count = self.select(&empty, &beyond, &first_count);
                Ok(self.small(ty, rest, count))
            }
            ("llvm.bswap" | "llvm.bitreverse", [a]) => {
                let (low, high) = self.halves(a);
                let (word, high) = (self.int(LOW_BITS), self.resize(&high, LOW_BITS, CastOp::ZeroExtend));
                let new_low = self.intrinsic_of(word, name, &[high])?;
                let new_high = self.intrinsic_of(word, name, &[low])?;
                // The result of 128 bits; a narrower one is its upper end.
                let (new_low, new_high) = match u64::from(LOW_BITS - rest) {
                    0 => (new_low, new_high),
                    surplus => {
                        let low = self.binary_number(BinaryOp::LShr, &new_low, surplus);
                        let carried = self.binary_number(BinaryOp::Shl, &new_high, u64::from(LOW_BITS) - surplus);
                        (
                            self.binary(BinaryOp::Or, &low, &carried),
                            self.binary_number(BinaryOp::LShr, &new_high, surplus),
                        )
                    }
                };
                let new_high = self.resize(&new_high, rest, CastOp::ZeroExtend);
                Ok(self.gather(ty, vec![new_low, new_high]))
            }
            ("llvm.fshl" | "llvm.fshr", [a, b, by]) if bits == 128 => {
                // The funnel by d is the first shifted left by d or the second shifted right by what is left, never by the whole width.
                let (left, one) = (name == "llvm.fshl", self.number(LOW_BITS, 1));
                let by = self.part(by, 0);
                let by = self.binary_number(BinaryOp::And, &by, 127);
                let inverse = self.binary_number(BinaryOp::Xor, &by, 127);
                let (keep_by, other_by) = (by, inverse);
                let (keep, other, toward, away) =
                    if left { (a, b, BinaryOp::Shl, BinaryOp::LShr) } else { (b, a, BinaryOp::LShr, BinaryOp::Shl) };
                let kept = self.shifted(ty, rest, toward, keep, &keep_by)?;
                let once = self.shifted(ty, rest, away, other, &one)?;
                let rest_of_it = self.shifted(ty, rest, away, &once, &other_by)?;
                self.wide_binary(bits, ty, BinaryOp::Or, &kept, &rest_of_it)
            }
            (
                "llvm.uadd.with.overflow"
                | "llvm.usub.with.overflow"
                | "llvm.sadd.with.overflow"
                | "llvm.ssub.with.overflow",
                [a, b],
            ) => {
                let own = self.type_of(a);
                let (value, overflow) = self.wide_checked(bits, own, name, a, b)?;
                Ok(self.gather(ty, vec![value, overflow]))
            }
            ("llvm.uadd.sat" | "llvm.usub.sat" | "llvm.sadd.sat" | "llvm.ssub.sat", [a, b]) => {
                let (value, overflow) = self.wide_checked(bits, ty, name, a, b)?;
                let limit = if name.starts_with("llvm.s") {
                    // The end of the range that the first operand's sign points to.
                    let top = self.top(a);
                    let width = self.bits(self.type_of(&top));
                    let spread = self.binary_number(BinaryOp::AShr, &top, u64::from(width) - 1);
                    let end = self.binary_number(BinaryOp::Xor, &spread, (1 << (width - 1)) - 1);
                    let all = self.resize(&spread, LOW_BITS, CastOp::SignExtend);
                    let low = self.binary_number(BinaryOp::Xor, &all, u64::MAX);
                    let mut parts = vec![low; wide_parts(bits).len() - 1];
                    parts.push(end);
                    self.gather(ty, parts)
                } else {
                    let end = if name == "llvm.uadd.sat" { u64::MAX } else { 0 };
                    let parts = wide_parts(bits).into_iter().map(|width| self.number(width, end)).collect();
                    self.gather(ty, parts)
                };
                Ok(self.select(&overflow, &limit, &value))
            }
            _ => match self.shape(ty) {
                // Such a pass-through is looked through later, whatever its type.
                Shape::Wide { .. } if matches!(name, "llvm.expect" | "llvm.ssa.copy") => {
                    arguments.first().cloned().ok_or_else(refusal)
                }
                _ => Err(refusal()),
            },
        }
    }

    fn zero(&mut self, ty: TypeId, rest: u32) -> Operand {
        let parts = vec![self.number(LOW_BITS, 0), self.number(rest, 0)];
        self.gather(ty, parts)
    }

    /// A 64-bit number as a wide integer.
    fn small(&mut self, ty: TypeId, rest: u32, low: Operand) -> Operand {
        let high = self.number(rest, 0);
        self.gather(ty, vec![low, high])
    }

    /// A counting intrinsic of both parts, as 64-bit numbers.
    fn counted(&mut self, name: &str, operand: &Operand) -> Expanded<(Operand, Operand)> {
        let (low, high) = self.halves(operand);
        let flag = self.number(1, 0);
        let mut count = |part: Operand| {
            let ty = self.type_of(&part);
            let arguments = if name == "llvm.ctpop" { vec![part] } else { vec![part, flag.clone()] };
            let counted = self.intrinsic_of(ty, name, &arguments)?;
            Ok(counted)
        };
        let (low, high) = (count(low)?, count(high)?);
        Ok((low, self.resize(&high, LOW_BITS, CastOp::ZeroExtend)))
    }

    fn shifted(&mut self, ty: TypeId, rest: u32, op: BinaryOp, operand: &Operand, by: &Operand) -> Expanded<Operand> {
        let parts = self.wide_shift(LOW_BITS + rest, op, operand, by)?;
        Ok(self.gather(ty, parts))
    }

    /// Sum or difference, and whether it does not fit.
    fn wide_checked(
        &mut self,
        bits: u32,
        ty: TypeId,
        name: &str,
        a: &Operand,
        b: &Operand,
    ) -> Expanded<(Operand, Operand)> {
        let add = name.contains("add");
        let value = self.wide_binary(bits, ty, if add { BinaryOp::Add } else { BinaryOp::Sub }, a, b)?;
        if name.starts_with("llvm.u") {
            let overflow = if add {
                self.wide_compare(IntPredicate::Ult, &value, a)
            } else {
                self.wide_compare(IntPredicate::Ult, a, b)
            };
            return Ok((value, overflow));
        }
        // It overflowed if the result's sign differs from the first operand's, and the second one's does not explain it.
        let (a, b, sum) = (self.top(a), self.top(b), self.top(&value));
        let changed = self.binary(BinaryOp::Xor, &sum, &a);
        let other = if add { self.binary(BinaryOp::Xor, &sum, &b) } else { self.binary(BinaryOp::Xor, &a, &b) };
        let both = self.binary(BinaryOp::And, &changed, &other);
        let zero = self.number(self.bits(self.type_of(&both)), 0);
        let overflow = self.compare(IntPredicate::Slt, &both, &zero);
        Ok((value, overflow))
    }
}

/// Whether the intrinsic is made of [`Expander::wide_checked`], or takes its first argument as it is.
fn is_sum(name: &str) -> bool {
    name.ends_with("add.sat")
        || name.ends_with("sub.sat")
        || name.ends_with("add.with.overflow")
        || name.ends_with("sub.with.overflow")
        || matches!(name, "llvm.expect" | "llvm.ssa.copy")
}
