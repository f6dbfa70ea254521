//! Where each lane of each virtual register is live, as segments of a linear numbering. Removes code that nobody reads on the way.
//!
//! Where a `setjmp` can be come back to from any later call, what is live behind it counts as live in the whole function, so that nothing else
//! gets its place. Must never hold: slots. Time and memory are linear in code plus blocks × lanes that live across blocks.

use super::machine::{Access, Block, Function, Inst, InstKind, Reg};
use espb_format::opcode::Opcode;

/// A half-open range of positions. Instruction `n` reads at `2n` and writes at `2n + 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First position.
    pub start: u32,
    /// First position after it.
    pub end: u32,
}

/// A call with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallSite {
    /// Position at which it reads its arguments.
    pub position: u32,
    /// Its block.
    pub block: Block,
    /// Its index in the block.
    pub index: usize,
}

/// The result.
#[derive(Clone, Debug, Default)]
pub struct Liveness {
    /// First lane of each virtual register.
    pub lane_base: Vec<u32>,
    /// Segments of each lane, ascending and apart.
    pub segments: Vec<Vec<Segment>>,
    /// All calls, ascending.
    pub calls: Vec<CallSite>,
}

/// What the end of a block reads: its terminator's operands, and the frame pointer, through which spilled registers may be reached anywhere.
fn end_uses(function: &Function, block: usize, mut visit: impl FnMut(Reg)) {
    function.blocks[block].terminator.for_each_use(&mut visit);
    if let Some(frame_pointer) = function.frame_pointer {
        visit(frame_pointer.whole());
    }
}

impl Liveness {
    /// The lane's index into `segments`.
    pub fn lane(&self, reg: Reg) -> usize {
        self.lane_base.get(reg.vreg.0 as usize).map_or(usize::MAX, |base| *base as usize + usize::from(reg.lane))
    }

    /// Computes liveness over the blocks of `order`, the only ones that count.
    pub fn new(function: &mut Function, order: &[Block]) -> Self {
        let mut lane_base = Vec::with_capacity(function.widths.len());
        let mut lanes = 0u32;
        for width in &function.widths {
            lane_base.push(lanes);
            lanes += u32::from(*width);
        }
        let mut liveness = Self { lane_base, segments: vec![Vec::new(); lanes as usize], calls: Vec::new() };
        let live_out = liveness.flow(function, order);
        liveness.scan(function, order, &live_out);
        liveness
    }

    /// Lanes that are live at the end of each block of `order`.
    fn flow(&self, function: &Function, order: &[Block]) -> Vec<Vec<u32>> {
        // Only lanes that some block reads before writing can live across blocks; they get dense numbers.
        let lanes = self.segments.len();
        let mut number = vec![u32::MAX; lanes];
        let mut global = Vec::new();
        let mut written = vec![u32::MAX; lanes];
        for (at, block) in order.iter().enumerate() {
            let body = &function.blocks[block.index()];
            let mut read = |lane: usize, written: &[u32]| {
                if written[lane] != at as u32 && number[lane] == u32::MAX {
                    number[lane] = global.len() as u32;
                    global.push(lane as u32);
                }
            };
            for inst in &body.insts {
                inst.for_each_lane(|reg, access| {
                    if access == Access::Use {
                        read(self.lane(reg), &written);
                    }
                });
                inst.for_each_lane(|reg, access| {
                    if access == Access::Def {
                        written[self.lane(reg)] = at as u32;
                    }
                });
            }
            end_uses(function, block.index(), |reg| read(self.lane(reg), &written));
        }
        let words = global.len().div_ceil(64);
        let mut place = vec![usize::MAX; function.blocks.len()];
        for (at, block) in order.iter().enumerate() {
            place[block.index()] = at;
        }
        let mut generated = vec![vec![0u64; words]; order.len()];
        let mut killed = vec![vec![0u64; words]; order.len()];
        for (at, block) in order.iter().enumerate() {
            let body = &function.blocks[block.index()];
            let (generated, killed) = (&mut generated[at], &mut killed[at]);
            let mut read = |reg: Reg, killed: &[u64]| {
                let number = number[self.lane(reg)];
                if number != u32::MAX && killed[number as usize / 64] >> (number % 64) & 1 == 0 {
                    generated[number as usize / 64] |= 1 << (number % 64);
                }
            };
            for inst in &body.insts {
                inst.for_each_lane(|reg, access| {
                    if access == Access::Use {
                        read(reg, killed);
                    }
                });
                inst.for_each_lane(|reg, access| {
                    let number = number[self.lane(reg)];
                    if access == Access::Def && number != u32::MAX {
                        killed[number as usize / 64] |= 1 << (number % 64);
                    }
                });
            }
            end_uses(function, block.index(), |reg| read(reg, killed));
        }
        let mut live_in = generated.clone();
        let mut live_out = vec![vec![0u64; words]; order.len()];
        let mut changed = true;
        while changed {
            changed = false;
            for at in (0..order.len()).rev() {
                let body = &function.blocks[order[at].index()];
                let mut out = std::mem::take(&mut live_out[at]);
                body.terminator.for_each_successor(|to| {
                    if let Some(next) = live_in.get(place[to.index()]) {
                        out.iter_mut().zip(next).for_each(|(out, next)| *out |= next);
                    }
                });
                for word in 0..words {
                    let new = generated[at][word] | out[word] & !killed[at][word];
                    if new != live_in[at][word] {
                        live_in[at][word] = new;
                        changed = true;
                    }
                }
                live_out[at] = out;
            }
        }
        let lanes_of = |set: &Vec<u64>| {
            let mut lanes = Vec::new();
            for (word, bits) in set.iter().enumerate() {
                let mut bits = *bits;
                while bits != 0 {
                    lanes.push(global[word * 64 + bits.trailing_zeros() as usize]);
                    bits &= bits - 1;
                }
            }
            lanes
        };
        live_out.iter().map(lanes_of).collect()
    }

    /// Builds the segments from the last block to the first.
    fn scan(&mut self, function: &mut Function, order: &[Block], live_out: &[Vec<u32>]) {
        let mut starts = Vec::with_capacity(order.len());
        let mut next = 0u32;
        for block in order {
            starts.push(next);
            next += 2 * (function.blocks[block.index()].insts.len() as u32 + 1);
        }
        let mut kept = Vec::new();
        for at in (0..order.len()).rev() {
            let start = starts[at];
            let mut uses = Vec::new();
            end_uses(function, order[at].index(), |reg| uses.push(self.lane(reg)));
            let block = &mut function.blocks[order[at].index()];
            let terminator = start + 2 * block.insts.len() as u32;
            for lane in &live_out[at] {
                self.extend(*lane as usize, Segment { start, end: terminator + 2 });
            }
            for lane in uses.drain(..) {
                self.extend(lane, Segment { start, end: terminator + 1 });
            }
            for index in (0..block.insts.len()).rev() {
                let position = start + 2 * index as u32;
                let inst = &mut block.insts[index];
                self.drop_dead(inst, position);
                if matches!(inst.kind, InstKind::Op { opcode: Opcode::SetJump, .. }) {
                    kept.extend((0..self.segments.len()).filter(|lane| self.is_live_after(*lane, position)));
                    inst.for_each_lane(|reg, access| {
                        kept.retain(|lane| access == Access::Use || *lane != self.lane(reg))
                    });
                }
                let mut defs = Vec::new();
                inst.for_each_lane(|reg, access| match access {
                    Access::Use => uses.push(self.lane(reg)),
                    Access::Def => defs.push(self.lane(reg)),
                });
                for lane in defs {
                    self.define(lane, position + 1);
                }
                for lane in uses.drain(..) {
                    self.extend(lane, Segment { start, end: position + 1 });
                }
                if matches!(inst.kind, InstKind::Call(_)) {
                    self.calls.push(CallSite { position, block: order[at], index });
                }
            }
        }
        self.segments.iter_mut().for_each(|segments| segments.reverse());
        for lane in kept {
            self.segments[lane] = vec![Segment { start: 0, end: next }];
        }
        self.calls.reverse();
    }

    /// Whether the lane is live right after an instruction that reads at `position`. Only while scanning backwards.
    fn is_live_after(&self, lane: usize, position: u32) -> bool {
        self.segments[lane].last().is_some_and(|segment| segment.start <= position + 1 && segment.end > position + 1)
    }

    fn drop_dead(&self, inst: &mut Inst, position: u32) {
        if let InstKind::Copy(moves) = &mut inst.kind {
            moves.retain(|(to, _)| self.is_live_after(self.lane(*to), position));
            return;
        }
        if !inst.is_pure() {
            return;
        }
        let mut alive = false;
        inst.for_each_lane(|reg, access| {
            alive |= access == Access::Def && self.is_live_after(self.lane(reg), position)
        });
        if !alive {
            inst.kind = InstKind::Copy(Vec::new());
        }
    }

    /// Segments are kept in descending order while scanning.
    fn extend(&mut self, lane: usize, segment: Segment) {
        let segments = &mut self.segments[lane];
        match segments.last_mut() {
            Some(last) if last.start <= segment.end => {
                last.start = last.start.min(segment.start);
                last.end = last.end.max(segment.end);
            }
            _ => segments.push(segment),
        }
    }

    fn define(&mut self, lane: usize, position: u32) {
        let segments = &mut self.segments[lane];
        match segments.last_mut() {
            Some(last) if last.start <= position && last.end > position => last.start = position,
            _ => segments.push(Segment { start: position, end: position + 1 }),
        }
    }
}
