//! Elements of vectors: taking them out, putting them in, reducing.
//!
//! Must never hold: what is done with one element, or shuffles and computed indices, which LLVM's scalarizer has written with these.

use super::{Expanded, Expander, Rearrangement, Unexpandable};
use crate::ir::function::ValueId;
use crate::ir::instruction::{BinaryOp, InstructionKind, Operand};
use crate::ir::types::{Type, TypeId};

impl Expander<'_> {
    fn count(&self, vector: &Operand) -> u32 {
        match self.types.get(self.type_of(vector)) {
            Type::Vector { count, .. } => *count,
            _ => 1,
        }
    }

    /// Appends the code of a rearrangement.
    pub fn rearrange(&mut self, result: ValueId, rearrangement: Rearrangement) {
        let ty = self.type_of(&Operand::Value(result));
        let value = match rearrangement {
            Rearrangement::Extract { vector, index } => {
                let last = self.count(&vector).saturating_sub(1);
                self.part(&vector, index.min(last))
            }
            Rearrangement::Insert { vector, index, .. } if index >= self.count(&vector) => vector,
            Rearrangement::Insert { vector: aggregate, element, index } => {
                self.emit(ty, InstructionKind::InsertValue { aggregate, element, path: vec![index] })
            }
        };
        self.define(result, value);
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
