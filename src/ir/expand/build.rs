//! Builders: types, constants, parts of values, new instructions.
//!
//! Must never hold: what an operation means.

use super::{Expanded, Expander, LOW_BITS, Shape};
use crate::ir::attributes::{FunctionAttributes, ParameterAttributes};
use crate::ir::constant::{Constant, ConstantKind};
use crate::ir::function::ValueId;
use crate::ir::instruction::{
    Argument, BinaryOp, Call, Callee, CastOp, Instruction, InstructionKind, IntPredicate, Operand,
};
use crate::ir::types::{FunctionType, Layout, Type, TypeId, TypeTable};

/// An integer type of 1 to 64 bits, laid out as the data layout of riscv32 says.
pub(super) fn int_type(types: &mut TypeTable, bits: u32) -> TypeId {
    let store_size = bits.div_ceil(8);
    let size = store_size.next_power_of_two();
    types.intern(Type::Int(bits), Layout { size, store_size, align: size })
}

impl Expander<'_> {
    /// The type of an operand.
    pub(super) fn type_of(&self, operand: &Operand) -> TypeId {
        match operand {
            Operand::Value(value) => self.value_types.get(value.0 as usize).copied().unwrap_or(TypeId(u32::MAX)),
            Operand::Constant(constant) => constant.ty,
        }
    }

    /// How a type is computed with. A struct counts as a wide integer if it looks like one: ask only about operands of operations on scalars.
    pub(super) fn shape(&self, ty: TypeId) -> Shape {
        match self.types.get(ty) {
            Type::Vector { element, count } => Shape::Vector { element: *element, count: *count },
            Type::Struct { fields, .. } => match fields.split_last() {
                Some((last, full)) if !full.is_empty() => match self.types.get(*last) {
                    Type::Int(rest) if full.iter().all(|part| *self.types.get(*part) == Type::Int(LOW_BITS)) => {
                        Shape::Wide { bits: LOW_BITS * full.len() as u32 + rest }
                    }
                    _ => Shape::Scalar,
                },
                _ => Shape::Scalar,
            },
            _ => Shape::Scalar,
        }
    }

    /// The element type of a vector; the type itself if it is none.
    pub(super) fn element(&self, ty: TypeId) -> TypeId {
        match self.types.get(ty) {
            Type::Vector { element, .. } => *element,
            _ => ty,
        }
    }

    /// Width in bits of a number or pointer; of a wide integer the whole.
    pub(super) fn bits(&self, ty: TypeId) -> u32 {
        match (self.types.get(ty), self.shape(ty)) {
            (_, Shape::Wide { bits }) => bits,
            (Type::Int(bits), _) => *bits,
            (Type::Half, _) => 16,
            (Type::Double, _) => 64,
            (Type::Quad, _) => 128,
            _ => 32,
        }
    }

    /// An integer type of 1 to 64 bits.
    pub(super) fn int(&mut self, bits: u32) -> TypeId {
        int_type(self.types, bits)
    }

    /// An integer of at most 64 bits.
    pub(super) fn number(&mut self, bits: u32, value: u64) -> Operand {
        let ty = self.int(bits);
        Operand::Constant(Constant {
            ty,
            kind: ConstantKind::Int(u128::from(value & (u64::MAX >> (64 - bits.clamp(1, 64))))),
        })
    }

    /// Part `index` of an aggregate.
    pub(super) fn part(&mut self, operand: &Operand, index: u32) -> Operand {
        let Some((ty, _)) = self.types.part(self.type_of(operand), index) else { return operand.clone() };
        let constant = match operand {
            Operand::Value(_) => {
                return self.emit(ty, InstructionKind::ExtractValue { aggregate: operand.clone(), path: vec![index] });
            }
            Operand::Constant(constant) => constant,
        };
        let kind = match &constant.kind {
            ConstantKind::Aggregate(parts) => match parts.get(index as usize) {
                Some(part) => return Operand::Constant(part.clone()),
                None => ConstantKind::Poison,
            },
            ConstantKind::Zero if matches!(self.types.get(ty), Type::Int(_)) => ConstantKind::Int(0),
            other => other.clone(),
        };
        Operand::Constant(Constant { ty, kind })
    }

    /// The parts of a wide integer that has two.
    pub(super) fn halves(&mut self, operand: &Operand) -> (Operand, Operand) {
        (self.part(operand, 0), self.part(operand, 1))
    }

    /// The aggregate of these parts; a constant if they all are.
    pub(super) fn gather(&mut self, ty: TypeId, parts: Vec<Operand>) -> Operand {
        let constants: Option<Vec<Constant>> = parts
            .iter()
            .map(|part| match part {
                Operand::Constant(constant) => Some(constant.clone()),
                Operand::Value(_) => None,
            })
            .collect();
        if let Some(constants) = constants {
            return Operand::Constant(Constant { ty, kind: ConstantKind::Aggregate(constants) });
        }
        let mut whole = Operand::Constant(Constant { ty, kind: ConstantKind::Poison });
        for (index, element) in (0..).zip(parts) {
            whole = self.emit(ty, InstructionKind::InsertValue { aggregate: whole, element, path: vec![index] });
        }
        whole
    }

    /// The vector whose elements `each` gives.
    pub(super) fn lanes(
        &mut self,
        ty: TypeId,
        count: u32,
        mut each: impl FnMut(&mut Self, u32) -> Expanded<Operand>,
    ) -> Expanded<Operand> {
        let mut parts = Vec::with_capacity(count as usize);
        for lane in 0..count {
            parts.push(each(self, lane)?);
        }
        Ok(self.gather(ty, parts))
    }

    /// Appends an instruction as it is.
    pub(super) fn append(&mut self, result: Option<ValueId>, kind: InstructionKind) {
        self.out.push(Instruction { result, kind, location: self.location });
    }

    /// Appends an instruction with a new result.
    pub(super) fn emit(&mut self, ty: TypeId, kind: InstructionKind) -> Operand {
        let value = ValueId(self.value_types.len() as u32);
        self.value_types.push(ty);
        self.append(Some(value), kind);
        Operand::Value(value)
    }

    /// Gives a value to the result that the rest of the function knows.
    pub(super) fn define(&mut self, result: ValueId, value: Operand) {
        let newest = ValueId(self.value_types.len().saturating_sub(1) as u32);
        match self.out.last_mut() {
            // The last instruction is the one: it defines the result itself.
            Some(last) if value == Operand::Value(newest) && last.result == Some(newest) && newest != result => {
                last.result = Some(result);
                self.value_types.pop();
            }
            _ => self.append(Some(result), InstructionKind::Freeze { operand: value }),
        }
    }

    /// `lhs op rhs` of scalars, without those that change nothing.
    pub(super) fn binary(&mut self, op: BinaryOp, lhs: &Operand, rhs: &Operand) -> Operand {
        let zero =
            |operand: &Operand| matches!(operand, Operand::Constant(Constant { kind: ConstantKind::Int(0), .. }));
        match op {
            BinaryOp::Add | BinaryOp::Or | BinaryOp::Xor if zero(rhs) => lhs.clone(),
            BinaryOp::Add | BinaryOp::Or | BinaryOp::Xor if zero(lhs) => rhs.clone(),
            BinaryOp::Sub | BinaryOp::Shl | BinaryOp::LShr | BinaryOp::AShr if zero(rhs) => lhs.clone(),
            BinaryOp::Mul | BinaryOp::And if zero(lhs) => lhs.clone(),
            BinaryOp::Mul | BinaryOp::And if zero(rhs) => rhs.clone(),
            _ => {
                let ty = self.type_of(lhs);
                self.emit(ty, InstructionKind::Binary { op, lhs: lhs.clone(), rhs: rhs.clone() })
            }
        }
    }

    /// `lhs op number`.
    pub(super) fn binary_number(&mut self, op: BinaryOp, lhs: &Operand, value: u64) -> Operand {
        let bits = self.bits(self.type_of(lhs));
        let rhs = self.number(bits, value);
        self.binary(op, lhs, &rhs)
    }

    /// A comparison of scalars.
    pub(super) fn compare(&mut self, predicate: IntPredicate, lhs: &Operand, rhs: &Operand) -> Operand {
        let ty = self.int(1);
        self.emit(ty, InstructionKind::Compare { predicate, lhs: lhs.clone(), rhs: rhs.clone() })
    }

    /// A selection by one bit.
    pub(super) fn select(&mut self, condition: &Operand, if_true: &Operand, if_false: &Operand) -> Operand {
        let ty = self.type_of(if_true);
        let (condition, if_true, if_false) = (condition.clone(), if_true.clone(), if_false.clone());
        self.emit(ty, InstructionKind::Select { condition, if_true, if_false })
    }

    /// An integer of at most 64 bits as one of another width, extended as `extension` says or truncated.
    pub(super) fn resize(&mut self, operand: &Operand, bits: u32, extension: CastOp) -> Operand {
        let from = self.bits(self.type_of(operand));
        if from == bits {
            return operand.clone();
        }
        if let Operand::Constant(Constant { kind: ConstantKind::Int(value), .. }) = operand
            && (extension == CastOp::ZeroExtend || bits < from)
        {
            return self.number(bits, *value as u64);
        }
        let ty = self.int(bits);
        let op = if bits < from { CastOp::Trunc } else { extension };
        self.emit(ty, InstructionKind::Cast { op, operand: operand.clone() })
    }

    /// A call of an intrinsic.
    pub(super) fn call(&mut self, result: TypeId, name: &str, arguments: &[Operand]) -> Call {
        let parameters: Vec<TypeId> = arguments.iter().map(|argument| self.type_of(argument)).collect();
        let ty = FunctionType { result, parameters, variadic: false };
        let type_id = self.types.intern(Type::Function(ty.clone()), Layout { size: 0, store_size: 0, align: 1 });
        let arguments = arguments
            .iter()
            .map(|operand| Argument { operand: operand.clone(), attributes: ParameterAttributes::default() });
        Call {
            callee: Callee::Intrinsic { name: name.to_owned(), overloads: vec![result] },
            ty,
            type_id,
            arguments: arguments.collect(),
            result_attributes: ParameterAttributes::default(),
            attributes: FunctionAttributes::default(),
            must_tail: false,
        }
    }

    /// The result of an intrinsic, itself expanded if need be.
    pub(super) fn intrinsic_of(&mut self, result: TypeId, name: &str, arguments: &[Operand]) -> Expanded<Operand> {
        let call = self.call(result, name, arguments);
        self.operation(result, InstructionKind::Call(Box::new(call)))
    }
}
