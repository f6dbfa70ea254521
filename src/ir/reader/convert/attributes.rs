//! Attributes of parameters, results, functions and calls.
//!
//! Must never hold: attributes that only concern machine code.

use super::super::super::llvm::{Attribute, AttributeValue};
use super::super::super::{Captures, FunctionAttributes, MemoryEffects, ModRef, ParameterAttributes};
use super::{Converter, Result};
use std::collections::HashMap;

/// LLVM's numbers of the attributes that are read.
pub(super) struct Kinds(HashMap<u32, Kind>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    SignExtend,
    ZeroExtend,
    NoAlias,
    Captures,
    ReadOnly,
    WriteOnly,
    ReadNone,
    NonNull,
    NoUndef,
    Returned,
    StructReturn,
    ByValue,
    Align,
    Dereferenceable,
    DereferenceableOrNull,
    NoReturn,
    ReturnsTwice,
    NoUnwind,
    WillReturn,
    Cold,
    Memory,
}

/// Names as in LLVM's language reference.
const NAMES: [(&str, Kind); 21] = [
    ("signext", Kind::SignExtend),
    ("zeroext", Kind::ZeroExtend),
    ("noalias", Kind::NoAlias),
    ("captures", Kind::Captures),
    ("readonly", Kind::ReadOnly),
    ("writeonly", Kind::WriteOnly),
    ("readnone", Kind::ReadNone),
    ("nonnull", Kind::NonNull),
    ("noundef", Kind::NoUndef),
    ("returned", Kind::Returned),
    ("sret", Kind::StructReturn),
    ("byval", Kind::ByValue),
    ("align", Kind::Align),
    ("dereferenceable", Kind::Dereferenceable),
    ("dereferenceable_or_null", Kind::DereferenceableOrNull),
    ("noreturn", Kind::NoReturn),
    ("returns_twice", Kind::ReturnsTwice),
    ("nounwind", Kind::NoUnwind),
    ("willreturn", Kind::WillReturn),
    ("cold", Kind::Cold),
    ("memory", Kind::Memory),
];

impl Kinds {
    pub(super) fn new() -> Self {
        Self(NAMES.iter().map(|(name, kind)| (Attribute::kind_number(name), *kind)).collect())
    }
}

impl<'m> Converter<'m, '_> {
    pub(super) fn parameter_attributes(&mut self, attributes: &[Attribute<'m>]) -> Result<ParameterAttributes> {
        let mut plain = ParameterAttributes::default();
        for attribute in attributes {
            let Some(kind) = self.kinds.0.get(&attribute.kind).copied() else { continue };
            match (kind, attribute.value) {
                (Kind::SignExtend, _) => plain.sign_extend = true,
                (Kind::ZeroExtend, _) => plain.zero_extend = true,
                (Kind::NoAlias, _) => plain.no_alias = true,
                (Kind::Captures, AttributeValue::Number(bits)) => plain.captures = captures(bits),
                (Kind::ReadOnly, _) => plain.read_only = true,
                (Kind::WriteOnly, _) => plain.write_only = true,
                (Kind::ReadNone, _) => (plain.read_only, plain.write_only) = (true, true),
                (Kind::NonNull, _) => plain.non_null = true,
                (Kind::NoUndef, _) => plain.no_undef = true,
                (Kind::Returned, _) => plain.returned = true,
                (Kind::StructReturn, AttributeValue::Type(ty)) => plain.struct_return = Some(self.type_id(ty)?),
                (Kind::ByValue, AttributeValue::Type(ty)) => plain.by_value = Some(self.type_id(ty)?),
                (Kind::Align, AttributeValue::Number(bytes)) => plain.align = u32::try_from(bytes).unwrap_or(0),
                (Kind::Dereferenceable, AttributeValue::Number(bytes)) => plain.dereferenceable = bytes,
                (Kind::DereferenceableOrNull, AttributeValue::Number(bytes)) => plain.dereferenceable_or_null = bytes,
                _ => {}
            }
        }
        Ok(plain)
    }

    pub(super) fn function_attributes(&self, attributes: &[Attribute<'m>]) -> FunctionAttributes {
        let mut plain = FunctionAttributes::default();
        for attribute in attributes {
            match (self.kinds.0.get(&attribute.kind), attribute.value) {
                (Some(Kind::NoReturn), _) => plain.no_return = true,
                (Some(Kind::ReturnsTwice), _) => plain.returns_twice = true,
                (Some(Kind::NoUnwind), _) => plain.no_unwind = true,
                (Some(Kind::WillReturn), _) => plain.will_return = true,
                (Some(Kind::Cold), _) => plain.cold = true,
                (Some(Kind::Memory), AttributeValue::Number(bits)) => plain.memory = memory(bits),
                _ => {}
            }
        }
        plain
    }
}

/// Both what a call and what its callee promise.
pub(super) fn merge(call: FunctionAttributes, callee: &FunctionAttributes) -> FunctionAttributes {
    let both = |a: ModRef, b: ModRef| ModRef { reads: a.reads && b.reads, writes: a.writes && b.writes };
    FunctionAttributes {
        no_return: call.no_return || callee.no_return,
        returns_twice: call.returns_twice || callee.returns_twice,
        no_unwind: call.no_unwind || callee.no_unwind,
        will_return: call.will_return || callee.will_return,
        cold: call.cold || callee.cold,
        memory: MemoryEffects {
            arguments: both(call.memory.arguments, callee.memory.arguments),
            inaccessible: both(call.memory.inaccessible, callee.memory.inaccessible),
            other: both(call.memory.other, callee.memory.other),
        },
    }
}

/// Decodes `captures`: LLVM's CaptureInfo, four bits for the result below four for everything else, each of
/// 1 = compared with null, 2 = address, 4 = pointer for reading, 8 = pointer.
fn captures(bits: u64) -> Captures {
    let (result, other) = (bits & 0xf, bits >> 4 & 0xf);
    match (result, other) {
        (0, 0) => Captures::Nothing,
        (_, 0) => Captures::ResultOnly,
        (_, other) if other & 8 != 0 => Captures::Unknown,
        (_, other) if other & 4 != 0 => Captures::ReadOnly,
        _ => Captures::AddressOnly,
    }
}

/// Decodes `memory`: LLVM's MemoryEffects, two bits (1 = read, 2 = write) each for arguments, inaccessible memory,
/// errno and the rest.
fn memory(bits: u64) -> MemoryEffects {
    let at = |location: u32| {
        let bits = bits >> (2 * location);
        ModRef { reads: bits & 1 != 0, writes: bits & 2 != 0 }
    };
    let (errno, other) = (at(2), at(3));
    MemoryEffects {
        arguments: at(0),
        inaccessible: at(1),
        other: ModRef { reads: errno.reads || other.reads, writes: errno.writes || other.writes },
    }
}
