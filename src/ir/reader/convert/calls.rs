//! Calls: callees, arguments, attributes.
//!
//! Must never hold: the meaning of intrinsics; the code generator knows them.

use super::super::super::llvm::{Function as LlvmFunction, Instruction as LlvmInstruction, LLVMTypeKind, Type};
use super::super::super::{Argument, Call, Callee, Constant, ConstantKind, Operand, Symbol, SymbolAddress, TypeId};
use super::attributes::merge;
use super::constants::unsupported;
use super::functions::Values;
use super::{Converter, Refusal, Result};

impl<'m> Converter<'m, '_> {
    pub(super) fn call(&mut self, call: LlvmInstruction<'m>, values: &Values<'m>) -> Result<Call> {
        let (callee, ty) = call.call().ok_or_else(|| unsupported(call.value()))?;
        if call.has_operand_bundles() {
            let help = "compile without instrumentation such as -fsanitize";
            return Err(Refusal::new(format!("`{}` carries operand bundles", call.value().print().trim()), help));
        }
        let direct = LlvmFunction::from_value(callee);
        let intrinsic = direct.and_then(|function| function.intrinsic_name());
        let (plain_ty, type_id) = match self.function_type(ty) {
            Ok(found) => found,
            // Only intrinsics take metadata.
            Err(refusal) => return Err(intrinsic.map_or(refusal, |name| unsupported_intrinsic(&name))),
        };
        let mut attributes = self.function_attributes(&call.call_attributes(u32::MAX));
        let plain_callee = if let Some(name) = intrinsic {
            let overloads = self.overloads(&callee.name(), &name, ty)?;
            Callee::Intrinsic { name, overloads }
        } else if let Some((text, constraints, side_effects)) = callee.inline_asm() {
            Callee::InlineAsm { text, constraints, side_effects }
        } else if let Some(id) = self.functions.get(&callee).copied() {
            Callee::Function(id)
        } else if direct.is_some() {
            return Err(unsupported_intrinsic(&callee.name()));
        } else {
            match self.operand(callee, values)? {
                // Through an alias: as good as direct.
                Operand::Constant(Constant {
                    kind: ConstantKind::Address(SymbolAddress { symbol: Symbol::Function(id), offset: 0 }),
                    ..
                }) => Callee::Function(id),
                operand => Callee::Indirect(operand),
            }
        };
        if let Some(function) = direct {
            attributes = merge(attributes, &self.function_attributes(&function.attributes(u32::MAX)));
        }
        let mut arguments = Vec::new();
        for (index, argument) in (1..).zip(call.arguments()) {
            arguments.push(Argument {
                operand: self.operand(argument, values)?,
                attributes: self.parameter_attributes(&call.call_attributes(index))?,
            });
        }
        Ok(Call {
            callee: plain_callee,
            ty: plain_ty,
            type_id,
            arguments,
            result_attributes: self.parameter_attributes(&call.call_attributes(0))?,
            attributes,
            must_tail: call.is_must_tail(),
        })
    }

    /// The types in the suffix of an intrinsic's name, e.g. `i32` and `p0` in `llvm.x.i32.p0`. Each of them is the type
    /// of the result, of a part of it, or of a parameter.
    fn overloads(&mut self, full: &str, name: &str, ty: Type<'m>) -> Result<Vec<TypeId>> {
        let (result, parameters, _) = ty.function().ok_or_else(|| unsupported_intrinsic(full))?;
        let parts = result.fields().unwrap_or_default();
        let candidates: Vec<Type<'m>> = [result].into_iter().chain(parts).chain(parameters).collect();
        let suffix = full.strip_prefix(name).unwrap_or_default();
        let mut overloads = Vec::new();
        for word in suffix.split('.').filter(|word| !word.is_empty()) {
            let found = candidates.iter().find(|candidate| mangled(**candidate).as_deref() == Some(word));
            overloads.push(self.type_id(*found.ok_or_else(|| unsupported_intrinsic(full))?)?);
        }
        Ok(overloads)
    }
}

/// A type as LLVM writes it in the names of intrinsics; `None` for those no supported intrinsic has.
fn mangled(ty: Type<'_>) -> Option<String> {
    use LLVMTypeKind::*;
    Some(match ty.kind() {
        LLVMIntegerTypeKind => format!("i{}", ty.int_width()?),
        LLVMHalfTypeKind => "f16".to_owned(),
        LLVMFloatTypeKind => "f32".to_owned(),
        LLVMDoubleTypeKind => "f64".to_owned(),
        LLVMFP128TypeKind => "f128".to_owned(),
        LLVMPointerTypeKind => "p0".to_owned(),
        LLVMVectorTypeKind => {
            let (element, count) = ty.vector()?;
            format!("v{count}{}", mangled(element)?)
        }
        _ => return None,
    })
}

fn unsupported_intrinsic(name: &str) -> Refusal {
    let help = if name.starts_with("llvm.experimental.constrained.") {
        "compile without -ffp-model=strict, -frounding-math and -ftrapping-math"
    } else {
        "write the C source without the builtin it comes from, or report it with the input"
    };
    Refusal::new(format!("the intrinsic `{name}` is not supported"), help)
}
