//! The ends of blocks: jumps, branches, returns, and the copies that phis ask for on each edge.
//!
//! Must never hold: the choice of a switch's form (`switch`) or the order of blocks (`layout`).

use super::Lower;
use super::compare::Test;
use super::emit::{imm, reg};
use crate::codegen::abi::{self, Kind};
use crate::codegen::machine::{self, Arg, Block, Inst, InstKind, Reg, Source, Terminator};
use crate::codegen::refusal::{Lowered, Refusal};
use crate::ir::{self, BlockId, Operand};
use espb_format::opcode::Opcode;

impl Lower<'_, '_> {
    /// Lowers the terminator of `block`; code before it is appended.
    pub fn terminator(&mut self, block: BlockId, terminator: &ir::Terminator) -> Lowered<Terminator> {
        match terminator {
            ir::Terminator::Jump(to) => {
                let copies = self.phi_copies(block, *to)?;
                if !copies.is_empty() {
                    self.push(InstKind::Copy(copies));
                }
                Ok(Terminator::Jump(Block(to.0)))
            }
            ir::Terminator::Branch { condition, if_true, if_false } => {
                let test = self.test(condition)?;
                let (if_true, if_false) = (self.edge(block, *if_true)?, self.edge(block, *if_false)?);
                Ok(branch(test, if_true, if_false))
            }
            ir::Terminator::Switch { value, default, cases } => self.switch(block, value, *default, cases),
            ir::Terminator::IndirectBranch { address, targets } => self.indirect_branch(block, address, targets),
            ir::Terminator::Return(value) => self.return_value(value.as_ref()),
            ir::Terminator::Unreachable => Ok(Terminator::Unreachable),
        }
    }

    /// A new block that inherits place and loop depth.
    pub fn new_block(&mut self, like: BlockId, insts: Vec<Inst>, terminator: Terminator) -> Block {
        let depth = self.facts.depth.get(like.0 as usize).copied().unwrap_or(0);
        self.out.blocks.push(machine::BasicBlock { insts, terminator, location: self.location, depth });
        Block(self.out.blocks.len() as u32 - 1)
    }

    /// Where a branch from `from` to `to` goes: to the block itself, or to one that makes the copies of the edge.
    pub fn edge(&mut self, from: BlockId, to: BlockId) -> Lowered<Block> {
        if let Some(block) = self.edges.get(&(from, to)) {
            return Ok(*block);
        }
        let outer = std::mem::take(&mut self.code);
        let copies = self.phi_copies(from, to);
        let mut insts = std::mem::replace(&mut self.code, outer);
        let copies = copies?;
        let block = if copies.is_empty() {
            Block(to.0)
        } else {
            insts.push(Inst { kind: InstKind::Copy(copies), location: self.location });
            let depth = |block: BlockId| self.facts.depth.get(block.0 as usize).copied().unwrap_or(0);
            let like = if depth(from) < depth(to) { from } else { to };
            self.new_block(like, insts, Terminator::Jump(Block(to.0)))
        };
        self.edges.insert((from, to), block);
        Ok(block)
    }

    fn phi_copies(&mut self, from: BlockId, to: BlockId) -> Lowered<Vec<(Reg, Source)>> {
        let function = self.function;
        let mut copies = Vec::new();
        let Some(target) = function.blocks.get(to.0 as usize) else { return Ok(copies) };
        for phi in &target.phis {
            let Some((_, operand)) = phi.incoming.iter().find(|(block, _)| *block == from) else { continue };
            for leaf in 0..self.leaf_count(phi.result) {
                let kind = self.leaf_kind(phi.result, leaf);
                if kind.bits() > 64 {
                    return Err(abi::wide(kind.bits()));
                }
                let dest = self.want(phi.result, leaf);
                for lane in 0..kind.lanes() {
                    let source = self.source(operand, leaf, lane)?;
                    if source != Source::Lane(dest.lane(lane)) {
                        copies.push((dest.lane(lane), source));
                    }
                }
            }
        }
        Ok(copies)
    }

    fn return_value(&mut self, value: Option<&Operand>) -> Lowered<Terminator> {
        let plain = Terminator::Return { opcode: Opcode::Return, value: None };
        let Some(value) = value else { return Ok(plain) };
        let Some(ty) = self.function.type_of(value) else { return Ok(plain) };
        let leaves = abi::leaves(&self.unit.module.types, ty)?;
        let (opcode, register) = match leaves.as_slice() {
            [] => return Ok(plain),
            [leaf] => match leaf.kind {
                Kind::Int(bits @ 2..32) => (Opcode::ReturnValue, self.extended_result(value, bits)?),
                kind if kind.bits() > 64 => return Err(abi::wide(kind.bits())),
                kind if kind.lanes() == 1 => (Opcode::ReturnValue, self.get_leaf(value, 0)?),
                _ => (Opcode::ReturnValue64, self.get64_leaf(value, 0)?),
            },
            [low, high] if low.kind.lanes() == 1 && high.kind.lanes() == 1 => {
                let pair = self.temp64();
                let (low, high) = (self.source(value, 0, 0)?, self.source(value, 1, 0)?);
                self.set_pair(pair, low, high);
                (Opcode::ReturnValue64, pair.whole())
            }
            _ => {
                return Err(Refusal::unsupported("a result of more than two registers", "return it through a pointer"));
            }
        };
        Ok(Terminator::Return { opcode, value: Some(register) })
    }

    fn extended_result(&mut self, value: &Operand, bits: u32) -> Lowered<Reg> {
        let attributes = &self.function.result_attributes;
        let aggregate =
            !matches!(self.unit.module.types.get(self.function.ty.result), ir::Type::Int(_) | ir::Type::Pointer);
        let (signed, unsigned) = (attributes.sign_extend, attributes.zero_extend);
        if aggregate {
            let raw = self.get_leaf(value, 0)?;
            let result = self.temp();
            self.zero_extend_into(result, raw, bits);
            return Ok(result);
        }
        match (signed, unsigned) {
            (true, _) => self.get_sign_extended(value),
            (false, true) => self.get_zero_extended(value),
            (false, false) => self.get(value),
        }
    }
}

/// A branch on a test.
pub fn branch(test: Test, if_true: Block, if_false: Block) -> Terminator {
    if if_true == if_false {
        return Terminator::Jump(if_true);
    }
    match test {
        Test::Known(value) => Terminator::Jump(if value { if_true } else { if_false }),
        Test::NonZero { reg: register, inverted, .. } => Terminator::Branch {
            opcode: if inverted { Opcode::BranchZero } else { Opcode::BranchNonZero },
            args: [reg(register), imm(0)],
            if_true,
            if_false,
        },
        Test::Relation { relation, a, b } => Terminator::Branch {
            opcode: relation.branch(matches!(b, Arg::Imm(_))),
            args: [reg(a), b],
            if_true,
            if_false,
        },
    }
}
