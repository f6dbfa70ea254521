//! Takes away copies that only their own block reads: what they were made from is read instead, as long as it has the same value.
//!
//! Must never hold: copies that are read in other blocks; `coalesce` gives them the same slots where it can.

use super::machine::{Access, BasicBlock, Block, Function, InstKind, Reg, Source};
use espb_format::opcode::Opcode;

/// Rewrites the blocks in `order`.
pub fn propagate(function: &mut Function, order: &[Block]) {
    let mut counts = vec![(0u32, 0u32); function.widths.len()];
    for block in order {
        let body = &function.blocks[block.index()];
        let mut count = |reg: Reg, access| {
            if let Some((reads, writes)) = counts.get_mut(reg.vreg.0 as usize) {
                *if access == Access::Use { reads } else { writes } += 1;
            }
        };
        body.insts.iter().for_each(|inst| inst.for_each_lane(&mut count));
        body.terminator.for_each_use(|reg| count(reg, Access::Use));
    }
    let frame_pointer = function.frame_pointer;
    // A single register that is written once.
    let is_simple = |reg: Reg| {
        function.widths.get(reg.vreg.0 as usize) == Some(&1)
            && Some(reg.vreg) != frame_pointer
            && counts.get(reg.vreg.0 as usize).is_some_and(|(_, writes)| *writes == 1)
    };
    for block in order {
        let body = &mut function.blocks[block.index()];
        for at in 0..body.insts.len() {
            let InstKind::Copy(moves) = &body.insts[at].kind else { continue };
            let [(to, Source::Lane(from))] = moves[..] else { continue };
            let reads = counts.get(to.vreg.0 as usize).map_or(0, |(reads, _)| *reads);
            if is_simple(to) && reads_while_same(body, at, to, from) == reads {
                body.insts[at].kind = InstKind::Copy(Vec::new());
                let rename = |reg: &mut Reg| {
                    if *reg == to {
                        *reg = from;
                    }
                };
                body.insts.iter_mut().skip(at).for_each(|inst| inst.rename(rename));
                body.terminator.rename(rename);
            }
        }
    }
}

/// How often the block reads `to`, a copy of `from` made at `at`, before `from` changes. A `setjmp` may come back when it has changed.
fn reads_while_same(body: &BasicBlock, at: usize, to: Reg, from: Reg) -> u32 {
    let mut reads = 0;
    for inst in body.insts.iter().skip(at + 1) {
        if matches!(inst.kind, InstKind::Op { opcode: Opcode::SetJump, .. }) {
            return reads;
        }
        let mut changed = false;
        inst.for_each_lane(|reg, access| {
            reads += u32::from(reg == to && access == Access::Use);
            changed |= reg == from && access == Access::Def;
        });
        if changed {
            return reads;
        }
    }
    body.terminator.for_each_use(|reg| reads += u32::from(reg == to));
    reads
}
