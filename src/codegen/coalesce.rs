//! Joins virtual registers that a copy connects and that are never live at once into webs that share slots.
//!
//! Must never hold: slots. A web is as wide as a pair at most; a single register may become half of one.

use super::liveness::{Liveness, Segment};
use super::machine::{Block, Function, InstKind, Reg, Source, VReg};

/// Virtual registers that get the same slots.
#[derive(Clone, Debug, Default)]
pub struct Web {
    /// Lanes: 1 or 2.
    pub width: u8,
    /// Where each lane is live.
    pub lanes: [Vec<Segment>; 2],
    /// Its registers.
    pub members: Vec<VReg>,
}

/// All webs.
#[derive(Clone, Debug, Default)]
pub struct Webs {
    parent: Vec<u32>,
    shift: Vec<u8>,
    webs: Vec<Web>,
}

impl Webs {
    /// Joins what the copies of the blocks in `order` allow, inner loops first.
    pub fn new(function: &Function, order: &[Block], liveness: &mut Liveness) -> Self {
        let mut webs = Vec::with_capacity(function.widths.len());
        for (index, width) in function.widths.iter().enumerate() {
            let vreg = VReg(index as u32);
            let mut lanes = [Vec::new(), Vec::new()];
            for (lane, place) in (0..*width).zip(&mut lanes) {
                *place = std::mem::take(&mut liveness.segments[liveness.lane_base[index] as usize + usize::from(lane)]);
            }
            webs.push(Web { width: *width, lanes, members: vec![vreg] });
        }
        let count = webs.len();
        let mut all = Self { parent: (0..count as u32).collect(), shift: vec![0; count], webs };
        let mut copies: Vec<(u32, Reg, Reg)> = Vec::new();
        for block in order {
            let body = &function.blocks[block.index()];
            for inst in &body.insts {
                if let InstKind::Copy(moves) = &inst.kind {
                    for (to, from) in moves {
                        if let Source::Lane(from) = from {
                            copies.push((body.depth, *to, *from));
                        }
                    }
                }
            }
        }
        copies.sort_by_key(|(depth, _, _)| std::cmp::Reverse(*depth));
        for (_, to, from) in copies {
            all.join(to, from);
        }
        all
    }

    /// The web of a register and the lane of the web that a lane of the register is.
    pub fn find(&self, reg: Reg) -> (usize, u8) {
        let mut index = reg.vreg.0 as usize;
        let mut lane = reg.lane;
        while self.parent[index] as usize != index {
            lane += self.shift[index];
            index = self.parent[index] as usize;
        }
        (index, lane)
    }

    /// A web by the index that [`Webs::find`] gives.
    pub fn web(&self, index: usize) -> &Web {
        &self.webs[index]
    }

    /// Indices of all webs.
    pub fn roots(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.webs.len()).filter(|index| self.parent[*index] as usize == *index)
    }

    fn join(&mut self, a: Reg, b: Reg) {
        let ((root_a, lane_a), (root_b, lane_b)) = (self.find(a), self.find(b));
        if root_a == root_b {
            return;
        }
        // `inner` lies `shift` lanes into `outer`.
        let (outer, inner, shift) =
            if lane_a >= lane_b { (root_a, root_b, lane_a - lane_b) } else { (root_b, root_a, lane_b - lane_a) };
        let width = self.webs[outer].width.max(shift + self.webs[inner].width);
        if width > 2 {
            return;
        }
        for lane in 0..self.webs[inner].width {
            if overlap(&self.webs[inner].lanes[usize::from(lane)], &self.webs[outer].lanes[usize::from(lane + shift)]) {
                return;
            }
        }
        // The smaller number of members moves, but the shift only goes one way.
        let moved = std::mem::take(&mut self.webs[inner]);
        let target = &mut self.webs[outer];
        target.width = width;
        for (lane, segments) in moved.lanes.into_iter().enumerate() {
            if !segments.is_empty() {
                let place = &mut target.lanes[lane + usize::from(shift)];
                *place = merge(std::mem::take(place), segments);
            }
        }
        target.members.extend(moved.members);
        self.parent[inner] = outer as u32;
        self.shift[inner] = shift;
    }
}

/// Whether two ascending lists have a position in common.
pub fn overlap(a: &[Segment], b: &[Segment]) -> bool {
    let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    few.iter().any(|segment| {
        let at = many.partition_point(|other| other.end <= segment.start);
        many.get(at).is_some_and(|other| other.start < segment.end)
    })
}

fn merge(a: Vec<Segment>, b: Vec<Segment>) -> Vec<Segment> {
    let mut all = a;
    all.extend(b);
    all.sort_by_key(|segment| segment.start);
    all
}
