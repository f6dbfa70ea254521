//! Atomic read-modify-write that nothing but a loop of compare-and-exchange can do: minimum, maximum and floating point.
//!
//! Must never hold: operations that host functions do (addition, logic, exchange); they stay as they are.

use super::super::super::{
    AtomicOrdering, BasicBlock, BinaryOp, BlockId, CastOp, DebugLocation, FloatPredicate, Function, Instruction,
    InstructionKind, IntPredicate, Layout, Operand, Phi, RmwOp, Terminator, Type, TypeId, TypeTable, ValueId,
};

/// Whether a host function does the operation on values of this type.
fn is_direct(op: RmwOp) -> bool {
    use RmwOp::*;
    matches!(op, Exchange | Add | Sub | And | Nand | Or | Xor)
}

/// Replaces each such operation of the function. Blocks keep their ids; what was behind an operation moves to a new block.
pub(super) fn expand(types: &mut TypeTable, function: &mut Function) {
    let mut block = 0;
    // New blocks are appended, so that what was behind an operation is looked at in its turn.
    while let Some(body) = function.blocks.get(block) {
        let found = body.instructions.iter().position(
            |instruction| matches!(instruction.kind, InstructionKind::AtomicRmw { op, .. } if !is_direct(op)),
        );
        if let Some(index) = found {
            split(types, function, block, index);
        }
        block += 1;
    }
}

/// The loop's body as it grows.
struct Loop<'f> {
    function: &'f mut Function,
    instructions: Vec<Instruction>,
    location: Option<DebugLocation>,
}

impl Loop<'_> {
    fn value(&mut self, ty: TypeId) -> ValueId {
        self.function.value_types.push(ty);
        ValueId(self.function.value_types.len() as u32 - 1)
    }

    fn define(&mut self, result: ValueId, kind: InstructionKind) -> Operand {
        self.instructions.push(Instruction { result: Some(result), kind, location: self.location });
        Operand::Value(result)
    }

    fn push(&mut self, ty: TypeId, kind: InstructionKind) -> Operand {
        let result = self.value(ty);
        self.define(result, kind)
    }

    /// What the operation makes of the old value.
    fn operate(&mut self, types: &mut TypeTable, op: RmwOp, ty: TypeId, old: &Operand, value: &Operand) -> Operand {
        use RmwOp::*;
        let bool = types.intern(Type::Int(1), Layout { size: 1, store_size: 1, align: 1 });
        let (lhs, rhs) = (old.clone(), value.clone());
        let condition = match op {
            FAdd | FSub => {
                let op = if op == FAdd { BinaryOp::FAdd } else { BinaryOp::FSub };
                return self.push(ty, InstructionKind::Binary { op, lhs, rhs });
            }
            FMax | FMin => {
                // As fmax and fmin: a NaN loses against any number.
                let predicate = if op == FMax { FloatPredicate::Ogt } else { FloatPredicate::Olt };
                let better = self.push(bool, InstructionKind::FloatCompare { predicate, lhs, rhs });
                let (lhs, rhs) = (value.clone(), value.clone());
                let nan = self.push(bool, InstructionKind::FloatCompare { predicate: FloatPredicate::Uno, lhs, rhs });
                self.push(bool, InstructionKind::Binary { op: BinaryOp::Or, lhs: better, rhs: nan })
            }
            _ => {
                let predicate = match op {
                    Max => IntPredicate::Sgt,
                    Min => IntPredicate::Slt,
                    UMax => IntPredicate::Ugt,
                    _ => IntPredicate::Ult,
                };
                self.push(bool, InstructionKind::Compare { predicate, lhs, rhs })
            }
        };
        self.push(ty, InstructionKind::Select { condition, if_true: old.clone(), if_false: value.clone() })
    }
}

fn split(types: &mut TypeTable, function: &mut Function, block: usize, index: usize) {
    let next = BlockId(function.blocks.len() as u32);
    let rest = BlockId(next.0 + 1);
    let start = BlockId(block as u32);
    let Some(body) = function.blocks.get_mut(block) else { return };
    let behind = body.instructions.split_off(index + 1);
    let Some(Instruction { result, kind, location }) = body.instructions.pop() else { return };
    let InstructionKind::AtomicRmw { op, address, value, volatile, ordering } = kind else { return };
    let terminator = std::mem::replace(&mut body.terminator, Terminator::Jump(next));
    let terminator_location = std::mem::replace(&mut body.terminator_location, location);

    // What is compared and exchanged is an integer of the value's size.
    let ty = function.type_of(&value).unwrap_or(TypeId(0));
    let layout = types.layout(ty);
    let integer = types.intern(Type::Int(layout.size * 8), layout);
    let bool = types.intern(Type::Int(1), Layout { size: 1, store_size: 1, align: 1 });
    let found = types.intern(
        Type::Struct { fields: vec![integer, bool], offsets: vec![0, layout.size] },
        Layout { size: layout.size * 2, store_size: layout.size * 2, align: layout.align },
    );
    let is_integer = integer == ty;

    let mut body = Loop { function, instructions: Vec::new(), location };
    let first = body.value(integer);
    let result = result.unwrap_or_else(|| body.value(ty));
    // The old value is the operation's result.
    let old = if is_integer { result } else { body.value(integer) };
    if !is_integer {
        body.define(result, InstructionKind::Cast { op: CastOp::Bitcast, operand: Operand::Value(old) });
    }
    let mut replacement = body.operate(types, op, ty, &Operand::Value(result), &value);
    if !is_integer {
        replacement = body.push(integer, InstructionKind::Cast { op: CastOp::Bitcast, operand: replacement });
    }
    let exchanged = body.push(
        found,
        InstructionKind::CompareExchange {
            address: address.clone(),
            expected: Operand::Value(old),
            replacement,
            weak: true,
            volatile,
            success: ordering,
            failure: AtomicOrdering::Monotonic,
        },
    );
    let seen = body.push(integer, InstructionKind::ExtractValue { aggregate: exchanged.clone(), path: vec![0] });
    let condition = body.push(bool, InstructionKind::ExtractValue { aggregate: exchanged, path: vec![1] });
    let instructions = body.instructions;

    let load =
        InstructionKind::Load { address, align: layout.align, volatile, ordering: Some(AtomicOrdering::Monotonic) };
    if let Some(body) = function.blocks.get_mut(block) {
        body.instructions.push(Instruction { result: Some(first), kind: load, location });
    }
    let old = Phi { result: old, incoming: vec![(start, Operand::Value(first)), (next, seen)] };
    let new_block = |phis, instructions, terminator, terminator_location| BasicBlock {
        name: String::new(),
        phis,
        instructions,
        terminator,
        terminator_location,
        address_taken: false,
    };
    let again = Terminator::Branch { condition, if_true: rest, if_false: next };
    function.blocks.push(new_block(vec![old], instructions, again, location));
    function.blocks.push(new_block(Vec::new(), behind, terminator.clone(), terminator_location));
    // Who came from the block now comes from what was behind the operation.
    terminator.for_each_successor(|successor| {
        let phis = function.blocks.get_mut(successor.0 as usize).map(|block| block.phis.iter_mut());
        for (from, _) in phis.into_iter().flatten().flat_map(|phi| phi.incoming.iter_mut()) {
            if *from == start {
                *from = rest;
            }
        }
    });
}
