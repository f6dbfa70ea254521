//! What LLVM's attributes say about a pointer parameter: whether the callee may read or write through it.
//!
//! Only attributes are looked at here, neither types nor calls.

use crate::ir::{Captures, Function, ModRef, ParameterAttributes, TypeTable};

/// What the attributes of a parameter say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The callee may read through the pointer, as far as is known.
    pub reads: bool,
    /// The callee may write through the pointer, as far as is known.
    pub writes: bool,
    /// Nothing can be accessed through the pointer once the call has returned.
    pub forgotten: bool,
    /// Bytes that the declaration promises to be there, as `int a[static 4]` does; 0 if unknown.
    pub promised: u32,
    /// The function returns this argument.
    pub returned: bool,
    /// `sret`: room for the result of so many bytes.
    pub struct_return: Option<u32>,
    /// `byval`: a copy of a structure of so many bytes.
    pub by_value: Option<u32>,
}

impl Access {
    /// Reads the attributes of parameter `index` of `function`.
    pub fn of(types: &TypeTable, function: &Function, index: usize) -> Self {
        let unknown = ParameterAttributes::default();
        let attributes = function.parameters.get(index).map_or(&unknown, |parameter| &parameter.attributes);
        let memory = function.attributes.memory;
        let ModRef { reads, writes } = memory.arguments;
        // What writes no memory at all keeps nothing.
        let keeps = memory.other.writes || memory.inaccessible.writes || writes;
        let size = |ty| types.layout(ty).size;
        Self {
            reads: reads && !attributes.write_only,
            writes: writes && !attributes.read_only,
            forgotten: !keeps || matches!(attributes.captures, Captures::Nothing | Captures::AddressOnly),
            promised: u32::try_from(attributes.dereferenceable.max(attributes.dereferenceable_or_null)).unwrap_or(0),
            returned: attributes.returned,
            struct_return: attributes.struct_return.map(size),
            by_value: attributes.by_value.map(size),
        }
    }

    /// Whether nothing is ever read or written through the pointer: it serves as a number.
    pub fn is_untouched(self) -> bool {
        self.forgotten && !self.reads && !self.writes
    }

    /// What the attributes say about the direction and the time of accesses, in words.
    pub fn words(self) -> Option<&'static str> {
        match (self.reads, self.writes, self.forgotten) {
            (true, false, false) => Some("its attributes say that it is only read"),
            (true, false, true) => Some("its attributes say that it is only read, and not after the call"),
            (false, true, false) => Some("its attributes say that it is only written"),
            (false, true, true) => Some("its attributes say that it is only written, and not after the call"),
            (_, _, true) => Some("its attributes say that it is not used after the call"),
            _ => None,
        }
    }
}
