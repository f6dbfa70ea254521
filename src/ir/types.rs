//! Types with their layout as plain numbers, for the one data layout espb translates (riscv32, ILP32).
//!
//! Must never hold: a size or offset that depends on anything but the data layout the reader checked.

use serde::{Deserialize, Serialize};

/// Index of a type in [`TypeTable`]; equal types of equal layout have equal ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TypeId(pub u32);

/// A type, without its layout.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Type {
    /// No value.
    Void,
    /// An integer of 1 to 64 bits; the width need not be a power of two. A wider one is a struct: its low 64 bits, then the rest.
    Int(u32),
    /// IEEE 754 binary16.
    Half,
    /// IEEE 754 binary32.
    Float,
    /// IEEE 754 binary64.
    Double,
    /// IEEE 754 binary128, C's `long double` on RISC-V.
    Quad,
    /// A 32-bit address of data or code.
    Pointer,
    /// `count` elements one after the other, at multiples of the element's size.
    Array { element: TypeId, count: u64 },
    /// `count` elements without gaps between their bytes. No instruction computes with it, see `expand`.
    Vector { element: TypeId, count: u32 },
    /// Fields with their byte offsets from the start of the struct, paddings already counted.
    Struct { fields: Vec<TypeId>, offsets: Vec<u32> },
    /// The type of a function; never the type of a value.
    Function(FunctionType),
}

/// Parameters and result of a function.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FunctionType {
    /// Result, [`Type::Void`] if none.
    pub result: TypeId,
    /// Fixed parameters in order.
    pub parameters: Vec<TypeId>,
    /// Whether more arguments may follow the fixed ones.
    pub variadic: bool,
}

/// Size and alignment in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Layout {
    /// Distance between two neighbours in an array (LLVM's "alloc size"); 0 for void and functions.
    pub size: u32,
    /// Bytes a load or store of the type touches (LLVM's "store size"): 3 for `i24` whose `size` is 4.
    pub store_size: u32,
    /// ABI alignment, a power of two, at least 1.
    pub align: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    ty: Type,
    layout: Layout,
}

/// All types of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeTable {
    entries: Vec<Entry>,
}

impl TypeTable {
    /// Adds a type with its layout, or finds the equal one that is there.
    pub fn intern(&mut self, ty: Type, layout: Layout) -> TypeId {
        let position =
            self.entries.iter().position(|entry| entry.ty == ty && entry.layout == layout).unwrap_or_else(|| {
                self.entries.push(Entry { ty, layout });
                self.entries.len() - 1
            });
        TypeId(position as u32)
    }

    /// The type of `id`; [`Type::Void`] for an id of another table.
    pub fn get(&self, id: TypeId) -> &Type {
        self.entries.get(id.0 as usize).map_or(&Type::Void, |entry| &entry.ty)
    }

    /// Size and alignment of `id`; those of void for an id of another table.
    pub fn layout(&self, id: TypeId) -> Layout {
        self.entries.get(id.0 as usize).map_or(Layout { size: 0, store_size: 0, align: 1 }, |entry| entry.layout)
    }

    /// Every type with its id.
    pub fn iter(&self) -> impl Iterator<Item = (TypeId, &Type)> {
        self.entries.iter().enumerate().map(|(index, entry)| (TypeId(index as u32), &entry.ty))
    }

    /// Width in bits of an integer type, 32 for a pointer, `None` for every other type.
    pub fn int_bits(&self, id: TypeId) -> Option<u32> {
        match self.get(id) {
            Type::Int(bits) => Some(*bits),
            Type::Pointer => Some(32),
            _ => None,
        }
    }

    /// Whether a value of the type has parts: array, vector or struct.
    pub fn is_aggregate(&self, id: TypeId) -> bool {
        matches!(self.get(id), Type::Array { .. } | Type::Vector { .. } | Type::Struct { .. })
    }

    /// Type and byte offset of part `index` of an array, vector or struct, `None` for other types or past the end.
    pub fn part(&self, id: TypeId, index: u32) -> Option<(TypeId, u32)> {
        match self.get(id) {
            Type::Array { element, count } if u64::from(index) < *count => {
                Some((*element, self.layout(*element).size.checked_mul(index)?))
            }
            Type::Vector { element, count } if index < *count => {
                Some((*element, self.layout(*element).store_size.checked_mul(index)?))
            }
            Type::Struct { fields, offsets } => Some((*fields.get(index as usize)?, *offsets.get(index as usize)?)),
            _ => None,
        }
    }
}
