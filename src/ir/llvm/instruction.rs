//! Blocks and instructions.
//!
//! Must never hold: the plain IR; each getter answers what LLVM says about one instruction.

use super::metadata::Metadata;
use super::text;
use super::types::Type;
use super::value::{Attribute, Value};
use llvm_sys::core::*;
use llvm_sys::debuginfo::{
    LLVMDILocationGetColumn, LLVMDILocationGetLine, LLVMDILocationGetScope, LLVMDIScopeGetFile,
    LLVMInstructionGetDebugLoc,
};
use llvm_sys::prelude::LLVMBasicBlockRef;
use llvm_sys::{
    LLVMAtomicOrdering, LLVMAtomicRMWBinOp, LLVMIntPredicate, LLVMOpcode, LLVMRealPredicate, LLVMTailCallKind,
    LLVMValueKind,
};
use std::marker::PhantomData;
use std::ptr;

/// A basic block.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Block<'m> {
    raw: LLVMBasicBlockRef,
    owner: PhantomData<&'m ()>,
}

impl<'m> Block<'m> {
    /// # Safety
    /// `raw` is a block, not null, of a module that stays unchanged during `'m`.
    pub(super) unsafe fn new(raw: LLVMBasicBlockRef) -> Self {
        Self { raw, owner: PhantomData }
    }

    pub fn name(self) -> String {
        // SAFETY: a block, which goes on owning the string.
        unsafe { text::copy_c(LLVMGetBasicBlockName(self.raw)) }
    }

    pub fn instructions(self) -> Vec<Instruction<'m>> {
        let mut instructions = Vec::new();
        // SAFETY: a block and the instructions of its list.
        unsafe {
            let mut current = LLVMGetFirstInstruction(self.raw);
            while let Some(value) = Value::new_option(current) {
                instructions.push(Instruction { value });
                current = LLVMGetNextInstruction(current);
            }
        }
        instructions
    }
}

/// An instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Instruction<'m> {
    value: Value<'m>,
}

impl<'m> Instruction<'m> {
    /// The value as an instruction, `None` for other values.
    pub fn from_value(value: Value<'m>) -> Option<Self> {
        (value.kind() == LLVMValueKind::LLVMInstructionValueKind).then_some(Self { value })
    }

    pub fn value(self) -> Value<'m> {
        self.value
    }

    pub fn opcode(self) -> LLVMOpcode {
        // SAFETY: an instruction.
        unsafe { LLVMGetInstructionOpcode(self.value.raw()) }
    }

    fn accesses_memory(self) -> bool {
        use LLVMOpcode::*;
        matches!(self.opcode(), LLVMLoad | LLVMStore | LLVMAtomicRMW | LLVMAtomicCmpXchg)
    }

    /// Alignment of an alloca or a memory access, 0 for others.
    pub fn alignment(self) -> u32 {
        let has_one = self.accesses_memory() || self.opcode() == LLVMOpcode::LLVMAlloca;
        // SAFETY: asked of what has an alignment only.
        if has_one { unsafe { LLVMGetAlignment(self.value.raw()) } } else { 0 }
    }

    pub fn is_volatile(self) -> bool {
        // SAFETY: asked of memory accesses only.
        self.accesses_memory() && unsafe { LLVMGetVolatile(self.value.raw()) != 0 }
    }

    /// Ordering of a load, store, fence or read-modify-write.
    pub fn ordering(self) -> LLVMAtomicOrdering {
        use LLVMOpcode::*;
        match self.opcode() {
            // SAFETY: asked of what has one ordering only.
            LLVMLoad | LLVMStore | LLVMFence | LLVMAtomicRMW => unsafe { LLVMGetOrdering(self.value.raw()) },
            _ => LLVMAtomicOrdering::LLVMAtomicOrderingNotAtomic,
        }
    }

    /// Orderings of success and failure, and weakness, of a compare-and-exchange.
    pub fn compare_exchange(self) -> Option<(LLVMAtomicOrdering, LLVMAtomicOrdering, bool)> {
        (self.opcode() == LLVMOpcode::LLVMAtomicCmpXchg).then(|| {
            let raw = self.value.raw();
            // SAFETY: a compare-and-exchange.
            unsafe { (LLVMGetCmpXchgSuccessOrdering(raw), LLVMGetCmpXchgFailureOrdering(raw), LLVMGetWeak(raw) != 0) }
        })
    }

    pub fn rmw_operation(self) -> Option<LLVMAtomicRMWBinOp> {
        // SAFETY: asked of a read-modify-write only.
        (self.opcode() == LLVMOpcode::LLVMAtomicRMW).then(|| unsafe { LLVMGetAtomicRMWBinOp(self.value.raw()) })
    }

    pub fn allocated_type(self) -> Option<Type<'m>> {
        // SAFETY: asked of an alloca only.
        (self.opcode() == LLVMOpcode::LLVMAlloca).then(|| unsafe { Type::new(LLVMGetAllocatedType(self.value.raw())) })
    }

    pub fn int_predicate(self) -> Option<LLVMIntPredicate> {
        // SAFETY: asked of an icmp only.
        (self.opcode() == LLVMOpcode::LLVMICmp).then(|| unsafe { LLVMGetICmpPredicate(self.value.raw()) })
    }

    pub fn float_predicate(self) -> Option<LLVMRealPredicate> {
        // SAFETY: asked of an fcmp only.
        (self.opcode() == LLVMOpcode::LLVMFCmp).then(|| unsafe { LLVMGetFCmpPredicate(self.value.raw()) })
    }

    /// Blocks and values of a phi.
    pub fn incoming(self) -> Vec<(Block<'m>, Value<'m>)> {
        if self.opcode() != LLVMOpcode::LLVMPHI {
            return Vec::new();
        }
        let raw = self.value.raw();
        // SAFETY: a phi, indexed within its count.
        unsafe {
            (0..LLVMCountIncoming(raw))
                .map(|index| {
                    (Block::new(LLVMGetIncomingBlock(raw, index)), Value::new(LLVMGetIncomingValue(raw, index)))
                })
                .collect()
        }
    }

    /// Indices of an extractvalue or insertvalue.
    pub fn indices(self) -> Vec<u32> {
        use LLVMOpcode::*;
        if !matches!(self.opcode(), LLVMExtractValue | LLVMInsertValue) {
            return Vec::new();
        }
        let raw = self.value.raw();
        // SAFETY: LLVM points at as many indices as it counts.
        unsafe {
            let data = LLVMGetIndices(raw);
            let count = LLVMGetNumIndices(raw) as usize;
            if data.is_null() { Vec::new() } else { std::slice::from_raw_parts(data, count).to_vec() }
        }
    }

    /// Successors of a terminator.
    pub fn successors(self) -> Vec<Block<'m>> {
        let raw = self.value.raw();
        // SAFETY: asked of a terminator only, indexed within its count.
        unsafe {
            if LLVMIsATerminatorInst(raw).is_null() {
                return Vec::new();
            }
            (0..LLVMGetNumSuccessors(raw)).map(|index| Block::new(LLVMGetSuccessor(raw, index))).collect()
        }
    }

    /// The value of the case that leads to successor `index` (1…) of a switch.
    pub fn case_value(self, index: u32) -> Option<Value<'m>> {
        let raw = self.value.raw();
        // SAFETY: a switch, indexed within its successors and past the default.
        unsafe {
            (self.opcode() == LLVMOpcode::LLVMSwitch && index > 0 && index < LLVMGetNumSuccessors(raw))
                .then(|| Value::new(LLVMGetSwitchCaseValue(raw, index)))
        }
    }

    /// Callee and function type of a call.
    pub fn call(self) -> Option<(Value<'m>, Type<'m>)> {
        (self.opcode() == LLVMOpcode::LLVMCall).then(|| {
            // SAFETY: a call.
            unsafe {
                (
                    Value::new(LLVMGetCalledValue(self.value.raw())),
                    Type::new(LLVMGetCalledFunctionType(self.value.raw())),
                )
            }
        })
    }

    /// Arguments of a call.
    pub fn arguments(self) -> Vec<Value<'m>> {
        if self.opcode() != LLVMOpcode::LLVMCall {
            return Vec::new();
        }
        // SAFETY: a call; its first operands are the arguments.
        let count = unsafe { LLVMGetNumArgOperands(self.value.raw()) };
        (0..count).filter_map(|index| self.value.operand(index)).collect()
    }

    /// Attributes of a call, indexed as in [`super::Function::attributes`].
    pub fn call_attributes(self, index: u32) -> Vec<Attribute<'m>> {
        if self.opcode() != LLVMOpcode::LLVMCall {
            return Vec::new();
        }
        // SAFETY: a call; LLVM fills exactly as many entries as it counts.
        unsafe {
            let mut attributes = vec![ptr::null_mut(); LLVMGetCallSiteAttributeCount(self.value.raw(), index) as usize];
            LLVMGetCallSiteAttributes(self.value.raw(), index, attributes.as_mut_ptr());
            attributes.into_iter().filter_map(|raw| Attribute::new(raw)).collect()
        }
    }

    pub fn is_must_tail(self) -> bool {
        // SAFETY: asked of a call only.
        self.opcode() == LLVMOpcode::LLVMCall
            && unsafe { LLVMGetTailCallKind(self.value.raw()) == LLVMTailCallKind::LLVMTailCallKindMustTail }
    }

    pub fn has_operand_bundles(self) -> bool {
        // SAFETY: asked of a call only.
        self.opcode() == LLVMOpcode::LLVMCall && unsafe { LLVMGetNumOperandBundles(self.value.raw()) > 0 }
    }

    /// File node, line and column of the instruction's own scope, i.e. of the inlined function if it was inlined.
    pub fn location(self) -> Option<(Metadata<'m>, u32, u32)> {
        // SAFETY: an instruction; a location, if there is one, has a scope in the same context.
        unsafe {
            let location = LLVMInstructionGetDebugLoc(self.value.raw());
            if location.is_null() {
                return None;
            }
            let file = LLVMDIScopeGetFile(LLVMDILocationGetScope(location));
            let file = Metadata::new(file, LLVMGetTypeContext(LLVMTypeOf(self.value.raw())))?;
            Some((file, LLVMDILocationGetLine(location), LLVMDILocationGetColumn(location)))
        }
    }
}
