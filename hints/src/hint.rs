//! A line of a hints file, taken apart: what it says, word for word, with the column of each part.
//!
//! Nothing is resolved here; `lower` makes a contract of it.

use espb_format::contract::{Direction, Flags, FormatStyle, HandleKind};
use espb_format::signature::{Signature, ValType};
use std::sync::Arc;

/// Column of a line in characters, from 1.
pub type Column = u32;

/// What a hints file says about one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The function's name.
    pub name: String,
    /// The file, as the caller of the parser named it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column of the name.
    pub column: Column,
    /// From where the section in which the line stands allows calls.
    pub context: Flags,
    /// The types, if the line states them.
    pub prototype: Option<Prototype>,
    /// What the line says about parameters, result and function, in its order.
    pub items: Vec<Item>,
    /// The line without comment and surrounding blanks.
    pub text: String,
}

/// The types of a function, as far as calls depend on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prototype {
    /// The fixed parameters.
    pub params: Vec<PrototypeParam>,
    /// Result and variadicity with the parameters' value types.
    pub signature: Signature,
}

/// A parameter of a prototype.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrototypeParam {
    /// Its type.
    pub ty: TypeWord,
    /// Its name, by which items may refer to it.
    pub name: Option<String>,
    /// Column of the type.
    pub column: Column,
}

/// A type as hints files spell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeWord {
    /// `i32`, `i64`, `f32` or `f64`: a number.
    Number(ValType),
    /// `ptr`: an address, a handle or a function; an `i32` to the machine, but it needs a meaning.
    Pointer,
}

impl TypeWord {
    /// The type in a register.
    #[must_use]
    pub const fn val_type(self) -> ValType {
        match self {
            TypeWord::Number(ty) => ty,
            TypeWord::Pointer => ValType::I32,
        }
    }
}

/// A parameter that an item is about or refers to. Inside braces it is a byte offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// How it is named.
    pub name: TargetName,
    /// Where.
    pub column: Column,
}

/// How a parameter is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetName {
    /// By its position, from 0.
    Index(u32),
    /// By its name in the prototype.
    Name(String),
}

/// One statement about a parameter, the result or the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Column of the item's first word.
    pub column: Column,
    /// What it says.
    pub kind: ItemKind,
}

/// What an item says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// `in`, `out`, `inout`.
    Pointer {
        /// The parameter.
        target: Target,
        /// Who reads and writes.
        direction: Direction,
        /// How much; `None` leaves it to what the translator sees at the call.
        extent: Option<ExtentWords>,
        /// `null`.
        nullable: bool,
        /// `deferred`.
        deferred: bool,
        /// What stands in braces, with byte offsets as targets.
        members: Vec<Item>,
    },
    /// `cb`.
    Callback {
        /// The parameter.
        target: Target,
        /// How it is called; `None` leaves it to what the translator sees at the call.
        signature: Option<Signature>,
        /// `user`.
        user: Option<Target>,
        /// `null`.
        nullable: bool,
    },
    /// `user`.
    UserData(Target),
    /// `handle`.
    Handle {
        /// The parameter.
        target: Target,
        /// The kind of object.
        kind: HandleKind,
        /// `null`.
        nullable: bool,
        /// `released`, or `released when P = N`.
        fate: FateWords,
    },
    /// `out P handle KIND`.
    HandleOut {
        /// The parameter.
        target: Target,
        /// The kind of object.
        kind: HandleKind,
        /// `null`.
        nullable: bool,
    },
    /// `format`, `scan`.
    Format {
        /// The parameter.
        target: Target,
        /// The language of the string.
        style: FormatStyle,
        /// `va`: the `va_list` with the arguments, else they are the variadic ones.
        va_list: Option<Target>,
    },
    /// `returns`.
    Returns(ResultWords),
    /// `from task`, `from callback`, `from isr`: instead of the section's.
    From(Flags),
    /// `noreturn`, `restricted`.
    Flag(Flags),
}

/// How many bytes lie behind a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtentWords {
    /// `size N`.
    Const(u32),
    /// `size arg P`, `size arg P * N`.
    Arg(Target, u32),
    /// `size arg P * arg P`.
    Product(Target, Target),
    /// `size at P`.
    StoredAt(Target),
    /// `cstr`.
    CString,
    /// `cstr max P`.
    CStringMax(Target),
    /// `element P`.
    Element(Target),
    /// `region`.
    Region,
}

/// What a call does to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FateWords {
    /// Nothing is said: the object stays.
    Used,
    /// `released`.
    Released,
    /// `released when P = N`.
    ReleasedWhen(Target, u8),
}

/// What a result means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResultWords {
    /// `returns handle KIND`, with `borrowed` and `null`.
    Handle {
        /// The kind of object.
        kind: HandleKind,
        /// Whether the call created it; not with `borrowed`.
        created: bool,
        /// `null`.
        nullable: bool,
    },
    /// `returns copy EXTENT`, with `null`.
    Copied {
        /// How much.
        extent: ExtentWords,
        /// `null`.
        nullable: bool,
    },
    /// `returns own EXTENT`.
    Own(ExtentWords),
    /// `returns user`.
    UserData,
}
