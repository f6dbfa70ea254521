//! The entries of one import's records, one at a time. Allocates nothing, so a host can walk a contract at every call.
//!
//! Never here: how a piece of an entry is encoded ([`super::reader`]).

use super::encode::{CALLBACK_USER, NULLABLE, tag};
use super::reader::{DecodeError, Reader, Reason};
use super::{Callback, Param, ResultMeaning, Slot};

/// The members of a structure, with their byte offsets, read from a contract's bytes.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    reader: Reader<'a>,
    count: u8,
}

impl<'a> Members<'a> {
    pub(super) const NONE: Self = Self { reader: Reader::EMPTY, count: 0 };

    /// The next `count` that the reader has, which are well formed.
    pub(super) fn new(reader: Reader<'a>, count: u8) -> Self {
        Self { reader, count }
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Slot, Param<Members<'a>>);

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        // They were read before, when the pointer was.
        self.reader.member().ok()
    }
}

/// Entries by ascending parameter. Ends behind the first error.
#[derive(Clone, Debug)]
struct Entries<'a> {
    reader: Reader<'a>,
    /// The next entry cannot be of a parameter before this one.
    least: u16,
}

impl<'a> Entries<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes), least: 0 }
    }

    /// The next entry, as `entry` reads it.
    fn next<T>(&mut self, entry: impl FnOnce(&mut Self) -> Result<T, Reason>) -> Option<Result<T, DecodeError>> {
        if self.reader.is_at_end() {
            return None;
        }
        Some(entry(self).map_err(|reason| {
            let error = self.reader.error(reason);
            self.reader.skip_rest();
            error
        }))
    }

    /// Notes the parameter of the entry at `at`.
    fn ascend(&mut self, slot: Slot, at: usize) -> Result<(), Reason> {
        if u16::from(slot) < self.least {
            return self.reader.fail(at, Reason::Order);
        }
        self.least = u16::from(slot) + 1;
        Ok(())
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

/// The entries of one import in `immeta`, by ascending parameter. Ends behind the first error.
#[derive(Clone, Debug)]
pub struct ImmetaEntries<'a>(Entries<'a>);

impl<'a> ImmetaEntries<'a> {
    /// Reads the bytes of one record.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(Entries::new(bytes))
    }

    /// Where the next entry starts.
    pub(super) fn offset(&self) -> u32 {
        self.0.reader.offset()
    }
}

impl<'a> Iterator for ImmetaEntries<'a> {
    type Item = Result<ImmetaEntry<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(|entries| {
            let at = entries.reader.at();
            if entries.reader.peek()? >> 4 == tag::RESULT {
                let kind = entries.reader.byte()? & 0xF;
                let meaning = entries.reader.result(kind, at)?;
                return if entries.reader.is_at_end() { Ok(ImmetaEntry::Result(meaning)) } else { Err(Reason::Order) };
            }
            let (tag, slot) = entries.reader.head()?;
            entries.ascend(slot, at)?;
            Ok(ImmetaEntry::Param(slot, entries.reader.meaning(tag, at)?))
        })
    }
}

/// The entries of one import in `cbmeta`: parameters that are callbacks, ascending. Ends behind the first error.
#[derive(Clone, Debug)]
pub struct CbmetaEntries<'a>(Entries<'a>);

impl<'a> CbmetaEntries<'a> {
    /// Reads the bytes of one record.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(Entries::new(bytes))
    }

    /// Where the next entry starts.
    pub(super) fn offset(&self) -> u32 {
        self.0.reader.offset()
    }
}

impl Iterator for CbmetaEntries<'_> {
    type Item = Result<(Slot, Callback), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(|entries| {
            let at = entries.reader.at();
            let (bits, slot) = entries.reader.head()?;
            let bits = bits << 4;
            if bits & !(NULLABLE | CALLBACK_USER) != 0 {
                return entries.reader.fail(at, Reason::Code);
            }
            entries.ascend(slot, at)?;
            Ok((slot, entries.reader.callback(bits)?))
        })
    }
}
