//! LLVM types.
//!
//! Must never hold: sizes; those need a module's data layout and are asked of [`super::Module`].

use super::text;
use llvm_sys::LLVMTypeKind;
use llvm_sys::core::{
    LLVMCountParamTypes, LLVMCountStructElementTypes, LLVMGetArrayLength2, LLVMGetElementType, LLVMGetIntTypeWidth,
    LLVMGetParamTypes, LLVMGetReturnType, LLVMGetStructElementTypes, LLVMGetTypeKind, LLVMGetVectorSize,
    LLVMIsFunctionVarArg, LLVMPrintTypeToString, LLVMTypeIsSized,
};
use llvm_sys::prelude::LLVMTypeRef;
use std::marker::PhantomData;

/// A type of a module's context.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Type<'m> {
    raw: LLVMTypeRef,
    owner: PhantomData<&'m ()>,
}

impl<'m> Type<'m> {
    /// # Safety
    /// `raw` is a type of a context that outlives `'m`.
    pub(super) unsafe fn new(raw: LLVMTypeRef) -> Self {
        Self { raw, owner: PhantomData }
    }

    pub(super) fn raw(self) -> LLVMTypeRef {
        self.raw
    }

    pub fn kind(self) -> LLVMTypeKind {
        // SAFETY: a valid type.
        unsafe { LLVMGetTypeKind(self.raw) }
    }

    /// Width of an integer type.
    pub fn int_width(self) -> Option<u32> {
        // SAFETY: only asked of an integer type.
        (self.kind() == LLVMTypeKind::LLVMIntegerTypeKind).then(|| unsafe { LLVMGetIntTypeWidth(self.raw) })
    }

    /// Element type and count of an array.
    pub fn array(self) -> Option<(Self, u64)> {
        (self.kind() == LLVMTypeKind::LLVMArrayTypeKind).then(|| {
            // SAFETY: only asked of an array type.
            unsafe { (Self::new(LLVMGetElementType(self.raw)), LLVMGetArrayLength2(self.raw)) }
        })
    }

    /// Element type and count of a vector of fixed length.
    pub fn vector(self) -> Option<(Self, u32)> {
        (self.kind() == LLVMTypeKind::LLVMVectorTypeKind).then(|| {
            // SAFETY: only asked of such a vector type.
            unsafe { (Self::new(LLVMGetElementType(self.raw)), LLVMGetVectorSize(self.raw)) }
        })
    }

    /// Fields of a struct.
    pub fn fields(self) -> Option<Vec<Self>> {
        if self.kind() != LLVMTypeKind::LLVMStructTypeKind {
            return None;
        }
        // SAFETY: a struct type; LLVM fills exactly as many entries as it counts.
        unsafe {
            let mut fields = vec![std::ptr::null_mut(); LLVMCountStructElementTypes(self.raw) as usize];
            LLVMGetStructElementTypes(self.raw, fields.as_mut_ptr());
            Some(fields.into_iter().map(|raw| Self::new(raw)).collect())
        }
    }

    /// Result, parameters and variadicity of a function type.
    pub fn function(self) -> Option<(Self, Vec<Self>, bool)> {
        if self.kind() != LLVMTypeKind::LLVMFunctionTypeKind {
            return None;
        }
        // SAFETY: a function type; LLVM fills exactly as many entries as it counts.
        unsafe {
            let mut parameters = vec![std::ptr::null_mut(); LLVMCountParamTypes(self.raw) as usize];
            LLVMGetParamTypes(self.raw, parameters.as_mut_ptr());
            Some((
                Self::new(LLVMGetReturnType(self.raw)),
                parameters.into_iter().map(|raw| Self::new(raw)).collect(),
                LLVMIsFunctionVarArg(self.raw) != 0,
            ))
        }
    }

    /// Whether the type has a size.
    pub fn is_sized(self) -> bool {
        // SAFETY: a valid type.
        unsafe { LLVMTypeIsSized(self.raw) != 0 }
    }

    /// The type as IR text.
    pub fn print(self) -> String {
        // SAFETY: a valid type; the text is ours.
        unsafe { text::take(LLVMPrintTypeToString(self.raw)) }
    }
}
