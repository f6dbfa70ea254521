//! Guaranteed tail calls (`musttail`): the callee takes over the frame.
//!
//! Must never hold: calls that the compiler need not make so. Those keep their frame, because a backtrace should name the caller.

use super::Lower;
use super::arguments::Passing;
use crate::codegen::abi;
use crate::codegen::machine::{TailCall, TailTarget, Target, Terminator};
use crate::codegen::refusal::{Lowered, Refusal};
use crate::ir::{self, InstructionKind};
use espb_format::signature::Signature;

impl Lower<'_, '_> {
    /// The end of a block that ends in such a call. A host function keeps no frame of the module, so calling it and returning is as good.
    pub fn tail_call(&mut self, block: &ir::BasicBlock) -> Lowered<Option<Terminator>> {
        let Some(last) = block.instructions.last() else { return Ok(None) };
        let InstructionKind::Call(call) = &last.kind else { return Ok(None) };
        if !call.must_tail {
            return Ok(None);
        }
        self.location = last.location;
        let Some((target, callee)) = self.in_module(call)? else {
            self.location = block.terminator_location;
            return Ok(None);
        };
        let types = &self.unit.module.types;
        let made = abi::defined_signature(types, &call.ty)?;
        let own = abi::defined_signature(types, &self.function.ty)?;
        if made.result_slots() != own.result_slots() || call.arguments.len() != call.ty.parameters.len() {
            return Err(Refusal::unsupported(
                "a guaranteed tail call (musttail) whose result or variable arguments are not those of its function",
                "compile the file with clang",
            ));
        }
        let scalars = abi::scalars(types, &call.ty)?;
        if abi::in_registers(scalars, call.ty.variadic) < scalars {
            return Err(Refusal::too_large(
                format!("a guaranteed tail call (musttail) with more than {} arguments", Signature::MAX_PARAMS),
                "pass a pointer to a struct that outlives the call",
            ));
        }
        let arguments = self.arguments(call, callee, Passing::TailCall)?;
        let target = match target {
            Target::Indirect { address, signature } => TailTarget::Indirect { address, signature },
            Target::Function(index) => TailTarget::Function(index),
            Target::Import(_) | Target::Variadic { .. } => return Ok(None),
        };
        Ok(Some(Terminator::TailCall(Box::new(TailCall { target, arguments }))))
    }
}
