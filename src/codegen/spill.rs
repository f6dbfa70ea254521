//! Moves registers that do not fit to the linear frame: a load before each use, a store after each definition.
//!
//! Must never hold: the choice of registers (`allocate`). A register that only ever holds one constant is made anew instead.

use super::machine::{
    Arg, Block, Const, Function, Inst, InstKind, Reg, Source, TailTarget, Target, Terminator, VReg, for_each_register,
};
use espb_format::opcode::Opcode;
use std::collections::HashMap;

/// What stands for a register that was spilled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Home {
    /// Two words of the frame at most, from this offset on.
    Memory(u32),
    /// A constant.
    Constant(Const),
}

struct Spiller<'a> {
    function: &'a mut Function,
    homes: HashMap<VReg, Home>,
    fixed: &'a mut Vec<bool>,
}

/// Rewrites the function so that `spilled` live in memory: webs of registers, each with its lane in the web. Registers made here are marked in `fixed`.
pub fn spill(function: &mut Function, order: &[Block], spilled: &[Vec<(VReg, u8)>], fixed: &mut Vec<bool>) {
    let constants = constants(function, order);
    let mut homes = HashMap::new();
    for web in spilled {
        let memory = function.frame_slot(8, 8);
        for (vreg, lane) in web {
            let home = match constants.get(vreg).copied().flatten() {
                Some(constant) => Home::Constant(constant),
                None => Home::Memory(memory + 4 * u32::from(*lane)),
            };
            homes.insert(*vreg, home);
        }
    }
    fixed.resize(function.widths.len(), false);
    let mut spiller = Spiller { function, homes, fixed };
    for block in order {
        spiller.block(*block);
    }
}

/// Registers whose only definition is a constant.
fn constants(function: &Function, order: &[Block]) -> HashMap<VReg, Option<Const>> {
    let mut found: HashMap<VReg, Option<Const>> = HashMap::new();
    for block in order {
        for inst in &function.blocks[block.index()].insts {
            let mut note = |vreg: VReg, value: Option<Const>| {
                let single = function.widths.get(vreg.0 as usize) == Some(&1);
                found.entry(vreg).and_modify(|known| *known = None).or_insert(value.filter(|_| single));
            };
            if let InstKind::Copy(moves) = &inst.kind {
                for (to, from) in moves {
                    note(
                        to.vreg,
                        match from {
                            // The stack pointer is not the same everywhere if it moves.
                            Source::Const(Const::Stack(_)) if function.frame_pointer.is_some() => None,
                            Source::Const(value) => Some(*value),
                            _ => None,
                        },
                    );
                }
            } else {
                inst.for_each_lane(|reg, access| {
                    if access == super::machine::Access::Def {
                        note(reg.vreg, None);
                    }
                });
            }
        }
    }
    found
}

impl Spiller<'_> {
    fn temp(&mut self, lanes: u8) -> VReg {
        let vreg = self.function.vreg(lanes);
        self.fixed.resize(self.function.widths.len(), false);
        if let Some(mark) = self.fixed.last_mut() {
            *mark = true;
        }
        vreg
    }

    fn home(&self, reg: Reg) -> Option<Home> {
        self.homes.get(&reg.vreg).copied()
    }

    fn block(&mut self, block: Block) {
        let Some(body) = self.function.blocks.get_mut(block.index()) else { return };
        let insts = std::mem::take(&mut body.insts);
        let mut terminator = std::mem::replace(&mut body.terminator, Terminator::Unreachable);
        let location = body.location;
        let mut out = Vec::with_capacity(insts.len());
        for inst in insts {
            self.inst(inst, &mut out);
        }
        match &mut terminator {
            Terminator::Branch { opcode, args, .. } => {
                let mut reads = Vec::new();
                for_each_register(*opcode, &args[..], |position, reg, slots, _, _| reads.push((position, reg, slots)));
                for (position, reg, slots) in reads {
                    if let Some(temp) = self.load(reg, slots, location, &mut out)
                        && let Some(arg) = args.get_mut(position)
                    {
                        *arg = Arg::Reg(temp);
                    }
                }
            }
            Terminator::Switch { index, .. } => {
                if let Some(temp) = self.load(*index, 1, location, &mut out) {
                    *index = temp;
                }
            }
            Terminator::Return { opcode, value: Some(reg) } => {
                let slots = if *opcode == Opcode::ReturnValue64 { 2 } else { 1 };
                if let Some(temp) = self.load(*reg, slots, location, &mut out) {
                    *reg = temp;
                }
            }
            Terminator::TailCall(call) => {
                if let TailTarget::Indirect { address, .. } = &mut call.target
                    && let Some(temp) = self.load(*address, 1, location, &mut out)
                {
                    *address = temp;
                }
                for argument in &mut call.arguments {
                    *argument = self.source(*argument);
                }
            }
            Terminator::Jump(_) | Terminator::Return { value: None, .. } | Terminator::Unreachable => {}
        }
        if let Some(body) = self.function.blocks.get_mut(block.index()) {
            body.insts = out;
            body.terminator = terminator;
        }
    }

    /// A fresh register with the value of a spilled one; `None` for one that was not spilled.
    fn load(
        &mut self,
        reg: Reg,
        slots: u8,
        location: Option<crate::ir::DebugLocation>,
        out: &mut Vec<Inst>,
    ) -> Option<Reg> {
        let home = self.home(reg)?;
        let temp = self.temp(slots);
        let moves = (0..slots).map(|lane| (temp.lane(lane), source(home, reg.lane + lane))).collect();
        out.push(Inst { kind: InstKind::Copy(moves), location });
        Some(temp.whole())
    }

    fn inst(&mut self, inst: Inst, out: &mut Vec<Inst>) {
        let location = inst.location;
        let mut after = Vec::new();
        let kind = match inst.kind {
            InstKind::Op { opcode, mut args } => {
                let mut registers = Vec::new();
                for_each_register(opcode, &args, |position, reg, slots, read, written| {
                    registers.push((position, reg, slots, read, written))
                });
                for (position, reg, slots, read, written) in registers {
                    let Some(home) = self.home(reg) else { continue };
                    let temp = match if read { self.load(reg, slots, location, out) } else { None } {
                        Some(loaded) => loaded,
                        None => self.temp(slots).whole(),
                    };
                    if let Some(arg) = args.get_mut(position) {
                        *arg = Arg::Reg(temp);
                    }
                    if written {
                        self.store(temp, home, reg.lane, slots, location, &mut after);
                    }
                }
                InstKind::Op { opcode, args }
            }
            InstKind::Copy(moves) => {
                let mut kept = Vec::with_capacity(moves.len());
                for (to, from) in moves {
                    let from = self.source(from);
                    match self.home(to) {
                        // A copy onto its own home, or the making of a constant that is made anew at each use.
                        Some(Home::Memory(offset)) if from == Source::Memory(offset + 4 * u32::from(to.lane)) => {}
                        Some(Home::Constant(_)) => {}
                        Some(home) => {
                            let temp = self.temp(1).whole();
                            kept.push((temp, from));
                            self.store(temp, home, to.lane, 1, location, &mut after);
                        }
                        None => kept.push((to, from)),
                    }
                }
                InstKind::Copy(kept)
            }
            InstKind::Parameters(mut lanes) => {
                for reg in &mut lanes {
                    if let Some(home) = self.home(*reg) {
                        let temp = self.temp(1).whole();
                        self.store(temp, home, reg.lane, 1, location, &mut after);
                        *reg = temp;
                    }
                }
                InstKind::Parameters(lanes)
            }
            InstKind::Call(mut call) => {
                if let Target::Indirect { address, .. } = &mut call.target
                    && let Some(temp) = self.load(*address, 1, location, out)
                {
                    *address = temp;
                }
                for argument in &mut call.arguments {
                    *argument = self.source(*argument);
                }
                for reg in &mut call.results {
                    if let Some(home) = self.home(*reg) {
                        let temp = self.temp(1).whole();
                        self.store(temp, home, reg.lane, 1, location, &mut after);
                        *reg = temp;
                    }
                }
                InstKind::Call(call)
            }
        };
        out.push(Inst { kind, location });
        out.extend(after);
    }

    fn source(&self, from: Source) -> Source {
        match from {
            Source::Lane(reg) => self.home(reg).map_or(from, |home| source(home, reg.lane)),
            other => other,
        }
    }

    fn store(
        &mut self,
        from: Reg,
        home: Home,
        lane: u8,
        slots: u8,
        location: Option<crate::ir::DebugLocation>,
        after: &mut Vec<Inst>,
    ) {
        let Home::Memory(offset) = home else { return };
        let offset = offset + 4 * u32::from(lane);
        let wide = slots == 2;
        let kind = match self.function.frame_pointer {
            None => {
                let opcode = if wide { Opcode::StoreStack64 } else { Opcode::StoreStack32 };
                InstKind::Op {
                    opcode,
                    args: [Arg::Reg(from), Arg::Imm(i64::from(offset) / if wide { 8 } else { 4 }), Arg::Imm(0)],
                }
            }
            Some(frame_pointer) => {
                let base = self.temp(1).whole();
                let add = [Arg::Reg(base), Arg::Reg(frame_pointer.whole()), Arg::Imm(offset.into())];
                after.push(Inst { kind: InstKind::Op { opcode: Opcode::AddImmediateWide, args: add }, location });
                let opcode = if wide { Opcode::Store64 } else { Opcode::Store32 };
                InstKind::Op { opcode, args: [Arg::Reg(from), Arg::Reg(base), Arg::Imm(0)] }
            }
        };
        after.push(Inst { kind, location });
    }
}

fn source(home: Home, lane: u8) -> Source {
    match home {
        Home::Memory(offset) => Source::Memory(offset + 4 * u32::from(lane)),
        Home::Constant(value) => Source::Const(value),
    }
}
