//! Intrinsics on floating point that the C library has no function for, written with comparisons and selections.
//!
//! Must never hold: what the code generator calls from the library.

use super::{Expanded, Expander};
use crate::ir::instruction::{BinaryOp, CastOp, FloatPredicate, InstructionKind, Operand};
use crate::ir::types::TypeId;

impl Expander<'_> {
    /// The value of such an intrinsic, `None` for any other.
    pub(super) fn float_intrinsic(
        &mut self,
        ty: TypeId,
        name: &str,
        arguments: &[Operand],
    ) -> Expanded<Option<Operand>> {
        match (name, arguments) {
            ("llvm.minimum" | "llvm.maximum" | "llvm.minimumnum" | "llvm.maximumnum", [a, b]) => {
                Ok(Some(self.ordered_extreme(ty, name, a, b)))
            }
            ("llvm.lround" | "llvm.llround", [a]) => self.rounded(ty, "llvm.round", a).map(Some),
            ("llvm.lrint" | "llvm.llrint", [a]) => self.rounded(ty, "llvm.rint", a).map(Some),
            _ => Ok(None),
        }
    }

    /// Whether [`Expander::float_intrinsic`] knows the name.
    pub(super) fn is_float_intrinsic(name: &str) -> bool {
        matches!(
            name,
            "llvm.minimum"
                | "llvm.maximum"
                | "llvm.minimumnum"
                | "llvm.maximumnum"
                | "llvm.lround"
                | "llvm.llround"
                | "llvm.lrint"
                | "llvm.llrint"
        )
    }

    /// The integer that a rounded number is.
    fn rounded(&mut self, ty: TypeId, name: &str, a: &Operand) -> Expanded<Operand> {
        let float = self.type_of(a);
        let operand = self.intrinsic_of(float, name, std::slice::from_ref(a))?;
        Ok(self.emit(ty, InstructionKind::Cast { op: CastOp::FloatToSigned, operand }))
    }

    /// The lesser or greater, where −0 is less than +0. A NaN wins in `minimum` and loses in `minimumnum`.
    fn ordered_extreme(&mut self, ty: TypeId, name: &str, a: &Operand, b: &Operand) -> Operand {
        let least = name.starts_with("llvm.minimum");
        let (less, greater) =
            (self.float_compare(FloatPredicate::Olt, a, b), self.float_compare(FloatPredicate::Ogt, a, b));
        // Equal numbers differ at most in the sign of zero: the bits of both together have it, or have it not.
        let bits = self.bits(ty);
        let (x, y) = (self.reinterpret(bits, a), self.reinterpret(bits, b));
        let tie = self.binary(if least { BinaryOp::Or } else { BinaryOp::And }, &x, &y);
        let tie = self.emit(ty, InstructionKind::Cast { op: CastOp::Bitcast, operand: tie });
        let (first, second) = if least { (a, b) } else { (b, a) };
        let value = self.select(&greater, second, &tie);
        let value = self.select(&less, first, &value);
        let unordered = self.float_compare(FloatPredicate::Uno, a, b);
        let other = if name.ends_with("num") {
            let missing = self.float_compare(FloatPredicate::Uno, a, a);
            self.select(&missing, b, a)
        } else {
            self.emit(ty, InstructionKind::Binary { op: BinaryOp::FAdd, lhs: a.clone(), rhs: b.clone() })
        };
        self.select(&unordered, &other, &value)
    }

    /// A comparison of floating point.
    pub(super) fn float_compare(&mut self, predicate: FloatPredicate, a: &Operand, b: &Operand) -> Operand {
        let ty = self.int(1);
        self.emit(ty, InstructionKind::FloatCompare { predicate, lhs: a.clone(), rhs: b.clone() })
    }

    fn reinterpret(&mut self, bits: u32, operand: &Operand) -> Operand {
        let ty = self.int(bits);
        self.emit(ty, InstructionKind::Cast { op: CastOp::Bitcast, operand: operand.clone() })
    }
}
