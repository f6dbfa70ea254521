//! Bytes to contracts. Total: any bytes give a contract or an error with an offset.
//!
//! Trusts nothing and allocates no more than the bytes justify.

use super::encode::{
    CALLBACK_USER, DEFERRED, FATE_RELEASED, FATE_WHEN, FORMAT_SCAN, FORMAT_VA_LIST, LONG_COUNT, LONG_INDEX, MEMBERS,
    NULLABLE, SIGNATURE_RESULT, SIGNATURE_VARIADIC, extent, result, tag,
};
use super::{
    Callback, Contract, Direction, Extent, Fate, Format, FormatArgs, FormatStyle, Handle, HandleKind, Member, Param,
    Pointer, ResultMeaning, RuleError, Slot,
};
use crate::signature::{Signature, ValType};
use alloc::vec::Vec;
use core::fmt;

/// Why bytes are not a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// They end too early.
    Truncated,
    /// A code or a bit that has no meaning.
    Code,
    /// A number that is too large or not in its shortest form.
    Number,
    /// An entry or record that does not come in ascending order, or comes twice.
    Order,
    /// A record without content.
    Empty,
    /// A parameter that the signature does not have.
    NoSuchParam,
    /// A callback signature that is not well formed.
    Signature,
    /// An entry that breaks a rule of contracts.
    Rule(RuleError),
}

/// Why, and where: bytes from the start of the section, or of the slice that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Byte offset of what is wrong.
    pub offset: u32,
    /// What is wrong.
    pub reason: Reason,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::Truncated => f.write_str("contract data ends too early"),
            Reason::Code => f.write_str("contract data has an unknown code"),
            Reason::Number => f.write_str("contract data has a number that is too large or badly encoded"),
            Reason::Order => f.write_str("contract data is not in ascending order"),
            Reason::Empty => f.write_str("contract data has an empty record"),
            Reason::NoSuchParam => f.write_str("contract data is about a parameter that the import does not have"),
            Reason::Signature => f.write_str("contract data has a malformed callback signature"),
            Reason::Rule(rule) => write!(f, "{rule}"),
        }?;
        write!(f, " (offset {:#x})", self.offset)
    }
}

/// Takes bytes from the front, keeping count.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    offset: u32,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0 }
    }

    pub fn offset(&self) -> u32 {
        self.offset
    }

    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn error(&self, reason: Reason) -> DecodeError {
        DecodeError { offset: self.offset, reason }
    }

    pub fn take(&mut self, length: u32) -> Result<&'a [u8], DecodeError> {
        let split = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let (taken, rest) = split.ok_or(self.error(Reason::Truncated))?;
        self.rest = rest;
        self.offset = self.offset.saturating_add(length);
        Ok(taken)
    }

    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        self.take(1)?.first().copied().ok_or(self.error(Reason::Truncated))
    }

    pub fn varint(&mut self) -> Result<u32, DecodeError> {
        let bad = self.error(Reason::Number);
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            let part = u32::from(byte & 0x7F);
            if (shift == 28 && part > 0xF) || (shift > 0 && byte == 0) {
                return Err(bad);
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(bad)
    }

    /// The bytes of a record, whose length comes first.
    pub fn record(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.varint()?;
        self.take(length)
    }

    /// A callback's signature; [`super::encode`] says how it is packed.
    fn signature(&mut self) -> Result<Signature, DecodeError> {
        let bad = self.error(Reason::Signature);
        let head = self.byte()?;
        let result = match head & SIGNATURE_RESULT {
            0 => None,
            code @ 1..=4 => Some(ValType::from_code(code - 1)),
            _ => return Err(bad),
        };
        let count = match head >> 4 {
            LONG_COUNT => match self.byte()? {
                count if count >= LONG_COUNT && usize::from(count) <= Signature::MAX_PARAMS => count,
                _ => return Err(bad),
            },
            count => count,
        };
        let mut params = [ValType::I32; Signature::MAX_PARAMS];
        let params = params.get_mut(..usize::from(count)).ok_or(bad)?;
        for four in params.chunks_mut(4) {
            let mut packed = self.byte()?;
            for param in four.iter_mut() {
                *param = ValType::from_code(packed);
                packed >>= 2;
            }
            if packed != 0 {
                return Err(bad);
            }
        }
        Signature::new(params, result, head & SIGNATURE_VARIADIC != 0).ok_or(bad)
    }

    /// A byte of which only the bits of `allowed` may be set.
    fn bits(&mut self, allowed: u8) -> Result<u8, DecodeError> {
        let bad = self.error(Reason::Code);
        let byte = self.byte()?;
        if byte & !allowed == 0 { Ok(byte) } else { Err(bad) }
    }

    /// The head of an entry: its upper four bits and the parameter.
    fn head(&mut self) -> Result<(u8, u8), DecodeError> {
        let head = self.byte()?;
        match head & 0xF {
            LONG_INDEX => {
                let bad = self.error(Reason::Number);
                let index = self.byte()?;
                if index >= LONG_INDEX { Ok((head >> 4, index)) } else { Err(bad) }
            }
            index => Ok((head >> 4, index)),
        }
    }

    fn meaning(&mut self, tag: u8, at: u32) -> Result<Param<Members<'a>>, DecodeError> {
        Ok(match tag {
            tag::IN => Param::Pointer(self.pointer(Direction::In)?),
            tag::OUT => Param::Pointer(self.pointer(Direction::Out)?),
            tag::INOUT => Param::Pointer(self.pointer(Direction::InOut)?),
            tag::HANDLE => Param::Handle(self.handle()?),
            tag::HANDLE_OUT => {
                let (kind, bits) = self.kind(NULLABLE)?;
                Param::HandleOut { kind, nullable: bits & NULLABLE != 0 }
            }
            tag::FORMAT => Param::Format(self.format()?),
            tag::USER_DATA => Param::UserData,
            _ => return Err(DecodeError { offset: at, reason: Reason::Code }),
        })
    }

    fn pointer(&mut self, direction: Direction) -> Result<Pointer<Members<'a>>, DecodeError> {
        let (extent, bits) = self.extent(NULLABLE | DEFERRED | MEMBERS)?;
        let mut members = Members::NONE;
        if bits & MEMBERS != 0 {
            let at_count = self.offset;
            let count = self.byte()?;
            if count == 0 {
                return Err(DecodeError { offset: at_count, reason: Reason::Empty });
            }
            members = Members { reader: self.clone(), count };
            for _ in 0..count {
                self.member()?;
            }
        }
        Ok(Pointer { direction, extent, nullable: bits & NULLABLE != 0, deferred: bits & DEFERRED != 0, members })
    }

    fn member(&mut self) -> Result<(Slot, Param<Members<'a>>), DecodeError> {
        let at = self.offset;
        let head = self.byte()?;
        let offset = self.byte()?;
        let tag = head >> 4;
        if head & 0xF != 0 {
            return Err(DecodeError { offset: at, reason: Reason::Code });
        }
        let meaning = match tag {
            tag::CALLBACK => {
                let bits = self.bits(NULLABLE | CALLBACK_USER)?;
                Param::Callback(self.callback(bits)?)
            }
            tag::IN | tag::OUT | tag::INOUT => {
                let at_bits = self.offset;
                match self.meaning(tag, at)? {
                    // Refused here as well as by the rules, so that depth stays bounded whatever the bytes say.
                    Param::Pointer(pointer) if pointer.members.count > 0 => {
                        return Err(DecodeError { offset: at_bits, reason: Reason::Code });
                    }
                    meaning => meaning,
                }
            }
            _ => self.meaning(tag, at)?,
        };
        Ok((offset, meaning))
    }

    fn extent(&mut self, allowed: u8) -> Result<(Extent, u8), DecodeError> {
        let bad = self.error(Reason::Code);
        let byte = self.bits(allowed | 0xF)?;
        let extent = match byte & 0xF {
            extent::CONST => Extent::Const(self.varint()?),
            extent::ARG => Extent::Arg { param: self.byte()?, scale: 1 },
            extent::ARG_SCALED => {
                let param = self.byte()?;
                let number = self.error(Reason::Number);
                match self.varint()? {
                    0 | 1 => return Err(number),
                    scale => Extent::Arg { param, scale },
                }
            }
            extent::PRODUCT => Extent::Product(self.byte()?, self.byte()?),
            extent::CSTRING => Extent::CString,
            extent::CSTRING_MAX => Extent::CStringMax(self.byte()?),
            extent::ELEMENT => Extent::Element(self.byte()?),
            extent::STORED_AT => Extent::StoredAt(self.byte()?),
            extent::REGION => Extent::Region,
            _ => return Err(bad),
        };
        Ok((extent, byte & 0xF0))
    }

    fn kind(&mut self, allowed: u8) -> Result<(HandleKind, u8), DecodeError> {
        let bad = self.error(Reason::Code);
        let byte = self.bits(allowed | 0xF)?;
        HandleKind::from_code(byte & 0xF).map(|kind| (kind, byte & 0xF0)).ok_or(bad)
    }

    fn handle(&mut self) -> Result<Handle, DecodeError> {
        let bad = self.error(Reason::Code);
        let (kind, bits) = self.kind(NULLABLE | FATE_RELEASED | FATE_WHEN)?;
        let fate = match bits & (FATE_RELEASED | FATE_WHEN) {
            0 => Fate::Used,
            FATE_RELEASED => Fate::Released,
            FATE_WHEN => Fate::ReleasedWhen { param: self.byte()?, value: self.byte()? },
            _ => return Err(bad),
        };
        Ok(Handle { kind, nullable: bits & NULLABLE != 0, fate })
    }

    fn format(&mut self) -> Result<Format, DecodeError> {
        let bits = self.bits(FORMAT_SCAN | FORMAT_VA_LIST)?;
        let style = if bits & FORMAT_SCAN != 0 { FormatStyle::Scan } else { FormatStyle::Print };
        let args = if bits & FORMAT_VA_LIST != 0 { FormatArgs::VaList(self.byte()?) } else { FormatArgs::Variadic };
        Ok(Format { style, args })
    }

    fn callback(&mut self, bits: u8) -> Result<Callback, DecodeError> {
        let signature = self.signature()?;
        let user = if bits & CALLBACK_USER != 0 { Some(self.byte()?) } else { None };
        Ok(Callback { signature, user, nullable: bits & NULLABLE != 0 })
    }

    fn result(&mut self, kind: u8, at: u32) -> Result<ResultMeaning, DecodeError> {
        Ok(match kind {
            result::CREATED | result::BORROWED => {
                let (handle, bits) = self.kind(NULLABLE)?;
                let created = kind == result::CREATED;
                ResultMeaning::Handle { kind: handle, created, nullable: bits & NULLABLE != 0 }
            }
            result::COPIED => {
                let (extent, bits) = self.extent(NULLABLE)?;
                ResultMeaning::Copied { extent, nullable: bits & NULLABLE != 0 }
            }
            result::OWN => ResultMeaning::Own { extent: self.extent(0)?.0 },
            result::USER_DATA => ResultMeaning::UserData,
            _ => return Err(DecodeError { offset: at, reason: Reason::Code }),
        })
    }
}

/// The members of a structure, with their byte offsets, read from a contract's bytes.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    reader: Reader<'a>,
    count: u8,
}

impl Members<'_> {
    const NONE: Self = Self { reader: Reader { rest: &[], offset: 0 }, count: 0 };
}

impl<'a> Iterator for Members<'a> {
    type Item = (Slot, Param<Members<'a>>);

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        // They were read before, when the pointer was.
        self.reader.member().ok()
    }
}

impl Param<Members<'_>> {
    /// The same with its members in memory.
    fn kept(self) -> Param {
        match self {
            Self::Value => Param::Value,
            Self::UserData => Param::UserData,
            Self::Callback(callback) => Param::Callback(callback),
            Self::Handle(handle) => Param::Handle(handle),
            Self::HandleOut { kind, nullable } => Param::HandleOut { kind, nullable },
            Self::Format(format) => Param::Format(format),
            Self::Pointer(Pointer { direction, extent, nullable, deferred, members }) => {
                let members = members.map(|(offset, meaning)| Member { offset, meaning: meaning.kept() }).collect();
                Param::Pointer(Pointer { direction, extent, nullable, deferred, members })
            }
        }
    }
}

/// One thing that `immeta` says about an import.
#[derive(Clone, Debug)]
pub enum ImmetaEntry<'a> {
    /// The meaning of a parameter.
    Param(Slot, Param<Members<'a>>),
    /// The meaning of the result: always the last entry.
    Result(ResultMeaning),
}

/// The entries of one import in `immeta`, by ascending parameter. Allocates nothing, so a host can walk a contract at
/// every call. Stops behind the first error.
#[derive(Clone, Debug)]
pub struct ImmetaEntries<'a> {
    reader: Reader<'a>,
    least: u16,
    done: bool,
}

impl<'a> ImmetaEntries<'a> {
    /// Reads the bytes of one record.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes), least: 0, done: false }
    }

    fn entry(&mut self) -> Result<ImmetaEntry<'a>, DecodeError> {
        let at = self.reader.offset();
        let error = |reason| DecodeError { offset: at, reason };
        if self.reader.rest.first().is_some_and(|head| head >> 4 == tag::RESULT) {
            let kind = self.reader.byte()? & 0xF;
            let meaning = self.reader.result(kind, at)?;
            return if self.reader.is_at_end() {
                Ok(ImmetaEntry::Result(meaning))
            } else {
                Err(self.reader.error(Reason::Order))
            };
        }
        let (tag, slot) = self.reader.head()?;
        if u16::from(slot) < self.least {
            return Err(error(Reason::Order));
        }
        self.least = u16::from(slot) + 1;
        Ok(ImmetaEntry::Param(slot, self.reader.meaning(tag, at)?))
    }
}

impl<'a> Iterator for ImmetaEntries<'a> {
    type Item = Result<ImmetaEntry<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done || self.reader.is_at_end() {
            return None;
        }
        let entry = self.entry();
        self.done = entry.is_err();
        Some(entry)
    }
}

/// The entries of one import in `cbmeta`: parameters that are callbacks, ascending. Allocates nothing. Stops behind the
/// first error.
#[derive(Clone, Debug)]
pub struct CbmetaEntries<'a> {
    reader: Reader<'a>,
    least: u16,
    done: bool,
}

impl<'a> CbmetaEntries<'a> {
    /// Reads the bytes of one record.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes), least: 0, done: false }
    }

    fn entry(&mut self) -> Result<(Slot, Callback), DecodeError> {
        let at = self.reader.offset();
        let error = |reason| DecodeError { offset: at, reason };
        let (bits, slot) = self.reader.head()?;
        let bits = bits << 4;
        if bits & !(NULLABLE | CALLBACK_USER) != 0 {
            return Err(error(Reason::Code));
        }
        if u16::from(slot) < self.least {
            return Err(error(Reason::Order));
        }
        self.least = u16::from(slot) + 1;
        Ok((slot, self.reader.callback(bits)?))
    }
}

impl Iterator for CbmetaEntries<'_> {
    type Item = Result<(Slot, Callback), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done || self.reader.is_at_end() {
            return None;
        }
        let entry = self.entry();
        self.done = entry.is_err();
        Some(entry)
    }
}

impl Contract {
    /// Reads a contract from the records of one import; an import without a record gives an empty slice. `flags` come
    /// from the host's table, so they are none here.
    ///
    /// # Errors
    /// Anything that [`Contract::encode`] would not have written, with the slice at fault and the offset in it.
    pub fn decode(signature: &Signature, immeta: &[u8], cbmeta: &[u8]) -> Result<Self, (Half, DecodeError)> {
        let mut parts = Parts::new(signature);
        parts.read_immeta(immeta).map_err(|error| (Half::Immeta, error))?;
        parts.read_cbmeta(cbmeta).map_err(|error| (Half::Cbmeta, error))?;
        parts.finish(signature)
    }
}

/// Which of an import's two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The one in `immeta`.
    Immeta,
    /// The one in `cbmeta`.
    Cbmeta,
}

/// A contract in the making: it remembers where each meaning was said.
struct Parts {
    contract: Contract,
    places: Vec<(Half, u32)>,
    result_at: u32,
}

impl Parts {
    fn new(signature: &Signature) -> Self {
        let contract = Contract::plain(signature);
        let places = contract.params.iter().map(|_| (Half::Immeta, 0)).collect();
        Self { contract, places, result_at: 0 }
    }

    fn set(&mut self, slot: Slot, place: (Half, u32), meaning: Param) -> Result<(), DecodeError> {
        let index = usize::from(slot);
        match (self.contract.params.get_mut(index), self.places.get_mut(index)) {
            (Some(param), Some(known)) if *param == Param::Value => {
                (*param, *known) = (meaning, place);
                Ok(())
            }
            (Some(_), _) => Err(DecodeError { offset: place.1, reason: Reason::Order }),
            (None, _) => Err(DecodeError { offset: place.1, reason: Reason::NoSuchParam }),
        }
    }

    fn read_immeta(&mut self, immeta: &[u8]) -> Result<(), DecodeError> {
        let mut entries = ImmetaEntries::new(immeta);
        loop {
            let at = entries.reader.offset();
            match entries.next() {
                None => return Ok(()),
                Some(Ok(ImmetaEntry::Param(slot, meaning))) => self.set(slot, (Half::Immeta, at), meaning.kept())?,
                Some(Ok(ImmetaEntry::Result(meaning))) => (self.contract.result, self.result_at) = (meaning, at),
                Some(Err(error)) => return Err(error),
            }
        }
    }

    fn read_cbmeta(&mut self, cbmeta: &[u8]) -> Result<(), DecodeError> {
        let mut entries = CbmetaEntries::new(cbmeta);
        let mut users: Vec<(Slot, u32)> = Vec::new();
        loop {
            let at = entries.reader.offset();
            let Some(entry) = entries.next() else { break };
            let (slot, callback) = entry?;
            users.extend(callback.user.map(|user| (user, at)));
            self.set(slot, (Half::Cbmeta, at), Param::Callback(callback))?;
        }
        for (index, (user, at)) in users.iter().enumerate() {
            // Callbacks may share user data; user data that `immeta` lists as well would be said twice.
            let shared = users.iter().take(index).any(|(earlier, _)| earlier == user);
            if !shared {
                self.set(*user, (Half::Cbmeta, *at), Param::UserData)?;
            }
        }
        Ok(())
    }

    fn finish(self, signature: &Signature) -> Result<Contract, (Half, DecodeError)> {
        self.contract.check(signature).map_err(|rule| {
            let (half, offset) = match rule {
                RuleError::Meaning(slot)
                | RuleError::Reference(slot)
                | RuleError::Members(slot)
                | RuleError::Deferred(slot) => self.places.get(usize::from(slot)).copied().unwrap_or((Half::Immeta, 0)),
                RuleError::Result => (Half::Immeta, self.result_at),
                RuleError::Count => (Half::Immeta, 0),
            };
            (half, DecodeError { offset, reason: Reason::Rule(rule) })
        })?;
        Ok(self.contract)
    }
}
