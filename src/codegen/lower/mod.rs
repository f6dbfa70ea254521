//! Lowering: a function of the plain IR becomes machine code over virtual registers.
//!
//! Blocks and instructions are visited from the last to the first, so that every use of a value is seen before its definition. A use that can
//! look through a definition (an address folded into a load, a comparison into a branch, a truncation) does so, and a definition that nobody
//! asked for is not emitted. Must never hold: physical registers or encodings.

mod address;
mod aggregate;
mod arguments;
mod assembly;
mod atomic;
mod bits;
mod call;
mod cast;
mod compare;
mod emit;
mod extension;
mod float;
mod integer;
mod integer64;
mod intrinsic;
mod jump;
mod memory;
mod operand;
mod overflow;
mod switch;
mod tail_call;
mod terminator;
mod wide;

use super::abi::{self, Kind};
use super::analysis::Analysis;
use super::machine::{self, Block, Inst, InstKind, Reg, Source, Target, VReg};
use super::refusal::{Lowered, Refusal};
use super::unit::{Unit, list_form};
use crate::ir::{self, BlockId, Callee, DebugLocation, FuncId, InstructionKind, ValueId};
use espb_format::opcode::Opcode;
use std::collections::HashMap;

/// Largest alignment of stack data, in bytes: that of the linear stack pointer.
const STACK_ALIGN: u32 = 16;

/// A refusal and the place where it arose.
pub type Placed = (Refusal, Option<DebugLocation>);

/// State while a function is lowered.
pub(super) struct Lower<'u, 'a> {
    pub unit: &'u mut Unit<'a>,
    pub id: FuncId,
    pub function: &'a ir::Function,
    pub facts: Analysis,
    pub out: machine::Function,
    /// First leaf of each value.
    leaf_base: Vec<u32>,
    /// Kind of each leaf.
    leaf_kinds: Vec<Kind>,
    /// Register of each leaf that somebody asked for.
    registers: Vec<Option<VReg>>,
    /// Frame offset of each static alloca.
    allocas: HashMap<ValueId, u32>,
    /// Where arguments of calls that travel in memory are laid out.
    outgoing: u32,
    /// Where compare-and-exchange puts the expected value, if there is one.
    expected: Option<u32>,
    /// The address of the function's own variable arguments, if it is variadic.
    list: Option<VReg>,
    /// The code of the IR instruction at hand, in order.
    code: Vec<Inst>,
    location: Option<DebugLocation>,
    /// Blocks that hold the copies of an edge.
    edges: HashMap<(BlockId, BlockId), Block>,
}

/// Lowers a defined function.
pub(super) fn lower<'a>(
    unit: &mut Unit<'a>,
    id: FuncId,
    function: &'a ir::Function,
) -> Result<machine::Function, Placed> {
    let facts = Analysis::new(&unit.module.types, function);
    let mut lower = Lower {
        unit,
        id,
        function,
        facts,
        out: machine::Function::default(),
        leaf_base: Vec::new(),
        leaf_kinds: Vec::new(),
        registers: Vec::new(),
        allocas: HashMap::new(),
        outgoing: 0,
        expected: None,
        list: None,
        code: Vec::new(),
        location: None,
        edges: HashMap::new(),
    };
    match lower.run() {
        Ok(()) => Ok(lower.out),
        Err(refusal) => Err((refusal, lower.location)),
    }
}

/// The body of a function that passes its arguments on to a host function; those of a variadic one arrive and go on as a list.
pub(super) fn host_stub(unit: &mut Unit<'_>, host: &ir::Function) -> Lowered<machine::Function> {
    let signature = abi::defined_signature(&unit.module.types, &host.ty)?;
    let name = if host.ty.variadic { list_form(&host.name) } else { None };
    let import = unit.tables.import(name.unwrap_or(&host.name), signature)?;
    let mut out = machine::Function::default();
    let mut incoming = Vec::new();
    for param in signature.params() {
        let vreg = out.vreg(param.slots());
        incoming.extend((0..param.slots()).map(|lane| vreg.lane(lane)));
    }
    let result = out.vreg(signature.result_slots().max(1));
    let results: Vec<Reg> = (0..signature.result_slots()).map(|lane| result.lane(lane)).collect();
    let call = machine::Call {
        target: Target::Import(import),
        arguments: incoming.iter().map(|reg| Source::Lane(*reg)).collect(),
        slots: signature.param_slots().max(signature.result_slots()),
        results,
    };
    let inst = |kind| Inst { kind, location: None };
    let opcode = match signature.result_slots() {
        0 => Opcode::Return,
        1 => Opcode::ReturnValue,
        _ => Opcode::ReturnValue64,
    };
    out.blocks.push(machine::BasicBlock {
        insts: vec![inst(InstKind::Parameters(incoming)), inst(InstKind::Call(Box::new(call)))],
        terminator: machine::Terminator::Return { opcode, value: (opcode != Opcode::Return).then(|| result.whole()) },
        location: None,
        depth: 0,
    });
    Ok(out)
}

impl<'a> Lower<'_, 'a> {
    fn run(&mut self) -> Lowered<()> {
        self.prepare_values()?;
        self.prepare_frame()?;
        let depths = self.facts.depth.clone();
        self.out.blocks =
            depths.iter().map(|depth| machine::BasicBlock { depth: *depth, ..Default::default() }).collect();
        for block in self.facts.order.clone().into_iter().rev() {
            self.block(block)?;
        }
        self.parameters()
    }

    fn prepare_values(&mut self) -> Lowered<()> {
        for (value, ty) in self.function.value_types.iter().enumerate() {
            self.leaf_base.push(self.leaf_kinds.len() as u32);
            match abi::leaves(&self.unit.module.types, *ty) {
                Ok(leaves) => self.leaf_kinds.extend(leaves.iter().map(|leaf| leaf.kind)),
                Err(refusal) => {
                    self.location = self.location_of(ValueId(value as u32));
                    return Err(refusal);
                }
            }
        }
        self.leaf_base.push(self.leaf_kinds.len() as u32);
        self.registers = vec![None; self.leaf_kinds.len()];
        Ok(())
    }

    fn location_of(&self, value: ValueId) -> Option<DebugLocation> {
        self.inst_of(value).and_then(|inst| inst.location)
    }

    /// Gives stack data its place in the frame, and finds out whether the stack pointer moves.
    fn prepare_frame(&mut self) -> Lowered<()> {
        let mut moves = false;
        let mut outgoing = 0;
        for block in self.facts.order.clone() {
            let function = self.function;
            for inst in function.blocks.get(block.0 as usize).map_or(&[][..], |block| &block.instructions) {
                self.location = inst.location;
                match &inst.kind {
                    InstructionKind::Alloca { size, align } => {
                        if *align > STACK_ALIGN {
                            return Err(Refusal::unsupported(
                                format!("a local variable aligned to {align} bytes"),
                                format!("align it to at most {STACK_ALIGN} bytes"),
                            ));
                        }
                        let offset = self.out.frame_slot(*size, *align);
                        if let Some(result) = inst.result {
                            self.allocas.insert(result, offset);
                        }
                    }
                    InstructionKind::DynamicAlloca { .. } => moves = true,
                    InstructionKind::Call(call) => match &call.callee {
                        Callee::Intrinsic { name, .. } => moves |= name == "llvm.stackrestore",
                        Callee::InlineAsm { .. } => {}
                        _ => outgoing = outgoing.max(self.outgoing_size(call)?),
                    },
                    _ => {}
                }
            }
        }
        self.location = None;
        if outgoing > 0 {
            self.outgoing = self.out.frame_slot(outgoing, 8);
        }
        if moves {
            self.out.frame_pointer = Some(self.out.vreg(1));
        }
        Ok(())
    }

    fn block(&mut self, block: BlockId) -> Lowered<()> {
        let function = self.function;
        let Some(body) = function.blocks.get(block.0 as usize) else { return Ok(()) };
        let mut reversed = Vec::new();
        self.location = body.terminator_location;
        let mut instructions = body.instructions.as_slice();
        let mut terminator_location = body.terminator_location;
        let terminator = match self.tail_call(body)? {
            Some(tail_call) => {
                instructions = instructions.split_last().map_or(&[], |(_, rest)| rest);
                terminator_location = self.location;
                tail_call
            }
            None => self.terminator(block, &body.terminator)?,
        };
        reversed.extend(self.code.drain(..).rev());
        for inst in instructions.iter().rev() {
            self.location = inst.location;
            self.instruction(inst)?;
            reversed.extend(self.code.drain(..).rev());
        }
        reversed.reverse();
        if let Some(place) = self.out.blocks.get_mut(block.0 as usize) {
            place.insts = reversed;
            place.terminator = terminator;
            place.location = terminator_location;
        }
        Ok(())
    }

    /// The code of one instruction, if its result is wanted or it does something else.
    fn instruction(&mut self, inst: &'a ir::Instruction) -> Lowered<()> {
        use InstructionKind as K;
        match &inst.kind {
            K::Store { address, value, ordering, .. } => {
                let pair = ordering.is_some() && Self::is_atomic_pair(*ordering, self.kind_of(value)?);
                return if pair { self.atomic_store(address, value) } else { self.store(address, value) };
            }
            K::Call(call) => return self.call(inst.result, call),
            K::Fence { .. } => return Ok(()),
            K::AtomicRmw { op, address, value, .. } => return self.atomic_rmw(inst.result, *op, address, value),
            K::CompareExchange { address, expected, replacement, .. } => {
                return self.compare_exchange(inst.result, address, expected, replacement);
            }
            K::VaArg { .. } => {
                return Err(Refusal::unsupported("the va_arg instruction", "compile with clang for riscv32"));
            }
            K::DynamicAlloca { count, element_size, align } => {
                return self.dynamic_alloca(inst.result, count, *element_size, *align);
            }
            K::Load { volatile: true, .. } => {
                if let Some(result) = inst.result {
                    for leaf in 0..self.leaf_count(result) {
                        self.want(result, leaf);
                    }
                }
            }
            _ => {}
        }
        let Some(result) = inst.result else { return Ok(()) };
        for leaf in 0..self.leaf_count(result) {
            let Some(dest) = self.wanted(result, leaf) else { continue };
            let kind = self.leaf_kind(result, leaf);
            match &inst.kind {
                K::Binary { op, lhs, rhs } => self.binary(dest, kind, *op, lhs, rhs)?,
                K::FloatNegate { operand } => self.float_negate(dest, kind, operand)?,
                K::Compare { predicate, lhs, rhs } => {
                    let test = self.int_test(*predicate, lhs, rhs)?;
                    self.set(dest, test);
                }
                K::FloatCompare { predicate, lhs, rhs } => {
                    let test = self.float_test(*predicate, lhs, rhs)?;
                    self.set(dest, test);
                }
                K::Select { condition, if_true, if_false } => {
                    self.select(dest, kind, condition, if_true, if_false, leaf)?
                }
                K::Cast { op, operand } => self.cast(dest, kind, *op, operand)?,
                K::Load { address, ordering, .. } if Self::is_atomic_pair(*ordering, kind) => {
                    self.atomic_load(result, address)?
                }
                K::Load { address, .. } => self.load(result, leaf, dest, address)?,
                K::Alloca { .. } => self.alloca(result, dest),
                K::Address { base, offset, indices, .. } => self.address(dest, base, *offset, indices)?,
                K::Freeze { .. } | K::ExtractValue { .. } | K::InsertValue { .. } => {
                    self.copy_of(result, leaf, dest)?
                }
                K::Store { .. }
                | K::Call(_)
                | K::Fence { .. }
                | K::AtomicRmw { .. }
                | K::CompareExchange { .. }
                | K::VaArg { .. }
                | K::DynamicAlloca { .. } => {}
            }
        }
        Ok(())
    }

    /// Number of leaves of a value.
    pub fn leaf_count(&self, value: ValueId) -> usize {
        let at = |index: usize| self.leaf_base.get(index).copied().unwrap_or(0);
        at(value.0 as usize + 1).saturating_sub(at(value.0 as usize)) as usize
    }

    fn leaf_index(&self, value: ValueId, leaf: usize) -> usize {
        self.leaf_base.get(value.0 as usize).map_or(usize::MAX, |base| *base as usize + leaf)
    }

    /// Kind of a leaf of a value.
    pub fn leaf_kind(&self, value: ValueId, leaf: usize) -> Kind {
        self.leaf_kinds.get(self.leaf_index(value, leaf)).copied().unwrap_or(Kind::Int(32))
    }

    /// The register of a leaf, if a use asked for it.
    pub fn wanted(&self, value: ValueId, leaf: usize) -> Option<VReg> {
        self.registers.get(self.leaf_index(value, leaf)).copied().flatten()
    }

    /// The register of a leaf; its definition will be emitted.
    pub fn want(&mut self, value: ValueId, leaf: usize) -> VReg {
        if let Some(vreg) = self.wanted(value, leaf) {
            return vreg;
        }
        let vreg = self.out.vreg(self.leaf_kind(value, leaf).lanes());
        let index = self.leaf_index(value, leaf);
        if let Some(place) = self.registers.get_mut(index) {
            *place = Some(vreg);
        }
        vreg
    }

    /// The instruction that defines a value.
    pub fn inst_of(&self, value: ValueId) -> Option<&'a ir::Instruction> {
        match self.facts.def(value) {
            super::analysis::Def::Inst { block, index } => {
                self.function.blocks.get(block.0 as usize)?.instructions.get(index as usize)
            }
            _ => None,
        }
    }
}
