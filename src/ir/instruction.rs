//! Instructions, lowered as far as a code generator without a type tree needs.
//!
//! Must never hold: computing with vectors or integers of more than 64 bits (see `expand`), exception handling (lowered by the reader) or target opcodes.

use super::attributes::{FunctionAttributes, ParameterAttributes};
use super::constant::Constant;
use super::debug::DebugLocation;
use super::function::{BlockId, FuncId, ValueId};
use super::types::{FunctionType, TypeId};
use serde::{Deserialize, Serialize};

/// What an instruction works on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operand {
    /// A parameter or the result of an instruction.
    Value(ValueId),
    /// A constant with its type.
    Constant(Constant),
}

/// One instruction that is neither phi nor terminator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instruction {
    /// The value it defines; its type is in [`super::Function::value_types`].
    pub result: Option<ValueId>,
    /// What it does.
    pub kind: InstructionKind,
    /// Its place in the source.
    pub location: Option<DebugLocation>,
}

/// A value chosen by the edge that control came over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phi {
    /// The value it defines.
    pub result: ValueId,
    /// One entry per edge; a predecessor with several edges (switch) appears as often, with equal operands.
    pub incoming: Vec<(BlockId, Operand)>,
}

/// What an instruction does. Operand types follow from the operands, the result type from the result's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstructionKind {
    /// Two operands of the result's type, integer or floating point as the operation says.
    Binary { op: BinaryOp, lhs: Operand, rhs: Operand },
    /// Floating-point negation: flips the sign bit.
    FloatNegate { operand: Operand },
    /// Integer or pointer comparison, result `i1`.
    Compare { predicate: IntPredicate, lhs: Operand, rhs: Operand },
    /// Floating-point comparison, result `i1`.
    FloatCompare { predicate: FloatPredicate, lhs: Operand, rhs: Operand },
    /// `if_true` if the `i1` condition is 1. Any type, aggregates included.
    Select { condition: Operand, if_true: Operand, if_false: Operand },
    /// Conversion of a scalar to the result's type.
    Cast { op: CastOp, operand: Operand },
    /// Result = `operand`, made definite if it was undef or poison.
    Freeze { operand: Operand },
    /// Loads a value of the result's type; `align` in bytes.
    Load { address: Operand, align: u32, volatile: bool, ordering: Option<AtomicOrdering> },
    /// Stores `value`, whose type gives the width; `align` in bytes.
    Store { address: Operand, value: Operand, align: u32, volatile: bool, ordering: Option<AtomicOrdering> },
    /// Atomic read-modify-write; the result is the old value.
    AtomicRmw { op: RmwOp, address: Operand, value: Operand, volatile: bool, ordering: AtomicOrdering },
    /// Atomic compare-and-exchange; the result is `{ T old, i1 success }`.
    CompareExchange {
        address: Operand,
        expected: Operand,
        replacement: Operand,
        weak: bool,
        volatile: bool,
        success: AtomicOrdering,
        failure: AtomicOrdering,
    },
    /// Memory barrier.
    Fence { ordering: AtomicOrdering },
    /// Stack room of a size known now, in the entry block: part of the frame. `size` and `align` in bytes.
    Alloca { size: u32, align: u32 },
    /// Stack room of `count` (an unsigned integer) times `element_size` bytes, made when executed and released at
    /// return or `llvm.stackrestore`. Also each alloca outside the entry block.
    DynamicAlloca { count: Operand, element_size: u32, align: u32 },
    /// `base + offset + Σ index·scale`, wrapping at 32 bits: `getelementptr` without its types.
    /// `indices` never holds integer constants. Without indices and with offset 0 it is a copy of `base`.
    Address { base: Operand, offset: i32, indices: Vec<ScaledIndex>, in_bounds: bool },
    /// The part of an aggregate at `path`.
    ExtractValue { aggregate: Operand, path: Vec<u32> },
    /// The aggregate with the part at `path` replaced.
    InsertValue { aggregate: Operand, element: Operand, path: Vec<u32> },
    /// A call.
    Call(Box<Call>),
    /// The next variadic argument, of the result's type; `list` is the address of a `va_list`.
    VaArg { list: Operand },
}

/// An index of [`InstructionKind::Address`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaledIndex {
    /// An integer of any width: signed, so narrower than 32 bits it is sign-extended, wider it is truncated.
    pub index: Operand,
    /// Bytes per step, at least 1.
    pub scale: u32,
}

/// Operation on two operands. Integers wrap at their width; where LLVM's nsw/nuw make overflow poison, so does wrapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    UDiv,
    SDiv,
    URem,
    SRem,
    Shl,
    LShr,
    AShr,
    And,
    Or,
    Xor,
    /// The upper half of the exact product of two unsigned 64-bit integers.
    MulHigh,
    FAdd,
    FSub,
    FMul,
    FDiv,
    FRem,
}

/// Integer comparison; U unsigned, S signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IntPredicate {
    Eq,
    Ne,
    Ugt,
    Uge,
    Ult,
    Ule,
    Sgt,
    Sge,
    Slt,
    Sle,
}

/// Floating-point comparison; O: false if an operand is a NaN, U: true if an operand is a NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FloatPredicate {
    False,
    Oeq,
    Ogt,
    Oge,
    Olt,
    Ole,
    One,
    /// Neither is a NaN.
    Ord,
    /// At least one is a NaN.
    Uno,
    Ueq,
    Ugt,
    Uge,
    Ult,
    Ule,
    Une,
    True,
}

/// Conversion of scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CastOp {
    /// Keeps the low bits.
    Trunc,
    ZeroExtend,
    SignExtend,
    FloatTrunc,
    FloatExtend,
    FloatToUnsigned,
    FloatToSigned,
    UnsignedToFloat,
    SignedToFloat,
    /// Zero-extends or truncates the 32-bit address to the result's width.
    PtrToInt,
    /// Zero-extends or truncates the integer to 32 bits.
    IntToPtr,
    /// The same bits as another type of the same width (also pointer to pointer of another address space).
    Bitcast,
}

/// Order of an atomic access, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AtomicOrdering {
    Unordered,
    Monotonic,
    Acquire,
    Release,
    AcquireRelease,
    SequentiallyConsistent,
}

/// Operation of [`InstructionKind::AtomicRmw`]; F works on floating point. Of a finished module only those up to `Xor` are left: the
/// reader makes loops of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RmwOp {
    Exchange,
    Add,
    Sub,
    And,
    Nand,
    Or,
    Xor,
    Max,
    Min,
    UMax,
    UMin,
    FAdd,
    FSub,
    FMax,
    FMin,
}

/// A call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// What is called.
    pub callee: Callee,
    /// The function type the call is made with; may differ from the callee's own (C without prototypes).
    pub ty: FunctionType,
    /// The id of `ty` as a [`super::Type::Function`].
    pub type_id: TypeId,
    /// Arguments, variadic ones included.
    pub arguments: Vec<Argument>,
    /// Attributes of the result at this call.
    pub result_attributes: ParameterAttributes,
    /// Attributes at this call, merged with those of a directly called function.
    pub attributes: FunctionAttributes,
    /// Whether LLVM marked it `musttail`.
    pub must_tail: bool,
}

/// An argument of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argument {
    /// The value.
    pub operand: Operand,
    /// Attributes written at the call; those of the callee's parameter are in [`super::Function::parameters`].
    pub attributes: ParameterAttributes,
}

/// What a call calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Callee {
    /// A function of the module, defined or declared.
    Function(FuncId),
    /// The function whose address the operand is.
    Indirect(Operand),
    /// An LLVM intrinsic: its name without the type suffixes, e.g. `llvm.memcpy`, and the types of the suffixes in order.
    Intrinsic { name: String, overloads: Vec<TypeId> },
    /// Inline assembly.
    InlineAsm { text: String, constraints: String, side_effects: bool },
}

/// Where control goes at the end of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Terminator {
    /// Returns to the caller; `None` from a void function.
    Return(Option<Operand>),
    /// Always to one block.
    Jump(BlockId),
    /// By an `i1`.
    Branch { condition: Operand, if_true: BlockId, if_false: BlockId },
    /// By the value of an integer.
    Switch { value: Operand, default: BlockId, cases: Vec<SwitchCase> },
    /// To the block whose address the operand is; it is one of `targets` (each listed once).
    IndirectBranch { address: Operand, targets: Vec<BlockId> },
    /// Never reached.
    Unreachable,
}

/// A case of [`Terminator::Switch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchCase {
    /// The value's bits, zero-extended from the switch's width.
    pub value: u128,
    /// Where to go.
    pub target: BlockId,
}

impl Terminator {
    /// Calls `visit` for each successor, in order, once per edge.
    pub fn for_each_successor(&self, mut visit: impl FnMut(BlockId)) {
        match self {
            Self::Return(_) | Self::Unreachable => {}
            Self::Jump(target) => visit(*target),
            Self::Branch { if_true, if_false, .. } => {
                visit(*if_true);
                visit(*if_false);
            }
            Self::Switch { default, cases, .. } => {
                visit(*default);
                cases.iter().for_each(|case| visit(case.target));
            }
            Self::IndirectBranch { targets, .. } => targets.iter().copied().for_each(visit),
        }
    }

    /// Calls `visit` for the operand, if there is one.
    pub fn for_each_operand<'a>(&'a self, mut visit: impl FnMut(&'a Operand)) {
        match self {
            Self::Return(Some(operand))
            | Self::Branch { condition: operand, .. }
            | Self::Switch { value: operand, .. }
            | Self::IndirectBranch { address: operand, .. } => visit(operand),
            Self::Return(None) | Self::Jump(_) | Self::Unreachable => {}
        }
    }
}

impl InstructionKind {
    /// Calls `visit` for each operand, in order. Callees of indirect calls come before the arguments.
    pub fn for_each_operand<'a>(&'a self, mut visit: impl FnMut(&'a Operand)) {
        match self {
            Self::Binary { lhs, rhs, .. } | Self::Compare { lhs, rhs, .. } | Self::FloatCompare { lhs, rhs, .. } => {
                visit(lhs);
                visit(rhs);
            }
            Self::FloatNegate { operand } | Self::Cast { operand, .. } | Self::Freeze { operand } => visit(operand),
            Self::Select { condition, if_true, if_false } => {
                visit(condition);
                visit(if_true);
                visit(if_false);
            }
            Self::Load { address, .. } => visit(address),
            Self::Store { address, value, .. } | Self::AtomicRmw { address, value, .. } => {
                visit(address);
                visit(value);
            }
            Self::CompareExchange { address, expected, replacement, .. } => {
                visit(address);
                visit(expected);
                visit(replacement);
            }
            Self::Fence { .. } | Self::Alloca { .. } => {}
            Self::DynamicAlloca { count, .. } => visit(count),
            Self::Address { base, indices, .. } => {
                visit(base);
                indices.iter().for_each(|scaled| visit(&scaled.index));
            }
            Self::ExtractValue { aggregate, .. } => visit(aggregate),
            Self::InsertValue { aggregate, element, .. } => {
                visit(aggregate);
                visit(element);
            }
            Self::Call(call) => {
                if let Callee::Indirect(callee) = &call.callee {
                    visit(callee);
                }
                call.arguments.iter().for_each(|argument| visit(&argument.operand));
            }
            Self::VaArg { list } => visit(list),
        }
    }
}
