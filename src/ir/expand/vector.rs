//! Elements of vectors: taking them out, putting them in, rearranging, reducing.
//!
//! Must never hold: what is done with one element.

use super::{Expanded, Expander, Rearrangement, Unexpandable};
use crate::ir::constant::{Constant, ConstantKind};
use crate::ir::function::ValueId;
use crate::ir::instruction::{BinaryOp, InstructionKind, IntPredicate, Operand};
use crate::ir::types::{Type, TypeId};

impl Expander<'_> {
    fn count(&self, vector: &Operand) -> u32 {
        match self.types.get(self.type_of(vector)) {
            Type::Vector { count, .. } => *count,
            _ => 1,
        }
    }

    fn known(index: &Operand) -> Option<u32> {
        match index {
            Operand::Constant(Constant { kind: ConstantKind::Int(value), .. }) => u32::try_from(*value).ok(),
            Operand::Constant(Constant { kind: ConstantKind::Zero, .. }) => Some(0),
            _ => None,
        }
    }

    /// Whether a computed index is `lane`.
    fn is_lane(&mut self, index: &Operand, lane: u32) -> Operand {
        let bits = self.bits(self.type_of(index));
        let lane = self.number(bits, lane.into());
        self.compare(IntPredicate::Eq, index, &lane)
    }

    /// Appends the code of a rearrangement.
    pub fn rearrange(&mut self, result: ValueId, rearrangement: Rearrangement) {
        let ty = self.type_of(&Operand::Value(result));
        let value = match rearrangement {
            Rearrangement::Extract { vector, index } => self.extract_element(&vector, &index),
            Rearrangement::Insert { vector, element, index } => self.insert_element(ty, &vector, &element, &index),
            Rearrangement::Shuffle { first, second, indices } => self.shuffle(ty, &first, &second, &indices),
        };
        self.define(result, value);
    }

    fn extract_element(&mut self, vector: &Operand, index: &Operand) -> Operand {
        let count = self.count(vector);
        match Self::known(index) {
            Some(index) => self.part(vector, index.min(count.saturating_sub(1))),
            None => {
                let mut value = self.part(vector, 0);
                for lane in 1..count {
                    let (condition, part) = (self.is_lane(index, lane), self.part(vector, lane));
                    value = self.select(&condition, &part, &value);
                }
                value
            }
        }
    }

    fn insert_element(&mut self, ty: TypeId, vector: &Operand, element: &Operand, index: &Operand) -> Operand {
        let count = self.count(vector);
        match Self::known(index) {
            Some(index) if index < count => {
                let (aggregate, element) = (vector.clone(), element.clone());
                self.emit(ty, InstructionKind::InsertValue { aggregate, element, path: vec![index] })
            }
            Some(_) => vector.clone(),
            None => {
                let mut parts = Vec::new();
                for lane in 0..count {
                    let (condition, part) = (self.is_lane(index, lane), self.part(vector, lane));
                    parts.push(self.select(&condition, element, &part));
                }
                self.gather(ty, parts)
            }
        }
    }

    fn shuffle(&mut self, ty: TypeId, first: &Operand, second: &Operand, indices: &[Option<u32>]) -> Operand {
        let (count, element) = (self.count(first), self.element(ty));
        let parts = indices
            .iter()
            .map(|index| match *index {
                None => Operand::Constant(Constant { ty: element, kind: ConstantKind::Poison }),
                Some(index) if index < count => self.part(first, index),
                Some(index) => self.part(second, index - count),
            })
            .collect();
        self.gather(ty, parts)
    }

    /// `llvm.vector.reduce.*`, from the first element to the last.
    pub(super) fn reduce(&mut self, ty: TypeId, operation: &str, arguments: &[Operand]) -> Expanded<Operand> {
        enum Step {
            Op(BinaryOp),
            Call(&'static str),
        }
        let step = match operation {
            "add" => Step::Op(BinaryOp::Add),
            "mul" => Step::Op(BinaryOp::Mul),
            "and" => Step::Op(BinaryOp::And),
            "or" => Step::Op(BinaryOp::Or),
            "xor" => Step::Op(BinaryOp::Xor),
            "fadd" => Step::Op(BinaryOp::FAdd),
            "fmul" => Step::Op(BinaryOp::FMul),
            "smin" => Step::Call("llvm.smin"),
            "smax" => Step::Call("llvm.smax"),
            "umin" => Step::Call("llvm.umin"),
            "umax" => Step::Call("llvm.umax"),
            "fmin" => Step::Call("llvm.minnum"),
            "fmax" => Step::Call("llvm.maxnum"),
            "fminimum" => Step::Call("llvm.minimum"),
            "fmaximum" => Step::Call("llvm.maximum"),
            _ => {
                let what = format!("the vector reduction {operation} is not supported");
                return Err(Unexpandable { what, help: "write it as a loop over the elements" });
            }
        };
        let (mut value, vector, rest) = match arguments {
            [start, vector] => (start.clone(), vector.clone(), 0),
            [vector] => (self.part(vector, 0), vector.clone(), 1),
            _ => {
                return Err(Unexpandable {
                    what: "a vector reduction without a vector".to_owned(),
                    help: "pass IR that a compiler made",
                });
            }
        };
        for lane in rest..self.count(&vector) {
            let part = self.part(&vector, lane);
            value = match step {
                Step::Op(op) => self.operation(ty, InstructionKind::Binary { op, lhs: value, rhs: part })?,
                Step::Call(name) => self.intrinsic_of(ty, name, &[value, part])?,
            };
        }
        Ok(value)
    }
}
