//! How IR types travel: the scalar leaves of a type, and the signature of a function type.
//!
//! Must never hold: instructions.

use super::refusal::{Lowered, Refusal};
use crate::ir::{FunctionType, Type, TypeId, TypeTable};
use espb_format::signature::{Signature, ValType};

/// Most scalars in a struct or array that is handled as a value.
const MAX_LEAVES: usize = 256;

/// What a scalar is to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An integer of this width, or a pointer (32). Bits above the width are unspecified in a register, but `Int(1)` is always 0 or 1.
    Int(u32),
    /// IEEE binary32.
    F32,
    /// IEEE binary64.
    F64,
}

impl Kind {
    /// Register lanes; meaningless above 64 bits, which lowering refuses.
    pub fn lanes(self) -> u8 {
        match self {
            Kind::Int(bits) if bits > 32 => 2,
            Kind::Int(_) | Kind::F32 => 1,
            Kind::F64 => 2,
        }
    }

    /// Width in bits.
    pub fn bits(self) -> u32 {
        match self {
            Kind::Int(bits) => bits,
            Kind::F32 => 32,
            Kind::F64 => 64,
        }
    }

    /// The type in a signature.
    pub fn val_type(self) -> Lowered<ValType> {
        match self {
            Kind::Int(0..=32) => Ok(ValType::I32),
            Kind::Int(33..=64) => Ok(ValType::I64),
            Kind::F32 => Ok(ValType::F32),
            Kind::F64 => Ok(ValType::F64),
            Kind::Int(bits) => Err(wide(bits)),
        }
    }
}

/// The refusal of an integer wider than 64 bits.
pub fn wide(bits: u32) -> Refusal {
    Refusal::unsupported(format!("an integer of {bits} bits"), "use integers of at most 64 bits")
}

/// A scalar inside a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// What it is.
    pub kind: Kind,
    /// Byte offset from the start of the whole.
    pub offset: u32,
    /// Bytes that a load or store touches.
    pub store_size: u32,
}

/// The scalars of a type in order; one for a scalar type, none for void and empty structs.
pub fn leaves(types: &TypeTable, ty: TypeId) -> Lowered<Vec<Leaf>> {
    let mut all = Vec::new();
    collect(types, ty, 0, &mut all)?;
    Ok(all)
}

fn collect(types: &TypeTable, ty: TypeId, offset: u32, all: &mut Vec<Leaf>) -> Lowered<()> {
    let kind = match types.get(ty) {
        Type::Void => return Ok(()),
        Type::Int(bits) => Kind::Int(*bits),
        Type::Pointer => Kind::Int(32),
        Type::Float => Kind::F32,
        Type::Double => Kind::F64,
        Type::Half => return Err(Refusal::unsupported("a half-precision float", "use float")),
        Type::Quad => return Err(Refusal::unsupported("a long double (128 bits)", "use double")),
        Type::Function(_) => return Err(Refusal::unsupported("a function as a value", "use a function pointer")),
        Type::Array { .. } | Type::Vector { .. } | Type::Struct { .. } => {
            let mut index = 0;
            while let Some((part, at)) = types.part(ty, index) {
                if all.len() >= MAX_LEAVES {
                    return Err(Refusal::unsupported(
                        format!("a struct or array value of more than {MAX_LEAVES} parts"),
                        "keep it in memory and copy it with memcpy",
                    ));
                }
                collect(types, part, offset.wrapping_add(at), all)?;
                index += 1;
            }
            return Ok(());
        }
    };
    all.push(Leaf { kind, offset, store_size: types.layout(ty).store_size });
    Ok(())
}

/// Number of leaves before part `index` of a struct or array.
pub fn leaves_before(types: &TypeTable, ty: TypeId, index: u32) -> Lowered<usize> {
    (0..index)
        .filter_map(|earlier| types.part(ty, earlier))
        .map(|(part, _)| leaves(types, part).map(|all| all.len()))
        .sum()
}

/// The type of a result: a scalar, or a struct or array of one or two registers.
fn result_type(types: &TypeTable, ty: TypeId) -> Lowered<Option<ValType>> {
    match leaves(types, ty)?.as_slice() {
        [] => Ok(None),
        [one] => one.kind.val_type().map(Some),
        [a, b] if a.kind.lanes() == 1 && b.kind.lanes() == 1 => Ok(Some(ValType::I64)),
        _ => Err(Refusal::unsupported("a result of more than two registers", "return it through a pointer")),
    }
}

/// The signature of a function type as host functions see it: its fixed parameters, leaf by leaf.
pub fn signature(types: &TypeTable, ty: &FunctionType) -> Lowered<Signature> {
    build(&params(types, ty)?, result_type(types, ty.result)?, ty.variadic)
}

/// The signature of a function defined in the module: the scalars that travel in registers, then the address of the others if there are any, then
/// that of the variable arguments if it takes any.
pub fn defined_signature(types: &TypeTable, ty: &FunctionType) -> Lowered<Signature> {
    let mut params = params(types, ty)?;
    let registers = in_registers(params.len(), ty.variadic);
    if registers < params.len() {
        params.truncate(registers);
        params.push(ValType::I32);
    }
    if ty.variadic {
        params.push(ValType::I32);
    }
    build(&params, result_type(types, ty.result)?, false)
}

/// Number of scalars among the fixed parameters of a function type.
pub fn scalars(types: &TypeTable, ty: &FunctionType) -> Lowered<usize> {
    Ok(params(types, ty)?.len())
}

/// How many of a call's scalars travel in registers inside a module. The others lie in memory, and their address takes one parameter.
pub fn in_registers(scalars: usize, variadic: bool) -> usize {
    let room = Signature::MAX_PARAMS - usize::from(variadic);
    if scalars <= room { scalars } else { room - 1 }
}

/// Scalars in memory one behind the other: words, 8-byte values at multiples of 8.
#[derive(Clone, Copy, Debug, Default)]
pub struct Area(u32);

impl Area {
    /// The area of these scalars.
    pub fn of(kinds: &[Kind]) -> Self {
        let mut area = Self::default();
        for kind in kinds {
            area.place(*kind);
        }
        area
    }

    /// The offset of the next scalar.
    pub fn place(&mut self, kind: Kind) -> u32 {
        let width = u32::from(kind.lanes()) * 4;
        let offset = self.0.next_multiple_of(width);
        self.0 = offset + width;
        offset
    }

    /// Bytes so far.
    pub fn size(self) -> u32 {
        self.0
    }
}

/// The signature of one call of a variadic host function, with the types of all arguments.
pub fn variadic_signature(types: &TypeTable, ty: &FunctionType, arguments: &[ValType]) -> Lowered<Signature> {
    build(arguments, result_type(types, ty.result)?, false)
}

fn params(types: &TypeTable, ty: &FunctionType) -> Lowered<Vec<ValType>> {
    let mut params = Vec::new();
    for parameter in &ty.parameters {
        for leaf in leaves(types, *parameter)? {
            params.push(leaf.kind.val_type()?);
        }
    }
    Ok(params)
}

fn build(params: &[ValType], result: Option<ValType>, variadic: bool) -> Lowered<Signature> {
    Signature::new(params, result, variadic).ok_or_else(|| {
        Refusal::too_large(
            format!("a host function with {} parameters", params.len()),
            format!("a host function takes at most {}", Signature::MAX_PARAMS),
        )
    })
}
