//! Contracts to bytes, as specs/contracts.md says: each contract has exactly one encoding.

use super::{
    Callback, Contract, Direction, Extent, Fate, Format, FormatArgs, FormatStyle, Handle, Param, Pointer,
    ResultMeaning, RuleError, Slot,
};
use crate::signature::Signature;
use alloc::vec::Vec;

/// A contract's bytes for the two sections; both are empty for a plain one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Pointers, handles, formats, user data without a callback, and the result.
    pub immeta: Vec<u8>,
    /// Callbacks.
    pub cbmeta: Vec<u8>,
}

/// The first four bits of an entry.
pub(super) mod tag {
    pub const RESULT: u8 = 0;
    pub const IN: u8 = 1;
    pub const OUT: u8 = 2;
    pub const INOUT: u8 = 3;
    pub const HANDLE: u8 = 4;
    pub const HANDLE_OUT: u8 = 5;
    pub const FORMAT: u8 = 6;
    pub const USER_DATA: u8 = 7;
    pub const CALLBACK: u8 = 8;
}

/// The lower four bits of a result entry.
pub(super) mod result {
    pub const CREATED: u8 = 0;
    pub const BORROWED: u8 = 1;
    pub const COPIED: u8 = 2;
    pub const OWN: u8 = 3;
    pub const USER_DATA: u8 = 4;
}

/// The lower four bits of an extent byte.
pub(super) mod extent {
    pub const CONST: u8 = 0;
    pub const ARG: u8 = 1;
    pub const ARG_SCALED: u8 = 2;
    pub const PRODUCT: u8 = 3;
    pub const CSTRING: u8 = 4;
    pub const CSTRING_MAX: u8 = 5;
    pub const ELEMENT: u8 = 6;
    pub const STORED_AT: u8 = 7;
    pub const REGION: u8 = 8;
}

pub(super) const NULLABLE: u8 = 0x10;
pub(super) const DEFERRED: u8 = 0x20;
pub(super) const MEMBERS: u8 = 0x40;
pub(super) const FATE_RELEASED: u8 = 0x20;
pub(super) const FATE_WHEN: u8 = 0x40;
pub(super) const CALLBACK_USER: u8 = 0x20;
pub(super) const FORMAT_SCAN: u8 = 1;
pub(super) const FORMAT_VA_LIST: u8 = 2;
pub(super) const LONG_INDEX: u8 = 15;
pub(super) const LONG_COUNT: u8 = 15;
pub(super) const SIGNATURE_RESULT: u8 = 7;
pub(super) const SIGNATURE_VARIADIC: u8 = 8;

/// Appends an unsigned LEB128 number in its shortest form.
pub(super) fn varint(out: &mut Vec<u8>, mut value: u32) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

impl Contract {
    /// The contract's bytes for the sections of a module that imports the function with this signature.
    ///
    /// # Errors
    /// When [`Contract::check`] finds fault.
    pub fn encode(&self, signature: &Signature) -> Result<Encoded, RuleError> {
        self.check(signature)?;
        let mut encoded = Encoded::default();
        for (index, param) in (0..=u8::MAX).zip(&self.params) {
            match param {
                Param::UserData if self.is_user_of_a_callback(index) => {}
                Param::Callback(callback) => entry_callback(&mut encoded.cbmeta, index, callback),
                other => entry(&mut encoded.immeta, Place::Param(index), other)?,
            }
        }
        encode_result(&mut encoded.immeta, &self.result);
        Ok(encoded)
    }

    fn is_user_of_a_callback(&self, slot: Slot) -> bool {
        self.params.iter().any(|param| matches!(param, Param::Callback(callback) if callback.user == Some(slot)))
    }
}

/// Where an entry stands: it decides how its position is written.
#[derive(Clone, Copy)]
enum Place {
    Param(u8),
    Member(u8),
}

fn head(out: &mut Vec<u8>, tag: u8, place: Place) {
    match place {
        Place::Param(index) if index < LONG_INDEX => out.push(tag << 4 | index),
        Place::Param(index) => out.extend([tag << 4 | LONG_INDEX, index]),
        Place::Member(offset) => out.extend([tag << 4, offset]),
    }
}

fn entry(out: &mut Vec<u8>, place: Place, param: &Param) -> Result<(), RuleError> {
    match param {
        Param::Value => {}
        Param::UserData => head(out, tag::USER_DATA, place),
        Param::Pointer(pointer) => entry_pointer(out, place, pointer)?,
        Param::Handle(handle) => entry_handle(out, place, *handle),
        Param::HandleOut { kind, nullable } => {
            head(out, tag::HANDLE_OUT, place);
            out.push(kind.code() | nullable_bit(*nullable));
        }
        Param::Format(format) => entry_format(out, place, *format),
        Param::Callback(callback) => {
            head(out, tag::CALLBACK, place);
            out.push(callback_bits(callback));
            callback_body(out, callback);
        }
    }
    Ok(())
}

const fn position(place: Place) -> u8 {
    match place {
        Place::Param(position) | Place::Member(position) => position,
    }
}

const fn nullable_bit(nullable: bool) -> u8 {
    if nullable { NULLABLE } else { 0 }
}

fn entry_pointer(out: &mut Vec<u8>, place: Place, pointer: &Pointer) -> Result<(), RuleError> {
    let tag = match pointer.direction {
        Direction::In => tag::IN,
        Direction::Out => tag::OUT,
        Direction::InOut => tag::INOUT,
    };
    head(out, tag, place);
    let deferred = if pointer.deferred { DEFERRED } else { 0 };
    let members = if pointer.members.is_empty() { 0 } else { MEMBERS };
    encode_extent(out, pointer.extent, nullable_bit(pointer.nullable) | deferred | members);
    if !pointer.members.is_empty() {
        out.push(u8::try_from(pointer.members.len()).map_err(|_| RuleError::Members(position(place)))?);
    }
    pointer.members.iter().try_for_each(|member| entry(out, Place::Member(member.offset), &member.meaning))
}

fn encode_extent(out: &mut Vec<u8>, extent: Extent, bits: u8) {
    match extent {
        Extent::Const(bytes) => {
            out.push(bits | extent::CONST);
            varint(out, bytes);
        }
        Extent::Arg { param, scale: 1 } => out.extend([bits | extent::ARG, param]),
        Extent::Arg { param, scale } => {
            out.extend([bits | extent::ARG_SCALED, param]);
            varint(out, scale);
        }
        Extent::Product(a, b) => out.extend([bits | extent::PRODUCT, a, b]),
        Extent::CString => out.push(bits | extent::CSTRING),
        Extent::CStringMax(param) => out.extend([bits | extent::CSTRING_MAX, param]),
        Extent::Element(param) => out.extend([bits | extent::ELEMENT, param]),
        Extent::StoredAt(param) => out.extend([bits | extent::STORED_AT, param]),
        Extent::Region => out.push(bits | extent::REGION),
    }
}

fn entry_handle(out: &mut Vec<u8>, place: Place, handle: Handle) {
    head(out, tag::HANDLE, place);
    let byte = handle.kind.code() | nullable_bit(handle.nullable);
    match handle.fate {
        Fate::Used => out.push(byte),
        Fate::Released => out.push(byte | FATE_RELEASED),
        Fate::ReleasedWhen { param, value } => out.extend([byte | FATE_WHEN, param, value]),
    }
}

fn entry_format(out: &mut Vec<u8>, place: Place, format: Format) {
    head(out, tag::FORMAT, place);
    let style = if format.style == FormatStyle::Scan { FORMAT_SCAN } else { 0 };
    match format.args {
        FormatArgs::Variadic => out.push(style),
        FormatArgs::VaList(param) => out.extend([style | FORMAT_VA_LIST, param]),
    }
}

const fn callback_bits(callback: &Callback) -> u8 {
    nullable_bit(callback.nullable) | if callback.user.is_some() { CALLBACK_USER } else { 0 }
}

/// An entry of `cbmeta`, where the tag's bits are the callback's.
fn entry_callback(out: &mut Vec<u8>, index: u8, callback: &Callback) {
    head(out, callback_bits(callback) >> 4, Place::Param(index));
    callback_body(out, callback);
}

/// A signature in as few bytes as its parameters allow: a head (bits 0–2 result, 3 variadic, 4–7 count; count 15 means
/// that a byte with the count follows), then four types a byte, the first in the lowest bits.
fn encode_signature(out: &mut Vec<u8>, signature: &Signature) {
    let count = u8::try_from(signature.param_count()).unwrap_or(u8::MAX);
    let result = signature.result().map_or(0, |ty| ty as u8 + 1);
    let variadic = if signature.is_variadic() { SIGNATURE_VARIADIC } else { 0 };
    out.push(result | variadic | (count.min(LONG_COUNT) << 4));
    if count >= LONG_COUNT {
        out.push(count);
    }
    let mut packed = 0;
    for (position, ty) in signature.params().enumerate() {
        packed |= (ty as u8) << (2 * (position % 4));
        if position % 4 == 3 {
            out.push(packed);
            packed = 0;
        }
    }
    if !count.is_multiple_of(4) {
        out.push(packed);
    }
}

fn callback_body(out: &mut Vec<u8>, callback: &Callback) {
    encode_signature(out, &callback.signature);
    out.extend(callback.user);
}

fn encode_result(out: &mut Vec<u8>, meaning: &ResultMeaning) {
    let head = |kind: u8| tag::RESULT << 4 | kind;
    match *meaning {
        ResultMeaning::Value => {}
        ResultMeaning::Handle { kind, created, nullable } => {
            let head = head(if created { result::CREATED } else { result::BORROWED });
            out.extend([head, kind.code() | nullable_bit(nullable)]);
        }
        ResultMeaning::Copied { extent, nullable } => {
            out.push(head(result::COPIED));
            encode_extent(out, extent, nullable_bit(nullable));
        }
        ResultMeaning::Own { extent } => {
            out.push(head(result::OWN));
            encode_extent(out, extent, 0);
        }
        ResultMeaning::UserData => out.push(head(result::USER_DATA)),
    }
}
