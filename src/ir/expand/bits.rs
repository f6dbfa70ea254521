//! Casts, loads and stores of vectors and wide integers: the same bits in other parts.
//!
//! Must never hold: arithmetic.

use super::{Expanded, Expander, LOW_BITS, MAX_BITS, Shape, Unexpandable, wide_parts};
use crate::ir::instruction::{BinaryOp, CastOp, InstructionKind, Operand};
use crate::ir::types::{Layout, Type, TypeId};

impl Expander<'_> {
    /// A cast to `ty`.
    pub(super) fn cast(&mut self, ty: TypeId, op: CastOp, operand: Operand) -> Expanded<Operand> {
        let from = self.type_of(&operand);
        match (op, self.shape(from), self.shape(ty)) {
            (_, Shape::Scalar, Shape::Scalar) => Ok(self.emit(ty, InstructionKind::Cast { op, operand })),
            (CastOp::Bitcast, _, _) => self.bitcast(ty, &operand),
            (_, Shape::Vector { .. }, Shape::Vector { element, count }) => self.lanes(ty, count, |this, lane| {
                let operand = this.part(&operand, lane);
                this.operation(element, InstructionKind::Cast { op, operand })
            }),
            _ => self.wide_cast(ty, op, &operand),
        }
    }

    /// The scalars of a value, from its lowest bits to its highest, as integers.
    fn scalars(&mut self, operand: &Operand) -> Expanded<Vec<(Operand, u32)>> {
        let ty = self.type_of(operand);
        let count = match self.shape(ty) {
            Shape::Vector { count, .. } => count,
            Shape::Wide { bits } => bits.div_ceil(LOW_BITS),
            Shape::Scalar => {
                let bits = self.bits(ty);
                let integer = self.int(bits.min(LOW_BITS));
                let as_integer = match self.types.get(ty) {
                    Type::Int(_) => operand.clone(),
                    Type::Pointer => {
                        self.emit(integer, InstructionKind::Cast { op: CastOp::PtrToInt, operand: operand.clone() })
                    }
                    Type::Float | Type::Double => {
                        self.emit(integer, InstructionKind::Cast { op: CastOp::Bitcast, operand: operand.clone() })
                    }
                    _ => return Err(super::wide("a bit cast", bits)),
                };
                return Ok(vec![(as_integer, bits)]);
            }
        };
        let mut all = Vec::new();
        for index in 0..count {
            let part = self.part(operand, index);
            all.extend(self.scalars(&part)?);
        }
        Ok(all)
    }

    /// The same bits as another type.
    fn bitcast(&mut self, ty: TypeId, operand: &Operand) -> Expanded<Operand> {
        let scalars = self.scalars(operand)?;
        let mut position = 0;
        self.assemble(ty, &scalars, &mut position)
    }

    /// The value of type `ty` whose bits start at `position`, which moves behind them.
    fn assemble(&mut self, ty: TypeId, scalars: &[(Operand, u32)], position: &mut u32) -> Expanded<Operand> {
        match self.shape(ty) {
            Shape::Vector { element, count } => {
                self.lanes(ty, count, |this, _| this.assemble(element, scalars, position))
            }
            Shape::Wide { bits } => {
                let mut parts = Vec::new();
                for width in wide_parts(bits) {
                    let part = self.int(width);
                    parts.push(self.assemble(part, scalars, position)?);
                }
                Ok(self.gather(ty, parts))
            }
            Shape::Scalar => {
                let bits = self.bits(ty);
                let integer = self.cut(bits, scalars, *position);
                *position += bits;
                match self.types.get(ty) {
                    Type::Int(_) => Ok(integer),
                    Type::Pointer => {
                        Ok(self.emit(ty, InstructionKind::Cast { op: CastOp::IntToPtr, operand: integer }))
                    }
                    Type::Float | Type::Double => {
                        Ok(self.emit(ty, InstructionKind::Cast { op: CastOp::Bitcast, operand: integer }))
                    }
                    _ => Err(super::wide("a bit cast", bits)),
                }
            }
        }
    }

    /// `bits` bits from `position` on, as an integer of at most 64 bits.
    fn cut(&mut self, bits: u32, scalars: &[(Operand, u32)], position: u32) -> Operand {
        let mut result = self.number(bits, 0);
        let mut start = 0;
        for (scalar, length) in scalars {
            let (from, to) = (start, start + length);
            start = to;
            if to <= position || from >= position + bits {
                continue;
            }
            let piece = if from < position {
                let shifted = self.binary_number(BinaryOp::LShr, scalar, u64::from(position - from));
                self.resize(&shifted, bits, CastOp::ZeroExtend)
            } else {
                let wide = self.resize(scalar, bits, CastOp::ZeroExtend);
                self.binary_number(BinaryOp::Shl, &wide, u64::from(from - position))
            };
            result = self.binary(BinaryOp::Or, &result, &piece);
        }
        result
    }

    /// The integer type that memory holds for a vector whose elements do not fill bytes; `None` if they do.
    fn packed(&mut self, ty: TypeId) -> Expanded<Option<TypeId>> {
        let Shape::Vector { element, count } = self.shape(ty) else { return Ok(None) };
        let (element_bits, stored) = (self.bits(element), self.types.layout(element));
        if element_bits.is_multiple_of(8) && stored.store_size * 8 == element_bits {
            return Ok(None);
        }
        let bits = element_bits.saturating_mul(count);
        match bits {
            1..=LOW_BITS => Ok(Some(self.int(bits))),
            ..=MAX_BITS => {
                let layout = Layout { size: 16, store_size: bits.div_ceil(8), align: 16 };
                Ok(Some(super::wide_type(self.types, bits, layout)))
            }
            _ => Err(Unexpandable {
                what: format!("a vector in memory of {count} elements of {element_bits} bits"),
                help: "use elements of 8, 16, 32 or 64 bits",
            }),
        }
    }

    /// A load.
    pub(super) fn load(&mut self, ty: TypeId, kind: InstructionKind) -> Expanded<Operand> {
        if matches!(kind, InstructionKind::Load { ordering: Some(_), .. }) && self.types.is_aggregate(ty) {
            return Err(super::wide("an atomic access", self.bits(ty)));
        }
        match self.packed(ty)? {
            None => Ok(self.emit(ty, kind)),
            Some(packed) => {
                let loaded = self.emit(packed, kind);
                self.bitcast(ty, &loaded)
            }
        }
    }

    /// A store.
    pub(super) fn store(&mut self, kind: InstructionKind) -> Expanded<()> {
        let InstructionKind::Store { address, value, align, volatile, ordering } = kind else { return Ok(()) };
        let ty = self.type_of(&value);
        if ordering.is_some() && self.types.is_aggregate(ty) {
            return Err(super::wide("an atomic access", self.bits(ty)));
        }
        let value = match self.packed(ty)? {
            None => value,
            Some(packed) => self.bitcast(packed, &value)?,
        };
        self.append(None, InstructionKind::Store { address, value, align, volatile, ordering });
        Ok(())
    }
}
