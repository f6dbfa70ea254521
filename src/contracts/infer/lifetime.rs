//! What the program does with an object before and after its address is passed.
//!
//! What cannot be followed, such as a call of another function with the address, counts as written elsewhere and as read.

use std::collections::HashSet;

use super::access::Access;
use super::names;
use crate::ir::{
    BasicBlock, BlockId, Callee, Constant, ConstantKind, FuncId, Function, GlobalId, Instruction, InstructionKind,
    Module, Operand, Symbol, SymbolAddress, ValueId,
};

/// A place in a function: a block and the index of an instruction in it.
pub type Position = (BlockId, usize);

/// What an object holds when its address is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Before {
    /// Nothing: the program has not written it.
    Nothing,
    /// Zeros.
    Zeros,
    /// Perhaps something that another function wrote.
    Elsewhere,
    /// What the program has stored.
    Stored,
}

/// Who reads an object after its address was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadAfter {
    /// Nobody.
    Nobody,
    /// At most later calls of the same function, which may keep its state there.
    TheSameFunction,
    /// The program.
    TheProgram,
}

/// What an instruction does to an object.
#[derive(Clone, Copy, Debug, Default)]
struct Effect {
    writes: Option<Before>,
    reads: bool,
    begins: bool,
}

/// The instruction that defines `value`.
pub fn definition(function: &Function, value: ValueId) -> Option<&InstructionKind> {
    let mut all = function.blocks.iter().flat_map(|block| &block.instructions);
    all.find(|instruction| instruction.result == Some(value)).map(|instruction| &instruction.kind)
}

/// What happens to the stack variable `root` before and after the call of `import` at `at`. What other calls of `import`
/// write to it is the question, not an answer.
pub fn of_stack(
    module: &Module,
    function: &Function,
    import: FuncId,
    root: ValueId,
    at: Position,
) -> (Before, ReadAfter) {
    let addresses = derived(function, root);
    let is = |operand: &Operand| matches!(operand, Operand::Value(value) if addresses.contains(value));
    let mut incoming = function.blocks.iter().flat_map(|block| &block.phis).flat_map(|phi| &phi.incoming);
    if incoming.any(|(_, operand)| is(operand)) {
        return (Before::Elsewhere, ReadAfter::TheProgram);
    }
    let mut before = Before::Nothing;
    walk(function, at, Way::Back, &mut |instruction| {
        let effect = effect(module, instruction, &is);
        if !calls(instruction, import) {
            before = before.max(effect.writes.unwrap_or(Before::Nothing));
        }
        !effect.begins
    });
    let mut read = ReadAfter::Nobody;
    walk(function, at, Way::Forward, &mut |instruction| {
        let effect = effect(module, instruction, &is);
        if effect.reads {
            let reader = if calls(instruction, import) { ReadAfter::TheSameFunction } else { ReadAfter::TheProgram };
            read = read.max(reader);
        }
        !effect.begins
    });
    (before, read)
}

/// The same of a variable of the program, whatever the order.
pub fn of_global(module: &Module, import: FuncId, id: GlobalId) -> (Before, ReadAfter) {
    let is = |operand: &Operand| matches!(operand, Operand::Constant(Constant { kind: ConstantKind::Address(SymbolAddress { symbol: Symbol::Global(of), .. }), .. }) if *of == id);
    let initial = module.global(id).and_then(|global| global.initializer.as_ref()).map(|constant| &constant.kind);
    let mut before = match initial {
        Some(ConstantKind::Zero | ConstantKind::Int(0)) => Before::Zeros,
        _ => Before::Stored,
    };
    let mut read = ReadAfter::Nobody;
    for function in &module.functions {
        let mut derived_here = HashSet::new();
        for instruction in function.blocks.iter().flat_map(|block| &block.instructions) {
            if let InstructionKind::Address { base, .. } = &instruction.kind
                && (is(base) || matches!(base, Operand::Value(value) if derived_here.contains(value)))
            {
                derived_here.extend(instruction.result);
            }
        }
        let here =
            |operand: &Operand| is(operand) || matches!(operand, Operand::Value(value) if derived_here.contains(value));
        for instruction in function.blocks.iter().flat_map(|block| &block.instructions) {
            if calls(instruction, import) {
                continue;
            }
            let effect = effect(module, instruction, &here);
            before = before.max(effect.writes.unwrap_or(Before::Nothing));
            if effect.reads {
                read = ReadAfter::TheProgram;
            }
        }
    }
    (before, read)
}

fn calls(instruction: &Instruction, import: FuncId) -> bool {
    matches!(&instruction.kind, InstructionKind::Call(call) if matches!(call.callee, Callee::Function(id) if id == import))
}

/// Every value that is an address inside the object at `root`.
fn derived(function: &Function, root: ValueId) -> HashSet<ValueId> {
    let mut found = HashSet::from([root]);
    let mut known = 0;
    while known < found.len() {
        known = found.len();
        for instruction in function.blocks.iter().flat_map(|block| &block.instructions) {
            if let InstructionKind::Address { base: Operand::Value(base), .. } = &instruction.kind
                && found.contains(base)
            {
                found.extend(instruction.result);
            }
        }
    }
    found
}

fn effect(module: &Module, instruction: &Instruction, is: &dyn Fn(&Operand) -> bool) -> Effect {
    match &instruction.kind {
        InstructionKind::Store { address, value, .. } if is(address) => {
            Effect { writes: Some(if is_zero(value) { Before::Zeros } else { Before::Stored }), ..Effect::default() }
        }
        InstructionKind::Load { address, .. } if is(address) => Effect { reads: true, ..Effect::default() },
        InstructionKind::Call(call) => {
            let passed: Vec<bool> = call.arguments.iter().map(|argument| is(&argument.operand)).collect();
            match &call.callee {
                _ if !passed.contains(&true) => Effect::default(),
                Callee::Intrinsic { name, .. } => {
                    intrinsic(name, &passed, call.arguments.get(1).map(|value| &value.operand))
                }
                Callee::Function(id) if only_reads(module, *id, &passed) => Effect { reads: true, ..Effect::default() },
                _ => Effect { writes: Some(Before::Elsewhere), reads: true, begins: false },
            }
        }
        // Comparing or computing addresses is no access.
        InstructionKind::Address { .. } | InstructionKind::Compare { .. } | InstructionKind::Alloca { .. } => {
            Effect::default()
        }
        other => {
            let mut used = false;
            other.for_each_operand(&mut |operand| used |= is(operand));
            if used {
                Effect { writes: Some(Before::Elsewhere), reads: true, begins: false }
            } else {
                Effect::default()
            }
        }
    }
}

/// Whether a function only reads what it is `passed`: by its attributes, or as variable arguments of a function that prints.
fn only_reads(module: &Module, id: FuncId, passed: &[bool]) -> bool {
    let Some(function) = module.function(id) else { return false };
    let fixed = function.parameters.len();
    let prints = function.ty.variadic && !names::scans(&function.name);
    passed.iter().enumerate().filter(|(_, passed)| **passed).all(|(index, _)| {
        let access = Access::of(&module.types, function, index);
        if index < fixed { !access.writes } else { prints }
    })
}

fn intrinsic(name: &str, passed: &[bool], second: Option<&Operand>) -> Effect {
    match name {
        "llvm.lifetime.start" => Effect { begins: true, ..Effect::default() },
        // What happened to it before an end of its life does not matter either.
        "llvm.lifetime.end" => Effect { begins: true, ..Effect::default() },
        "llvm.memset" => {
            let zeros = second.is_some_and(is_zero);
            Effect { writes: Some(if zeros { Before::Zeros } else { Before::Stored }), ..Effect::default() }
        }
        "llvm.memcpy" | "llvm.memmove" | "llvm.memcpy.inline" => Effect {
            writes: (passed.first() == Some(&true)).then_some(Before::Stored),
            reads: passed.get(1) == Some(&true),
            begins: false,
        },
        _ => Effect { writes: Some(Before::Elsewhere), reads: true, begins: false },
    }
}

fn is_zero(operand: &Operand) -> bool {
    matches!(operand, Operand::Constant(Constant { kind: ConstantKind::Zero | ConstantKind::Int(0), .. }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Back,
    Forward,
}

/// Visits every instruction that can be on a path to or from `at`, as long as `go_on` says so.
fn walk(function: &Function, at: Position, way: Way, go_on: &mut dyn FnMut(&Instruction) -> bool) {
    let mut seen = HashSet::new();
    let mut open = vec![(at.0, Some(at.1))];
    while let Some((id, from)) = open.pop() {
        let Some(block) = function.blocks.get(id.0 as usize) else { continue };
        let all = &block.instructions;
        let through = match (way, from) {
            (Way::Forward, from) => all.iter().skip(from.map_or(0, |index| index + 1)).all(&mut *go_on),
            (Way::Back, from) => all.iter().take(from.unwrap_or(all.len())).rev().all(&mut *go_on),
        };
        if !through {
            continue;
        }
        let next: Vec<BlockId> = match way {
            Way::Forward => successors(block),
            Way::Back => {
                let before = function.blocks().filter(|(_, other)| successors(other).contains(&id));
                before.map(|(other, _)| other).collect()
            }
        };
        open.extend(next.into_iter().filter(|block| seen.insert(*block)).map(|block| (block, None)));
    }
}

fn successors(block: &BasicBlock) -> Vec<BlockId> {
    let mut found = Vec::new();
    block.terminator.for_each_successor(|next| found.push(next));
    found
}
