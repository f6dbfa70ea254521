//! Constants: operands of instructions and initialisers of globals.
//!
//! Must never hold: an unreduced address computation. Whatever is "symbol plus number" arrives as [`SymbolAddress`].

use super::function::{BlockId, FuncId};
use super::module::GlobalId;
use super::types::TypeId;
use serde::{Deserialize, Serialize};

/// A constant and its type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Constant {
    /// The type of the value.
    pub ty: TypeId,
    /// The value.
    pub kind: ConstantKind,
}

/// The value of a constant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConstantKind {
    /// An integer's bits, zero-extended from the type's width. With type pointer: an absolute address.
    Int(u128),
    /// The exact bits of a floating-point value, zero-extended from the type's width.
    Float(u128),
    /// All bits zero: the null pointer or `zeroinitializer` of an array or struct.
    Zero,
    /// Any value, each use may see another.
    Undef,
    /// The result of an operation that must not have happened.
    Poison,
    /// An array of integers or floating-point numbers of 8, 16, 32 or 64 bits: its bytes as they lie in memory,
    /// little-endian. A string's terminating zero is included if it has one.
    Bytes(Vec<u8>),
    /// The parts of an array or struct in order.
    Aggregate(Vec<Constant>),
    /// An address. Of type pointer or `i32` (a `ptrtoint` of it): the same 32 bits.
    Address(SymbolAddress),
    /// The address of a block, for `indirectbr`; never the entry block.
    BlockAddress { function: FuncId, block: BlockId },
    /// Arithmetic on addresses that is more than "symbol plus number", e.g. the distance between two blocks.
    Expression { op: ConstantOp, operands: Vec<Constant> },
}

/// Operation of a constant expression; the result has the width of the constant's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConstantOp {
    /// Two operands, wrapping.
    Add,
    /// Two operands, wrapping.
    Sub,
    /// Two operands.
    Xor,
    /// One operand, the low bits are kept.
    Trunc,
    /// One operand of at most 32 bits (pointer or integer), zero-extended: `ptrtoint` to a wider integer.
    ZeroExtend,
    /// One operand of the same width: `ptrtoint`, `inttoptr` or `addrspacecast` of another expression.
    Reinterpret,
}

/// A symbol plus a number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SymbolAddress {
    /// What the address is relative to; aliases are already followed.
    pub symbol: Symbol,
    /// Bytes to add, wrapping at 32 bits; may point before or past the object.
    pub offset: i32,
}

/// Something that has an address known at load time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Symbol {
    /// A function, defined or declared.
    Function(FuncId),
    /// A variable, defined or declared.
    Global(GlobalId),
}
