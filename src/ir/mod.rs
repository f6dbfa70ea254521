//! The intermediate representation: plain data that the rest of the translator works on.
//!
//! `types`, `constant`, `instruction`, `function`, `debug` and `module` are the data, free of LLVM and serialisable.
//! Must never hold: code generation, contracts, or an LLVM handle outside the folder's reader.

pub mod attributes;
pub mod constant;
pub mod debug;
mod expand;
pub mod function;
pub mod instruction;
mod llvm;
pub mod module;
mod reader;
pub mod types;

pub use attributes::{Captures, FunctionAttributes, MemoryEffects, ModRef, ParameterAttributes};
pub use constant::{Constant, ConstantKind, ConstantOp, Symbol, SymbolAddress};
pub use debug::{
    BaseEncoding, DebugLocation, DebugMember, DebugSubprogram, DebugType, DebugTypeId, FileId, SourceFile,
};
pub use function::{BasicBlock, BlockId, FuncId, Function, Linkage, Parameter, ValueId, Visibility};
pub use instruction::{
    Argument, AtomicOrdering, BinaryOp, Call, Callee, CastOp, FloatPredicate, Instruction, InstructionKind,
    IntPredicate, Operand, Phi, RmwOp, ScaledIndex, SwitchCase, Terminator,
};
pub use module::{Alias, Annotation, Constructor, Global, GlobalId, Module, SourceLanguage};
pub use reader::{Input, Output, Request, STAGE_COMMAND, read, read_isolated, run_stage};
pub use types::{FunctionType, Layout, Type, TypeId, TypeTable};
