//! Types and their layouts.
//!
//! Must never hold: types of debug information, see `debug`.

use super::super::super::expand::{MAX_BITS, wide_type};
use super::super::super::llvm::{LLVMTypeKind, Type as LlvmType};
use super::super::super::{FunctionType, Layout, Type, TypeId};
use super::{Converter, Refusal, Result};

const VECTOR_HELP: &str = "compile for riscv32 without the vector extension";

/// Largest alignment in bytes that the stack and the data of a module have.
const VECTOR_ALIGN: u32 = 16;

/// Layout of what has no size: void, functions, structs that are only declared.
const UNSIZED: Layout = Layout { size: 0, store_size: 0, align: 1 };

impl<'m> Converter<'m, '_> {
    /// The plain type of `ty`.
    pub(super) fn type_id(&mut self, ty: LlvmType<'m>) -> Result<TypeId> {
        if let Some(id) = self.types.get(&ty) {
            return Ok(*id);
        }
        let id = match ty.int_width() {
            Some(width @ 65..=MAX_BITS) => {
                let layout = self.layout(ty)?;
                wide_type(&mut self.module.types, width, layout)
            }
            _ => {
                let plain = self.plain_type(ty)?;
                let layout = self.layout(ty)?;
                self.module.types.intern(plain, layout)
            }
        };
        self.types.insert(ty, id);
        Ok(id)
    }

    /// The plain function type of `ty`, with its id.
    pub(super) fn function_type(&mut self, ty: LlvmType<'m>) -> Result<(FunctionType, TypeId)> {
        let id = self.type_id(ty)?;
        match self.module.types.get(id) {
            Type::Function(function) => Ok((function.clone(), id)),
            _ => Err(Refusal::new(format!("{} is no function type", ty.print()), "pass IR that a compiler made")),
        }
    }

    fn plain_type(&mut self, ty: LlvmType<'m>) -> Result<Type> {
        use LLVMTypeKind::*;
        Ok(match ty.kind() {
            LLVMVoidTypeKind => Type::Void,
            LLVMHalfTypeKind => Type::Half,
            LLVMFloatTypeKind => Type::Float,
            LLVMDoubleTypeKind => Type::Double,
            LLVMFP128TypeKind => Type::Quad,
            LLVMPointerTypeKind => Type::Pointer,
            LLVMIntegerTypeKind => match ty.int_width().unwrap_or(0) {
                width @ 1..=64 => Type::Int(width),
                width => {
                    let message = format!("integers of {width} bits are not supported");
                    return Err(Refusal::new(message, "use narrower integers, or bit-fields of fewer bits in a row"));
                }
            },
            LLVMArrayTypeKind => {
                let (element, count) = ty.array().ok_or_else(|| unsupported(ty))?;
                Type::Array { element: self.type_id(element)?, count }
            }
            LLVMStructTypeKind => {
                let fields = ty.fields().ok_or_else(|| unsupported(ty))?;
                let mut ids = Vec::with_capacity(fields.len());
                let mut offsets = Vec::with_capacity(fields.len());
                for (index, field) in (0..).zip(fields) {
                    ids.push(self.type_id(field)?);
                    offsets.push(size(ty, self.llvm.field_offset(ty, index).unwrap_or(0))?);
                }
                Type::Struct { fields: ids, offsets }
            }
            LLVMFunctionTypeKind => {
                let (result, parameters, variadic) = ty.function().ok_or_else(|| unsupported(ty))?;
                let result = self.type_id(result)?;
                let parameters =
                    parameters.into_iter().map(|parameter| self.type_id(parameter)).collect::<Result<_>>()?;
                Type::Function(FunctionType { result, parameters, variadic })
            }
            LLVMVectorTypeKind => {
                let (element, count) = ty.vector().ok_or_else(|| unsupported(ty))?;
                Type::Vector { element: self.type_id(element)?, count }
            }
            LLVMScalableVectorTypeKind => {
                return Err(Refusal::new(format!("vector type {} is not supported", ty.print()), VECTOR_HELP));
            }
            _ => return Err(unsupported(ty)),
        })
    }

    /// The alignment of a variable. What vectors ask for beyond [`VECTOR_ALIGN`] has no use where each element is accessed by itself.
    pub(super) fn kept_alignment(&self, ty: TypeId, align: u32) -> u32 {
        if align > VECTOR_ALIGN && self.holds_vector(ty) { VECTOR_ALIGN } else { align }
    }

    fn holds_vector(&self, ty: TypeId) -> bool {
        match self.module.types.get(ty) {
            Type::Vector { .. } => true,
            Type::Array { element, .. } => self.holds_vector(*element),
            Type::Struct { fields, .. } => fields.iter().any(|field| self.holds_vector(*field)),
            _ => false,
        }
    }

    fn layout(&self, ty: LlvmType<'m>) -> Result<Layout> {
        match self.llvm.layout_of(ty) {
            Some((bytes, stored, align)) => Ok(Layout { size: size(ty, bytes)?, store_size: size(ty, stored)?, align }),
            None => Ok(UNSIZED),
        }
    }
}

fn unsupported(ty: LlvmType<'_>) -> Refusal {
    let message = format!("type {} is not supported", ty.print());
    Refusal::new(message, "use integers, float, double, pointers, arrays and structs of them")
}

fn size(ty: LlvmType<'_>, bytes: u64) -> Result<u32> {
    u32::try_from(bytes).map_err(|_| {
        let message = format!("type {} has {bytes} bytes, more than a 32-bit address space", ty.print());
        Refusal::new(message, "make the array smaller")
    })
}
