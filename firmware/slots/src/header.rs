//! The header of a slot: what its first sector says about the module behind it. Layout only.

use core::fmt;

use espb_format::checksum::crc32;

use crate::seal::{SIGNATURE_LEN, Seal};
use crate::storage::SECTOR;
use crate::{put_words, word};

/// First four bytes of a slot that holds a module, in flash order.
pub const MAGIC: [u8; 4] = *b"ESLT";

/// Version of the header's layout.
pub const VERSION: u32 = 2;

/// Offset of the module in its slot, in bytes: header and module are erased apart, and the module starts on a boundary of
/// the flash cache.
pub const MODULE_OFFSET: u32 = SECTOR;

/// Bytes of a header.
pub const HEADER_LEN: usize = 128;

const NAME_AT: usize = 92;
const CRC_AT: usize = HEADER_LEN - 4;
/// What erased flash reads as.
const ERASED: u32 = u32::MAX;
const AUTOSTART: u32 = 1;
const SIGNED: u32 = 2;

/// A module's name for people: UTF-8, without NUL, at most 24 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModuleName([u8; Self::LEN]);

impl ModuleName {
    /// Bytes that a name can have.
    pub const LEN: usize = 24;

    /// The name, cut at the end of a character.
    pub fn new(name: &str) -> Self {
        let mut bytes = [0; Self::LEN];
        let name = name.split('\0').next().unwrap_or_default();
        let end = (0..=Self::LEN.min(name.len())).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
        for (place, byte) in bytes.iter_mut().zip(name.bytes().take(end)) {
            *place = byte;
        }
        Self(bytes)
    }

    /// As text; what is no UTF-8 is left out.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(Self::LEN);
        let bytes = self.0.get(..end).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// What the header of a slot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotHeader {
    /// Length of the module in bytes.
    pub length: u32,
    /// CRC-32 (IEEE 802.3) over the module's bytes.
    pub crc32: u32,
    /// Whether the firmware starts the module at boot.
    pub autostart: bool,
    /// Version, floor and signature.
    pub seal: Seal,
    /// What people call it.
    pub name: ModuleName,
}

/// Why a slot has no usable header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The slot was never written, or was erased.
    Empty,
    /// There is something else than a slot header of this layout, or only a part of one.
    Damaged,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the slot is empty",
            Self::Damaged => "the slot's header is damaged or of another version",
        })
    }
}

impl core::error::Error for HeaderError {}

impl SlotHeader {
    /// The header as it stands in flash.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let signed = if self.seal.signature.is_some() { SIGNED } else { 0 };
        let flags = if self.autostart { AUTOSTART } else { 0 } | signed;
        let fields = [VERSION, self.length, self.crc32, flags, self.seal.version, self.seal.floor];
        put_words(&mut bytes, &[u32::from_le_bytes(MAGIC)]);
        put_words(&mut bytes[4..], &fields);
        bytes[28..28 + SIGNATURE_LEN].copy_from_slice(&self.seal.signature.unwrap_or([0; SIGNATURE_LEN]));
        bytes[NAME_AT..NAME_AT + ModuleName::LEN].copy_from_slice(&self.name.0);
        let crc = crc32(&bytes[..CRC_AT]);
        put_words(&mut bytes[CRC_AT..], &[crc]);
        bytes
    }

    /// Reads a header from the start of a slot. The length is as found: whoever uses it compares it with the slot.
    pub fn decode(slot: &[u8]) -> Result<Self, HeaderError> {
        let bytes = slot.first_chunk::<HEADER_LEN>().ok_or(HeaderError::Damaged)?;
        Self::from_words(bytes).ok_or(if word(bytes, 0) == Some(ERASED) {
            HeaderError::Empty
        } else {
            HeaderError::Damaged
        })
    }

    fn from_words(bytes: &[u8; HEADER_LEN]) -> Option<Self> {
        let sound = bytes.starts_with(&MAGIC)
            && word(bytes, 4)? == VERSION
            && word(bytes, CRC_AT)? == crc32(bytes.get(..CRC_AT)?);
        let flags = word(bytes, 16)?;
        if !sound || flags & !(AUTOSTART | SIGNED) != 0 {
            return None;
        }
        let signature = *bytes.get(28..)?.first_chunk::<SIGNATURE_LEN>()?;
        Some(Self {
            length: word(bytes, 8)?,
            crc32: word(bytes, 12)?,
            autostart: flags & AUTOSTART != 0,
            seal: Seal {
                version: word(bytes, 20)?,
                floor: word(bytes, 24)?,
                signature: (flags & SIGNED != 0).then_some(signature),
            },
            name: ModuleName(*bytes.get(NAME_AT..)?.first_chunk()?),
        })
    }

    /// What the record knows the slot's contents by: the header's own checksum.
    pub fn identity(&self) -> u32 {
        let bytes = self.encode();
        crc32(&bytes[..CRC_AT])
    }
}
