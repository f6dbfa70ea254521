//! From allocated machine code to instructions with slots.
//!
//! Must never hold: decisions about slots; those are all made.

use super::allocate::Allocation;
use super::layout::{self, Code, Item, Located};
use super::machine::{
    self, Arg, Block, Call, Const, Function, Inst, InstKind, Reg, Source, TailCall, TailTarget, Target, Terminator,
};
use super::moves::{From, Step, sequence};
use super::refusal::Lowered;
use crate::ir::DebugLocation;
use espb_format::instruction::{Instruction, range};
use espb_format::opcode::Opcode;
use espb_format::operand::{MAX_SLOTS, Operand};

/// Ends of the regions that constants point into.
#[derive(Clone, Copy, Debug, Default)]
pub struct Regions {
    /// Bytes of data and bss.
    pub linear: u32,
    /// Bytes of constant data.
    pub rodata: u32,
}

struct Emitter<'a> {
    function: &'a Function,
    allocation: &'a Allocation,
    regions: Regions,
    items: Vec<Located>,
    location: Option<DebugLocation>,
    calls: usize,
    /// Two slots behind the frame for exchanges, if there is room.
    scratch: Option<u8>,
}

/// The code of a function and the slots of its frame.
#[derive(Clone, Debug)]
pub struct Emitted {
    /// The code.
    pub code: Code,
    /// Slots of the frame.
    pub slots: u8,
}

/// The code of a function whose blocks in `order` were allocated.
pub fn emit(function: &Function, order: &[Block], allocation: &Allocation, regions: Regions) -> Lowered<Emitted> {
    let scratch = Some(allocation.frame).filter(|frame| *frame <= MAX_SLOTS - 2);
    let mut emitter = Emitter { function, allocation, regions, items: Vec::new(), location: None, calls: 0, scratch };
    let mut bodies: Vec<(Block, Vec<Located>)> = Vec::with_capacity(order.len());
    for block in order {
        for inst in &function.blocks[block.index()].insts {
            emitter.inst(inst);
        }
        bodies.push((*block, std::mem::take(&mut emitter.items)));
    }
    let forward = forwarding(function, &bodies);
    let mut laid: Vec<(Block, Vec<Located>)> = bodies
        .into_iter()
        .enumerate()
        .filter(|(at, (block, _))| *at == 0 || forward[block.index()] == *block)
        .map(|(_, body)| body)
        .collect();
    let followers: Vec<Option<Block>> = laid.iter().skip(1).map(|(block, _)| Some(*block)).chain([None]).collect();
    for ((block, items), next) in laid.iter_mut().zip(followers) {
        let body = &function.blocks[block.index()];
        emitter.location = body.location;
        emitter.terminator(&body.terminator, next, &forward);
        items.append(&mut emitter.items);
    }
    let reads_scratch = |(item, _): &Located| match (item, scratch) {
        (Item::Plain(instruction), Some(scratch)) => {
            instruction.operands().any(|(operand, value)| operand.slots() > 0 && value >= i64::from(scratch))
        }
        _ => false,
    };
    let used = laid.iter().flat_map(|(_, items)| items).any(reads_scratch);
    let code = layout::assemble(&laid, function.blocks.len())?;
    Ok(Emitted { code, slots: allocation.frame + if used { 2 } else { 0 } })
}

/// Where a jump to each block really leads: empty blocks pass it on.
fn forwarding(function: &Function, bodies: &[(Block, Vec<Located>)]) -> Vec<Block> {
    let mut forward: Vec<Block> = (0..function.blocks.len() as u32).map(Block).collect();
    for (block, items) in bodies {
        if let (true, Terminator::Jump(to)) = (items.is_empty(), &function.blocks[block.index()].terminator) {
            forward[block.index()] = *to;
        }
    }
    let mut resolved = forward.clone();
    for (index, place) in resolved.iter_mut().enumerate() {
        let mut at = Block(index as u32);
        // A cycle of empty blocks is an endless loop: each then stands for itself.
        let mut steps = 0;
        while forward[at.index()] != at && steps <= forward.len() {
            at = forward[at.index()];
            steps += 1;
        }
        *place = if steps > forward.len() { Block(index as u32) } else { at };
    }
    resolved
}

impl Emitter<'_> {
    fn slot(&self, reg: Reg) -> u8 {
        self.allocation.slots.get(reg.vreg.0 as usize).copied().flatten().unwrap_or(0) + reg.lane
    }

    fn push(&mut self, instruction: Instruction) {
        self.items.push((Item::Plain(instruction), self.location));
    }

    fn op(&mut self, opcode: Opcode, operands: &[i64]) {
        self.push(Instruction::new(opcode, operands));
    }

    fn arg(&self, arg: Arg) -> i64 {
        match arg {
            Arg::Reg(reg) => self.slot(reg).into(),
            Arg::Imm(value) => value,
        }
    }

    fn inst(&mut self, inst: &Inst) {
        self.location = inst.location;
        match &inst.kind {
            InstKind::Op { opcode, args } => {
                let operands: Vec<i64> = args.iter().take(opcode.operands().len()).map(|arg| self.arg(*arg)).collect();
                self.op(*opcode, &operands);
            }
            InstKind::Copy(moves) => {
                let copies: Vec<(u8, From)> =
                    moves.iter().filter_map(|(to, from)| Some((self.slot(*to), self.from(*from)?))).collect();
                self.copies(&copies);
            }
            InstKind::Parameters(lanes) => {
                let copies: Vec<(u8, From)> = lanes
                    .iter()
                    .enumerate()
                    .filter(|(_, reg)| self.allocation.slots.get(reg.vreg.0 as usize).is_some_and(Option::is_some))
                    .map(|(slot, reg)| (self.slot(*reg), From::Slot(slot as u8)))
                    .collect();
                self.copies(&copies);
            }
            InstKind::Call(call) => self.call(call),
        }
    }

    fn from(&self, source: Source) -> Option<From> {
        match source {
            Source::Lane(reg) => Some(From::Slot(self.slot(reg))),
            Source::Const(value) => Some(From::Const(value)),
            Source::Memory(offset) => Some(From::Memory(offset)),
            Source::Undefined => None,
        }
    }

    fn call(&mut self, call: &Call) {
        let window = self.allocation.windows.get(self.calls).copied().unwrap_or(0);
        self.calls += 1;
        let mut copies: Vec<(u8, From)> = call
            .arguments
            .iter()
            .enumerate()
            .filter_map(|(offset, source)| Some((window + offset as u8, self.from(*source)?)))
            .collect();
        let base = i64::from(window);
        let instruction = match call.target {
            Target::Function(index) => Instruction::new(Opcode::Call, &[base, index.into()]),
            Target::Import(index) => Instruction::new(Opcode::CallImport, &[base, index.into()]),
            Target::Variadic { import, signature } => {
                Instruction::new(Opcode::CallImportVariadic, &[base, import.into(), signature.into()])
            }
            Target::Indirect { address, signature } => {
                let slot = self.aside(&mut copies, self.slot(address), window + call.slots);
                Instruction::new(Opcode::CallIndirect, &[base, slot.into(), signature.into()])
            }
        };
        self.copies(&copies);
        self.push(instruction);
        let results: Vec<(u8, From)> = call
            .results
            .iter()
            .enumerate()
            .filter(|(_, reg)| self.allocation.slots.get(reg.vreg.0 as usize).is_some_and(Option::is_some))
            .map(|(offset, reg)| (self.slot(*reg), From::Slot(window + offset as u8)))
            .collect();
        self.copies(&results);
    }

    fn tail_call(&mut self, call: &TailCall) {
        let sources = call.arguments.iter().enumerate();
        let mut copies: Vec<(u8, From)> =
            sources.filter_map(|(slot, source)| Some((slot as u8, self.from(*source)?))).collect();
        let instruction = match call.target {
            TailTarget::Function(index) => Instruction::new(Opcode::TailCall, &[index.into()]),
            TailTarget::Indirect { address, signature } => {
                let slot = self.aside(&mut copies, self.slot(address), call.arguments.len() as u8);
                Instruction::new(Opcode::TailCallIndirect, &[slot.into(), signature.into()])
            }
        };
        self.copies(&copies);
        self.push(instruction);
    }

    /// Where an address in `slot` is found behind the copies: there, or in `free` if they overwrite it.
    fn aside(&self, copies: &mut Vec<(u8, From)>, slot: u8, free: u8) -> u8 {
        if !copies.iter().any(|(to, from)| *to == slot && *from != From::Slot(slot)) {
            return slot;
        }
        copies.push((free, From::Slot(slot)));
        free
    }

    fn copies(&mut self, copies: &[(u8, From)]) {
        for step in sequence(copies, self.scratch) {
            match step {
                Step::Op(instruction) => self.push(instruction),
                Step::Const { slot, value } => self.constant(slot, value),
                Step::Load { slot, offset } => self.load(slot, offset, false),
                Step::Load64 { slot, offset } => self.load(slot, offset, true),
            }
        }
    }

    fn load(&mut self, slot: u8, offset: u32, wide: bool) {
        let width = if wide { 8 } else { 4 };
        let units = i64::from(offset / width);
        match self.function.frame_pointer {
            None => self.op(if wide { Opcode::LoadStack64 } else { Opcode::LoadStack32 }, &[slot.into(), units]),
            Some(frame_pointer) => {
                let opcode = if wide { Opcode::Load64 } else { Opcode::Load32 };
                let base = i64::from(self.slot(frame_pointer.whole()));
                let units = i64::from(offset / if wide { 8 } else { 1 });
                if units <= range(Operand::Displacement(1)).1 {
                    self.op(opcode, &[slot.into(), base, units]);
                } else {
                    self.op(Opcode::AddImmediateWide, &[slot.into(), base, offset.into()]);
                    self.op(opcode, &[slot.into(), slot.into(), 0]);
                }
            }
        }
    }

    fn constant(&mut self, slot: u8, value: Const) {
        let slot = i64::from(slot);
        let (opcode, offset, end) = match value {
            Const::Int(number) => {
                let signed = i64::from(number as i32);
                let opcode =
                    if i16::try_from(signed).is_ok() { Opcode::LoadImmediate } else { Opcode::LoadImmediateWide };
                return self.op(opcode, &[slot, signed]);
            }
            Const::Callback(index) => return self.op(Opcode::CallbackAddress, &[slot, index.into()]),
            Const::Linear(offset) => (Opcode::StaticAddress, offset, self.regions.linear),
            Const::Rodata(offset) => (Opcode::ConstantAddress, offset, self.regions.rodata),
            Const::Stack(offset) => (Opcode::StackAddress, offset, self.function.frame),
        };
        let (_, reach) = range(Operand::StaticAddress);
        if offset <= end && i64::from(offset) <= reach {
            self.op(opcode, &[slot, offset.into()]);
        } else {
            // Out of direct reach, or an address before or behind everything, which C may compute but not access.
            self.op(opcode, &[slot, 0]);
            self.op(Opcode::AddImmediateWide, &[slot, slot, i64::from(offset as i32)]);
        }
    }

    fn terminator(&mut self, terminator: &Terminator, next: Option<Block>, forward: &[Block]) {
        let to = |block: &Block| forward[block.index()];
        match terminator {
            Terminator::Jump(block) => self.jump(to(block), next),
            Terminator::Branch { opcode, args, if_true, if_false } => {
                let (if_true, if_false) = (to(if_true), to(if_false));
                if if_true == if_false {
                    if let Some((opcode, args)) = machine::counting_part(*opcode, *args) {
                        let operands: Vec<i64> = args.iter().map(|arg| self.arg(*arg)).collect();
                        self.op(opcode, &operands);
                    }
                    return self.jump(if_true, next);
                }
                let count = opcode.operands().len() - 1;
                let operands: Vec<i64> = args.iter().take(count).map(|arg| self.arg(*arg)).collect();
                let depth = |block: Block| self.function.blocks[block.index()].depth;
                // Where neither follows, the branch goes where control goes more often.
                let seldom = Some(if_false) != next && depth(if_true) < depth(if_false);
                let (opcode, target, rest) = if Some(if_true) == next || seldom {
                    (layout::inverted(*opcode), if_false, if_true)
                } else {
                    (*opcode, if_true, if_false)
                };
                self.items.push((Item::Branch { opcode, operands, to: target }, self.location));
                self.jump(rest, next);
            }
            Terminator::Switch { index, table, default } => {
                let index = self.slot(*index).into();
                self.items.push((Item::Switch { index, table: table.iter().map(to).collect() }, self.location));
                self.jump(to(default), next);
            }
            Terminator::Return { opcode, value } => {
                let operands: Vec<i64> = value.iter().map(|reg| self.slot(*reg).into()).collect();
                self.op(*opcode, &operands);
            }
            Terminator::TailCall(call) => self.tail_call(call),
            Terminator::Unreachable => self.op(Opcode::Unreachable, &[]),
        }
    }

    fn jump(&mut self, to: Block, next: Option<Block>) {
        if Some(to) == next {
            return;
        }
        // A jump to a lone return is a return.
        let body = &self.function.blocks[to.index()];
        if let (true, Terminator::Return { .. }) = (body.insts.is_empty(), &body.terminator) {
            let terminator = body.terminator.clone();
            return self.terminator(&terminator, None, &[]);
        }
        self.items.push((Item::Jump(to), self.location));
    }
}
