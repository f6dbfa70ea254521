//! Metadata nodes of debug information.
//!
//! Must never hold: the meaning of operands; the reader of debug information knows it.

use super::text;
use llvm_sys::LLVMValueKind;
use llvm_sys::core::{
    LLVMConstIntGetZExtValue, LLVMGetMDNodeNumOperands, LLVMGetMDNodeOperands, LLVMGetMDString, LLVMGetValueKind,
    LLVMIsAMDNode, LLVMIsAMDString, LLVMMetadataAsValue, LLVMPrintValueToString, LLVMValueAsMetadata,
};
use llvm_sys::debuginfo::{
    LLVMDIFileGetDirectory, LLVMDIFileGetFilename, LLVMDISubprogramGetLine, LLVMDIVariableGetLine, LLVMGetDINodeTag,
    LLVMGetMetadataKind, LLVMMetadataKind,
};
use llvm_sys::prelude::{LLVMContextRef, LLVMMetadataRef, LLVMValueRef};
use std::marker::PhantomData;
use std::ptr;

/// A metadata node.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Metadata<'m> {
    raw: LLVMMetadataRef,
    context: LLVMContextRef,
    owner: PhantomData<&'m ()>,
}

impl<'m> Metadata<'m> {
    /// `None` for a null node.
    ///
    /// # Safety
    /// `raw` is null or a node of `context`, which outlives `'m`.
    pub(super) unsafe fn new(raw: LLVMMetadataRef, context: LLVMContextRef) -> Option<Self> {
        (!raw.is_null()).then_some(Self { raw, context, owner: PhantomData })
    }

    fn as_value(self) -> LLVMValueRef {
        // SAFETY: a node of this context.
        unsafe { LLVMMetadataAsValue(self.context, self.raw) }
    }

    /// The node's class.
    pub fn kind(self) -> LLVMMetadataKind {
        // SAFETY: a valid node.
        unsafe { LLVMGetMetadataKind(self.raw) }
    }

    /// The DWARF tag, 0 for nodes without one.
    pub fn tag(self) -> u16 {
        // SAFETY: the call answers 0 itself for nodes that are not DINodes.
        unsafe { LLVMGetDINodeTag(self.raw) }
    }

    /// The operands, absent ones included; none for strings and constants.
    pub fn operands(self) -> Vec<Option<MetadataOperand<'m>>> {
        let value = self.as_value();
        // SAFETY: the value wraps this node; LLVM fills exactly as many entries as it counts.
        unsafe {
            if LLVMIsAMDNode(value).is_null() {
                return Vec::new();
            }
            let mut operands = vec![ptr::null_mut(); LLVMGetMDNodeNumOperands(value) as usize];
            LLVMGetMDNodeOperands(value, operands.as_mut_ptr());
            operands
                .into_iter()
                .map(|raw| {
                    (!raw.is_null()).then_some(MetadataOperand { raw, context: self.context, owner: PhantomData })
                })
                .collect()
        }
    }

    /// Name and directory of a file node.
    pub fn file(self) -> Option<(String, String)> {
        if !matches!(self.kind(), LLVMMetadataKind::LLVMDIFileMetadataKind) {
            return None;
        }
        let mut length = 0;
        // SAFETY: a file node; LLVM tells the length of each string.
        unsafe {
            let name = LLVMDIFileGetFilename(self.raw, &mut length);
            let name = text::copy(name, length as usize);
            let directory = LLVMDIFileGetDirectory(self.raw, &mut length);
            Some((name, text::copy(directory, length as usize)))
        }
    }

    /// The line of a subprogram or variable node, 0 for others.
    pub fn line(self) -> u32 {
        // SAFETY: each call is made on a node of its class only.
        unsafe {
            match self.kind() {
                LLVMMetadataKind::LLVMDISubprogramMetadataKind => LLVMDISubprogramGetLine(self.raw),
                LLVMMetadataKind::LLVMDIGlobalVariableMetadataKind
                | LLVMMetadataKind::LLVMDILocalVariableMetadataKind => LLVMDIVariableGetLine(self.raw),
                _ => 0,
            }
        }
    }

    /// The node as IR text: the only way to fields that the C API does not give.
    pub fn print(self) -> String {
        // SAFETY: the value wraps this node; the text is ours.
        unsafe { text::take(LLVMPrintValueToString(self.as_value())) }
    }
}

/// An operand of a node: a node, a string or an integer.
#[derive(Clone, Copy)]
pub struct MetadataOperand<'m> {
    raw: LLVMValueRef,
    context: LLVMContextRef,
    owner: PhantomData<&'m ()>,
}

impl<'m> MetadataOperand<'m> {
    /// The string, if it is one.
    pub fn string(self) -> Option<String> {
        let mut length = 0;
        // SAFETY: a valid value; the string is asked of a string only.
        unsafe {
            if LLVMIsAMDString(self.raw).is_null() {
                return None;
            }
            let data = LLVMGetMDString(self.raw, &mut length);
            Some(text::copy(data, length as usize))
        }
    }

    /// The integer, if it is one of at most 64 bits.
    pub fn integer(self) -> Option<u64> {
        // SAFETY: a valid value; the number is asked of an integer constant only.
        unsafe {
            (LLVMGetValueKind(self.raw) == LLVMValueKind::LLVMConstantIntValueKind)
                .then(|| LLVMConstIntGetZExtValue(self.raw))
        }
    }

    /// The node, if it is one.
    pub fn node(self) -> Option<Metadata<'m>> {
        // SAFETY: a valid value; LLVMValueAsMetadata unwraps what wraps a node.
        unsafe {
            if LLVMIsAMDNode(self.raw).is_null() {
                return None;
            }
            Metadata::new(LLVMValueAsMetadata(self.raw), self.context)
        }
    }
}
