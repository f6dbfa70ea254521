//! What the C declaration says about a parameter or result: the debug information's types, sorted by what they suggest.
//!
//! Only types are looked at here, neither attributes nor calls.

use super::names;
use crate::ir::{BaseEncoding, DebugMember, DebugType, DebugTypeId, Function, Module};
use espb_format::contract::HandleKind;
use espb_format::signature::{Signature, ValType};

/// What a C type suggests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An integer, boolean, enumeration or floating-point number; `length` for `size_t` and its like.
    Number { length: bool },
    /// A handle, by the name of its type.
    Handle(HandleKind),
    /// The address of a handle.
    HandlePlace(HandleKind),
    /// The address of something whose type the header keeps to itself.
    Opaque,
    /// `void *`.
    Untyped { constant: bool },
    /// `char *`.
    Text { constant: bool },
    /// The address of an object of known size, or of the first of several.
    Object(Object),
    /// The address of a function.
    Function(Option<Signature>),
    /// `va_list`.
    VaList,
    /// There is no debug information, or it says nothing useful.
    Unknown,
}

/// What is behind a typed pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Declared `const`.
    pub constant: bool,
    /// Bytes.
    pub size: u32,
    /// A single `size_t`.
    pub length: bool,
    /// A number or a pointer, not a structure or array.
    pub scalar: bool,
    /// Single bytes: `uint8_t *`.
    pub bytes: bool,
    /// Pointers, functions and handles inside, by byte offset.
    pub members: Vec<(u32, Shape)>,
}

/// A declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// What each parameter of the IR suggests.
    pub params: Vec<Shape>,
    /// What the result suggests.
    pub result: Shape,
}

impl Declared {
    /// Reads the declaration of `function`, whose IR has a parameter for room for the result if `returns_in_memory`.
    pub fn of(module: &Module, function: &Function, returns_in_memory: bool) -> Self {
        let count = function.parameters.len();
        let unknown = Self { params: vec![Shape::Unknown; count], result: Shape::Unknown };
        let Some(debug) = &function.debug else { return unknown };
        let reader = Reader { module };
        let room = returns_in_memory.then_some(Shape::Unknown);
        let params: Vec<Shape> = room.into_iter().chain(debug.parameters.iter().map(|ty| reader.shape(*ty))).collect();
        // Structures passed by value may have become several parameters: then positions mean nothing.
        if params.len() != count {
            return unknown;
        }
        let result = if returns_in_memory { Shape::Number { length: false } } else { reader.result(debug.result) };
        Self { params, result }
    }
}

/// Types longer than this chain are cyclic or absurd.
const DEEPEST: usize = 32;

struct Reader<'m> {
    module: &'m Module,
}

/// A type without its names and qualifiers.
struct Bare<'m> {
    names: Vec<&'m str>,
    constant: bool,
    ty: Option<&'m DebugType>,
}

impl<'m> Reader<'m> {
    fn bare(&self, mut id: Option<DebugTypeId>) -> Bare<'m> {
        let mut bare = Bare { names: Vec::new(), constant: false, ty: None };
        for _ in 0..DEEPEST {
            let Some(ty) = id.and_then(|id| self.module.debug_types.get(id.0 as usize)) else { return bare };
            match ty {
                DebugType::Typedef { name, target } => {
                    bare.names.push(name);
                    id = *target;
                }
                DebugType::Const { target } => {
                    bare.constant = true;
                    id = *target;
                }
                DebugType::Qualified { target } => id = *target,
                other => {
                    bare.ty = Some(other);
                    return bare;
                }
            }
        }
        bare
    }

    fn result(&self, id: Option<DebugTypeId>) -> Shape {
        // No type is void.
        if id.is_none() { Shape::Number { length: false } } else { self.shape(id) }
    }

    fn shape(&self, id: Option<DebugTypeId>) -> Shape {
        let bare = self.bare(id);
        if let Some(kind) = bare.names.iter().find_map(|name| names::handle(name)) {
            return Shape::Handle(kind);
        }
        if bare.names.iter().any(|name| names::is_va_list(name)) {
            return Shape::VaList;
        }
        match bare.ty {
            Some(DebugType::Base { .. } | DebugType::Enumeration { .. }) => {
                Shape::Number { length: bare.names.iter().any(|name| names::is_length(name)) }
            }
            Some(DebugType::Pointer { pointee }) => self.pointer(*pointee),
            _ => Shape::Unknown,
        }
    }

    fn pointer(&self, pointee: Option<DebugTypeId>) -> Shape {
        let bare = self.bare(pointee);
        if let Some(kind) = bare.names.iter().find_map(|name| names::object(name)) {
            return Shape::Handle(kind);
        }
        if let Some(kind) = bare.names.iter().find_map(|name| names::handle(name)) {
            return if bare.constant { self.object(&bare) } else { Shape::HandlePlace(kind) };
        }
        match bare.ty {
            None => Shape::Untyped { constant: bare.constant },
            Some(DebugType::Base { name, .. }) if name == "char" => Shape::Text { constant: bare.constant },
            Some(DebugType::Function { result, parameters, variadic }) => {
                Shape::Function(self.signature(*result, parameters, *variadic))
            }
            Some(DebugType::Record { size: 0, .. }) => Shape::Opaque,
            Some(_) => self.object(&bare),
        }
    }

    fn object(&self, bare: &Bare<'m>) -> Shape {
        let Some(ty) = bare.ty else { return Shape::Unknown };
        let Some(size) = self.size(ty, 0).filter(|size| *size > 0) else { return Shape::Unknown };
        let members = match ty {
            DebugType::Record { members, union: false, .. } => self.members(members),
            _ => Vec::new(),
        };
        let scalar = matches!(ty, DebugType::Base { .. } | DebugType::Enumeration { .. } | DebugType::Pointer { .. });
        Shape::Object(Object {
            constant: bare.constant,
            size,
            length: scalar && bare.names.iter().any(|name| names::is_length(name)),
            scalar,
            bytes: size == 1 && scalar,
            members,
        })
    }

    fn members(&self, members: &[DebugMember]) -> Vec<(u32, Shape)> {
        let inside = members.iter().map(|member| (member.bit_offset / 8, self.shape(member.ty)));
        inside.filter(|(_, shape)| !matches!(shape, Shape::Number { .. } | Shape::Unknown)).collect()
    }

    fn size(&self, ty: &DebugType, depth: usize) -> Option<u32> {
        let of = |id: &Option<DebugTypeId>| {
            let bare = self.bare(*id);
            bare.ty.filter(|_| depth < DEEPEST).and_then(|ty| self.size(ty, depth + 1))
        };
        match ty {
            DebugType::Base { bits, .. } | DebugType::Enumeration { bits, .. } => Some(bits.div_ceil(8)),
            DebugType::Pointer { .. } => Some(4),
            DebugType::Record { size, .. } => Some(*size),
            DebugType::Array { element, count } => of(element)?.checked_mul(u32::try_from((*count)?).ok()?),
            DebugType::Typedef { .. } | DebugType::Const { .. } | DebugType::Qualified { .. } => None,
            DebugType::Function { .. } | DebugType::Other => None,
        }
    }

    fn signature(
        &self,
        result: Option<DebugTypeId>,
        parameters: &[Option<DebugTypeId>],
        variadic: bool,
    ) -> Option<Signature> {
        let params = parameters.iter().map(|ty| self.value(*ty)).collect::<Option<Vec<_>>>()?;
        let result = if self.bare(result).ty.is_none() { None } else { Some(self.value(result)?) };
        Signature::new(&params, result, variadic)
    }

    fn value(&self, id: Option<DebugTypeId>) -> Option<ValType> {
        match self.bare(id).ty? {
            DebugType::Base { bits: 32, encoding: BaseEncoding::Float, .. } => Some(ValType::F32),
            DebugType::Base { bits: 64, encoding: BaseEncoding::Float, .. } => Some(ValType::F64),
            DebugType::Base { encoding: BaseEncoding::Float | BaseEncoding::Other, .. } => None,
            DebugType::Base { bits: 64, .. } | DebugType::Enumeration { bits: 64, .. } => Some(ValType::I64),
            DebugType::Base { bits: ..=32, .. } | DebugType::Enumeration { bits: ..=32, .. } => Some(ValType::I32),
            DebugType::Pointer { .. } => Some(ValType::I32),
            _ => None,
        }
    }
}
