//! Calls of functions of the module and of the host.
//!
//! Must never hold: how arguments travel (`arguments`), where windows lie (register allocation) or what a host function does with its arguments
//! (contracts).

use super::Lower;
use super::arguments::Passing;
use super::emit::{imm, reg};
use crate::codegen::abi::{self, Kind};
use crate::codegen::machine::{self, InstKind, Reg, Source, Target, VReg};
use crate::codegen::refusal::{Lowered, Refusal};
use crate::codegen::unit::list_form;
use crate::ir::{self, Callee, Linkage, Operand, ValueId};
use espb_format::opcode::Opcode;
use espb_format::signature::{Signature, ValType};

impl<'a> Lower<'_, 'a> {
    /// A call of any kind.
    pub fn call(&mut self, result: Option<ValueId>, call: &ir::Call) -> Lowered<()> {
        match &call.callee {
            Callee::Intrinsic { name, .. } => return self.intrinsic(result, name, call),
            Callee::InlineAsm { text, constraints, .. } => {
                return self.inline_assembly(result, text, constraints, call);
            }
            Callee::Function(_) | Callee::Indirect(_) => {}
        }
        if let Some((target, callee)) = self.in_module(call)? {
            let arguments = self.arguments(call, callee, Passing::Module)?;
            return self.emit_call(result, target, arguments, false);
        }
        match &call.callee {
            Callee::Function(id) => self.call_host(result, *id, call),
            _ => Ok(()),
        }
    }

    /// The function of the module that a call enters, and its declaration if that is known; `None` for a call of the host.
    pub fn in_module(&mut self, call: &ir::Call) -> Lowered<Option<(Target, Option<&'a ir::Function>)>> {
        let module = self.unit.module;
        let made = || abi::defined_signature(&module.types, &call.ty);
        match &call.callee {
            Callee::Indirect(address) => {
                let signature = self.unit.tables.signature(made()?)?;
                let address = self.get(address)?;
                Ok(Some((Target::Indirect { address, signature }, None)))
            }
            Callee::Function(id) => {
                let Some(callee) = module.function(*id) else { return Ok(None) };
                if let Some(index) = self.unit.index(*id) {
                    if made()? != abi::defined_signature(&module.types, &callee.ty)? {
                        return Err(Refusal::unsupported(
                            format!("a call of {} with other types than it is defined with", callee.name),
                            "include the header that declares it",
                        ));
                    }
                    return Ok(Some((Target::Function(index), Some(callee))));
                }
                if callee.linkage == Linkage::ExternalWeak {
                    // Nobody defines it: a call that the program should have guarded by a test traps like any call of null.
                    let signature = self.unit.tables.signature(made()?)?;
                    let address = self.number(0);
                    return Ok(Some((Target::Indirect { address, signature }, Some(callee))));
                }
                Ok(None)
            }
            Callee::Intrinsic { .. } | Callee::InlineAsm { .. } => Ok(None),
        }
    }

    fn call_host(&mut self, result: Option<ValueId>, id: ir::FuncId, call: &ir::Call) -> Lowered<()> {
        let module = self.unit.module;
        let Some(callee) = module.function(id) else { return Ok(()) };
        let types = &module.types;
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
        let passing = self.passing(call)?;
        let target = match passing {
            Passing::HostList => {
                let Some(list) = list_form(&callee.name) else {
                    return Err(Refusal::too_large(
                        format!("a call of {} with more than {} arguments", callee.name, Signature::MAX_PARAMS),
                        "make several calls of it",
                    ));
                };
                let signature = abi::defined_signature(types, &callee.ty)?;
                Target::Import(self.unit.tables.import(list, signature)?)
            }
            _ => self.host_target(callee, call)?,
        };
        let arguments = self.arguments(call, Some(callee), passing)?;
        self.emit_call(result, target, arguments, true)
    }

    /// The import, and where it is variadic the signature of this call.
    fn host_target(&mut self, callee: &ir::Function, call: &ir::Call) -> Lowered<Target> {
        let types = &self.unit.module.types;
        let own = abi::signature(types, &callee.ty)?;
        let import = self.unit.tables.import(&callee.name, own)?;
        if callee.ty.variadic {
            let mut kinds: Vec<ValType> = Vec::new();
            for argument in &call.arguments {
                let Some(ty) = self.function.type_of(&argument.operand) else { continue };
                for leaf in abi::leaves(types, ty)? {
                    kinds.push(leaf.kind.val_type()?);
                }
            }
            let signature = abi::variadic_signature(types, &call.ty, &kinds)?;
            return Ok(Target::Variadic { import, signature: self.unit.tables.signature(signature)? });
        }
        if abi::signature(types, &call.ty)? != own {
            return Err(Refusal::unsupported(
                format!("a call of {} with other types than it is declared with", callee.name),
                "include the header that declares it",
            ));
        }
        Ok(Target::Import(import))
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
        let Some(signature) = Signature::new(&types, Some(ty), false) else { return Ok(()) };
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
