//! Joins two instructions of a block to one where the opcode table has it: what the first computes is only for the second.
//!
//! docs/performance.md says which pairs, and how often they are executed. Must never hold: slots. Instructions that read and write the same
//! register get it by a copy in front, which allocation makes disappear where the old value is not needed any more.

use std::collections::BTreeMap;

use super::machine::{Access, Arg, Block, Function, Inst, InstKind, Reg, Source, Terminator, VReg};
use super::occurrences::Occurrences;
use crate::ir::DebugLocation;
use espb_format::opcode::Opcode;

/// How far apart, in instructions, two may be that are joined.
const REACH: usize = 12;

struct Fuser<'a> {
    occurrences: &'a Occurrences,
    /// The code so far; what became part of a later instruction is an empty copy.
    out: Vec<Inst>,
    /// Copies to be put in front of an instruction of `out`.
    before: BTreeMap<usize, Inst>,
}

/// Rewrites the blocks in `order`.
pub fn fuse(function: &mut Function, order: &[Block]) {
    let occurrences = Occurrences::new(function, order);
    for block in order {
        let body = &mut function.blocks[block.index()];
        let insts = std::mem::take(&mut body.insts);
        let mut fuser =
            Fuser { occurrences: &occurrences, out: Vec::with_capacity(insts.len()), before: BTreeMap::new() };
        for inst in insts {
            fuser.take(inst);
        }
        fuser.terminator(&mut body.terminator, body.location);
        let before = &mut fuser.before;
        body.insts = fuser
            .out
            .into_iter()
            .enumerate()
            .flat_map(|(at, inst)| before.remove(&at).into_iter().chain([inst]))
            .collect();
    }
}

fn op(opcode: Opcode, args: [Arg; 3], location: Option<DebugLocation>) -> Inst {
    Inst { kind: InstKind::Op { opcode, args }, location }
}

fn copy(to: Reg, from: Reg, location: Option<DebugLocation>) -> Inst {
    Inst { kind: InstKind::Copy(vec![(to, Source::Lane(from))]), location }
}

fn nothing() -> InstKind {
    InstKind::Copy(Vec::new())
}

fn touches(inst: &Inst, vreg: VReg, accesses: &[Access]) -> bool {
    let mut found = false;
    inst.for_each_lane(|reg, access| found |= reg.vreg == vreg && accesses.contains(&access));
    found
}

impl Fuser<'_> {
    /// The nearby instruction that writes `reg`, if nothing since wrote what it reads.
    fn definition(&self, reg: Reg) -> Option<(usize, Opcode, [Arg; 3])> {
        if !self.occurrences.is_simple(reg) {
            return None;
        }
        let first = self.out.len().saturating_sub(REACH);
        let at = (first..self.out.len()).rev().find(|at| touches(&self.out[*at], reg.vreg, &[Access::Def]))?;
        let InstKind::Op { opcode, args } = self.out[at].kind else { return None };
        let mut intact = !self.before.contains_key(&at);
        self.out[at].for_each_lane(|read, access| {
            intact &= access == Access::Def || self.is_untouched(at + 1, read.vreg, &[Access::Def]);
        });
        intact.then_some((at, opcode, args))
    }

    /// Whether the code from `at` on leaves a register alone.
    fn is_untouched(&self, at: usize, vreg: VReg, accesses: &[Access]) -> bool {
        let copies = self.before.range(at..).all(|(_, inst)| !touches(inst, vreg, accesses));
        copies && self.out.get(at..).is_some_and(|rest| rest.iter().all(|inst| !touches(inst, vreg, accesses)))
    }

    /// The definition of a register that is read once.
    fn only_for_this(&self, reg: Reg) -> Option<(usize, Opcode, [Arg; 3])> {
        if self.occurrences.of(reg.vreg).reads == 1 { self.definition(reg) } else { None }
    }

    fn take(&mut self, inst: Inst) {
        let InstKind::Op { opcode, args } = &inst.kind else {
            self.out.push(inst);
            return;
        };
        let joined = match (opcode, args) {
            (Opcode::Add, [Arg::Reg(to), Arg::Reg(a), Arg::Reg(b)]) => {
                self.add(*to, *a, *b, &inst) || self.add(*to, *b, *a, &inst)
            }
            (Opcode::AndByte, [Arg::Reg(to), Arg::Reg(a), Arg::Imm(mask)]) => self.mask(*to, *a, *mask, &inst),
            (Opcode::AddImmediate, [Arg::Reg(to), Arg::Reg(base), Arg::Imm(step)]) => {
                self.step(*to, *base, *step, &inst)
            }
            (Opcode::Load8 | Opcode::Load32, [Arg::Reg(to), Arg::Reg(base), Arg::Imm(0)]) => {
                self.load(*opcode, *to, *base, &inst)
            }
            _ => false,
        };
        if !joined {
            self.out.push(inst);
        }
    }

    /// `to = product + other` and `to = (index << n) + other`.
    fn add(&mut self, to: Reg, term: Reg, other: Reg, inst: &Inst) -> bool {
        let Some((at, opcode, args)) = self.only_for_this(term) else { return false };
        match (opcode, args) {
            (Opcode::Mul, [_, Arg::Reg(a), Arg::Reg(b)]) if a.vreg != to.vreg && b.vreg != to.vreg => {
                self.out[at].kind = nothing();
                if to != other {
                    self.out.push(copy(to, other, inst.location));
                }
                self.out.push(op(Opcode::MulAdd, [Arg::Reg(to), Arg::Reg(a), Arg::Reg(b)], inst.location));
            }
            (Opcode::ShiftLeftImmediate, [_, Arg::Reg(index), Arg::Imm(by @ 1..=4)]) => {
                let opcode = match by {
                    1 => Opcode::AddShifted1,
                    2 => Opcode::AddShifted2,
                    3 => Opcode::AddShifted3,
                    _ => Opcode::AddShifted4,
                };
                self.out[at].kind = nothing();
                self.out.push(op(opcode, [Arg::Reg(to), Arg::Reg(other), Arg::Reg(index)], inst.location));
            }
            _ => return false,
        }
        true
    }

    /// A masked shift or sum.
    fn mask(&mut self, to: Reg, a: Reg, mask: i64, inst: &Inst) -> bool {
        let Some((at, opcode, [_, from, by])) = self.only_for_this(a) else { return false };
        let joined = match (opcode, mask) {
            (Opcode::ShiftRightUnsignedImmediate, 0xff) => Opcode::ExtractByte,
            (Opcode::ShiftRightUnsignedImmediate, 1) => Opcode::ExtractBit,
            (Opcode::AddImmediate, 0xff) => Opcode::AddImmediateByte,
            _ => return false,
        };
        self.out[at].kind = nothing();
        self.out.push(op(joined, [Arg::Reg(to), from, by], inst.location));
        true
    }

    /// An access through `base`, which from then on is only needed `step` further.
    fn step(&mut self, to: Reg, base: Reg, step: i64, inst: &Inst) -> bool {
        if self.occurrences.of(base.vreg).reads != 2
            || !self.occurrences.is_simple(to)
            || self.occurrences.of(base.vreg).lanes != 1
        {
            return false;
        }
        let first = self.out.len().saturating_sub(REACH);
        let Some(at) =
            (first..self.out.len()).rev().find(|at| touches(&self.out[*at], base.vreg, &[Access::Use, Access::Def]))
        else {
            return false;
        };
        let InstKind::Op { opcode, args: [value, Arg::Reg(address), Arg::Imm(0)] } = self.out[at].kind else {
            return false;
        };
        let joined = match opcode {
            Opcode::Load8 => Opcode::Load8Post,
            Opcode::Load16 => Opcode::Load16Post,
            Opcode::Load16Signed => Opcode::Load16SignedPost,
            Opcode::Load32 => Opcode::Load32Post,
            Opcode::Store8 => Opcode::Store8Post,
            Opcode::Store16 => Opcode::Store16Post,
            Opcode::Store32 => Opcode::Store32Post,
            _ => return false,
        };
        // The value must be another register: of the base itself, the access would see it moved or move it.
        if address != base
            || matches!(value, Arg::Reg(value) if value.vreg == base.vreg)
            || self.before.contains_key(&at)
        {
            return false;
        }
        self.before.insert(at, copy(to, base, inst.location));
        let location = self.out[at].location;
        self.out[at] = op(joined, [value, Arg::Reg(to), Arg::Imm(step)], location);
        true
    }

    /// A load through a register that is moved for it, and used at most later.
    fn load(&mut self, opcode: Opcode, to: Reg, base: Reg, inst: &Inst) -> bool {
        let Some((at, Opcode::AddImmediate, [_, Arg::Reg(from), step])) = self.definition(base) else { return false };
        if self.occurrences.of(from.vreg).reads != 1
            || to.vreg == base.vreg
            || !self.is_untouched(at + 1, base.vreg, &[Access::Use, Access::Def])
        {
            return false;
        }
        let joined = if opcode == Opcode::Load8 { Opcode::Load8Pre } else { Opcode::Load32Pre };
        self.out[at].kind = nothing();
        self.out.push(copy(base, from, inst.location));
        self.out.push(op(joined, [Arg::Reg(to), Arg::Reg(base), step], inst.location));
        true
    }

    /// A branch on a register that was just counted.
    fn terminator(&mut self, terminator: &mut Terminator, location: Option<DebugLocation>) {
        let Terminator::Branch { opcode, args, .. } = terminator else { return };
        let (sides, zero): (&[usize], bool) = match opcode {
            Opcode::BranchNonZero | Opcode::BranchZero => (&[0], true),
            Opcode::BranchNotEqual | Opcode::BranchEqual => (&[0, 1], false),
            _ => return,
        };
        for side in sides {
            let Arg::Reg(counted) = args[*side] else { continue };
            let Some((at, Opcode::AddImmediate, [_, Arg::Reg(from), Arg::Imm(step)])) = self.definition(counted) else {
                continue;
            };
            let other = args[1 - *side];
            if self.occurrences.of(from.vreg).reads != 1
                || !zero && (step != 1 || matches!(other, Arg::Reg(other) if other.vreg == counted.vreg))
                || !self.is_untouched(at + 1, counted.vreg, &[Access::Use, Access::Def])
            {
                continue;
            }
            self.out[at].kind = nothing();
            self.out.push(copy(counted, from, location));
            (*opcode, *args) = match *opcode {
                Opcode::BranchNonZero => (Opcode::AddBranchNonZero, [Arg::Reg(counted), Arg::Imm(step)]),
                Opcode::BranchZero => (Opcode::AddBranchZero, [Arg::Reg(counted), Arg::Imm(step)]),
                Opcode::BranchNotEqual => (Opcode::IncrementBranchNotEqual, [Arg::Reg(counted), other]),
                _ => (Opcode::IncrementBranchEqual, [Arg::Reg(counted), other]),
            };
            return;
        }
    }
}
