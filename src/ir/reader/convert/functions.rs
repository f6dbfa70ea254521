//! Signatures and bodies of functions.
//!
//! Must never hold: the meaning of single instructions, see `instructions`.

use super::super::super::expand::Expander;
use super::super::super::llvm::{
    Function as LlvmFunction, Instruction as LlvmInstruction, LLVMOpcode, LLVMTypeKind, Value,
};
use super::super::super::{
    BasicBlock, BlockId, DebugLocation, Function, Operand, Parameter, Phi, Terminator, TypeId, ValueId,
};
use super::symbols::{linkage, visibility};
use super::{Converter, Refusal, Result};
use crate::diagnostic::{Diagnostic, Place};
use std::collections::HashMap;

/// The values of the function whose body is being read.
pub(super) struct Values<'m>(HashMap<Value<'m>, ValueId>);

impl<'m> Values<'m> {
    pub(super) fn get(&self, value: Value<'m>) -> Option<ValueId> {
        self.0.get(&value).copied()
    }
}

impl<'m> Converter<'m, '_> {
    /// A function without body and debug information.
    pub(super) fn signature_of(&mut self, function: LlvmFunction<'m>) -> Result<Function> {
        let value = function.value();
        let ty = value.value_type().ok_or_else(|| super::constants::unsupported(value))?;
        let (ty, type_id) = self.function_type(ty)?;
        let mut parameters = Vec::with_capacity(ty.parameters.len());
        for (index, parameter) in (1..).zip(function.parameters()) {
            parameters.push(Parameter {
                name: parameter.name(),
                ty: self.type_id(parameter.ty())?,
                attributes: self.parameter_attributes(&function.attributes(index))?,
            });
        }
        Ok(Function {
            name: value.name(),
            linkage: linkage(value),
            visibility: visibility(value),
            section: value.section(),
            value_types: ty.parameters.clone(),
            ty,
            type_id,
            parameters,
            result_attributes: self.parameter_attributes(&function.attributes(0))?,
            attributes: self.function_attributes(&function.attributes(u32::MAX)),
            blocks: Vec::new(),
            debug: None,
        })
    }

    /// Reads the body into `plain`.
    pub(super) fn body(
        &mut self,
        function: LlvmFunction<'m>,
        plain: &mut Function,
    ) -> std::result::Result<(), Diagnostic> {
        let blocks: Vec<_> = function.blocks().into_iter().map(|block| (block, block.instructions())).collect();
        // Values first: a phi may use what a later block defines.
        let mut values = Values(HashMap::new());
        for (id, parameter) in (0..).zip(function.parameters()) {
            values.0.insert(parameter, ValueId(id));
        }
        for instruction in blocks.iter().flat_map(|(_, instructions)| instructions) {
            if instruction.value().ty().kind() == LLVMTypeKind::LLVMVoidTypeKind {
                continue;
            }
            let ty = self.type_id(instruction.value().ty());
            let ty = ty.map_err(|refusal| self.refuse(refusal, *instruction, plain))?;
            values.0.insert(instruction.value(), ValueId(plain.value_types.len() as u32));
            plain.value_types.push(ty);
        }
        for (index, (block, instructions)) in blocks.into_iter().enumerate() {
            let mut out = BasicBlock {
                name: block.name(),
                phis: Vec::new(),
                instructions: Vec::with_capacity(instructions.len()),
                terminator: Terminator::Unreachable,
                terminator_location: None,
                address_taken: false,
            };
            for instruction in instructions {
                let location = self.location(instruction);
                let types = &mut plain.value_types;
                let read = self.read_instruction(instruction, &values, index == 0, location, types, &mut out);
                read.map_err(|refusal| self.refuse(refusal, instruction, plain))?;
            }
            plain.blocks.push(out);
        }
        Ok(())
    }

    fn read_instruction(
        &mut self,
        instruction: LlvmInstruction<'m>,
        values: &Values<'m>,
        entry: bool,
        location: Option<DebugLocation>,
        value_types: &mut Vec<TypeId>,
        out: &mut BasicBlock,
    ) -> Result<()> {
        let result = values.get(instruction.value());
        if let (LLVMOpcode::LLVMPHI, Some(result)) = (instruction.opcode(), result) {
            let mut incoming = Vec::new();
            for (block, value) in instruction.incoming() {
                incoming.push((self.block_id(block)?, self.operand(value, values)?));
            }
            out.phis.push(Phi { result, incoming });
        } else if let Some(terminator) = self.terminator(instruction, values)? {
            out.terminator = terminator;
            out.terminator_location = location;
        } else if let Some(rearrangement) = self.rearrangement(instruction, values)? {
            let result = result.ok_or_else(|| super::constants::unsupported(instruction.value()))?;
            self.expander(value_types, out, location).rearrange(result, rearrangement);
        } else {
            let kind = self.instruction(instruction, values, entry)?;
            self.expander(value_types, out, location).instruction(result, kind)?;
        }
        Ok(())
    }

    fn expander<'a>(
        &'a mut self,
        value_types: &'a mut Vec<TypeId>,
        out: &'a mut BasicBlock,
        location: Option<DebugLocation>,
    ) -> Expander<'a> {
        Expander { types: &mut self.module.types, value_types, out: &mut out.instructions, location }
    }

    /// An operand of an instruction.
    pub(super) fn operand(&mut self, value: Value<'m>, values: &Values<'m>) -> Result<Operand> {
        match values.get(value) {
            Some(id) => Ok(Operand::Value(id)),
            None => Ok(Operand::Constant(self.constant(value)?)),
        }
    }

    pub(super) fn block_id(&self, block: super::Block<'m>) -> Result<BlockId> {
        self.blocks.get(&block).copied().ok_or_else(|| {
            Refusal::new(format!("block {} is of another function", block.name()), "pass IR that a compiler made")
        })
    }

    /// The refusal at the instruction's C line, else at its function.
    fn refuse(&mut self, refusal: Refusal, instruction: LlvmInstruction<'m>, function: &Function) -> Diagnostic {
        let location = self.location(instruction);
        let file = location.and_then(|location| self.module.files.get(location.file.0 as usize));
        let place = match (location, file) {
            (Some(location), Some(file)) => {
                Place::Line { file: file.name.clone(), line: location.line, column: location.column }
            }
            _ => Place::Function(function.name.clone()),
        };
        refusal.at(place)
    }
}
