//! From a normalised LLVM module to the plain IR.
//!
//! Must never hold: passes, or guesses: what has no plain form is refused with its place.

mod atomics;
mod attributes;
mod calls;
mod constants;
mod debug;
mod functions;
mod instructions;
mod operations;
mod symbols;
mod types;

use super::super::expand::Unexpandable;
use super::super::llvm::{Block, Metadata, Module as LlvmModule, Type as LlvmType, Value};
use super::super::{BlockId, DebugTypeId, FileId, FuncId, GlobalId, Module, TypeId};
use crate::diagnostic::{Diagnostic, Place};
use std::collections::HashMap;

/// Why something has no plain form, before its place is known.
struct Refusal {
    message: String,
    help: &'static str,
}

impl Refusal {
    fn new(message: impl Into<String>, help: &'static str) -> Self {
        Self { message: message.into(), help }
    }

    fn at(self, place: Place) -> Diagnostic {
        Diagnostic::error("espb::ir::unsupported", self.message, place, self.help)
    }
}

impl From<Unexpandable> for Refusal {
    fn from(refused: Unexpandable) -> Self {
        Self { message: refused.what, help: refused.help }
    }
}

type Result<T> = std::result::Result<T, Refusal>;

/// The plain module under construction, and what each LLVM handle became.
struct Converter<'m, 'c> {
    llvm: &'m LlvmModule<'c>,
    module: Module,
    types: HashMap<LlvmType<'m>, TypeId>,
    functions: HashMap<Value<'m>, FuncId>,
    globals: HashMap<Value<'m>, GlobalId>,
    blocks: HashMap<Block<'m>, BlockId>,
    /// Blocks that a constant holds the address of.
    addressed: Vec<(FuncId, BlockId)>,
    files: HashMap<Metadata<'m>, FileId>,
    debug_types: HashMap<Metadata<'m>, DebugTypeId>,
    kinds: attributes::Kinds,
    diagnostics: Vec<Diagnostic>,
}

/// Converts a module; the error lists every function and variable that has no plain form.
pub(super) fn convert(llvm: &LlvmModule<'_>) -> std::result::Result<Module, Vec<Diagnostic>> {
    let mut converter = Converter {
        llvm,
        module: Module::default(),
        types: HashMap::new(),
        functions: HashMap::new(),
        globals: HashMap::new(),
        blocks: HashMap::new(),
        addressed: Vec::new(),
        files: HashMap::new(),
        debug_types: HashMap::new(),
        kinds: attributes::Kinds::new(),
        diagnostics: Vec::new(),
    };
    converter.compile_units();
    converter.symbols();
    if converter.diagnostics.is_empty() { Ok(converter.module) } else { Err(converter.diagnostics) }
}
