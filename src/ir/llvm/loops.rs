//! Small natural loops, and how often LLVM's loop-unroll pass is to repeat their body.
//!
//! Must never hold: how often pays.

use super::instruction::{Block, Instruction};
use super::metadata::Metadata;
use super::module::{Function, Module};
use llvm_sys::LLVMOpcode;
use llvm_sys::core::*;
use llvm_sys::debuginfo::{LLVMMetadataReplaceAllUsesWith, LLVMTemporaryMDNode};
use llvm_sys::prelude::{LLVMContextRef, LLVMValueRef};
use std::collections::{HashMap, HashSet};
use std::ptr;

/// Metadata of a loop's last branch.
const LOOP: &str = "llvm.loop";
/// What the pass leaves at a loop that it has unrolled, and a source at one that shall not be.
const DISABLE: &str = "llvm.loop.unroll.disable";
/// The request.
const COUNT: &str = "llvm.loop.unroll.count";

impl Module<'_> {
    /// Asks that the bodies of loops be repeated as often as `turns` says for their size in instructions, if more than once: of loops of up to
    /// `largest` instructions that the pass has not unrolled yet, in functions that `accept` accepts. They are loops that follow pointers:
    /// they call nothing and step no variable. By itself the pass unrolls only loops whose turns can be counted before.
    pub fn request_unrolling(
        &mut self,
        largest: usize,
        accept: impl Fn(&Function<'_>) -> bool,
        turns: impl Fn(usize) -> usize,
    ) {
        let context = self.context();
        // SAFETY: a name and its length.
        let kind = unsafe { LLVMGetMDKindIDInContext(context, LOOP.as_ptr().cast(), LOOP.len() as u32) };
        let latches: Vec<(LLVMValueRef, usize)> = self
            .functions()
            .filter(|function| accept(function))
            .flat_map(|function| small_loops(function, largest))
            .filter(|(latch, _)| !is_settled(*latch, context, kind))
            .map(|(latch, size)| (latch.value().raw(), turns(size)))
            .filter(|(_, turns)| *turns > 1)
            .collect();
        for (latch, turns) in latches {
            // SAFETY: a terminator of this module; the node is of its context. Its first operand is the node itself, as LLVM wants it of loops;
            // LLVM deletes the stand-in that it is made with.
            unsafe {
                let turns = LLVMConstInt(LLVMInt32TypeInContext(context), turns as u64, 0);
                let name = LLVMMDStringInContext2(context, COUNT.as_ptr().cast(), COUNT.len());
                let mut request = [name, LLVMValueAsMetadata(turns)];
                let stand_in = LLVMTemporaryMDNode(context, ptr::null_mut(), 0);
                let mut operands = [stand_in, LLVMMDNodeInContext2(context, request.as_mut_ptr(), request.len())];
                let node = LLVMMDNodeInContext2(context, operands.as_mut_ptr(), operands.len());
                LLVMMetadataReplaceAllUsesWith(stand_in, node);
                LLVMSetMetadata(latch, kind, LLVMMetadataAsValue(context, node));
            }
        }
    }
}

/// Whether the loop that this branch closes was unrolled, or shall not be.
fn is_settled(latch: Instruction<'_>, context: LLVMContextRef, kind: u32) -> bool {
    // SAFETY: an instruction; what it has of this kind is a node of the context, or it has none.
    let node = unsafe {
        let value = LLVMGetMetadata(latch.value().raw(), kind);
        if value.is_null() { None } else { Metadata::new(LLVMValueAsMetadata(value), context) }
    };
    let properties = node.into_iter().flat_map(|node| node.operands()).flatten().filter_map(|operand| operand.node());
    properties
        .filter_map(|property| property.operands().first().copied().flatten()?.string())
        .any(|name| name == DISABLE)
}

/// The natural loops of up to `largest` instructions, phis and branches included, that follow pointers: the branch back, and the size.
fn small_loops<'m>(function: Function<'m>, largest: usize) -> Vec<(Instruction<'m>, usize)> {
    let blocks: HashMap<Block<'m>, Vec<Instruction<'m>>> =
        function.blocks().into_iter().map(|block| (block, block.instructions())).collect();
    let mut predecessors: HashMap<Block<'m>, Vec<Block<'m>>> = HashMap::new();
    for (&block, instructions) in &blocks {
        for successor in instructions.last().map(|last| last.successors()).unwrap_or_default() {
            predecessors.entry(successor).or_default().push(block);
        }
    }
    let mut found = Vec::new();
    for block in function.blocks() {
        let Some(latch) = blocks[&block].last() else { continue };
        for header in latch.successors() {
            found.extend(natural_loop(block, header, largest, &blocks, &predecessors).map(|size| (*latch, size)));
        }
    }
    found
}

/// The size of the natural loop that a branch from `latch` to `header` closes, if it is such a one.
fn natural_loop<'m>(
    latch: Block<'m>,
    header: Block<'m>,
    largest: usize,
    blocks: &HashMap<Block<'m>, Vec<Instruction<'m>>>,
    predecessors: &HashMap<Block<'m>, Vec<Block<'m>>>,
) -> Option<usize> {
    let mut body = HashSet::from([header]);
    let mut waiting = vec![latch];
    let mut size = blocks[&header].len();
    while let Some(block) = waiting.pop() {
        if body.insert(block) {
            size += blocks[&block].len();
            // The first block of a function has none: then the loop can be entered past the header.
            waiting.extend(predecessors.get(&block)?);
        }
        if size > largest {
            return None;
        }
    }
    let instructions = || body.iter().flat_map(|block| blocks[block].iter().copied());
    (!instructions().any(|instruction| is_call(instruction) || is_step(instruction))).then_some(size)
}

fn is_call(instruction: Instruction<'_>) -> bool {
    let callee = instruction.call().map(|(callee, _)| callee);
    callee.is_some_and(|callee| Function::from_value(callee).is_none_or(|callee| callee.intrinsic_name().is_none()))
}

/// Whether an instruction adds something to a variable of the loop for its next turn.
fn is_step(sum: Instruction<'_>) -> bool {
    use LLVMOpcode::{LLVMAdd, LLVMGetElementPtr, LLVMSub};
    let value = sum.value();
    let variables =
        (0..value.operand_count()).filter_map(|index| value.operand(index)).filter_map(Instruction::from_value);
    matches!(sum.opcode(), LLVMAdd | LLVMSub | LLVMGetElementPtr)
        && variables.flat_map(|variable| variable.incoming()).any(|(_, next)| next == value)
}
