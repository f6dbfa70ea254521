//! Order of blocks and form of branches: fall-through, inversion, near and far.
//!
//! Must never hold: virtual registers or module tables.

use super::analysis::{loop_depth, reverse_post_order};
use super::machine::{Block, Function, Terminator};
use super::refusal::{Lowered, Refusal};
use crate::ir::DebugLocation;
use espb_format::instruction::{Instruction, OutOfRange, extension_word, range};
use espb_format::opcode::Opcode;
use espb_format::pair;
use std::collections::{BTreeMap, BTreeSet};

/// A piece of code with physical registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An instruction that is final.
    Plain(Instruction),
    /// A branch; `operands` without the target, which is the last operand.
    Branch { opcode: Opcode, operands: Vec<i64>, to: Block },
    /// A jump.
    Jump(Block),
    /// A switch with its table.
    Switch { index: i64, table: Vec<Block> },
}

/// An item with its place in the source.
pub type Located = (Item, Option<DebugLocation>);

/// The code of a function and where its lines are, in words from its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Code {
    /// The words.
    pub words: Vec<u32>,
    /// Word offset and place, wherever the place changes.
    pub lines: Vec<(u32, Option<DebugLocation>)>,
}

/// Reachable blocks, loops together, outer code last.
pub fn order(function: &Function) -> Vec<Block> {
    let successors: Vec<Vec<usize>> = function
        .blocks
        .iter()
        .map(|block| {
            let mut all = Vec::new();
            block.terminator.for_each_successor(|to| all.push(to.index()));
            all.sort_unstable();
            all.dedup();
            all
        })
        .collect();
    let first = reverse_post_order(&successors, &vec![0; successors.len()]);
    let depth = loop_depth(&successors, &first);
    let order = reverse_post_order(&successors, &depth).into_iter().map(|block| Block(block as u32)).collect();
    rotated(function, order)
}

/// Puts the last block of a loop that only jumps back to the loop's first block right before that one, where control falls into it: the
/// branches that lead to it close the loop then, and the jump is gone. The way into the loop pays for it, once.
fn rotated(function: &Function, mut order: Vec<Block>) -> Vec<Block> {
    let mut place = vec![usize::MAX; function.blocks.len()];
    let mut jumped_to = vec![false; function.blocks.len()];
    for (at, block) in order.iter().enumerate() {
        place[block.index()] = at;
        if let Terminator::Jump(to) = function.blocks[block.index()].terminator {
            jumped_to[to.index()] = true;
        }
    }
    let (mut before, mut moved) = (BTreeMap::new(), BTreeSet::new());
    for (at, block) in order.iter().enumerate() {
        if let Terminator::Jump(to) = function.blocks[block.index()].terminator
            && place[to.index()] < at
            && place[to.index()] > 0
            && !jumped_to[block.index()]
            && !moved.contains(&to)
            && !before.contains_key(&to)
            && !before.contains_key(block)
        {
            before.insert(to, *block);
            moved.insert(*block);
        }
    }
    let mut out = Vec::with_capacity(order.len());
    for block in order.drain(..) {
        if moved.contains(&block) {
            continue;
        }
        if let Some(latch) = before.get(&block) {
            out.push(*latch);
        }
        out.push(block);
    }
    out
}

/// The opposite of a branch.
pub fn inverted(opcode: Opcode) -> Opcode {
    use Opcode::*;
    match opcode {
        BranchNonZero => BranchZero,
        BranchZero => BranchNonZero,
        BranchEqual => BranchNotEqual,
        BranchNotEqual => BranchEqual,
        BranchLessSigned => BranchGreaterEqualSigned,
        BranchGreaterEqualSigned => BranchLessSigned,
        BranchLessUnsigned => BranchGreaterEqualUnsigned,
        BranchGreaterEqualUnsigned => BranchLessUnsigned,
        BranchEqualImmediate => BranchNotEqualImmediate,
        BranchNotEqualImmediate => BranchEqualImmediate,
        BranchLessSignedImmediate => BranchGreaterEqualSignedImmediate,
        BranchGreaterEqualSignedImmediate => BranchLessSignedImmediate,
        BranchLessUnsignedImmediate => BranchGreaterEqualUnsignedImmediate,
        BranchGreaterEqualUnsignedImmediate => BranchLessUnsignedImmediate,
        AddBranchNonZero => AddBranchZero,
        AddBranchZero => AddBranchNonZero,
        IncrementBranchNotEqual => IncrementBranchEqual,
        IncrementBranchEqual => IncrementBranchNotEqual,
        other => other,
    }
}

fn size(item: &Item, is_far: bool) -> u32 {
    match item {
        Item::Plain(instruction) => instruction.words(),
        // The opposite branch over a jump.
        Item::Branch { .. } if is_far => 2,
        Item::Branch { .. } => 1,
        Item::Jump(_) => 1,
        Item::Switch { table, .. } => 1 + table.len() as u32,
    }
}

/// Encodes blocks in their order. `blocks` pairs each block with its items; `count` is one more than the largest block number.
pub fn assemble(blocks: &[(Block, Vec<Located>)], count: usize) -> Lowered<Code> {
    let items: Vec<&Located> = blocks.iter().flat_map(|(_, items)| items).collect();
    let mut is_far = vec![false; items.len()];
    let mut starts = vec![0i64; count];
    let mut places = vec![0i64; items.len()];
    loop {
        let (mut at, mut index) = (0i64, 0);
        for (block, own) in blocks {
            starts[block.index()] = at;
            for (item, _) in own {
                places[index] = at;
                at += i64::from(size(item, is_far[index]));
                index += 1;
            }
        }
        // Branches only ever grow, so this ends.
        let mut grown = false;
        for (index, (item, _)) in items.iter().enumerate() {
            if let Item::Branch { opcode, to, .. } = item
                && !is_far[index]
                && let Some(target) = opcode.operands().last()
            {
                let (low, high) = range(*target);
                let distance = starts[to.index()] - places[index];
                if distance < low || distance > high {
                    is_far[index] = true;
                    grown = true;
                }
            }
        }
        if !grown {
            break;
        }
    }
    let mut code = Code::default();
    let mut last = None;
    for (index, (item, location)) in items.iter().enumerate() {
        if last != Some(*location) {
            code.lines.push((places[index] as u32, *location));
            last = Some(*location);
        }
        let distance = |to: &Block| starts[to.index()] - places[index];
        match item {
            Item::Plain(instruction) => push(&mut code.words, *instruction)?,
            Item::Branch { opcode, operands, to } => {
                let mut operands = operands.clone();
                if is_far[index] {
                    operands.push(2);
                    push(&mut code.words, Instruction::new(inverted(*opcode), &operands))?;
                    push(&mut code.words, Instruction::new(Opcode::Jump, &[distance(to) - 1]))?;
                } else {
                    operands.push(distance(to));
                    push(&mut code.words, Instruction::new(*opcode, &operands))?;
                }
            }
            Item::Jump(to) => push(&mut code.words, Instruction::new(Opcode::Jump, &[distance(to)]))?,
            Item::Switch { index, table } => {
                push(&mut code.words, Instruction::new(Opcode::Switch, &[*index, table.len() as i64]))?;
                code.words.extend(table.iter().map(|to| extension_word(distance(to) as u32 & 0xff_ffff)));
            }
        }
    }
    pair::join(&mut code.words);
    Ok(code)
}

fn push(words: &mut Vec<u32>, instruction: Instruction) -> Lowered<()> {
    let encoded = instruction.encode().map_err(|OutOfRange { opcode, value, .. }| {
        Refusal::too_large(
            format!("the instruction {} cannot hold {value}", opcode.mnemonic()),
            "split the function into smaller ones, and keep its local variables below 64 KiB",
        )
    })?;
    words.push(encoded.word);
    words.extend(encoded.extension);
    Ok(())
}
