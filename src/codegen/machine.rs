//! Machine code before register allocation: opcodes of the real table over virtual registers, in basic blocks.
//!
//! Must never hold: LLVM notions (types, phis) or physical slots; lowering removes the former, allocation adds the latter.

use crate::ir::DebugLocation;
use espb_format::opcode::Opcode;
use espb_format::operand::Operand;

/// A virtual register: one or two 32-bit lanes that are to lie in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VReg(pub u32);

/// A lane of a virtual register; of a 64-bit operand the first of its two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reg {
    /// The register.
    pub vreg: VReg,
    /// 0 or 1.
    pub lane: u8,
}

/// A basic block of the machine function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Block(pub u32);

impl Block {
    /// As an index into [`Function::blocks`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// An operand of [`InstKind::Op`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// Where the opcode has a register.
    Reg(Reg),
    /// Where it has a number, in the units of the opcode table.
    Imm(i64),
}

/// 32 bits that are known at load time at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Const {
    /// A number.
    Int(u32),
    /// Start of linear memory plus an offset inside data and bss.
    Linear(u32),
    /// Start of the constant data plus an offset inside it.
    Rodata(u32),
    /// Linear stack pointer plus an offset inside the function's linear frame.
    Stack(u32),
    /// Thunk of an address-taken function.
    Callback(u16),
}

/// What a lane receives in a copy or a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Another lane.
    Lane(Reg),
    /// A constant.
    Const(Const),
    /// A word of the linear frame, by byte offset from where the stack pointer is kept.
    Memory(u32),
    /// Anything.
    Undefined,
}

/// What a call calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A function of the module.
    Function(u16),
    /// A host function.
    Import(u16),
    /// A variadic host function and the signature of this call.
    Variadic { import: u16, signature: u16 },
    /// The function behind a thunk address.
    Indirect { address: Reg, signature: u16 },
}

/// A call. Arguments and results are lanes in the order of the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What is called.
    pub target: Target,
    /// A source per slot of the window.
    pub arguments: Vec<Source>,
    /// The lanes that take the result, in window order.
    pub results: Vec<Reg>,
    /// Slots that the window needs: the larger of parameters and result.
    pub slots: u8,
}

/// A function of the module that takes over the frame of the one that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailCall {
    /// Which one.
    pub target: TailTarget,
    /// A source per slot from the first on.
    pub arguments: Vec<Source>,
}

/// What a tail call enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailTarget {
    /// A function of the module.
    Function(u16),
    /// The function behind a thunk address.
    Indirect { address: Reg, signature: u16 },
}

impl TailCall {
    /// Slots of the frame that it takes: the arguments, and behind them room for the address, should an argument take its slot.
    pub fn slots(&self) -> usize {
        self.arguments.len() + usize::from(matches!(self.target, TailTarget::Indirect { .. }))
    }
}

/// What an instruction does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstKind {
    /// An instruction of the opcode table that neither branches nor calls.
    Op { opcode: Opcode, args: [Arg; 3] },
    /// Sets all lanes at once.
    Copy(Vec<(Reg, Source)>),
    /// The incoming arguments, in window order; the first instruction of the entry block.
    Parameters(Vec<Reg>),
    /// A call.
    Call(Box<Call>),
}

/// An instruction with its place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inst {
    /// What it does.
    pub kind: InstKind,
    /// The place.
    pub location: Option<DebugLocation>,
}

/// The end of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Terminator {
    /// To one block.
    Jump(Block),
    /// By a comparison: `opcode` is the short form; `args` are its operands without the target.
    Branch { opcode: Opcode, args: [Arg; 2], if_true: Block, if_false: Block },
    /// By an index; past the table to `default`.
    Switch { index: Reg, table: Vec<Block>, default: Block },
    /// Out of the function, with `ret`, `ret32` or `ret64`.
    Return { opcode: Opcode, value: Option<Reg> },
    /// Out of the function and into another, which returns for it.
    TailCall(Box<TailCall>),
    /// Control does not come here.
    Unreachable,
}

/// A basic block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicBlock {
    /// Straight code.
    pub insts: Vec<Inst>,
    /// How it ends.
    pub terminator: Terminator,
    /// The terminator's place in the source.
    pub location: Option<DebugLocation>,
    /// Number of loops around it.
    pub depth: u32,
}

/// A function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// Blocks; the first is the entry.
    pub blocks: Vec<BasicBlock>,
    /// Lanes of each virtual register: 1 or 2.
    pub widths: Vec<u8>,
    /// Bytes of the linear frame in use, not yet rounded.
    pub frame: u32,
    /// Where the linear stack pointer moves, the register that kept its value at entry.
    pub frame_pointer: Option<VReg>,
}

impl Default for BasicBlock {
    fn default() -> Self {
        Self { insts: Vec::new(), terminator: Terminator::Unreachable, location: None, depth: 0 }
    }
}

impl Function {
    /// A new virtual register with this many lanes.
    pub fn vreg(&mut self, lanes: u8) -> VReg {
        self.widths.push(lanes);
        VReg(self.widths.len() as u32 - 1)
    }

    /// Room of `size` bytes in the linear frame at a multiple of `align`; its offset.
    pub fn frame_slot(&mut self, size: u32, align: u32) -> u32 {
        let offset = self.frame.next_multiple_of(align.max(1));
        self.frame = offset.saturating_add(size);
        offset
    }
}

impl VReg {
    /// Its first lane, or all of it where an operand takes 64 bits.
    pub fn whole(self) -> Reg {
        Reg { vreg: self, lane: 0 }
    }

    /// One of its lanes.
    pub fn lane(self, lane: u8) -> Reg {
        Reg { vreg: self, lane }
    }
}

/// How an instruction touches a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads it.
    Use,
    /// Writes it.
    Def,
}

/// Visits the register operands of an opcode: uses before definitions is up to the caller.
pub fn for_each_register(opcode: Opcode, args: &[Arg], mut visit: impl FnMut(usize, Reg, u8, bool, bool)) {
    for (position, (operand, arg)) in opcode.operands().iter().zip(args).enumerate() {
        let Arg::Reg(reg) = arg else { continue };
        let (read, written) = match operand {
            Operand::W32 | Operand::W64 => (false, true),
            Operand::X32 | Operand::X64 => (true, true),
            Operand::R32 | Operand::R64 => (true, false),
            _ => continue,
        };
        visit(position, *reg, operand.slots(), read, written);
    }
}

/// What a branch that counts does before it compares, as an instruction of its own; `None` for other branches.
pub fn counting_part(opcode: Opcode, [register, other]: [Arg; 2]) -> Option<(Opcode, [Arg; 3])> {
    match opcode {
        Opcode::AddBranchNonZero | Opcode::AddBranchZero => Some((Opcode::AddImmediate, [register, register, other])),
        Opcode::IncrementBranchNotEqual | Opcode::IncrementBranchEqual => {
            Some((Opcode::AddImmediate, [register, register, Arg::Imm(1)]))
        }
        _ => None,
    }
}

/// The comparison of a branch that counts, without the counting.
pub fn comparing_part(opcode: Opcode) -> Opcode {
    match opcode {
        Opcode::AddBranchNonZero => Opcode::BranchNonZero,
        Opcode::AddBranchZero => Opcode::BranchZero,
        Opcode::IncrementBranchNotEqual => Opcode::BranchNotEqual,
        Opcode::IncrementBranchEqual => Opcode::BranchEqual,
        other => other,
    }
}

/// Visits the register operands of an opcode, to change them.
fn for_each_register_mut(opcode: Opcode, args: &mut [Arg], visit: impl Fn(&mut Reg)) {
    for (operand, arg) in opcode.operands().iter().zip(args) {
        if let (Arg::Reg(reg), true) = (arg, operand.slots() > 0) {
            visit(reg);
        }
    }
}

fn rename_source(source: &mut Source, rename: impl Fn(&mut Reg)) {
    if let Source::Lane(reg) = source {
        rename(reg);
    }
}

impl Inst {
    /// Changes every register that the instruction reads, and what an opcode of the table writes.
    pub fn rename(&mut self, rename: impl Fn(&mut Reg) + Copy) {
        match &mut self.kind {
            InstKind::Op { opcode, args } => for_each_register_mut(*opcode, args, rename),
            InstKind::Copy(moves) => moves.iter_mut().for_each(|(_, from)| rename_source(from, rename)),
            InstKind::Parameters(_) => {}
            InstKind::Call(call) => {
                if let Target::Indirect { address, .. } = &mut call.target {
                    rename(address);
                }
                call.arguments.iter_mut().for_each(|from| rename_source(from, rename));
            }
        }
    }

    /// Visits every lane that the instruction reads or writes.
    pub fn for_each_lane(&self, mut visit: impl FnMut(Reg, Access)) {
        match &self.kind {
            InstKind::Op { opcode, args } => for_each_register(*opcode, args, |_, reg, slots, read, written| {
                for lane in 0..slots {
                    let reg = Reg { vreg: reg.vreg, lane: reg.lane + lane };
                    if read {
                        visit(reg, Access::Use);
                    }
                    if written {
                        visit(reg, Access::Def);
                    }
                }
            }),
            InstKind::Copy(moves) => {
                for (to, from) in moves {
                    if let Source::Lane(from) = from {
                        visit(*from, Access::Use);
                    }
                    visit(*to, Access::Def);
                }
            }
            InstKind::Parameters(lanes) => lanes.iter().for_each(|lane| visit(*lane, Access::Def)),
            InstKind::Call(call) => {
                if let Target::Indirect { address, .. } = call.target {
                    visit(address, Access::Use);
                }
                for argument in &call.arguments {
                    if let Source::Lane(lane) = argument {
                        visit(*lane, Access::Use);
                    }
                }
                call.results.iter().for_each(|lane| visit(*lane, Access::Def));
            }
        }
    }

    /// Whether it can go when nobody reads what it writes.
    pub fn is_pure(&self) -> bool {
        use Opcode::*;
        match &self.kind {
            InstKind::Copy(_) => true,
            InstKind::Parameters(_) | InstKind::Call(_) => false,
            InstKind::Op { opcode, .. } => !matches!(
                opcode,
                Store8
                    | Store16
                    | Store32
                    | Store64
                    | StoreIndexed8
                    | StoreIndexed16
                    | StoreIndexed32
                    | StoreIndexed64
                    | StoreStack32
                    | StoreStack64
                    | StoreStatic8
                    | StoreStatic16
                    | StoreStatic32
                    | StoreStatic64
                    | MemoryMove
                    | MemorySet
                    | StackAllocate
                    | StackRestore
                    | Load8
                    | Load8Signed
                    | Load16
                    | Load16Signed
                    | Load32
                    | Load64
                    | Load8Post
                    | Load16Post
                    | Load16SignedPost
                    | Load32Post
                    | Store8Post
                    | Store16Post
                    | Store32Post
                    | Load8Pre
                    | Load32Pre
                    | Load8Wide
                    | Load8SignedWide
                    | Load16Wide
                    | Load16SignedWide
                    | Load32Wide
                    | Store8Wide
                    | Store16Wide
                    | Store32Wide
                    | LoadIndexed8
                    | LoadIndexed8Signed
                    | LoadIndexed16
                    | LoadIndexed16Signed
                    | LoadIndexed32
                    | LoadIndexed64
                    | LoadStatic8
                    | LoadStatic8Signed
                    | LoadStatic16
                    | LoadStatic16Signed
                    | LoadStatic32
                    | LoadStatic64
                    | DivSigned
                    | DivUnsigned
                    | RemSigned
                    | RemUnsigned
                    | DivSigned64
                    | DivUnsigned64
                    | RemSigned64
                    | RemUnsigned64
                    | Trap
                    | Unreachable
                    | SetJump
                    | LongJump
            ),
        }
    }
}

impl Terminator {
    /// Visits every lane it reads.
    pub fn for_each_use(&self, mut visit: impl FnMut(Reg)) {
        match self {
            Self::Branch { opcode, args, .. } => {
                for_each_register(*opcode, args, |_, reg, _, _, _| visit(reg));
            }
            Self::Switch { index, .. } => visit(*index),
            Self::Return { opcode, value: Some(reg) } => {
                visit(*reg);
                if *opcode == Opcode::ReturnValue64 {
                    visit(Reg { vreg: reg.vreg, lane: reg.lane + 1 });
                }
            }
            Self::TailCall(call) => {
                if let TailTarget::Indirect { address, .. } = call.target {
                    visit(address);
                }
                for argument in &call.arguments {
                    if let Source::Lane(lane) = argument {
                        visit(*lane);
                    }
                }
            }
            Self::Jump(_) | Self::Return { value: None, .. } | Self::Unreachable => {}
        }
    }

    /// Changes every register that the terminator reads.
    pub fn rename(&mut self, rename: impl Fn(&mut Reg) + Copy) {
        match self {
            Self::TailCall(call) => {
                if let TailTarget::Indirect { address, .. } = &mut call.target {
                    rename(address);
                }
                call.arguments.iter_mut().for_each(|from| rename_source(from, rename));
            }
            Self::Branch { opcode, args, .. } => for_each_register_mut(*opcode, args, rename),
            Self::Switch { index, .. } => rename(index),
            Self::Return { value: Some(reg), .. } => rename(reg),
            Self::Jump(_) | Self::Return { value: None, .. } | Self::Unreachable => {}
        }
    }

    /// Visits every successor, once per edge.
    pub fn for_each_successor(&self, mut visit: impl FnMut(Block)) {
        match self {
            Self::Jump(to) => visit(*to),
            Self::Branch { if_true, if_false, .. } => {
                visit(*if_true);
                visit(*if_false);
            }
            Self::Switch { table, default, .. } => {
                table.iter().for_each(|block| visit(*block));
                visit(*default);
            }
            Self::Return { .. } | Self::TailCall(_) | Self::Unreachable => {}
        }
    }
}
