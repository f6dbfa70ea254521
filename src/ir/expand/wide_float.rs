//! Conversions between integers of 65 to 128 bits and floating point, exact to the last bit.
//!
//! Must never hold: arithmetic on wide integers (`wide`).

use super::{Expanded, Expander, LOW_BITS, Shape, wide};
use crate::ir::constant::{Constant, ConstantKind};
use crate::ir::instruction::{BinaryOp, CastOp, FloatPredicate, InstructionKind, IntPredicate, Operand};
use crate::ir::types::{Layout, Type, TypeId};

/// Exponent bias and position of the exponent in a double.
const DOUBLE: (i32, u32) = (1023, 52);
/// The same of a float.
const SINGLE: (i32, u32) = (127, 23);

impl Expander<'_> {
    /// A conversion from a wide integer to floating point or back.
    pub(super) fn wide_float_cast(&mut self, ty: TypeId, op: CastOp, operand: &Operand) -> Expanded<Operand> {
        let from = self.type_of(operand);
        match (op, self.shape(from), self.shape(ty), self.types.get(from), self.types.get(ty)) {
            (CastOp::UnsignedToFloat, Shape::Wide { bits }, _, _, Type::Float | Type::Double) => {
                self.wide_to_float(ty, bits, operand)
            }
            (CastOp::SignedToFloat, Shape::Wide { bits }, _, _, Type::Float | Type::Double) => {
                let (negative, size) = self.sign_and_size(bits, operand)?;
                let value = self.wide_to_float(ty, bits, &size)?;
                let negated = self.emit(ty, InstructionKind::FloatNegate { operand: value.clone() });
                Ok(self.select(&negative, &negated, &value))
            }
            (
                CastOp::FloatToUnsigned | CastOp::FloatToSigned,
                _,
                Shape::Wide { bits },
                Type::Float | Type::Double,
                _,
            ) => {
                let value = self.as_double(operand);
                self.float_to_wide(ty, bits, op == CastOp::FloatToSigned, &value)
            }
            _ => Err(wide("a conversion", self.bits(from).max(self.bits(ty)))),
        }
    }

    /// A conversion that stops at the ends of the range and makes a NaN zero.
    pub(super) fn saturating_wide(
        &mut self,
        ty: TypeId,
        bits: u32,
        signed: bool,
        operand: &Operand,
    ) -> Expanded<Operand> {
        let value = self.as_double(operand);
        let plain = self.float_to_wide(ty, bits, signed, &value)?;
        let width = bits - u32::from(signed);
        let (most, least) = (self.power_of_two(width as i32, false), self.power_of_two(width as i32, signed));
        let above = self.float_compare(FloatPredicate::Oge, &value, &most);
        let rest = bits - LOW_BITS;
        let top = if signed { (1u64 << (rest - 1)) - 1 } else { u64::MAX };
        let parts = vec![self.number(LOW_BITS, u64::MAX), self.number(rest, top)];
        let largest = self.gather(ty, parts);
        let result = self.select(&above, &largest, &plain);
        let result = if signed {
            let below = self.float_compare(FloatPredicate::Olt, &value, &least);
            let parts = vec![self.number(LOW_BITS, 0), self.number(rest, 1 << (rest - 1))];
            let smallest = self.gather(ty, parts);
            self.select(&below, &smallest, &result)
        } else {
            result
        };
        // Not above zero: negative, or no number at all.
        let zero = self.double(0);
        let none = if signed {
            self.float_compare(FloatPredicate::Uno, &value, &value)
        } else {
            self.float_compare(FloatPredicate::Ule, &value, &zero)
        };
        let parts = vec![self.number(LOW_BITS, 0), self.number(rest, 0)];
        let nothing = self.gather(ty, parts);
        Ok(self.select(&none, &nothing, &result))
    }

    fn sign_and_size(&mut self, bits: u32, operand: &Operand) -> Expanded<(Operand, Operand)> {
        let ty = self.type_of(operand);
        let parts = vec![self.number(LOW_BITS, 0), self.number(bits - LOW_BITS, 0)];
        let zero = self.gather(ty, parts);
        let negative = self.wide_compare(IntPredicate::Slt, operand, &zero);
        let negated = self.wide_binary(bits, ty, BinaryOp::Sub, &zero, operand)?;
        let size = self.select(&negative, &negated, operand);
        Ok((negative, size))
    }

    /// An unsigned number: its highest 64 bits, the last of them set if anything below is, rounded once and scaled exactly.
    fn wide_to_float(&mut self, ty: TypeId, bits: u32, operand: &Operand) -> Expanded<Operand> {
        let (word, full) = (self.int(LOW_BITS), self.full());
        let full_bits = 2 * LOW_BITS;
        let number =
            if bits == full_bits { operand.clone() } else { self.wide_cast(full, CastOp::ZeroExtend, operand)? };
        let (_, high) = self.halves(&number);
        let zero = self.number(LOW_BITS, 0);
        let flag = self.number(1, 0);
        let leading = self.intrinsic_of(word, "llvm.ctlz", &[high, flag])?;
        // Where the high part is empty the shift is by 64 and moves the low part up whole.
        let parts = self.wide_shift(full_bits, BinaryOp::Shl, &number, &leading)?;
        let shifted = self.gather(full, parts);
        let (below, top) = self.halves(&shifted);
        let lost = self.compare(IntPredicate::Ne, &below, &zero);
        let lost = self.resize(&lost, LOW_BITS, CastOp::ZeroExtend);
        let top = self.binary(BinaryOp::Or, &top, &lost);
        let rounded = self.emit(ty, InstructionKind::Cast { op: CastOp::UnsignedToFloat, operand: top });
        // Times 2^(64 - leading), or 2^0: with 64 leading zeros both are the same.
        let (bias, place) = if self.bits(ty) == LOW_BITS { DOUBLE } else { SINGLE };
        let base = self.number(LOW_BITS, u64::from((bias + LOW_BITS as i32).unsigned_abs()));
        let exponent = self.binary(BinaryOp::Sub, &base, &leading);
        let scale = self.binary_number(BinaryOp::Shl, &exponent, place.into());
        let width = self.bits(ty);
        let scale = self.resize(&scale, width, CastOp::Trunc);
        let scale = self.emit(ty, InstructionKind::Cast { op: CastOp::Bitcast, operand: scale });
        Ok(self.emit(ty, InstructionKind::Binary { op: BinaryOp::FMul, lhs: rounded, rhs: scale }))
    }

    /// A double that is in the range: how often 2^64 goes into it, and what is left; both are exact.
    fn float_to_wide(&mut self, ty: TypeId, bits: u32, signed: bool, value: &Operand) -> Expanded<Operand> {
        let (double, word, full) = (self.type_of(value), self.int(LOW_BITS), self.full());
        let zero = self.double(0);
        let negative = self.float_compare(FloatPredicate::Olt, value, &zero);
        let size = if signed {
            let negated = self.emit(double, InstructionKind::FloatNegate { operand: value.clone() });
            self.select(&negative, &negated, value)
        } else {
            value.clone()
        };
        let (down, up) = (self.power_of_two(-64, false), self.power_of_two(64, false));
        let float = |this: &mut Self, op, lhs: &Operand, rhs: &Operand| {
            this.emit(double, InstructionKind::Binary { op, lhs: lhs.clone(), rhs: rhs.clone() })
        };
        let quotient = float(self, BinaryOp::FMul, &size, &down);
        let high = self.emit(word, InstructionKind::Cast { op: CastOp::FloatToUnsigned, operand: quotient });
        let whole = self.emit(double, InstructionKind::Cast { op: CastOp::UnsignedToFloat, operand: high.clone() });
        let whole = float(self, BinaryOp::FMul, &whole, &up);
        let left = float(self, BinaryOp::FSub, &size, &whole);
        let low = self.emit(word, InstructionKind::Cast { op: CastOp::FloatToUnsigned, operand: left });
        let mut result = self.gather(full, vec![low, high]);
        if signed {
            let parts = vec![self.number(LOW_BITS, 0), self.number(LOW_BITS, 0)];
            let nothing = self.gather(full, parts);
            let negated = self.wide_binary(2 * LOW_BITS, full, BinaryOp::Sub, &nothing, &result)?;
            result = self.select(&negative, &negated, &result);
        }
        if bits == 2 * LOW_BITS { Ok(result) } else { self.wide_cast(ty, CastOp::Trunc, &result) }
    }

    /// The type of an integer of 128 bits.
    fn full(&mut self) -> TypeId {
        super::wide_type(self.types, 2 * LOW_BITS, Layout { size: 16, store_size: 16, align: 16 })
    }

    fn as_double(&mut self, operand: &Operand) -> Operand {
        if *self.types.get(self.type_of(operand)) == Type::Double {
            return operand.clone();
        }
        let ty = self.double_type();
        self.emit(ty, InstructionKind::Cast { op: CastOp::FloatExtend, operand: operand.clone() })
    }

    fn double_type(&mut self) -> TypeId {
        self.types.intern(Type::Double, Layout { size: 8, store_size: 8, align: 8 })
    }

    fn double(&mut self, bits: u64) -> Operand {
        Operand::Constant(Constant { ty: self.double_type(), kind: ConstantKind::Float(bits.into()) })
    }

    /// 2^exponent or its negative.
    fn power_of_two(&mut self, exponent: i32, negative: bool) -> Operand {
        let (bias, place) = DOUBLE;
        let sign = u64::from(negative) << 63;
        self.double(sign | u64::from((bias + exponent).unsigned_abs()) << place)
    }
}
