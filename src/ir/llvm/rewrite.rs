//! Changes to a module that no pass makes.
//!
//! Must never hold: the choice of what to change beyond the names it is given.

use super::module::Module;
use llvm_sys::comdat::LLVMSetComdat;
use llvm_sys::core::*;
use llvm_sys::prelude::LLVMValueRef;
use llvm_sys::{LLVMAttributeFunctionIndex, LLVMLinkage, LLVMOpcode, LLVMVisibility};
use std::ptr;

impl Module<'_> {
    /// Removes string attributes `strings` and kind attributes `kinds` from every function and call.
    pub fn remove_function_attributes(&mut self, strings: &[&str], kinds: &[&str]) {
        let kinds: Vec<u32> = kinds.iter().map(|name| super::Attribute::kind_number(name)).collect();
        let functions: Vec<LLVMValueRef> = self.functions().map(|function| function.value().raw()).collect();
        for function in functions {
            // SAFETY: a function of this module, and no handle borrows the module.
            unsafe {
                for name in strings {
                    LLVMRemoveStringAttributeAtIndex(
                        function,
                        LLVMAttributeFunctionIndex,
                        name.as_ptr().cast(),
                        name.len() as u32,
                    );
                }
                for &kind in &kinds {
                    LLVMRemoveEnumAttributeAtIndex(function, LLVMAttributeFunctionIndex, kind);
                }
            }
        }
        for call in self.collect_calls(|_| true) {
            for &kind in &kinds {
                // SAFETY: a call of this module.
                unsafe { LLVMRemoveCallSiteEnumAttribute(call, LLVMAttributeFunctionIndex, kind) };
            }
        }
    }

    /// Gives the attribute of this name to every function that calls itself directly.
    pub fn add_attribute_to_recursive_functions(&mut self, name: &str) {
        let calls_itself = |function: &super::Function<'_>| {
            let calls = function.blocks().into_iter().flat_map(|block| block.instructions());
            calls.filter_map(|instruction| instruction.call()).any(|(callee, _)| callee.raw() == function.value().raw())
        };
        let recursive: Vec<LLVMValueRef> =
            self.functions().filter(calls_itself).map(|function| function.value().raw()).collect();
        let kind = super::Attribute::kind_number(name);
        for function in recursive {
            // SAFETY: a function of this module; the attribute is one without a value.
            unsafe {
                let attribute = LLVMCreateEnumAttribute(LLVMGetModuleContext(self.raw), kind, 0);
                LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex, attribute);
            }
        }
    }

    /// Makes every definition whose name `keep` refuses private to the module.
    pub fn internalize(&mut self, keep: impl Fn(&str) -> bool) {
        let mut symbols: Vec<LLVMValueRef> = self.functions().map(|function| function.value().raw()).collect();
        symbols.extend(self.globals().into_iter().map(|global| global.raw()));
        let aliases: Vec<LLVMValueRef> = self.aliases().into_iter().map(|alias| alias.raw()).collect();
        for symbol in symbols.iter().chain(&aliases).copied() {
            // SAFETY: a symbol of this module.
            let (name, linkage, declaration) = unsafe {
                let value = super::Value::new(symbol);
                (value.name(), value.linkage(), value.is_declaration())
            };
            let fixed = matches!(
                linkage,
                LLVMLinkage::LLVMAppendingLinkage | LLVMLinkage::LLVMInternalLinkage | LLVMLinkage::LLVMPrivateLinkage
            );
            if declaration || fixed || name.starts_with("llvm.") {
                continue;
            }
            let alias = aliases.contains(&symbol);
            // SAFETY: a definition of this module; only functions and variables have a comdat.
            unsafe {
                if !alias {
                    LLVMSetComdat(symbol, ptr::null_mut());
                }
                if keep(&name) {
                    LLVMSetLinkage(symbol, LLVMLinkage::LLVMExternalLinkage);
                } else {
                    LLVMSetVisibility(symbol, LLVMVisibility::LLVMDefaultVisibility);
                    LLVMSetLinkage(symbol, LLVMLinkage::LLVMInternalLinkage);
                }
            }
        }
    }

    /// Deletes the calls of intrinsics named in `erase` and replaces calls of those in `forward` by their first
    /// argument. Answers whether there were any.
    pub fn remove_intrinsics(&mut self, erase: &[&str], forward: &[&str]) -> bool {
        let named = |names: &[&str], callee: &str| names.contains(&callee);
        let erased = self.collect_calls(|name| named(erase, name));
        let forwarded = self.collect_calls(|name| named(forward, name));
        for &call in &erased {
            // SAFETY: a call of this module whose result, if any, gets a stand-in before it goes.
            unsafe {
                if LLVMGetTypeKind(LLVMTypeOf(call)) != llvm_sys::LLVMTypeKind::LLVMVoidTypeKind {
                    LLVMReplaceAllUsesWith(call, LLVMGetPoison(LLVMTypeOf(call)));
                }
                LLVMInstructionEraseFromParent(call);
            }
        }
        for &call in &forwarded {
            // SAFETY: a call of this module; these intrinsics return the type of their first argument.
            unsafe {
                LLVMReplaceAllUsesWith(call, LLVMGetOperand(call, 0));
                LLVMInstructionEraseFromParent(call);
            }
        }
        !erased.is_empty() || !forwarded.is_empty()
    }

    /// Gives a declared function another name; nothing happens if the module has no such declaration.
    pub fn rename_declaration(&mut self, from: &str, to: &str) {
        let (from, to) = (super::text::c_string(from), super::text::c_string(to));
        // SAFETY: valid strings; a function of this module, if there is one.
        unsafe {
            let function = LLVMGetNamedFunction(self.raw, from.as_ptr());
            if !function.is_null() && LLVMIsDeclaration(function) != 0 {
                LLVMSetValueName2(function, to.as_ptr(), to.as_bytes().len());
            }
        }
    }

    /// Whether some call is marked `musttail`.
    pub fn has_must_tail_calls(&self) -> bool {
        self.functions()
            .flat_map(|function| function.blocks())
            .any(|block| block.instructions().into_iter().any(|instruction| instruction.is_must_tail()))
    }

    /// Whether some instruction has the opcode.
    pub fn contains(&self, opcode: LLVMOpcode) -> bool {
        self.functions()
            .flat_map(|function| function.blocks())
            .any(|block| block.instructions().into_iter().any(|instruction| instruction.opcode() == opcode))
    }

    /// Whether some value is an integer of more than 64 bits.
    pub fn contains_wide_integers(&self) -> bool {
        self.functions().flat_map(|function| function.blocks()).any(|block| {
            block.instructions().into_iter().any(|instruction| {
                let operand = instruction.value().operand(0).and_then(|operand| operand.ty().int_width());
                instruction.value().ty().int_width().or(operand).is_some_and(|width| width > 64)
            })
        })
    }

    /// Calls whose direct callee is an intrinsic of an accepted name; calls of anything else have the name "".
    fn collect_calls(&self, accept: impl Fn(&str) -> bool) -> Vec<LLVMValueRef> {
        let mut calls = Vec::new();
        for block in self.functions().flat_map(|function| function.blocks()) {
            for instruction in block.instructions() {
                let Some((callee, _)) = instruction.call() else { continue };
                let name = super::Function::from_value(callee).and_then(|function| function.intrinsic_name());
                if accept(name.as_deref().unwrap_or("")) {
                    calls.push(instruction.value().raw());
                }
            }
        }
        calls
    }
}
