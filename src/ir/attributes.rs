//! What LLVM knows about parameters, results and functions beyond their types.
//!
//! Must never hold: a conclusion drawn from attributes; that is the business of contracts and codegen.

use super::types::TypeId;
use serde::{Deserialize, Serialize};

/// What a callee may keep of a pointer it is given (LLVM's `captures`; `nocapture` of older versions is [`Captures::Nothing`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Captures {
    /// Nothing is known.
    #[default]
    Unknown,
    /// The pointer does not outlive the call.
    Nothing,
    /// Only the address itself or its comparison with null may be kept, nothing can be accessed through it later.
    AddressOnly,
    /// It may be kept for reading.
    ReadOnly,
    /// It leaves the call only inside the result.
    ResultOnly,
}

/// Attributes of a parameter, an argument of a call, or a result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ParameterAttributes {
    /// `signext`: the caller extends to register width with the sign.
    pub sign_extend: bool,
    /// `zeroext`: the caller extends to register width with zeros.
    pub zero_extend: bool,
    /// `noalias`.
    pub no_alias: bool,
    /// What may outlive the call.
    pub captures: Captures,
    /// `readonly` or `readnone`: the callee does not write through the pointer.
    pub read_only: bool,
    /// `writeonly` or `readnone`: the callee does not read through the pointer.
    pub write_only: bool,
    /// `nonnull`.
    pub non_null: bool,
    /// `noundef`.
    pub no_undef: bool,
    /// `returned`: the function returns this argument.
    pub returned: bool,
    /// `sret`: the pointee's type; the caller passes room for the result.
    pub struct_return: Option<TypeId>,
    /// `byval`: the pointee's type; the callee owns a copy.
    pub by_value: Option<TypeId>,
    /// `align`: alignment in bytes, 0 if unknown.
    pub align: u32,
    /// `dereferenceable`: bytes that can be accessed, 0 if unknown.
    pub dereferenceable: u64,
    /// `dereferenceable_or_null`: the same unless the pointer is null.
    pub dereferenceable_or_null: u64,
}

/// Whether memory of a kind may be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModRef {
    /// May be read.
    pub reads: bool,
    /// May be written.
    pub writes: bool,
}

impl ModRef {
    /// Nothing is known.
    pub const BOTH: Self = Self { reads: true, writes: true };
}

/// What memory a function may access (LLVM's `memory(…)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MemoryEffects {
    /// Through its pointer arguments.
    pub arguments: ModRef,
    /// Memory the module cannot see, e.g. state of the host.
    pub inaccessible: ModRef,
    /// Everything else.
    pub other: ModRef,
}

impl Default for MemoryEffects {
    fn default() -> Self {
        Self { arguments: ModRef::BOTH, inaccessible: ModRef::BOTH, other: ModRef::BOTH }
    }
}

/// Attributes of a function or of one call of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FunctionAttributes {
    /// `noreturn`.
    pub no_return: bool,
    /// `returns_twice`, e.g. setjmp.
    pub returns_twice: bool,
    /// `nounwind`.
    pub no_unwind: bool,
    /// `willreturn`.
    pub will_return: bool,
    /// `cold`.
    pub cold: bool,
    /// `memory(…)`.
    pub memory: MemoryEffects,
}
