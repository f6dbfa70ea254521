//! The sections `immeta` and `cbmeta` as sequences of records, one an import that has something to say.
//!
//! Knows the records' frame only; `decode` reads what is in them.

use super::decode::{DecodeError, Reader, Reason};
use super::encode::varint;
use alloc::vec::Vec;

/// One record of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Index into the import section.
    pub import: u32,
    /// Where `bytes` starts in the section.
    pub offset: u32,
    /// The encoded part of the contract, never empty.
    pub bytes: &'a [u8],
}

/// The records of a section, by ascending import; stops behind the first error.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    reader: Reader<'a>,
    next_import: u32,
    failed: bool,
}

impl<'a> Records<'a> {
    /// Reads the whole of `section`, without padding.
    #[must_use]
    pub fn new(section: &'a [u8]) -> Self {
        Self { reader: Reader::new(section), next_import: 0, failed: false }
    }

    fn record(&mut self) -> Result<Record<'a>, DecodeError> {
        let start = self.reader.offset();
        let import = self.reader.varint()?;
        if import < self.next_import {
            return Err(DecodeError { offset: start, reason: Reason::Order });
        }
        self.next_import = import.checked_add(1).ok_or(DecodeError { offset: start, reason: Reason::Number })?;
        let at_length = self.reader.offset();
        let length = self.reader.varint()?;
        if length == 0 {
            return Err(DecodeError { offset: at_length, reason: Reason::Empty });
        }
        let offset = self.reader.offset();
        Ok(Record { import, offset, bytes: self.reader.take(length)? })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.reader.is_at_end() {
            return None;
        }
        let record = self.record();
        self.failed = record.is_err();
        Some(record)
    }
}

/// Appends the record of `import` to a section; an empty `bytes` needs no record and appends nothing. Imports must come
/// in ascending order.
pub fn push_record(section: &mut Vec<u8>, import: u32, bytes: &[u8]) {
    // A record longer than u32::MAX cannot arise: a contract has at most 255 parameters.
    if let (false, Ok(length)) = (bytes.is_empty(), u32::try_from(bytes.len())) {
        varint(section, import);
        varint(section, length);
        section.extend_from_slice(bytes);
    }
}
