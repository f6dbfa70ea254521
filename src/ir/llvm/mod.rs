//! Safe handles on LLVM 22's C API: each call checks what the C API would take on trust.
//!
//! The only folder with LLVM pointers and `unsafe`. Must never hold: a decision about the program that is read.

mod context;
mod instruction;
mod loops;
mod metadata;
mod module;
mod rewrite;
mod target;
mod text;
mod types;
mod value;

pub(super) use context::Context;
pub(super) use instruction::{Block, Instruction};
pub(super) use llvm_sys::debuginfo::LLVMMetadataKind;
pub(super) use llvm_sys::{
    LLVMAtomicOrdering, LLVMAtomicRMWBinOp, LLVMIntPredicate, LLVMOpcode, LLVMRealPredicate, LLVMTypeKind,
    LLVMValueKind,
};
pub(super) use metadata::Metadata;
pub(super) use module::{Function, Module, SymbolLinkage};
pub(super) use target::TargetMachine;
pub(super) use types::Type;
pub(super) use value::{Attribute, AttributeValue, Value};
