//! Functions, variables, aliases, constructors and annotations of the program.
//!
//! Must never hold: bodies of functions, see `functions`.

use super::super::super::constant::ConstantKind;
use super::super::super::llvm::{Function as LlvmFunction, SymbolLinkage, Value};
use super::super::super::{
    Alias, Annotation, BlockId, Constant, Constructor, FuncId, Function, Global, GlobalId, Linkage, Symbol, Visibility,
};
use super::constants::{int_bits, operand, unsupported};
use super::{Converter, Refusal, Result};
use crate::diagnostic::{Diagnostic, Place};

/// Where clang puts the strings of annotations, which are no data of the program.
const METADATA_SECTION: &str = "llvm.metadata";

impl<'m> Converter<'m, '_> {
    /// Reads the whole program; what is refused goes to the diagnostics.
    pub(super) fn symbols(&mut self) {
        for ifunc in self.llvm.ifuncs() {
            let refusal = Refusal::new(
                format!("`{}` is chosen by a resolver at load time (ifunc)", ifunc.name()),
                "call the implementation you want directly",
            );
            self.diagnostics.push(refusal.at(Place::None));
        }
        // Symbols and blocks first: any constant may refer to any of them.
        let functions: Vec<LlvmFunction<'m>> = self.llvm.functions().collect();
        let functions: Vec<LlvmFunction<'m>> =
            functions.into_iter().filter(|function| !function.value().name().starts_with("llvm.")).collect();
        for (id, function) in (0..).zip(&functions) {
            self.functions.insert(function.value(), FuncId(id));
            for (block_id, block) in (0..).zip(function.blocks()) {
                self.blocks.insert(block, BlockId(block_id));
            }
        }
        let mut globals = self.llvm.globals();
        globals.retain(|global| !is_llvm_own(*global));
        for (id, global) in (0..).zip(&globals) {
            self.globals.insert(*global, GlobalId(id));
        }
        for function in functions {
            match self.function(function) {
                Ok(function) => self.module.functions.push(function),
                Err(diagnostic) => self.diagnostics.push(diagnostic),
            }
        }
        for global in globals {
            match self.global(global) {
                Ok(global) => self.module.globals.push(global),
                Err(refusal) => {
                    let place = self.global_place(global);
                    self.diagnostics.push(refusal.at(place));
                }
            }
        }
        for read in [Self::aliases, Self::constructors, Self::annotations] {
            if let Err(refusal) = read(self) {
                self.diagnostics.push(refusal.at(Place::None));
            }
        }
        for (function, block) in std::mem::take(&mut self.addressed) {
            let function = self.module.functions.get_mut(function.0 as usize);
            if let Some(block) = function.and_then(|function| function.blocks.get_mut(block.0 as usize)) {
                block.address_taken = true;
            }
        }
    }

    fn function(&mut self, function: LlvmFunction<'m>) -> std::result::Result<Function, Diagnostic> {
        let name = function.value().name();
        let refused = |refusal: Refusal| refusal.at(Place::Function(name.clone()));
        let mut plain = self.signature_of(function).map_err(refused)?;
        plain.debug = function.subprogram(self.llvm).map(|node| self.subprogram(node));
        self.body(function, &mut plain)?;
        super::atomics::expand(&mut self.module.types, &mut plain);
        Ok(plain)
    }

    fn global(&mut self, global: Value<'m>) -> Result<Global> {
        let ty = global.value_type().ok_or_else(|| unsupported(global))?;
        let ty = self.type_id(ty)?;
        let layout = self.module.types.layout(ty);
        let debug = global.variable_debug(self.llvm).map(|node| self.variable(node));
        let (location, debug_type) = debug.unwrap_or_default();
        Ok(Global {
            name: global.name(),
            linkage: linkage(global),
            visibility: visibility(global),
            ty,
            size: layout.size,
            align: self.kept_alignment(ty, global.variable_alignment().max(layout.align)),
            constant: global.is_constant_variable(),
            unnamed_address: global.is_unnamed_address(),
            thread_local: global.is_thread_local(),
            section: global.section(),
            initializer: global.initializer().map(|value| self.constant(value)).transpose()?,
            location,
            debug_type,
        })
    }

    fn global_place(&mut self, global: Value<'m>) -> Place {
        let debug = global.variable_debug(self.llvm).map(|node| self.variable(node).0);
        match debug.flatten().and_then(|(file, line)| Some((self.module.files.get(file.0 as usize)?, line))) {
            Some((file, line)) => Place::Line { file: file.name.clone(), line, column: 0 },
            None => Place::None,
        }
    }

    fn aliases(&mut self) -> Result<()> {
        for alias in self.llvm.aliases() {
            let target = self.symbol_address(alias)?;
            self.module.aliases.push(Alias { name: alias.name(), linkage: linkage(alias), target });
        }
        Ok(())
    }

    fn constructors(&mut self) -> Result<()> {
        let mut constructors = self.constructor_list("llvm.global_ctors")?;
        constructors.sort_by_key(|constructor| constructor.priority);
        self.module.constructors = constructors;
        Ok(())
    }

    /// Entries `{ i32 priority, ptr function, ptr data }` of a list of LLVM's.
    fn constructor_list(&mut self, name: &str) -> Result<Vec<Constructor>> {
        let Some(list) = self.llvm.global(name).and_then(|list| list.initializer()) else { return Ok(Vec::new()) };
        let mut constructors = Vec::new();
        for index in 0..list.operand_count() {
            let entry = operand(list, index)?;
            let priority = int_bits(part(entry, 0)?)? as u32;
            match self.constant(part(entry, 1)?)?.kind {
                ConstantKind::Address(address) => match address.symbol {
                    Symbol::Function(function) => constructors.push(Constructor { priority, function }),
                    Symbol::Global(_) => return Err(unsupported(entry)),
                },
                ConstantKind::Zero => {}
                _ => return Err(unsupported(entry)),
            }
        }
        Ok(constructors)
    }

    /// Entries `{ ptr symbol, ptr text, ptr file, i32 line, ptr arguments }` of `llvm.global.annotations`.
    fn annotations(&mut self) -> Result<()> {
        let list = self.llvm.global("llvm.global.annotations").and_then(|list| list.initializer());
        let Some(list) = list else { return Ok(()) };
        for index in 0..list.operand_count() {
            let entry = operand(list, index)?;
            let Constant { kind: ConstantKind::Address(address), .. } = self.constant(part(entry, 0)?)? else {
                continue;
            };
            let text = part(entry, 1)?.initializer().and_then(|text| text.bytes()).unwrap_or_default();
            let text = String::from_utf8_lossy(text.strip_suffix(&[0]).unwrap_or(&text)).into_owned();
            self.module.annotations.push(Annotation { symbol: address.symbol, text });
        }
        Ok(())
    }
}

fn part(value: Value<'_>, index: u32) -> Result<Value<'_>> {
    value.element(index).ok_or_else(|| unsupported(value))
}

fn is_llvm_own(global: Value<'_>) -> bool {
    global.name().starts_with("llvm.") || global.section().as_deref() == Some(METADATA_SECTION)
}

pub(super) fn linkage(symbol: Value<'_>) -> Linkage {
    match symbol.linkage() {
        SymbolLinkage::LLVMInternalLinkage
        | SymbolLinkage::LLVMPrivateLinkage
        | SymbolLinkage::LLVMAvailableExternallyLinkage => Linkage::Internal,
        SymbolLinkage::LLVMExternalWeakLinkage => Linkage::ExternalWeak,
        _ => Linkage::External,
    }
}

pub(super) fn visibility(symbol: Value<'_>) -> Visibility {
    if symbol.is_hidden() { Visibility::Hidden } else { Visibility::Default }
}
