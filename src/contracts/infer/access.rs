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
    /// The pointer does not outlive the call.
    pub forgotten: bool,
    /// Bytes that are certainly there; 0 if unknown.
    pub dereferenceable: u32,
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
        let ModRef { reads, writes } = function.attributes.memory.arguments;
        let size = |ty| types.layout(ty).size;
        Self {
            reads: reads && !attributes.write_only,
            writes: writes && !attributes.read_only,
            forgotten: attributes.captures == Captures::Nothing,
            dereferenceable: u32::try_from(attributes.dereferenceable).unwrap_or(0),
            struct_return: attributes.struct_return.map(size),
            by_value: attributes.by_value.map(size),
        }
    }

    /// What the attributes say about the direction, in words.
    pub fn words(self) -> Option<&'static str> {
        match (self.reads, self.writes) {
            (true, false) => Some("its attributes say that it is only read"),
            (false, true) => Some("its attributes say that it is only written"),
            _ => None,
        }
    }
}
