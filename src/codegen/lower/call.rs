//! Calls of functions of the module and of the host.
//!
//! Must never hold: where windows lie (register allocation) or what a host function does with its arguments (contracts).
//!
//! A function of the module that is variadic takes the address of its variable arguments as one more parameter; the caller lays them out in its
//! frame as the RISC-V calling convention lays them out on the stack: words, 8-byte values at multiples of 8.

use super::Lower;
use super::emit::{imm, reg};
use crate::codegen::abi::{self, Kind};
use crate::codegen::machine::{self, InstKind, Reg, Source, Target, VReg};
use crate::codegen::refusal::{Lowered, Refusal};
use crate::ir::{self, Callee, Linkage, Operand, ParameterAttributes, ValueId};
use espb_format::opcode::Opcode;
use espb_format::signature::ValType;

impl Lower<'_, '_> {
    /// A call of any kind.
    pub fn call(&mut self, result: Option<ValueId>, call: &ir::Call) -> Lowered<()> {
        if call.must_tail {
            // The reader made loops of those that call their own function.
            return Err(Refusal::unsupported(
                "a guaranteed tail call (musttail) of another function",
                "leave out the attribute if the depth of calls is bounded; otherwise write a loop with a switch",
            ));
        }
        match &call.callee {
            Callee::Intrinsic { name, .. } => self.intrinsic(result, name, call),
            Callee::InlineAsm { text, constraints, .. } => self.inline_assembly(result, text, constraints, call),
            Callee::Function(id) => self.call_function(result, *id, call),
            Callee::Indirect(address) => {
                let signature = abi::defined_signature(&self.unit.module.types, &call.ty)?;
                let signature = self.unit.tables.signature(signature)?;
                let address = self.get(address)?;
                let arguments = self.arguments(call, None, false)?;
                self.emit_call(result, Target::Indirect { address, signature }, arguments, false)
            }
        }
    }

    fn call_function(&mut self, result: Option<ValueId>, id: ir::FuncId, call: &ir::Call) -> Lowered<()> {
        let module = self.unit.module;
        let Some(callee) = module.function(id) else { return Ok(()) };
        let types = &module.types;
        if let Some(index) = self.unit.index(id) {
            let made = abi::defined_signature(types, &call.ty)?;
            let own = abi::defined_signature(types, &callee.ty)?;
            if made != own {
                return Err(Refusal::unsupported(
                    format!("a call of {} with other types than it is defined with", callee.name),
                    "include the header that declares it",
                ));
            }
            let arguments = self.arguments(call, Some(callee), false)?;
            return self.emit_call(result, Target::Function(index), arguments, false);
        }
        if callee.linkage == Linkage::ExternalWeak {
            // Nobody defines it: a call that the program should have guarded by a test traps like any call of null.
            let signature = abi::defined_signature(types, &call.ty)?;
            let signature = self.unit.tables.signature(signature)?;
            let address = self.number(0);
            let arguments = self.arguments(call, Some(callee), false)?;
            return self.emit_call(result, Target::Indirect { address, signature }, arguments, false);
        }
        if self.long_jump(result, &callee.name, call)? {
            return Ok(());
        }
        if let Some(refusal) = refused_runtime(&callee.name) {
            return Err(refusal);
        }
        if let ("memcpy" | "memmove" | "memset", [to, second, length]) =
            (callee.name.as_str(), call.arguments.as_slice())
        {
            if callee.name == "memset" {
                self.fill_block(&to.operand, &second.operand, &length.operand)?;
            } else {
                self.copy_block(&to.operand, &second.operand, &length.operand)?;
            }
            if let Some(wanted) = result.and_then(|result| self.wanted(result, 0)) {
                let source = self.source(&to.operand, 0, 0)?;
                self.set_lane(wanted.whole(), source);
            }
            return Ok(());
        }
        let own = abi::signature(types, &callee.ty)?;
        let import = self.unit.tables.import(&callee.name, own)?;
        let target = if callee.ty.variadic {
            let mut kinds: Vec<ValType> = Vec::new();
            for argument in &call.arguments {
                let Some(ty) = self.function.type_of(&argument.operand) else { continue };
                for leaf in abi::leaves(types, ty)? {
                    kinds.push(leaf.kind.val_type()?);
                }
            }
            let signature = abi::variadic_signature(types, &call.ty, &kinds)?;
            Target::Variadic { import, signature: self.unit.tables.signature(signature)? }
        } else {
            if abi::signature(types, &call.ty)? != own {
                return Err(Refusal::unsupported(
                    format!("a call of {} with other types than it is declared with", callee.name),
                    "include the header that declares it",
                ));
            }
            Target::Import(import)
        };
        let arguments = self.arguments(call, Some(callee), true)?;
        self.emit_call(result, target, arguments, true)
    }

    /// The arguments in window order.
    fn arguments(&mut self, call: &ir::Call, callee: Option<&ir::Function>, host: bool) -> Lowered<Vec<Source>> {
        let fixed = call.ty.parameters.len();
        let mut sources = Vec::new();
        let none = ParameterAttributes::default();
        for (position, argument) in call.arguments.iter().enumerate() {
            if position >= fixed && !host {
                break;
            }
            let declared = callee
                .and_then(|callee| callee.parameters.get(position))
                .map_or(&none, |parameter| &parameter.attributes);
            let signed = argument.attributes.sign_extend || declared.sign_extend;
            let extended = argument.attributes.zero_extend || declared.zero_extend || host;
            let Some(ty) = self.function.type_of(&argument.operand) else { continue };
            for (index, leaf) in abi::leaves(&self.unit.module.types, ty)?.iter().enumerate() {
                leaf.kind.val_type()?;
                self.argument(&argument.operand, index, leaf.kind, signed, extended, &mut sources)?;
            }
        }
        if call.ty.variadic && !host {
            self.store_variadic(call)?;
            sources.push(self.frame_address(self.variadic_area));
        }
        Ok(sources)
    }

    fn argument(
        &mut self,
        operand: &Operand,
        index: usize,
        kind: Kind,
        signed: bool,
        extended: bool,
        sources: &mut Vec<Source>,
    ) -> Lowered<()> {
        match kind {
            Kind::Int(2..=31) if (signed || extended) && self.kind_of(operand).is_ok_and(|own| own == kind) => {
                let is_number = self.number_of(operand)?.is_some();
                if is_number && signed {
                    let value = self.signed_number_of(operand)?.unwrap_or(0);
                    sources.push(super::emit::int(value as u32));
                } else if is_number {
                    sources.push(self.source(operand, index, 0)?);
                } else if signed {
                    sources.push(Source::Lane(self.get_sign_extended(operand)?));
                } else {
                    sources.push(Source::Lane(self.get_zero_extended(operand)?));
                }
            }
            Kind::Int(2..=31) if extended => {
                let raw = self.get_leaf(operand, index)?;
                let result = self.temp();
                self.zero_extend_into(result, raw, kind.bits());
                sources.push(Source::Lane(result));
            }
            Kind::Int(33..=63) if signed || extended => {
                let raw = self.get64_leaf(operand, index)?;
                let result = self.temp64();
                if signed {
                    self.sign_extend64_into(result, raw, kind.bits());
                } else {
                    self.zero_extend64_into(result, raw, kind.bits());
                }
                sources.extend([Source::Lane(result.lane(0)), Source::Lane(result.lane(1))]);
            }
            _ => {
                for lane in 0..kind.lanes() {
                    sources.push(self.source(operand, index, lane)?);
                }
            }
        }
        Ok(())
    }

    fn emit_call(
        &mut self,
        result: Option<ValueId>,
        target: Target,
        arguments: Vec<Source>,
        host: bool,
    ) -> Lowered<()> {
        let mut results = Vec::new();
        let mut normalised = Vec::new();
        if let Some(result) = result {
            for leaf in 0..self.leaf_count(result) {
                let kind = self.leaf_kind(result, leaf);
                kind.val_type()?;
                let vreg = match self.wanted(result, leaf) {
                    Some(wanted) if host && kind == Kind::Int(1) => {
                        let raw = self.out.vreg(1);
                        normalised.push((wanted, raw));
                        raw
                    }
                    Some(wanted) => wanted,
                    None => self.out.vreg(kind.lanes()),
                };
                results.extend((0..kind.lanes()).map(|lane| vreg.lane(lane)));
            }
        }
        let slots = u8::try_from(arguments.len().max(results.len())).unwrap_or(u8::MAX);
        self.push(InstKind::Call(Box::new(machine::Call { target, arguments, results, slots })));
        for (wanted, raw) in normalised {
            self.op(Opcode::AndImmediate, &[reg(wanted.whole()), reg(raw.whole()), imm(1)]);
        }
        Ok(())
    }

    /// `dest = name(arguments)` of the host's C library, arguments and result of one kind.
    pub fn library(&mut self, dest: VReg, name: &str, kind: Kind, arguments: &[&Operand]) -> Lowered<()> {
        let ty = kind.val_type()?;
        let types = vec![ty; arguments.len()];
        let Some(signature) = espb_format::signature::Signature::new(&types, Some(ty), false) else { return Ok(()) };
        let import = self.unit.tables.import(name, signature)?;
        let mut sources = Vec::new();
        for argument in arguments {
            for lane in 0..kind.lanes() {
                sources.push(self.source(argument, 0, lane)?);
            }
        }
        let results: Vec<Reg> = (0..kind.lanes()).map(|lane| dest.lane(lane)).collect();
        let slots = sources.len().max(results.len()) as u8;
        self.push(InstKind::Call(Box::new(machine::Call {
            target: Target::Import(import),
            arguments: sources,
            results,
            slots,
        })));
        Ok(())
    }

    /// Bytes that the variable arguments of a call take.
    pub fn variadic_size(&self, call: &ir::Call) -> Lowered<u32> {
        let mut size = 0u32;
        for argument in call.arguments.iter().skip(call.ty.parameters.len()) {
            let Some(ty) = self.function.type_of(&argument.operand) else { continue };
            for leaf in abi::leaves(&self.unit.module.types, ty)? {
                let width = u32::from(leaf.kind.lanes()) * 4;
                size = size.next_multiple_of(width) + width;
            }
        }
        // A function that reads no further than its arguments still gets an address inside the frame.
        Ok(size.max(4))
    }

    fn store_variadic(&mut self, call: &ir::Call) -> Lowered<()> {
        let mut offset = 0u32;
        for argument in call.arguments.iter().skip(call.ty.parameters.len()) {
            let Some(ty) = self.function.type_of(&argument.operand) else { continue };
            for (index, leaf) in abi::leaves(&self.unit.module.types, ty)?.iter().enumerate() {
                leaf.kind.val_type()?;
                let width = u32::from(leaf.kind.lanes()) * 4;
                offset = offset.next_multiple_of(width);
                let register = if width == 8 {
                    self.get64_leaf(&argument.operand, index)?
                } else {
                    self.get_leaf(&argument.operand, index)?
                };
                self.store_frame(register, self.variadic_area + offset, width);
                offset += width;
            }
        }
        Ok(())
    }

    /// The register that holds the address of the function's own variable arguments.
    pub fn variadic_list(&mut self) -> VReg {
        if let Some(list) = self.list {
            return list;
        }
        let list = self.out.vreg(1);
        self.list = Some(list);
        list
    }
}

/// The refusal of those parts of the C++ run-time library that no module has: exceptions and `dynamic_cast`.
fn refused_runtime(name: &str) -> Option<Refusal> {
    match name {
        "__cxa_allocate_exception"
        | "__cxa_throw"
        | "__cxa_rethrow"
        | "__cxa_begin_catch"
        | "__cxa_end_catch"
        | "_Unwind_Resume" => Some(Refusal::unsupported(
            "a C++ exception",
            "compile with -fno-exceptions, and report errors by return values",
        )),
        "__dynamic_cast" => Some(Refusal::unsupported(
            "dynamic_cast",
            "use a virtual function instead; -fno-rtti finds the other uses of run-time types",
        )),
        _ => None,
    }
}
