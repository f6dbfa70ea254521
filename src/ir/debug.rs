//! What debug information says: source places, and the C types behind functions.
//!
//! Must never hold: anything that changes what the translated program computes.

use serde::{Deserialize, Serialize};

/// Index into [`super::Module::files`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileId(pub u32);

/// Index into [`super::Module::debug_types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DebugTypeId(pub u32);

/// A source file as the compiler named it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourceFile {
    /// Name, possibly with folders, possibly relative to `directory`.
    pub name: String,
    /// The folder the compiler ran in; may be empty.
    pub directory: String,
}

/// A place in a source file. Of inlined code it is the place of the inlined function's own line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DebugLocation {
    /// The file.
    pub file: FileId,
    /// Line, counted from 1.
    pub line: u32,
    /// Column, counted from 1; 0 if unknown.
    pub column: u32,
}

/// A function as the source declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebugSubprogram {
    /// Name in the source, not mangled.
    pub name: String,
    /// File and line of the declaration or definition; line 0 becomes `None`.
    pub location: Option<DebugLocation>,
    /// The result's type; `None` is void.
    pub result: Option<DebugTypeId>,
    /// The types of the fixed parameters in order.
    pub parameters: Vec<Option<DebugTypeId>>,
    /// Declared with `...`.
    pub variadic: bool,
}

/// A C or C++ type. Types refer to each other through [`DebugTypeId`] and may be cyclic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DebugType {
    /// `int`, `char`, `float`, `_Bool`…
    Base { name: String, bits: u32, encoding: BaseEncoding },
    /// `T *`, and C++ references; `None` is `void *`.
    Pointer { pointee: Option<DebugTypeId> },
    /// A `typedef`; `None` is void.
    Typedef { name: String, target: Option<DebugTypeId> },
    /// `const T`.
    Const { target: Option<DebugTypeId> },
    /// `volatile`, `restrict`, `_Atomic` and other qualifiers.
    Qualified { target: Option<DebugTypeId> },
    /// A struct, class or union. `size` in bytes is 0 for a mere declaration.
    Record { name: Option<String>, union: bool, size: u32, members: Vec<DebugMember> },
    /// An enumeration of `bits` bits.
    Enumeration { name: Option<String>, bits: u32 },
    /// An array; `count` is `None` for a flexible or variable length. Several dimensions are multiplied.
    Array { element: Option<DebugTypeId>, count: Option<u64> },
    /// A function type, the pointee of function pointers.
    Function { result: Option<DebugTypeId>, parameters: Vec<Option<DebugTypeId>>, variadic: bool },
    /// A type this reader does not describe.
    Other,
}

/// How a base type's bits are read (DWARF 5, section 7.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BaseEncoding {
    /// `_Bool`.
    Boolean,
    /// Floating point.
    Float,
    /// Signed integer.
    Signed,
    /// Unsigned integer.
    Unsigned,
    /// `char`, signed or not.
    Char,
    /// Anything else.
    Other,
}

/// A member of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebugMember {
    /// Name, `None` for anonymous members.
    pub name: Option<String>,
    /// Offset from the record's start, in bits.
    pub bit_offset: u32,
    /// Type.
    pub ty: Option<DebugTypeId>,
}
