//! Takes away copies that only their own block reads: what they were made from is read instead, as long as it has the same value.
//!
//! Must never hold: copies that are read in other blocks; `coalesce` gives them the same slots where it can.

use super::machine::{Access, BasicBlock, Block, Function, InstKind, Reg, Source};
use super::occurrences::Occurrences;
use espb_format::opcode::Opcode;

/// Rewrites the blocks in `order`.
pub fn propagate(function: &mut Function, order: &[Block]) {
    let occurrences = Occurrences::new(function, order);
    for block in order {
        let body = &mut function.blocks[block.index()];
        for at in 0..body.insts.len() {
            let InstKind::Copy(moves) = &body.insts[at].kind else { continue };
            let [(to, Source::Lane(from))] = moves[..] else { continue };
            if occurrences.is_simple(to) && reads_while_same(body, at, to, from) == occurrences.of(to.vreg).reads {
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
