//! Makes constants once: those of loops before the outermost loop, the others at their first use where that comes before all others.
//!
//! Lowering makes each constant right where it is used. Registers survive calls without being saved, so keeping a constant in one costs
//! nothing but the slot. Must never hold: the choice of slots; what does not fit is made anew by `spill`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::analysis::Dominators;
use super::machine::{Block, Const, Function, Inst, InstKind, Reg, Source, VReg};
use super::occurrences::Occurrences;

/// Most constants of a function that are kept in registers: a third of the registers there are.
const MAX_KEPT: usize = 22;

/// The lanes of a constant.
type Value = (Const, Option<Const>);

/// The places where a constant is made.
#[derive(Default)]
struct Makers {
    /// The register made there, and the place.
    places: Vec<(VReg, Block, usize)>,
    /// How often it is made, roughly: ten times for each loop.
    weight: f32,
}

/// Rewrites the function. `order` lists its reachable blocks.
pub fn hoist(function: &mut Function, order: &[Block]) {
    let dominators = Dominators::new(&successors(function));
    let mut makers = collect(function, order);
    makers.retain(|(_, makers)| {
        makers.places.len() > 1 || makers.places.iter().any(|(_, block, _)| function.blocks[block.index()].depth > 0)
    });
    makers.sort_by(|(_, a), (_, b)| b.weight.total_cmp(&a.weight));
    makers.truncate(MAX_KEPT);
    let mut renamed: HashMap<VReg, VReg> = HashMap::new();
    let mut removed: BTreeSet<(Block, usize)> = BTreeSet::new();
    let mut added: BTreeMap<Block, Vec<(usize, VReg, Value)>> = BTreeMap::new();
    for (value, makers) in makers {
        let Some((home, at)) = home(function, &dominators, &makers) else { continue };
        let Some((kept, _, _)) = makers.places.first().copied() else { continue };
        for (vreg, block, index) in makers.places {
            renamed.insert(vreg, kept);
            removed.insert((block, index));
        }
        added.entry(home).or_default().push((at, kept, value));
    }
    if renamed.is_empty() {
        return;
    }
    for block in order {
        rewrite(function, *block, &renamed, &removed, added.remove(block).unwrap_or_default());
    }
}

fn successors(function: &Function) -> Vec<Vec<usize>> {
    let of = |block: &super::machine::BasicBlock| {
        let mut all = Vec::new();
        block.terminator.for_each_successor(|to| all.push(to.index()));
        all.sort_unstable();
        all.dedup();
        all
    };
    function.blocks.iter().map(of).collect()
}

/// Constants made in registers that are written nowhere else, in the order in which they first occur.
fn collect(function: &Function, order: &[Block]) -> Vec<(Value, Makers)> {
    let occurrences = Occurrences::new(function, order);
    let mut found: Vec<(Value, Makers)> = Vec::new();
    let mut index_of: HashMap<Value, usize> = HashMap::new();
    for block in order {
        let body = &function.blocks[block.index()];
        for (index, inst) in body.insts.iter().enumerate() {
            let Some((vreg, value)) = constant(function, inst) else { continue };
            let count = occurrences.of(vreg);
            if count.writes != u32::from(count.lanes) {
                continue;
            }
            let at = *index_of.entry(value).or_insert_with(|| {
                found.push((value, Makers::default()));
                found.len() - 1
            });
            found[at].1.places.push((vreg, *block, index));
            found[at].1.weight += 10f32.powi(body.depth.min(6) as i32);
        }
    }
    found
}

/// The register and value of an instruction that makes a constant and does nothing else.
fn constant(function: &Function, inst: &Inst) -> Option<(VReg, Value)> {
    let InstKind::Copy(moves) = &inst.kind else { return None };
    let fixed = |source: &Source| match source {
        // The stack pointer is not the same everywhere if it moves.
        Source::Const(Const::Stack(_)) if function.frame_pointer.is_some() => None,
        Source::Const(value) => Some(*value),
        _ => None,
    };
    match (moves.as_slice(), function.widths.get(moves.first()?.0.vreg.0 as usize)?) {
        ([(to, from)], 1) => Some((to.vreg, (fixed(from)?, None))),
        ([(low, a), (high, b)], 2) if low.vreg == high.vreg && (low.lane, high.lane) == (0, 1) => {
            Some((low.vreg, (fixed(a)?, Some(fixed(b)?))))
        }
        _ => None,
    }
}

/// Where to make the constant once: a block outside loops that comes before all the places, and the instruction to make it before. There is
/// none where that would make it on ways that do not need it, unless loops do.
fn home(function: &Function, dominators: &Dominators, makers: &Makers) -> Option<(Block, usize)> {
    let depth = |block: usize| function.blocks[block].depth;
    let mut common = makers.places.first()?.1.index();
    for (_, block, _) in &makers.places {
        common = dominators.common(common, block.index())?;
    }
    while depth(common) > 0 {
        let above = dominators.immediate(common)?;
        if above == common {
            return None;
        }
        common = above;
    }
    let in_loop = makers.places.iter().any(|(_, block, _)| depth(block.index()) > 0);
    let here = makers.places.iter().filter(|(_, block, _)| block.index() == common).map(|(_, _, index)| *index).min();
    match here {
        Some(first) => Some((Block(common as u32), first)),
        None if in_loop => Some((Block(common as u32), usize::MAX)),
        None => None,
    }
}

fn rewrite(
    function: &mut Function,
    block: Block,
    renamed: &HashMap<VReg, VReg>,
    removed: &BTreeSet<(Block, usize)>,
    mut added: Vec<(usize, VReg, Value)>,
) {
    let body = &mut function.blocks[block.index()];
    added.sort_by_key(|(at, kept, _)| (*at, *kept));
    let mut added = added.into_iter().peekable();
    let rename = |reg: &mut Reg| reg.vreg = renamed.get(&reg.vreg).copied().unwrap_or(reg.vreg);
    let mut out = Vec::with_capacity(body.insts.len());
    let location = body.location;
    for (index, mut inst) in std::mem::take(&mut body.insts).into_iter().enumerate() {
        while let Some((_, kept, value)) = added.next_if(|(at, _, _)| *at <= index) {
            out.push(Inst { kind: made(kept, value), location: inst.location });
        }
        if !removed.contains(&(block, index)) {
            inst.rename(rename);
            out.push(inst);
        }
    }
    out.extend(added.map(|(_, kept, value)| Inst { kind: made(kept, value), location }));
    body.insts = out;
    body.terminator.rename(rename);
}

fn made(kept: VReg, (low, high): Value) -> InstKind {
    let lanes = [Some(low), high].into_iter().flatten();
    InstKind::Copy((0..).zip(lanes).map(|(lane, value)| (kept.lane(lane), Source::Const(value))).collect())
}
