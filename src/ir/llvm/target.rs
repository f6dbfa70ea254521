//! The RISC-V target machine whose cost model the passes use.
//!
//! Must never hold: code generation; no machine code is ever made.

use super::text::{c_string, take};
use llvm_sys::target::{LLVMInitializeRISCVTarget, LLVMInitializeRISCVTargetInfo, LLVMInitializeRISCVTargetMC};
use llvm_sys::target_machine::{
    LLVMCodeGenOptLevel, LLVMCodeModel, LLVMCreateTargetMachine, LLVMDisposeTargetMachine, LLVMGetTargetFromTriple,
    LLVMRelocMode, LLVMTargetMachineRef,
};
use std::ptr;
use std::sync::Once;

/// A target machine.
pub struct TargetMachine {
    pub(super) raw: LLVMTargetMachineRef,
}

impl TargetMachine {
    /// The machine for a RISC-V triple, CPU and feature list, or LLVM's reason against it.
    pub fn riscv(triple: &str, cpu: &str, features: &str) -> Result<Self, String> {
        static REGISTERED: Once = Once::new();
        // SAFETY: once only, and before any look-up.
        REGISTERED.call_once(|| unsafe {
            LLVMInitializeRISCVTargetInfo();
            LLVMInitializeRISCVTarget();
            LLVMInitializeRISCVTargetMC();
        });
        let (triple, cpu, features) = (c_string(triple), c_string(cpu), c_string(features));
        let mut target = ptr::null_mut();
        let mut message = ptr::null_mut();
        // SAFETY: zero-terminated strings and valid places for the results; `message` is set on failure only.
        unsafe {
            if LLVMGetTargetFromTriple(triple.as_ptr(), &mut target, &mut message) != 0 {
                return Err(take(message));
            }
        }
        // SAFETY: a target that LLVM just found.
        let raw = unsafe {
            LLVMCreateTargetMachine(
                target,
                triple.as_ptr(),
                cpu.as_ptr(),
                features.as_ptr(),
                LLVMCodeGenOptLevel::LLVMCodeGenLevelDefault,
                LLVMRelocMode::LLVMRelocStatic,
                LLVMCodeModel::LLVMCodeModelDefault,
            )
        };
        if raw.is_null() { Err("no such target machine".to_owned()) } else { Ok(Self { raw }) }
    }
}

impl Drop for TargetMachine {
    fn drop(&mut self) {
        // SAFETY: owned, disposed once.
        unsafe { LLVMDisposeTargetMachine(self.raw) };
    }
}
