//! The sections `immeta` and `cbmeta`: records to which imports point, each a length and that many bytes.
//!
//! Knows the records' frame only; `decode` reads what is in them.

use super::encode::varint;
use super::reader::{DecodeError, Reader, Reason};
use crate::container::{Import, Module, NONE, SectionKind};
use alloc::vec::Vec;
use core::fmt;

use super::Contract;

/// A section that has grown past the offsets that imports can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionFull;

impl fmt::Display for SectionFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the contracts of the imports take more than 64 KiB: import fewer functions")
    }
}

/// Puts a record into a section and gives its offset; a record that is there already is shared, and an empty one needs
/// no place.
///
/// # Errors
/// When the record would start where no import can point.
pub fn push_record(section: &mut Vec<u8>, bytes: &[u8]) -> Result<Option<u16>, SectionFull> {
    let length = u32::try_from(bytes.len()).map_err(|_| SectionFull)?;
    if length == 0 {
        return Ok(None);
    }
    let mut reader = Reader::new(section);
    while !reader.is_at_end() {
        let at = reader.offset();
        match reader.record() {
            Ok(present) if present == bytes => return u16::try_from(at).map(Some).map_err(|_| SectionFull),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    let offset = u16::try_from(section.len()).ok().filter(|offset| *offset != NONE).ok_or(SectionFull)?;
    varint(section, length);
    section.extend_from_slice(bytes);
    Ok(Some(offset))
}

/// The record at an import's offset, and where its bytes start in the section; without an offset nothing, at 0.
///
/// # Errors
/// When the offset, or the length there, goes past the section, or the record is empty.
pub fn record(section: &[u8], offset: Option<u16>) -> Result<(&[u8], u32), DecodeError> {
    let Some(offset) = offset.map(u32::from) else { return Ok((&[], 0)) };
    let mut reader = Reader::new(section);
    let bytes = reader.take(offset).and_then(|_| reader.record()).map_err(|reason| reader.error(reason))?;
    let start = reader.offset() - bytes.len() as u32;
    if bytes.is_empty() { Err(DecodeError { offset, reason: Reason::Empty }) } else { Ok((bytes, start)) }
}

/// The contract that a module states for one of its imports.
///
/// # Errors
/// Anything that the translator would not have written, with the section at fault and the offset in it.
pub fn of_import(module: &Module<'_>, import: &Import<'_>) -> Result<Contract, (SectionKind, DecodeError)> {
    let part = |kind: SectionKind, offset| record(module.section(kind), offset).map_err(|error| (kind, error));
    let (immeta, immeta_start) = part(SectionKind::MarshalMeta, import.marshal)?;
    let (cbmeta, cbmeta_start) = part(SectionKind::CallbackMeta, import.callbacks)?;
    Contract::decode(&import.signature, immeta, cbmeta).map_err(|(half, error)| {
        let (kind, start) = match half {
            super::Half::Immeta => (SectionKind::MarshalMeta, immeta_start),
            super::Half::Cbmeta => (SectionKind::CallbackMeta, cbmeta_start),
        };
        (kind, DecodeError { offset: start.saturating_add(error.offset), ..error })
    })
}
