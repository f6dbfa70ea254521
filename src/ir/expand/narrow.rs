//! Intrinsics on integers of widths that no machine has, 1 and 33 to 63 bits: written with the next wider operation.
//!
//! Must never hold: what the code generator does at every width by itself.

use super::{Expanded, Expander, LOW_BITS, Shape, wide, wide_type};
use crate::ir::instruction::{BinaryOp, Callee, CastOp, InstructionKind, IntPredicate, Operand};
use crate::ir::types::{Layout, TypeId};

/// Whether the intrinsic exists in the code generator for widths up to 32 and for 64 only.
fn is_listed(name: &str) -> bool {
    matches!(
        name,
        "llvm.fshl"
            | "llvm.fshr"
            | "llvm.fptosi.sat"
            | "llvm.fptoui.sat"
            | "llvm.sadd.sat"
            | "llvm.uadd.sat"
            | "llvm.ssub.sat"
            | "llvm.usub.sat"
            | "llvm.sshl.sat"
            | "llvm.ushl.sat"
    ) || name.ends_with(".with.overflow")
}

impl Expander<'_> {
    /// Whether an operation on scalars needs [`Expander::narrow_intrinsic`].
    pub(super) fn is_odd(&self, kind: &InstructionKind) -> bool {
        let InstructionKind::Call(call) = kind else { return false };
        matches!(&call.callee, Callee::Intrinsic { name, .. } if is_listed(name) || Self::is_float_intrinsic(name))
    }

    /// The value of an intrinsic of an odd width; `None` for what needs no help.
    pub(super) fn narrow_intrinsic(
        &mut self,
        ty: TypeId,
        name: &str,
        arguments: &[Operand],
    ) -> Expanded<Option<Operand>> {
        if !is_listed(name) {
            return Ok(None);
        }
        let Some(first) = arguments.first() else { return Ok(None) };
        if name.ends_with("shl.sat") {
            return self.saturating_shift(ty, name == "llvm.sshl.sat", arguments).map(Some);
        }
        let bits = match name {
            "llvm.fptosi.sat" | "llvm.fptoui.sat" => self.bits(ty),
            _ => self.bits(self.type_of(first)),
        };
        if let (Shape::Wide { bits }, true, [a]) = (self.shape(ty), name.starts_with("llvm.fpto"), arguments) {
            if bits > 2 * LOW_BITS {
                return Err(wide("a saturating conversion", bits));
            }
            return self.saturating_wide(ty, bits, name == "llvm.fptosi.sat", a).map(Some);
        }
        if !matches!(bits, 1 | 33..=63) {
            return Ok(None);
        }
        match (name, arguments) {
            ("llvm.fshl" | "llvm.fshr", [a, b, by]) => Ok(Some(self.odd_funnel(bits, name == "llvm.fshl", a, b, by))),
            ("llvm.fptosi.sat" | "llvm.fptoui.sat", [a]) => self.odd_conversion(bits, name, a).map(Some),
            (_, [a, b]) if name.ends_with(".with.overflow") => {
                let (value, overflow) = self.odd_checked(bits, name, a, b)?;
                Ok(Some(self.gather(ty, vec![value, overflow])))
            }
            (_, [a, b]) => {
                let (value, overflow) = self.odd_checked(bits, name, a, b)?;
                let limit = if name.starts_with("llvm.s") {
                    let spread = self.binary_number(BinaryOp::AShr, a, u64::from(bits) - 1);
                    self.binary_number(BinaryOp::Xor, &spread, (1 << (bits - 1)) - 1)
                } else {
                    self.number(bits, if name == "llvm.uadd.sat" { u64::MAX } else { 0 })
                };
                Ok(Some(self.select(&overflow, &limit, &value)))
            }
            _ => Ok(None),
        }
    }

    /// A funnel shift; the distance counts modulo the width.
    fn odd_funnel(&mut self, bits: u32, left: bool, a: &Operand, b: &Operand, by: &Operand) -> Operand {
        let kept = if left { a } else { b };
        if bits == 1 {
            return kept.clone();
        }
        let by = self.binary_number(BinaryOp::URem, by, bits.into());
        let width = self.number(bits, bits.into());
        let inverse = self.binary(BinaryOp::Sub, &width, &by);
        let (up, down) = if left { (by.clone(), inverse) } else { (inverse, by.clone()) };
        let (high, low) = (self.binary(BinaryOp::Shl, a, &up), self.binary(BinaryOp::LShr, b, &down));
        let joined = self.binary(BinaryOp::Or, &high, &low);
        let zero = self.number(bits, 0);
        let stays = self.compare(IntPredicate::Eq, &by, &zero);
        self.select(&stays, kept, &joined)
    }

    /// A saturating conversion: the one of the next width, brought into the range.
    fn odd_conversion(&mut self, bits: u32, name: &str, a: &Operand) -> Expanded<Operand> {
        let width = if bits == 1 { 32 } else { LOW_BITS };
        let ty = self.int(width);
        let mut value = self.intrinsic_of(ty, name, std::slice::from_ref(a))?;
        if name == "llvm.fptosi.sat" {
            let (most, least) = (self.number(width, (1 << (bits - 1)) - 1), self.number(width, u64::MAX << (bits - 1)));
            value = self.intrinsic_of(ty, "llvm.smin", &[value, most])?;
            value = self.intrinsic_of(ty, "llvm.smax", &[value, least])?;
        } else {
            let most = self.number(width, (1 << bits) - 1);
            value = self.intrinsic_of(ty, "llvm.umin", &[value, most])?;
        }
        Ok(self.resize(&value, bits, CastOp::Trunc))
    }

    /// Sum, difference or product, and whether it does not fit: computed exactly in a wider type and compared with its own truncation.
    fn odd_checked(&mut self, bits: u32, name: &str, a: &Operand, b: &Operand) -> Expanded<(Operand, Operand)> {
        let op = match name {
            _ if name.contains("add") => BinaryOp::Add,
            _ if name.contains("sub") => BinaryOp::Sub,
            _ => BinaryOp::Mul,
        };
        let extension = if name.starts_with("llvm.s") { CastOp::SignExtend } else { CastOp::ZeroExtend };
        let exact_type = match (bits, op) {
            (1, _) => self.int(32),
            (_, BinaryOp::Mul) => wide_type(self.types, 2 * LOW_BITS, Layout { size: 16, store_size: 16, align: 16 }),
            _ => self.int(LOW_BITS),
        };
        let (wide_a, wide_b) =
            (self.cast(exact_type, extension, a.clone())?, self.cast(exact_type, extension, b.clone())?);
        let exact = self.operation(exact_type, InstructionKind::Binary { op, lhs: wide_a, rhs: wide_b })?;
        let narrow = self.int(bits);
        let value = self.cast(narrow, CastOp::Trunc, exact.clone())?;
        let again = self.cast(exact_type, extension, value.clone())?;
        let flag = self.int(1);
        let overflow =
            self.operation(flag, InstructionKind::Compare { predicate: IntPredicate::Ne, lhs: exact, rhs: again })?;
        Ok((value, overflow))
    }

    /// A shift to the left that stops at the ends of the range: what came out is shifted back and compared.
    fn saturating_shift(&mut self, ty: TypeId, signed: bool, arguments: &[Operand]) -> Expanded<Operand> {
        let [a, by] = arguments else { return Ok(self.number(1, 0)) };
        let bits = self.bits(ty);
        let shifted = self.binary(BinaryOp::Shl, a, by);
        let back = self.binary(if signed { BinaryOp::AShr } else { BinaryOp::LShr }, &shifted, by);
        let lost = self.compare(IntPredicate::Ne, &back, a);
        let limit = if signed {
            let spread = self.binary_number(BinaryOp::AShr, a, u64::from(bits) - 1);
            self.binary_number(BinaryOp::Xor, &spread, (1 << (bits - 1)) - 1)
        } else {
            self.number(bits, u64::MAX)
        };
        Ok(self.select(&lost, &limit, &shifted))
    }
}
