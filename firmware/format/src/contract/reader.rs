//! The pieces that the records of `immeta` and `cbmeta` are made of, read from the front. Total: any bytes give a piece or a reason.
//!
//! Trusts nothing and allocates nothing. Never here: which pieces follow one another in a record ([`super::entries`]).

use super::encode::{
    CALLBACK_USER, DEFERRED, FATE_RELEASED, FATE_WHEN, FORMAT_SCAN, FORMAT_VA_LIST, LONG_COUNT, LONG_INDEX, MEMBERS,
    NULLABLE, SIGNATURE_RESULT, SIGNATURE_VARIADIC, extent, result, tag,
};
use super::entries::Members;
use super::{
    Callback, Direction, Extent, Fate, Format, FormatArgs, FormatStyle, Handle, HandleKind, Param, Pointer,
    ResultMeaning, RuleError, Slot,
};
use crate::signature::Signature;
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

/// Takes bytes from the front. After a failure it stands where what is wrong starts, so that a reason is all that need be handed on.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    /// How many are taken.
    at: usize,
}

impl<'a> Reader<'a> {
    /// With nothing to read.
    pub const EMPTY: Self = Self { bytes: &[], at: 0 };

    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub fn offset(&self) -> u32 {
        self.at as u32
    }

    pub fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Takes all that is left.
    pub fn skip_rest(&mut self) {
        self.at = self.bytes.len();
    }

    /// What is wrong, with the place where the failed reading has stopped.
    pub fn error(&self, reason: Reason) -> DecodeError {
        DecodeError { offset: self.offset(), reason }
    }

    /// The reason why what starts at `at` is wrong.
    #[cold]
    pub fn fail<T>(&mut self, at: usize, reason: Reason) -> Result<T, Reason> {
        self.at = at;
        Err(reason)
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub fn take(&mut self, length: u32) -> Result<&'a [u8], Reason> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..length as usize).ok_or(Reason::Truncated)?;
        self.at += taken.len();
        Ok(taken)
    }

    pub fn peek(&self) -> Result<u8, Reason> {
        self.bytes.get(self.at).copied().ok_or(Reason::Truncated)
    }

    pub fn byte(&mut self) -> Result<u8, Reason> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    pub fn varint(&mut self) -> Result<u32, Reason> {
        let start = self.at;
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            let part = u32::from(byte & 0x7F);
            if (shift == 28 && part > 0xF) || (shift > 0 && byte == 0) {
                break;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        self.fail(start, Reason::Number)
    }

    /// The bytes of a record, whose length comes first.
    pub fn record(&mut self) -> Result<&'a [u8], Reason> {
        let length = self.varint()?;
        self.take(length)
    }

    /// A callback's signature; [`super::encode`] says how it is packed. The codes of the types are those of [`Signature`], which checks them.
    fn signature(&mut self) -> Result<Signature, Reason> {
        let start = self.at;
        let mut encoded = [0; Signature::SIZE];
        let [length, head, codes @ ..] = &mut encoded;
        let first = self.byte()?;
        *head = first & SIGNATURE_RESULT | (first & SIGNATURE_VARIADIC) << 4;
        *length = first >> 4;
        if *length == LONG_COUNT {
            *length = self.byte()?;
            if *length < LONG_COUNT || usize::from(*length) > Signature::MAX_PARAMS {
                return self.fail(start, Reason::Signature);
            }
        }
        for four in codes.iter_mut().take(length.div_ceil(4).into()) {
            *four = self.byte()?;
        }
        match Signature::decode(encoded) {
            Some(signature) => Ok(signature),
            None => self.fail(start, Reason::Signature),
        }
    }

    /// A byte of which only the bits of `allowed` may be set.
    fn bits(&mut self, allowed: u8) -> Result<u8, Reason> {
        let byte = self.peek()?;
        if byte & !allowed != 0 {
            return Err(Reason::Code);
        }
        self.byte()
    }

    /// The head of an entry: its upper four bits and the parameter.
    pub fn head(&mut self) -> Result<(u8, u8), Reason> {
        let head = self.byte()?;
        let mut index = head & 0xF;
        if index == LONG_INDEX {
            index = self.peek()?;
            if index < LONG_INDEX {
                return Err(Reason::Number);
            }
            self.byte()?;
        }
        Ok((head >> 4, index))
    }

    /// What an entry with this tag, whose head is at `at`, says of its parameter.
    pub fn meaning(&mut self, tag: u8, at: usize) -> Result<Param<Members<'a>>, Reason> {
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
            _ => return self.fail(at, Reason::Code),
        })
    }

    fn pointer(&mut self, direction: Direction) -> Result<Pointer<Members<'a>>, Reason> {
        let (extent, bits) = self.extent(NULLABLE | DEFERRED | MEMBERS)?;
        let mut members = Members::NONE;
        if bits & MEMBERS != 0 {
            if self.peek()? == 0 {
                return Err(Reason::Empty);
            }
            let count = self.byte()?;
            members = Members::new(self.clone(), count);
            for _ in 0..count {
                self.member()?;
            }
        }
        Ok(Pointer { direction, extent, nullable: bits & NULLABLE != 0, deferred: bits & DEFERRED != 0, members })
    }

    /// A member of a structure: its byte offset there, and what it means.
    pub fn member(&mut self) -> Result<(Slot, Param<Members<'a>>), Reason> {
        let start = self.at;
        let head = self.bits(0xF0)?;
        let offset = self.byte()?;
        let tag = head >> 4;
        let meaning = match tag {
            tag::CALLBACK => {
                let bits = self.bits(NULLABLE | CALLBACK_USER)?;
                Param::Callback(self.callback(bits)?)
            }
            // Refused here as well as by the rules, so that depth stays bounded whatever the bytes say.
            tag::IN | tag::OUT | tag::INOUT if self.peek()? & MEMBERS != 0 => return Err(Reason::Code),
            _ => self.meaning(tag, start)?,
        };
        Ok((offset, meaning))
    }

    fn extent(&mut self, allowed: u8) -> Result<(Extent, u8), Reason> {
        let start = self.at;
        let byte = self.bits(allowed | 0xF)?;
        let extent = match byte & 0xF {
            extent::CONST => Extent::Const(self.varint()?),
            extent::ARG => Extent::Arg { param: self.byte()?, scale: 1 },
            extent::ARG_SCALED => {
                let param = self.byte()?;
                let number = self.at;
                match self.varint()? {
                    0 | 1 => return self.fail(number, Reason::Number),
                    scale => Extent::Arg { param, scale },
                }
            }
            extent::PRODUCT => Extent::Product(self.byte()?, self.byte()?),
            extent::CSTRING => Extent::CString,
            extent::CSTRING_MAX => Extent::CStringMax(self.byte()?),
            extent::ELEMENT => Extent::Element(self.byte()?),
            extent::STORED_AT => Extent::StoredAt(self.byte()?),
            extent::REGION => Extent::Region,
            _ => return self.fail(start, Reason::Code),
        };
        Ok((extent, byte & 0xF0))
    }

    fn kind(&mut self, allowed: u8) -> Result<(HandleKind, u8), Reason> {
        let start = self.at;
        let byte = self.bits(allowed | 0xF)?;
        match HandleKind::from_code(byte & 0xF) {
            Some(kind) => Ok((kind, byte & 0xF0)),
            None => self.fail(start, Reason::Code),
        }
    }

    fn handle(&mut self) -> Result<Handle, Reason> {
        let start = self.at;
        let (kind, bits) = self.kind(NULLABLE | FATE_RELEASED | FATE_WHEN)?;
        let fate = match bits & (FATE_RELEASED | FATE_WHEN) {
            0 => Fate::Used,
            FATE_RELEASED => Fate::Released,
            FATE_WHEN => Fate::ReleasedWhen { param: self.byte()?, value: self.byte()? },
            _ => return self.fail(start, Reason::Code),
        };
        Ok(Handle { kind, nullable: bits & NULLABLE != 0, fate })
    }

    fn format(&mut self) -> Result<Format, Reason> {
        let bits = self.bits(FORMAT_SCAN | FORMAT_VA_LIST)?;
        let style = if bits & FORMAT_SCAN != 0 { FormatStyle::Scan } else { FormatStyle::Print };
        let args = if bits & FORMAT_VA_LIST != 0 { FormatArgs::VaList(self.byte()?) } else { FormatArgs::Variadic };
        Ok(Format { style, args })
    }

    /// What is behind the bits of a callback.
    pub fn callback(&mut self, bits: u8) -> Result<Callback, Reason> {
        let signature = self.signature()?;
        let user = if bits & CALLBACK_USER != 0 { Some(self.byte()?) } else { None };
        Ok(Callback { signature, user, nullable: bits & NULLABLE != 0 })
    }

    /// What an entry of this kind, whose head is at `at`, says of the result.
    pub fn result(&mut self, kind: u8, at: usize) -> Result<ResultMeaning, Reason> {
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
            _ => return self.fail(at, Reason::Code),
        })
    }
}
