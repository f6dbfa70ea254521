//! Intrinsics on vectors: element by element, or reductions.
//!
//! Must never hold: intrinsics on wide integers (`wide_intrinsic`) or odd widths (`narrow`).

use super::{Expanded, Expander, Shape, Unexpandable};
use crate::ir::instruction::{Call, Callee, InstructionKind, Operand};
use crate::ir::types::{Layout, Type, TypeId};

impl Expander<'_> {
    /// A call of an intrinsic with a result.
    pub(super) fn intrinsic(&mut self, ty: TypeId, call: Call) -> Expanded<Operand> {
        let Callee::Intrinsic { name, .. } = &call.callee else {
            return Ok(self.emit(ty, InstructionKind::Call(Box::new(call))));
        };
        let name = name.clone();
        let arguments: Vec<Operand> = call.arguments.iter().map(|argument| argument.operand.clone()).collect();
        let shapes: Vec<Shape> = arguments.iter().map(|argument| self.shape(self.type_of(argument))).collect();
        let vector = shapes.iter().find_map(|shape| match shape {
            Shape::Vector { count, .. } => Some(*count),
            _ => None,
        });
        if let Some(operation) = name.strip_prefix("llvm.vector.reduce.") {
            return self.reduce(ty, operation, &arguments);
        }
        if let Some(count) = vector {
            return self.lane_calls(ty, count, &name, &arguments);
        }
        if let Some(Shape::Wide { bits }) = shapes.iter().find(|shape| **shape != Shape::Scalar) {
            return self.wide_intrinsic(*bits, ty, &name, &arguments);
        }
        if let Shape::Vector { .. } = self.shape(ty) {
            return Err(unknown(&name));
        }
        if let Some(value) = self.narrow_intrinsic(ty, &name, &arguments)? {
            return Ok(value);
        }
        if let Some(value) = self.float_intrinsic(ty, &name, &arguments)? {
            return Ok(value);
        }
        Ok(self.emit(ty, InstructionKind::Call(Box::new(call))))
    }

    /// The intrinsic on each element; arguments that are no vectors are the same for all.
    fn lane_calls(&mut self, ty: TypeId, count: u32, name: &str, arguments: &[Operand]) -> Expanded<Operand> {
        let fits =
            |this: &Self, ty: TypeId| matches!(this.shape(ty), Shape::Vector { count: other, .. } if other == count);
        let results: Vec<TypeId> = match self.types.get(ty) {
            Type::Vector { .. } => vec![ty],
            Type::Struct { fields, .. } => fields.clone(),
            _ => Vec::new(),
        };
        let uneven = arguments.iter().any(|argument| {
            let ty = self.type_of(argument);
            self.shape(ty) != Shape::Scalar && !fits(self, ty)
        });
        if uneven
            || results.is_empty()
            || !results.iter().all(|result| fits(self, *result))
            || name.starts_with("llvm.vector.")
            || name.starts_with("llvm.masked.")
        {
            return Err(unknown(name));
        }
        let elements: Vec<TypeId> = results.iter().map(|result| self.element(*result)).collect();
        let one = match elements.as_slice() {
            [one] => *one,
            [value, flag] => self.pair(*value, *flag),
            _ => return Err(unknown(name)),
        };
        let mut columns = vec![Vec::new(); results.len()];
        for lane in 0..count {
            let mut own = Vec::with_capacity(arguments.len());
            for argument in arguments {
                own.push(if fits(self, self.type_of(argument)) { self.part(argument, lane) } else { argument.clone() });
            }
            let value = self.intrinsic_of(one, name, &own)?;
            if let [column] = columns.as_mut_slice() {
                column.push(value);
                continue;
            }
            for (index, column) in (0..).zip(&mut columns) {
                column.push(self.part(&value, index));
            }
        }
        let mut vectors = Vec::with_capacity(results.len());
        for (result, column) in results.iter().zip(columns) {
            vectors.push(self.gather(*result, column));
        }
        match vectors.as_slice() {
            [vector] => Ok(vector.clone()),
            _ => Ok(self.gather(ty, vectors)),
        }
    }

    /// The struct of a number and its flag.
    pub(super) fn pair(&mut self, value: TypeId, flag: TypeId) -> TypeId {
        let layout = self.types.layout(value);
        let (offset, align) = (layout.size, layout.align);
        let size = (offset + 1).next_multiple_of(align.max(1));
        self.types.intern(
            Type::Struct { fields: vec![value, flag], offsets: vec![0, offset] },
            Layout { size, store_size: size, align },
        )
    }
}

/// The refusal of an intrinsic on vectors.
fn unknown(name: &str) -> Unexpandable {
    Unexpandable {
        what: format!("the intrinsic `{name}` on vectors is not supported"),
        help: "write it as a loop over the elements",
    }
}
