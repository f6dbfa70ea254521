//! [`Module::parse`]: the checks of everything but the code, which [`crate::verifier`] makes. Each byte is read once, front to back.
//! Never here: reading a module that has been checked.

use super::{
    HEADER_SIZE, HEADER_WORDS, LINEAR_UNIT, MAGIC, Module, NONE, RUN_KINDS, SECTION_ENTRY_SIZE, SECTION_ENTRY_WORDS,
    SectionKind, Start, VERSION, halves, read_u32,
};
use crate::error::{FormatError, Reason};
use crate::record::{Export, Function, Import, Limits, Relocation, RelocationKind};
use crate::signature::Signature;

fn fail<T>(reason: Reason, offset: usize) -> Result<T, FormatError> {
    Err(FormatError::new(reason, offset as u32))
}

/// Walks the names of imports and exports, which lie one behind another in the order of the records that have them.
struct Names<'a> {
    strings: &'a [u8],
    next: usize,
}

impl<'a> Names<'a> {
    /// The bytes of the next name, which must start at `offset` and be one.
    fn next(&mut self, offset: u16) -> Option<&'a [u8]> {
        let tail = self.strings.get(self.next..).filter(|_| usize::from(offset) == self.next)?;
        let mut all = 0;
        let is_end = |byte: &u8| {
            all |= *byte;
            *byte == 0
        };
        let length = tail.iter().position(is_end).filter(|length| *length > 0)?;
        self.next += length + 1;
        let name = tail.get(..length)?;
        (all.is_ascii() || core::str::from_utf8(name).is_ok()).then_some(name)
    }
}

impl<'a> Module<'a> {
    /// Parses a module and checks everything but its code. Linear time, no memory but the result.
    ///
    /// `bytes` must be exactly the module, at a multiple of 4. What is checked stands in specs/format.md, "Structure".
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let Some((header, body)) = bytes.split_first_chunk::<HEADER_SIZE>() else {
            return fail(Reason::Truncated, bytes.len());
        };
        if !header.starts_with(&MAGIC) {
            return fail(Reason::Magic, 0);
        }
        // What a length that is no multiple of 4 leaves over is found with the sections.
        let Ok(words) = bytemuck::try_cast_slice(bytes.get(..bytes.len() & !3).unwrap_or_default()) else {
            return fail(Reason::Alignment, 0);
        };
        let Some(([_, version, length, checksum], table)) = words.split_first_chunk::<HEADER_WORDS>() else {
            return fail(Reason::Truncated, 0);
        };
        let [version, count] = halves(*version);
        if version != VERSION {
            return fail(Reason::Version, 4);
        }
        if u32::from_le(*length) as usize != bytes.len() {
            return fail(Reason::Length, 8);
        }
        if u32::from_le(*checksum) != crate::checksum::crc32(body) {
            return fail(Reason::Checksum, 12);
        }
        let mut module = Self { words, starts: [Start::default(); RUN_KINDS + 1] };
        module.place_sections(bytes, table.as_chunks().0, count.into())?;
        module.check_limits()?;
        module.check_thread_local()?;
        module.check_signatures()?;
        let mut names = Names { strings: module.section(SectionKind::Strings), next: 0 };
        module.check_imports(&mut names)?;
        module.check_functions()?;
        module.check_indices(SectionKind::Callbacks)?;
        module.check_indices(SectionKind::Constructors)?;
        module.check_exports(&mut names)?;
        if names.next != names.strings.len() {
            return fail(Reason::Name, module.place(SectionKind::Strings, names.next, 1));
        }
        module.check_relocations()?;
        Ok(module)
    }

    /// Reads the section table: every section in its place, side by side to the module's last byte.
    fn place_sections(
        &mut self,
        bytes: &[u8],
        table: &[[u32; SECTION_ENTRY_WORDS]],
        count: usize,
    ) -> Result<(), FormatError> {
        let starts = &mut self.starts;
        let mut offset = HEADER_SIZE + count * SECTION_ENTRY_SIZE;
        // How many of `starts` are known.
        let mut placed = 0;
        let mut last = None;
        if offset > bytes.len() {
            return fail(Reason::Truncated, bytes.len());
        }
        for (index, [code, size]) in table.iter().take(count).enumerate() {
            let place = HEADER_SIZE + index * SECTION_ENTRY_SIZE;
            let ([code, reserved], size) = (halves(*code), u32::from_le(*size) as usize);
            let kind = SectionKind::from_code(code).filter(|kind| reserved == 0 && Some(*kind) > last);
            let Some(kind) = kind else { return fail(Reason::Section, place) };
            if !kind.allows(size) {
                return fail(Reason::SectionSize, place + 4);
            }
            let Some(end) = offset.checked_add(size).filter(|end| *end <= bytes.len()) else {
                return fail(Reason::Truncated, place + 4);
            };
            let padded = end.next_multiple_of(4);
            if bytes.get(end..padded).is_none_or(|padding| padding.iter().any(|byte| *byte != 0)) {
                return fail(Reason::Reserved, end);
            }
            // Kinds that are absent before this one are empty.
            for start in starts.iter_mut().take(kind as usize).skip(placed) {
                *start = Start::new(offset as u32, 0);
            }
            if let Some(start) = starts.get_mut(kind as usize - 1).filter(|_| !kind.is_strippable()) {
                *start = Start::new(offset as u32, (padded - end) as u32);
                placed = kind as usize;
            } else {
                placed = starts.len();
            }
            offset = padded;
            last = Some(kind);
        }
        if offset != bytes.len() {
            return fail(Reason::Length, offset);
        }
        for start in starts.iter_mut().skip(placed) {
            *start = Start::new(offset as u32, 0);
        }
        Ok(())
    }

    /// Where the record with this index lies in the module.
    fn place(&self, kind: SectionKind, index: usize, size: usize) -> usize {
        self.section_offset(kind) as usize + index * size
    }

    fn check_limits(&self) -> Result<(), FormatError> {
        let place = self.place(SectionKind::Limits, 0, Limits::SIZE);
        let Some(record) = self.records(SectionKind::Limits).first() else {
            return fail(Reason::Section, HEADER_SIZE);
        };
        let [entry, reserved] = halves(record[0]);
        if reserved != 0 {
            return fail(Reason::Reserved, place + 2);
        }
        if entry != NONE && usize::from(entry) >= self.function_count() {
            return fail(Reason::Index, place);
        }
        let limits = Limits::decode(record);
        let data = self.section(SectionKind::Data).len() as u32;
        let fixed = [data, limits.bss, limits.stack, limits.shadow_stack, limits.heap_min];
        let total = fixed.iter().try_fold(0u32, |total, size| total.checked_add(*size));
        if total.is_none_or(|total| total > u32::MAX / 4)
            || !limits.stack.is_multiple_of(LINEAR_UNIT)
            || !limits.shadow_stack.is_multiple_of(4)
            || limits.heap_max < limits.heap_min
        {
            return fail(Reason::Limits, place);
        }
        Ok(())
    }

    fn check_thread_local(&self) -> Result<(), FormatError> {
        let checked = self.thread_local().map_or(Ok(()), |record| record.check(self.section(SectionKind::Data).len()));
        checked.or_else(|reason| fail(reason, self.section_offset(SectionKind::ThreadLocal) as usize))
    }

    fn check_signatures(&self) -> Result<(), FormatError> {
        for (index, record) in self.records(SectionKind::Signatures).iter().enumerate() {
            if Signature::from_words(*record).is_none() {
                return fail(Reason::Signature, self.place(SectionKind::Signatures, index, Signature::SIZE));
            }
        }
        Ok(())
    }

    fn check_imports(&self, names: &mut Names<'a>) -> Result<(), FormatError> {
        let signatures = self.signature_count();
        let marshal = self.section(SectionKind::MarshalMeta).len();
        let callbacks = self.section(SectionKind::CallbackMeta).len();
        let inside = |offset: u16, size: usize| offset == NONE || usize::from(offset) < size;
        for (index, [first, second]) in self.records(SectionKind::Imports).iter().enumerate() {
            let place = self.place(SectionKind::Imports, index, Import::SIZE);
            let ([name, signature], [in_marshal, in_callbacks]) = (halves(*first), halves(*second));
            if names.next(name).is_none() {
                return fail(Reason::Name, place);
            }
            if usize::from(signature) >= signatures {
                return fail(Reason::Index, place + 2);
            }
            if !inside(in_marshal, marshal) || !inside(in_callbacks, callbacks) {
                return fail(Reason::Index, place + 4);
            }
        }
        Ok(())
    }

    fn check_functions(&self) -> Result<(), FormatError> {
        let words = self.code_words() as u32;
        let mut expected = 0;
        for (index, (function, end)) in self.functions().enumerate() {
            let place = self.place(SectionKind::Functions, index, Function::SIZE);
            let Some(signature) = self.signature(function.signature) else { return fail(Reason::Index, place + 4) };
            let least = signature.param_slots().max(signature.result_slots()).max(1);
            if function.start != expected || end <= expected || end > words || signature.is_variadic() {
                return fail(Reason::Function, place);
            }
            if function.slots < least || function.slots > crate::operand::MAX_SLOTS {
                return fail(Reason::Function, place + 3);
            }
            expected = end;
        }
        if expected == 0 && words > 0 {
            return fail(Reason::Function, self.section_offset(SectionKind::Code) as usize);
        }
        Ok(())
    }

    /// Checks a section of function indices.
    fn check_indices(&self, kind: SectionKind) -> Result<(), FormatError> {
        let functions = self.function_count();
        let mut indices = self.indices(kind).iter().map(|index| u16::from_le_bytes(*index));
        match indices.position(|index| usize::from(index) >= functions) {
            Some(index) => fail(Reason::Index, self.place(kind, index, 2)),
            None => Ok(()),
        }
    }

    fn check_exports(&self, names: &mut Names<'a>) -> Result<(), FormatError> {
        let functions = self.function_count();
        let mut last: &[u8] = &[];
        for (index, record) in self.section_words(SectionKind::Exports).iter().enumerate() {
            let place = self.place(SectionKind::Exports, index, Export::SIZE);
            let [name, function] = halves(*record);
            let Some(name) = names.next(name) else { return fail(Reason::Name, place) };
            // No name is empty, so the first is greater than this.
            if name <= last {
                return fail(Reason::Order, place);
            }
            last = name;
            if usize::from(function) >= functions {
                return fail(Reason::Index, place);
            }
        }
        Ok(())
    }

    fn check_relocations(&self) -> Result<(), FormatError> {
        let data = self.section(SectionKind::Data);
        let callbacks = self.callback_count();
        let mut free_from = 0;
        for (index, word) in self.section_words(SectionKind::Relocations).iter().enumerate() {
            let found = Relocation::decode(u32::from_le(*word)).filter(|found| found.offset >= free_from);
            let found = found.and_then(|found| Some((found, read_u32(data, found.offset as usize)?)));
            let Some((Relocation { offset, kind }, value)) = found else {
                return fail(Reason::Relocation, self.place(SectionKind::Relocations, index, Relocation::SIZE));
            };
            if kind == RelocationKind::Callback && value as usize >= callbacks {
                return fail(Reason::Index, self.place(SectionKind::Data, offset as usize, 1));
            }
            free_from = offset + 4;
        }
        Ok(())
    }
}
