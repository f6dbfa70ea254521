//! Modules, their symbols and layouts, and whole-module operations.
//!
//! Must never hold: changes to single instructions, see `rewrite`.

use super::instruction::Block;
use super::metadata::Metadata;
use super::target::TargetMachine;
use super::text::{self, c_string};
use super::types::Type;
use super::value::{Attribute, Value};
use llvm_sys::LLVMUnnamedAddr;
use llvm_sys::analysis::{LLVMVerifierFailureAction, LLVMVerifyModule};
use llvm_sys::core::*;
use llvm_sys::debuginfo::{
    LLVMDIGlobalVariableExpressionGetVariable, LLVMGetMetadataKind, LLVMGetSubprogram, LLVMMetadataKind,
};
use llvm_sys::error::{LLVMDisposeErrorMessage, LLVMGetErrorMessage};
use llvm_sys::linker::LLVMLinkModules2;
use llvm_sys::prelude::{LLVMContextRef, LLVMModuleRef, LLVMValueRef};
use llvm_sys::target::{
    LLVMABIAlignmentOfType, LLVMABISizeOfType, LLVMGetModuleDataLayout, LLVMOffsetOfElement, LLVMStoreSizeOfType,
};
use llvm_sys::transforms::pass_builder::{LLVMCreatePassBuilderOptions, LLVMDisposePassBuilderOptions, LLVMRunPasses};
use llvm_sys::{LLVMLinkage, LLVMTypeKind, LLVMVisibility};
use std::marker::PhantomData;
use std::ptr;

/// A module, owned.
pub struct Module<'c> {
    pub(super) raw: LLVMModuleRef,
    owner: PhantomData<&'c ()>,
}

/// How a symbol binds.
pub type SymbolLinkage = LLVMLinkage;

impl<'c> Module<'c> {
    /// # Safety
    /// `raw` is null or a module of a context that outlives `'c`, and nobody else owns it.
    pub(super) unsafe fn own(raw: LLVMModuleRef) -> Option<Self> {
        (!raw.is_null()).then_some(Self { raw, owner: PhantomData })
    }

    pub(super) fn context(&self) -> LLVMContextRef {
        // SAFETY: a valid module.
        unsafe { LLVMGetModuleContext(self.raw) }
    }

    /// Moves everything of `other` into this module; on `false` the context has messages.
    pub fn link(&mut self, other: Module<'c>) -> bool {
        let raw = other.raw;
        std::mem::forget(other);
        // SAFETY: two modules of one context; the call takes over the second.
        unsafe { LLVMLinkModules2(self.raw, raw) == 0 }
    }

    /// Checks the module's rules; the error is LLVM's list of what is broken.
    pub fn verify(&self) -> Result<(), String> {
        let mut message = ptr::null_mut();
        // SAFETY: a valid module; the message is always set.
        unsafe {
            let broken =
                LLVMVerifyModule(self.raw, LLVMVerifierFailureAction::LLVMReturnStatusAction, &mut message) != 0;
            let message = text::take(message);
            if broken { Err(message) } else { Ok(()) }
        }
    }

    /// Runs a pipeline in the syntax of `opt -passes`.
    pub fn run_passes(&mut self, pipeline: &str, target: &TargetMachine) -> Result<(), String> {
        let pipeline = c_string(pipeline);
        // SAFETY: valid module, machine and string; the options are ours.
        let error = unsafe {
            let options = LLVMCreatePassBuilderOptions();
            let error = LLVMRunPasses(self.raw, pipeline.as_ptr(), target.raw, options);
            LLVMDisposePassBuilderOptions(options);
            error
        };
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: the error is ours to consume, and the message to dispose.
        unsafe {
            let message = LLVMGetErrorMessage(error);
            let copy = text::copy_c(message);
            LLVMDisposeErrorMessage(message);
            Err(copy)
        }
    }

    pub fn triple(&self) -> String {
        // SAFETY: a valid module, which goes on owning the string.
        unsafe { text::copy_c(LLVMGetTarget(self.raw)) }
    }

    pub fn data_layout(&self) -> String {
        // SAFETY: a valid module, which goes on owning the string.
        unsafe { text::copy_c(LLVMGetDataLayoutStr(self.raw)) }
    }

    /// Declares the target of a module; the layout must be well-formed.
    pub fn set_target(&mut self, triple: &str, layout: &str) {
        let (triple, layout) = (c_string(triple), c_string(layout));
        // SAFETY: a valid module and strings, which LLVM copies.
        unsafe {
            LLVMSetTarget(self.raw, triple.as_ptr());
            LLVMSetDataLayout(self.raw, layout.as_ptr());
        }
    }

    /// Assembly text outside functions.
    pub fn inline_asm(&self) -> String {
        let mut length = 0;
        // SAFETY: a valid module, which goes on owning the string.
        unsafe {
            let data = LLVMGetModuleInlineAsm(self.raw, &mut length);
            text::copy(data, length)
        }
    }

    /// Size, store size and alignment in bytes of a sized type.
    pub fn layout_of(&self, ty: Type<'_>) -> Option<(u64, u64, u32)> {
        if !ty.is_sized() {
            return None;
        }
        // SAFETY: the module's own layout and a sized type.
        unsafe {
            let layout = LLVMGetModuleDataLayout(self.raw);
            Some((
                LLVMABISizeOfType(layout, ty.raw()),
                LLVMStoreSizeOfType(layout, ty.raw()),
                LLVMABIAlignmentOfType(layout, ty.raw()),
            ))
        }
    }

    /// Byte offset of a field of a sized struct.
    pub fn field_offset(&self, ty: Type<'_>, field: u32) -> Option<u64> {
        if ty.kind() != LLVMTypeKind::LLVMStructTypeKind || !ty.is_sized() {
            return None;
        }
        // SAFETY: a sized struct, and the field is within its count.
        unsafe {
            (field < LLVMCountStructElementTypes(ty.raw()))
                .then(|| LLVMOffsetOfElement(LLVMGetModuleDataLayout(self.raw), ty.raw(), field))
        }
    }

    fn chain(
        &self,
        first: unsafe extern "C" fn(LLVMModuleRef) -> LLVMValueRef,
        next: unsafe extern "C" fn(LLVMValueRef) -> LLVMValueRef,
    ) -> Vec<Value<'_>> {
        let mut values = Vec::new();
        // SAFETY: a valid module; each value comes from the list that `first` and `next` walk.
        unsafe {
            let mut current = first(self.raw);
            while let Some(value) = Value::new_option(current) {
                values.push(value);
                current = next(current);
            }
        }
        values
    }

    /// Functions, defined and declared, intrinsics included.
    pub fn functions(&self) -> impl Iterator<Item = Function<'_>> {
        self.chain(LLVMGetFirstFunction, LLVMGetNextFunction).into_iter().map(Function::new)
    }

    /// Variables, defined and declared, LLVM's own included.
    pub fn globals(&self) -> Vec<Value<'_>> {
        self.chain(LLVMGetFirstGlobal, LLVMGetNextGlobal)
    }

    /// Aliases.
    pub fn aliases(&self) -> Vec<Value<'_>> {
        self.chain(LLVMGetFirstGlobalAlias, LLVMGetNextGlobalAlias)
    }

    /// Functions chosen by a resolver at load time.
    pub fn ifuncs(&self) -> Vec<Value<'_>> {
        self.chain(LLVMGetFirstGlobalIFunc, LLVMGetNextGlobalIFunc)
    }

    /// The variable named `name`.
    pub fn global(&self, name: &str) -> Option<Value<'_>> {
        let name = c_string(name);
        // SAFETY: a valid module and string.
        unsafe { Value::new_option(LLVMGetNamedGlobal(self.raw, name.as_ptr())) }
    }

    /// The operands of a named metadata node.
    pub fn named_metadata(&self, name: &str) -> Vec<Metadata<'_>> {
        let name = c_string(name);
        // SAFETY: LLVM fills exactly as many entries as it counts; each wraps a node.
        unsafe {
            let mut operands = vec![ptr::null_mut(); LLVMGetNamedMetadataNumOperands(self.raw, name.as_ptr()) as usize];
            LLVMGetNamedMetadataOperands(self.raw, name.as_ptr(), operands.as_mut_ptr());
            operands.into_iter().filter_map(|raw| Metadata::new(LLVMValueAsMetadata(raw), self.context())).collect()
        }
    }
}

impl Drop for Module<'_> {
    fn drop(&mut self) {
        // SAFETY: owned, disposed once.
        unsafe { LLVMDisposeModule(self.raw) };
    }
}

/// What functions, variables and aliases have in common. Each answers a default for other values.
impl<'m> Value<'m> {
    fn is_global(self) -> bool {
        use llvm_sys::LLVMValueKind::*;
        matches!(
            self.kind(),
            LLVMFunctionValueKind | LLVMGlobalVariableValueKind | LLVMGlobalAliasValueKind | LLVMGlobalIFuncValueKind
        )
    }

    fn is_variable(self) -> bool {
        self.kind() == llvm_sys::LLVMValueKind::LLVMGlobalVariableValueKind
    }

    pub fn linkage(self) -> LLVMLinkage {
        // SAFETY: asked of a global value only.
        if self.is_global() { unsafe { LLVMGetLinkage(self.raw()) } } else { LLVMLinkage::LLVMExternalLinkage }
    }

    pub fn is_hidden(self) -> bool {
        // SAFETY: asked of a global value only.
        self.is_global() && unsafe { LLVMGetVisibility(self.raw()) != LLVMVisibility::LLVMDefaultVisibility }
    }

    pub fn is_declaration(self) -> bool {
        // SAFETY: asked of a global value only.
        self.is_global() && unsafe { LLVMIsDeclaration(self.raw()) != 0 }
    }

    pub fn is_unnamed_address(self) -> bool {
        // SAFETY: asked of a global value only.
        self.is_global() && unsafe { LLVMGetUnnamedAddress(self.raw()) == LLVMUnnamedAddr::LLVMGlobalUnnamedAddr }
    }

    pub fn section(self) -> Option<String> {
        if !self.is_global() {
            return None;
        }
        // SAFETY: a global value, which goes on owning the string.
        let section = unsafe { text::copy_c(LLVMGetSection(self.raw())) };
        (!section.is_empty()).then_some(section)
    }

    /// The type of what a symbol's address points at.
    pub fn value_type(self) -> Option<Type<'m>> {
        // SAFETY: asked of a global value only.
        self.is_global().then(|| unsafe { Type::new(LLVMGlobalGetValueType(self.raw())) })
    }

    pub fn initializer(self) -> Option<Value<'m>> {
        if !self.is_variable() {
            return None;
        }
        // SAFETY: a variable; null without initialiser.
        unsafe { Value::new_option(LLVMGetInitializer(self.raw())) }
    }

    pub fn is_constant_variable(self) -> bool {
        // SAFETY: asked of a variable only.
        self.is_variable() && unsafe { LLVMIsGlobalConstant(self.raw()) != 0 }
    }

    pub fn is_thread_local(self) -> bool {
        // SAFETY: asked of a variable only.
        self.is_variable() && unsafe { LLVMIsThreadLocal(self.raw()) != 0 }
    }

    /// Alignment written for a variable, 0 if none.
    pub fn variable_alignment(self) -> u32 {
        // SAFETY: asked of a variable only.
        if self.is_variable() { unsafe { LLVMGetAlignment(self.raw()) } } else { 0 }
    }

    /// The debug information of a variable.
    pub fn variable_debug(self, module: &'m Module<'_>) -> Option<Metadata<'m>> {
        if !self.is_variable() {
            return None;
        }
        let mut count = 0;
        let mut found = None;
        // SAFETY: a variable; the entries are ours to dispose, and indexed within their count.
        unsafe {
            let entries = LLVMGlobalCopyAllMetadata(self.raw(), &mut count);
            for index in 0..u32::try_from(count).unwrap_or(0) {
                let node = LLVMValueMetadataEntriesGetMetadata(entries, index);
                if matches!(LLVMGetMetadataKind(node), LLVMMetadataKind::LLVMDIGlobalVariableExpressionMetadataKind) {
                    let variable = LLVMDIGlobalVariableExpressionGetVariable(node);
                    found = found.or(Metadata::new(variable, module.context()));
                }
            }
            LLVMDisposeValueMetadataEntries(entries);
        }
        found
    }
}

/// A function.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Function<'m> {
    value: Value<'m>,
}

impl<'m> Function<'m> {
    /// Only called with values that LLVM lists as functions.
    pub(super) fn new(value: Value<'m>) -> Self {
        debug_assert!(value.kind() == llvm_sys::LLVMValueKind::LLVMFunctionValueKind);
        Self { value }
    }

    /// The function as a value, `None` for other values.
    pub fn from_value(value: Value<'m>) -> Option<Self> {
        (value.kind() == llvm_sys::LLVMValueKind::LLVMFunctionValueKind).then_some(Self { value })
    }

    pub fn value(self) -> Value<'m> {
        self.value
    }

    /// LLVM's name of an intrinsic without the type suffixes, `None` for other functions.
    pub fn intrinsic_name(self) -> Option<String> {
        let mut length = 0;
        // SAFETY: a function; the name is asked of a known intrinsic only, LLVM tells its length.
        unsafe {
            let id = LLVMGetIntrinsicID(self.value.raw());
            if id == 0 {
                return None;
            }
            let data = LLVMIntrinsicGetName(id, &mut length);
            Some(text::copy(data, length))
        }
    }

    pub fn parameters(self) -> Vec<Value<'m>> {
        // SAFETY: a function; LLVM fills exactly as many entries as it counts.
        unsafe {
            let mut parameters = vec![ptr::null_mut(); LLVMCountParams(self.value.raw()) as usize];
            LLVMGetParams(self.value.raw(), parameters.as_mut_ptr());
            parameters.into_iter().map(|raw| Value::new(raw)).collect()
        }
    }

    pub fn blocks(self) -> Vec<Block<'m>> {
        // SAFETY: a function; LLVM fills exactly as many entries as it counts.
        unsafe {
            let mut blocks = vec![ptr::null_mut(); LLVMCountBasicBlocks(self.value.raw()) as usize];
            LLVMGetBasicBlocks(self.value.raw(), blocks.as_mut_ptr());
            blocks.into_iter().map(|raw| Block::new(raw)).collect()
        }
    }

    /// Attributes at an index: 0 the result, 1… the parameters, `u32::MAX` the function.
    pub fn attributes(self, index: u32) -> Vec<Attribute<'m>> {
        // SAFETY: a function; LLVM fills exactly as many entries as it counts.
        unsafe {
            let mut attributes = vec![ptr::null_mut(); LLVMGetAttributeCountAtIndex(self.value.raw(), index) as usize];
            LLVMGetAttributesAtIndex(self.value.raw(), index, attributes.as_mut_ptr());
            attributes.into_iter().filter_map(|raw| Attribute::new(raw)).collect()
        }
    }

    pub fn subprogram(self, module: &'m Module<'_>) -> Option<Metadata<'m>> {
        // SAFETY: a function; null without debug information.
        unsafe { Metadata::new(LLVMGetSubprogram(self.value.raw()), module.context()) }
    }
}
