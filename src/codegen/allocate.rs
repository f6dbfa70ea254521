//! Register allocation: slots for webs, windows for calls, and which webs do not fit.
//!
//! Must never hold: rewriting of code (`spill`). Webs that live across calls come first and take the lowest slots, since each call loses everything
//! from its window on; then windows are put right above them; then the rest fills the holes, arguments and results in their windows where they can.

use super::coalesce::{Web, Webs};
use super::liveness::{Liveness, Segment};
use super::machine::{Access, Block, Function, InstKind, Reg, Source, Target, Terminator, VReg};
use super::refusal::{Lowered, Refusal};
use espb_format::operand::MAX_SLOTS;
use std::collections::BTreeMap;

/// Slots below a window that a call uses for its link.
const LINK: u8 = 2;

/// Where everything lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allocation {
    /// Slot of the first lane of each virtual register; `None` for one that is never used.
    pub slots: Vec<Option<u8>>,
    /// Window of each call, in the order of positions.
    pub windows: Vec<u8>,
    /// Slots of the frame.
    pub frame: u8,
}

/// What an attempt gives.
pub enum Outcome {
    /// Everything fits.
    Fits(Allocation),
    /// These webs have to go to memory: their registers, each with its lane in the web.
    Spill(Vec<Vec<(VReg, u8)>>),
}

struct Allocator<'a> {
    webs: &'a Webs,
    liveness: &'a Liveness,
    /// Occupied segments of each slot: start to end and web.
    taken: Vec<BTreeMap<u32, (u32, usize)>>,
    slot: Vec<Option<u8>>,
    weight: Vec<f32>,
    spilled: Vec<usize>,
    hints: Vec<Vec<Hint>>,
}

/// A slot that would save a move.
#[derive(Clone, Copy)]
enum Hint {
    /// Where lane `lane` of the web should be: in the window of a call, this far.
    Window { call: usize, offset: u8, lane: u8 },
    /// In this slot.
    Slot { slot: u8, lane: u8 },
    /// Where lane `theirs` of another web is.
    Web { web: usize, theirs: u8, lane: u8 },
}

/// Tries to give every web of the blocks in `order` its slots. Registers marked in `fixed` cannot go to memory.
pub fn allocate(
    function: &Function,
    order: &[Block],
    liveness: &Liveness,
    webs: &Webs,
    fixed: &[bool],
) -> Lowered<Outcome> {
    let count = function.widths.len();
    let mut allocator = Allocator {
        webs,
        liveness,
        taken: vec![BTreeMap::new(); usize::from(MAX_SLOTS)],
        slot: vec![None; count],
        weight: vec![0.0; count],
        spilled: Vec::new(),
        hints: vec![Vec::new(); count],
    };
    allocator.weigh(function, order, fixed);
    let needs = call_needs(function, liveness)?;
    allocator.collect_hints(function, order);

    let mut crossing = Vec::new();
    let mut local = Vec::new();
    for root in webs.roots() {
        let Some(start) = start_of(webs.web(root)) else { continue };
        let calls = allocator.crossed(root);
        if calls.is_empty() { local.push((start, root)) } else { crossing.push((start, root, calls)) }
    }
    crossing.sort_by_key(|(start, root, _)| (*start, *root));
    local.sort_unstable();

    let mut base = vec![0u8; needs.len()];
    for (_, root, calls) in &crossing {
        let limit = calls
            .iter()
            .filter_map(|call| needs.get(*call))
            .map(|need| MAX_SLOTS - LINK - need)
            .min()
            .unwrap_or(MAX_SLOTS);
        allocator.place(*root, limit, &[]);
    }
    for (_, root, calls) in &crossing {
        if let Some(slot) = allocator.slot[*root] {
            let end = slot + webs.web(*root).width;
            calls.iter().for_each(|call| base[*call] = base[*call].max(end));
        }
    }
    let windows: Vec<u8> = base.iter().map(|base| base + LINK).collect();
    for (_, root) in &local {
        allocator.place(*root, MAX_SLOTS, &windows);
    }
    if !allocator.spilled.is_empty() {
        let members =
            |root: &usize| webs.web(*root).members.iter().map(|vreg| (*vreg, webs.find(vreg.whole()).1)).collect();
        let spilled = allocator.spilled.iter().map(members).collect();
        return Ok(Outcome::Spill(spilled));
    }
    let mut slots = vec![None; count];
    let mut frame = 1;
    for (index, place) in slots.iter_mut().enumerate() {
        let (root, lane) = webs.find(VReg(index as u32).whole());
        if let Some(slot) = allocator.slot[root] {
            *place = Some(slot + lane);
            frame = frame.max(slot + webs.web(root).width);
        }
    }
    for (window, need) in windows.iter().zip(&needs) {
        frame = frame.max(window + need);
    }
    for block in order {
        if let Terminator::TailCall(call) = &function.blocks[block.index()].terminator {
            frame = frame.max(call.slots() as u8);
        }
    }
    Ok(Outcome::Fits(Allocation { slots, windows, frame }))
}

fn start_of(web: &Web) -> Option<u32> {
    web.lanes.iter().filter_map(|lane| lane.first()).map(|segment| segment.start).min()
}

/// Slots that each call's window takes.
fn call_needs(function: &Function, liveness: &Liveness) -> Lowered<Vec<u8>> {
    let mut needs = Vec::with_capacity(liveness.calls.len());
    for site in &liveness.calls {
        let need = match function.blocks[site.block.index()].insts.get(site.index).map(|inst| &inst.kind) {
            // Behind the arguments of an indirect call there is room for the address, should an argument take its slot.
            Some(InstKind::Call(call)) => {
                call.slots.saturating_add(u8::from(matches!(call.target, Target::Indirect { .. })))
            }
            _ => 0,
        };
        if need > MAX_SLOTS - LINK - 8 {
            return Err(Refusal::too_large(
                format!("a call with {need} registers of arguments"),
                "pass a pointer to a struct",
            ));
        }
        needs.push(need);
    }
    Ok(needs)
}

impl Allocator<'_> {
    /// Weight of a web: how often it is used, over how long it blocks its slots.
    fn weigh(&mut self, function: &Function, order: &[Block], fixed: &[bool]) {
        for block in order {
            let body = &function.blocks[block.index()];
            let factor = 10f32.powi(body.depth.min(6) as i32);
            let mut note = |reg: Reg| self.weight[self.webs.find(reg).0] += factor;
            body.insts.iter().for_each(|inst| inst.for_each_lane(|reg, _: Access| note(reg)));
            body.terminator.for_each_use(&mut note);
        }
        for root in self.webs.roots() {
            let web = self.webs.web(root);
            let length: u32 = web.lanes.iter().flatten().map(|segment| segment.end - segment.start).sum();
            self.weight[root] /= length.max(1) as f32;
            if web.members.iter().any(|member| fixed.get(member.0 as usize) == Some(&true)) {
                self.weight[root] = f32::INFINITY;
            }
        }
    }

    fn collect_hints(&mut self, function: &Function, order: &[Block]) {
        let mut call = 0;
        for block in order {
            for inst in &function.blocks[block.index()].insts {
                match &inst.kind {
                    InstKind::Copy(moves) => {
                        for (to, from) in moves {
                            if let Source::Lane(from) = from {
                                let ((to, to_lane), (from, from_lane)) = (self.webs.find(*to), self.webs.find(*from));
                                self.hints[to].push(Hint::Web { web: from, theirs: from_lane, lane: to_lane });
                                self.hints[from].push(Hint::Web { web: to, theirs: to_lane, lane: from_lane });
                            }
                        }
                    }
                    InstKind::Parameters(lanes) => {
                        for (slot, reg) in lanes.iter().enumerate() {
                            let (web, lane) = self.webs.find(*reg);
                            self.hints[web].push(Hint::Slot { slot: slot as u8, lane });
                        }
                    }
                    InstKind::Call(body) => {
                        let arguments = body.arguments.iter().enumerate().filter_map(|(offset, source)| match source {
                            Source::Lane(reg) => Some((offset, *reg)),
                            _ => None,
                        });
                        let results = body.results.iter().copied().enumerate();
                        for (offset, reg) in arguments.chain(results) {
                            let (web, lane) = self.webs.find(reg);
                            self.hints[web].push(Hint::Window { call, offset: offset as u8, lane });
                        }
                        call += 1;
                    }
                    InstKind::Op { .. } => {}
                }
            }
            if let Terminator::TailCall(call) = &function.blocks[block.index()].terminator {
                for (slot, source) in call.arguments.iter().enumerate() {
                    if let Source::Lane(reg) = source {
                        let (web, lane) = self.webs.find(*reg);
                        self.hints[web].push(Hint::Slot { slot: slot as u8, lane });
                    }
                }
            }
        }
    }

    /// Indices of the calls that the web lives across.
    fn crossed(&self, root: usize) -> Vec<usize> {
        let calls = &self.liveness.calls;
        let mut crossed = Vec::new();
        for segment in self.webs.web(root).lanes.iter().flatten() {
            let mut at = calls.partition_point(|call| call.position < segment.start);
            while calls.get(at).is_some_and(|call| call.position + 1 < segment.end) {
                crossed.push(at);
                at += 1;
            }
        }
        crossed.sort_unstable();
        crossed.dedup();
        crossed
    }

    /// Whether the web can lie at `slot`.
    fn is_free(&self, web: &Web, slot: u8) -> bool {
        (0..web.width).all(|lane| {
            let taken = &self.taken[usize::from(slot + lane)];
            web.lanes[usize::from(lane)].iter().all(|segment| conflict(taken, *segment).is_none())
        })
    }

    /// Gives the web a slot below `limit`, or decides who goes to memory.
    fn place(&mut self, root: usize, limit: u8, windows: &[u8]) {
        let webs = self.webs;
        let web = webs.web(root);
        let last = limit.min(MAX_SLOTS).checked_sub(web.width);
        let wishes = self.hints[root].iter().filter_map(|hint| match hint {
            Hint::Window { call, offset, lane } => windows.get(*call)?.checked_add(*offset)?.checked_sub(*lane),
            Hint::Slot { slot, lane } => slot.checked_sub(*lane),
            Hint::Web { web, theirs, lane } => self.slot[*web]?.checked_add(*theirs)?.checked_sub(*lane),
        });
        let fits = |slot: &u8| last.is_some_and(|last| *slot <= last) && self.is_free(web, *slot);
        let chosen = wishes.into_iter().find(fits).or_else(|| (0..=last?).find(fits));
        if let Some(slot) = chosen {
            self.take(root, slot);
            return;
        }
        match last.and_then(|last| self.cheapest(root, last)) {
            Some((slot, victims)) => {
                for victim in victims {
                    self.release(victim);
                    self.spilled.push(victim);
                }
                self.take(root, slot);
            }
            None => self.spilled.push(root),
        }
    }

    /// The slot whose webs in the way weigh least together, if that is less than the web itself.
    fn cheapest(&self, root: usize, last: u8) -> Option<(u8, Vec<usize>)> {
        let web = self.webs.web(root);
        let mut best: Option<(f32, u8, Vec<usize>)> = None;
        for slot in 0..=last {
            let mut victims = Vec::new();
            for lane in 0..web.width {
                for segment in &web.lanes[usize::from(lane)] {
                    let taken = &self.taken[usize::from(slot + lane)];
                    let from = taken.range(..segment.end).rev().take_while(|(_, (end, _))| *end > segment.start);
                    victims.extend(from.map(|(_, (_, victim))| *victim));
                }
            }
            victims.sort_unstable();
            victims.dedup();
            let weight: f32 = victims.iter().map(|victim| self.weight[*victim]).sum();
            if weight < self.weight[root] && best.as_ref().is_none_or(|(least, _, _)| weight < *least) {
                best = Some((weight, slot, victims));
            }
        }
        best.map(|(_, slot, victims)| (slot, victims))
    }

    fn take(&mut self, root: usize, slot: u8) {
        let webs = self.webs;
        let web = webs.web(root);
        for lane in 0..web.width {
            for segment in &web.lanes[usize::from(lane)] {
                self.taken[usize::from(slot + lane)].insert(segment.start, (segment.end, root));
            }
        }
        self.slot[root] = Some(slot);
    }

    fn release(&mut self, root: usize) {
        let webs = self.webs;
        let web = webs.web(root);
        let Some(slot) = self.slot[root].take() else { return };
        for lane in 0..web.width {
            for segment in &web.lanes[usize::from(lane)] {
                self.taken[usize::from(slot + lane)].remove(&segment.start);
            }
        }
    }
}

fn conflict(taken: &BTreeMap<u32, (u32, usize)>, segment: Segment) -> Option<usize> {
    taken.range(..segment.end).next_back().filter(|(_, (end, _))| *end > segment.start).map(|(_, (_, web))| *web)
}
