//! Values and attributes.
//!
//! Must never hold: instructions, see `instruction`.

use super::instruction::Block;
use super::module::Function;
use super::text;
use super::types::Type;
use llvm_sys::core::*;
use llvm_sys::prelude::{LLVMAttributeRef, LLVMValueRef};
use llvm_sys::{LLVMOpcode, LLVMTypeKind, LLVMValueKind};
use std::marker::PhantomData;

/// A value of a module.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Value<'m> {
    raw: LLVMValueRef,
    owner: PhantomData<&'m ()>,
}

impl<'m> Value<'m> {
    /// # Safety
    /// `raw` is a value, not null, of a module that stays unchanged during `'m`.
    pub(super) unsafe fn new(raw: LLVMValueRef) -> Self {
        Self { raw, owner: PhantomData }
    }

    /// # Safety
    /// `raw` is null or as for [`Value::new`].
    pub(super) unsafe fn new_option(raw: LLVMValueRef) -> Option<Self> {
        (!raw.is_null()).then_some(Self { raw, owner: PhantomData })
    }

    pub(super) fn raw(self) -> LLVMValueRef {
        self.raw
    }

    pub fn kind(self) -> LLVMValueKind {
        // SAFETY: a valid value.
        unsafe { LLVMGetValueKind(self.raw) }
    }

    pub fn ty(self) -> Type<'m> {
        // SAFETY: a valid value has a type.
        unsafe { Type::new(LLVMTypeOf(self.raw)) }
    }

    pub fn name(self) -> String {
        let mut length = 0;
        // SAFETY: a valid value; LLVM tells the length.
        unsafe {
            let data = LLVMGetValueName2(self.raw, &mut length);
            text::copy(data, length)
        }
    }

    /// The value as IR text.
    pub fn print(self) -> String {
        // SAFETY: a valid value; the text is ours.
        unsafe { text::take(LLVMPrintValueToString(self.raw)) }
    }

    /// Whether it is a constant that is no function, variable or alias itself.
    pub fn is_constant(self) -> bool {
        // SAFETY: a valid value.
        unsafe { LLVMIsConstant(self.raw) != 0 }
    }

    fn has_operands(self) -> bool {
        self.kind() == LLVMValueKind::LLVMInstructionValueKind || self.is_constant()
    }

    /// Number of operands, 0 for values without any.
    pub fn operand_count(self) -> u32 {
        // SAFETY: instructions and constants are users.
        if self.has_operands() { unsafe { LLVMGetNumOperands(self.raw) }.try_into().unwrap_or(0) } else { 0 }
    }

    /// Operand `index`, `None` past the end.
    pub fn operand(self, index: u32) -> Option<Self> {
        // SAFETY: within the count.
        (index < self.operand_count()).then(|| unsafe { Self::new(LLVMGetOperand(self.raw, index)) })
    }

    /// Opcode of a constant expression.
    pub fn expression_opcode(self) -> Option<LLVMOpcode> {
        // SAFETY: asked of a constant expression only.
        (self.kind() == LLVMValueKind::LLVMConstantExprValueKind).then(|| unsafe { LLVMGetConstOpcode(self.raw) })
    }

    /// The type a `getelementptr`, instruction or expression, steps through.
    pub fn gep_source_type(self) -> Option<Type<'m>> {
        // SAFETY: asked of a getelementptr only.
        self.is_gep().then(|| unsafe { Type::new(LLVMGetGEPSourceElementType(self.raw)) })
    }

    /// Whether a `getelementptr` is `inbounds`.
    pub fn gep_in_bounds(self) -> bool {
        // SAFETY: asked of a getelementptr only.
        self.is_gep() && unsafe { LLVMIsInBounds(self.raw) != 0 }
    }

    fn is_gep(self) -> bool {
        match self.kind() {
            LLVMValueKind::LLVMConstantExprValueKind => self.expression_opcode() == Some(LLVMOpcode::LLVMGetElementPtr),
            LLVMValueKind::LLVMInstructionValueKind => {
                // SAFETY: an instruction.
                unsafe { LLVMGetInstructionOpcode(self.raw) == LLVMOpcode::LLVMGetElementPtr }
            }
            _ => false,
        }
    }

    /// The bits of an integer constant of at most 64 bits, zero-extended.
    pub fn small_int(self) -> Option<u64> {
        let width = self.ty().int_width()?;
        // SAFETY: asked of an integer constant that fits only.
        (width <= 64 && self.kind() == LLVMValueKind::LLVMConstantIntValueKind)
            .then(|| unsafe { LLVMConstIntGetZExtValue(self.raw) })
    }

    /// A floating-point constant as the integer constant with the same bits.
    pub fn float_as_int(self) -> Option<Self> {
        if self.kind() != LLVMValueKind::LLVMConstantFPValueKind {
            return None;
        }
        // SAFETY: a constant, cast to an integer of its own width in its own context, which LLVM folds.
        unsafe {
            let context = LLVMGetTypeContext(LLVMTypeOf(self.raw));
            let bits = match self.ty().kind() {
                LLVMTypeKind::LLVMHalfTypeKind => 16,
                LLVMTypeKind::LLVMFloatTypeKind => 32,
                LLVMTypeKind::LLVMDoubleTypeKind => 64,
                LLVMTypeKind::LLVMFP128TypeKind => 128,
                _ => return None,
            };
            Self::new_option(LLVMConstBitCast(self.raw, LLVMIntTypeInContext(context, bits)))
        }
    }

    /// Element `index` of a constant array, struct or data array; `None` past the end.
    pub fn element(self, index: u32) -> Option<Self> {
        if !self.is_constant() {
            return None;
        }
        // SAFETY: a constant; LLVM answers null for what has no such element.
        unsafe { Self::new_option(LLVMGetAggregateElement(self.raw, index)) }
    }

    /// The bytes of a data array of `i8`.
    pub fn bytes(self) -> Option<Vec<u8>> {
        if self.kind() != LLVMValueKind::LLVMConstantDataArrayValueKind {
            return None;
        }
        let mut length = 0;
        // SAFETY: a data array; the string is asked of an array of i8 only, and LLVM tells its length.
        unsafe {
            if LLVMIsConstantString(self.raw) == 0 {
                return None;
            }
            let data = LLVMGetAsString(self.raw, &mut length);
            if data.is_null() {
                return Some(Vec::new());
            }
            Some(std::slice::from_raw_parts(data.cast::<u8>(), length).to_vec())
        }
    }

    /// Function and block of a block address.
    pub fn block_address(self) -> Option<(Function<'m>, Block<'m>)> {
        if self.kind() != LLVMValueKind::LLVMBlockAddressValueKind {
            return None;
        }
        // SAFETY: a block address has both.
        unsafe {
            Some((
                Function::new(Self::new(LLVMGetBlockAddressFunction(self.raw))),
                Block::new(LLVMGetBlockAddressBasicBlock(self.raw)),
            ))
        }
    }

    /// What an alias stands for.
    pub fn aliasee(self) -> Option<Self> {
        // SAFETY: asked of an alias only.
        (self.kind() == LLVMValueKind::LLVMGlobalAliasValueKind)
            .then(|| unsafe { Self::new(LLVMAliasGetAliasee(self.raw)) })
    }

    /// Text, constraints and side effects of inline assembly.
    pub fn inline_asm(self) -> Option<(String, String, bool)> {
        if self.kind() != LLVMValueKind::LLVMInlineAsmValueKind {
            return None;
        }
        let mut length = 0;
        // SAFETY: inline assembly; LLVM tells the length of each string.
        unsafe {
            let code = LLVMGetInlineAsmAsmString(self.raw, &mut length);
            let code = text::copy(code, length);
            let constraints = LLVMGetInlineAsmConstraintString(self.raw, &mut length);
            let constraints = text::copy(constraints, length);
            Some((code, constraints, LLVMGetInlineAsmHasSideEffects(self.raw) != 0))
        }
    }
}

/// An attribute that has a kind of its own.
#[derive(Clone, Copy)]
pub struct Attribute<'m> {
    /// LLVM's number of the kind, see [`Attribute::kind_number`].
    pub kind: u32,
    /// What comes with it.
    pub value: AttributeValue<'m>,
}

/// What comes with an attribute.
#[derive(Clone, Copy)]
pub enum AttributeValue<'m> {
    /// Its number, 0 if it has none.
    Number(u64),
    /// Its type.
    Type(Type<'m>),
}

impl<'m> Attribute<'m> {
    /// LLVM's number of the kind named `name`, 0 if there is none.
    pub fn kind_number(name: &str) -> u32 {
        // SAFETY: pointer and length of a string.
        unsafe { LLVMGetEnumAttributeKindForName(name.as_ptr().cast(), name.len()) }
    }

    /// `None` for attributes that are plain strings, ranges or lists of ranges.
    ///
    /// # Safety
    /// `raw` is an attribute of a context that outlives `'m`.
    pub(super) unsafe fn new(raw: LLVMAttributeRef) -> Option<Self> {
        // SAFETY: each getter is asked only of the attributes it is for.
        unsafe {
            if LLVMIsTypeAttribute(raw) != 0 {
                let value = AttributeValue::Type(Type::new(LLVMGetTypeAttributeValue(raw)));
                Some(Self { kind: LLVMGetEnumAttributeKind(raw), value })
            } else if LLVMIsEnumAttribute(raw) != 0 {
                let value = AttributeValue::Number(LLVMGetEnumAttributeValue(raw));
                Some(Self { kind: LLVMGetEnumAttributeKind(raw), value })
            } else {
                None
            }
        }
    }
}
