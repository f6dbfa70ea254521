//! The container: header, sections and tables of a module, parsed into types that cannot be wrong.
//!
//! [`Module::parse`] checks the structure (everything but the code, which [`crate::verifier`] checks) and borrows the bytes:
//! a module stays where it is, in flash. Layouts are in specs/format.md. Never here: meaning of instructions.

use crate::error::{FormatError, Reason};
pub use crate::record::{Export, Function, Import, Limits, Relocation, RelocationKind};
pub use crate::section::SectionKind;
use crate::signature::Signature;
use crate::thread_local::ThreadLocal;

/// The first four bytes of a module.
pub const MAGIC: [u8; 4] = *b"ESPB";
/// The format version that this crate reads and writes.
pub const VERSION: u16 = 2;
/// Bytes of the header: magic, version u16, section count u16, length u32, CRC-32 (IEEE) u32 of everything after the header.
pub const HEADER_SIZE: usize = 16;
/// Bytes of an entry of the section table: kind u16, reserved u16, size in bytes u32. Sections follow in order, each padded with zeros to 4.
pub const SECTION_ENTRY_SIZE: usize = 8;
/// "No such entry" in 16-bit index fields.
pub const NONE: u16 = 0xffff;
/// Unit of a linear frame's size, and alignment of the linear stack pointer, in bytes.
pub const LINEAR_UNIT: u32 = 16;

/// A structurally correct module.
#[derive(Clone, Copy, Debug)]
pub struct Module<'a> {
    bytes: &'a [u8],
    sections: [(u32, u32); SectionKind::ALL.len()],
    limits: Limits,
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn fail<T>(reason: Reason, offset: usize) -> Result<T, FormatError> {
    Err(FormatError::new(reason, offset as u32))
}

impl<'a> Module<'a> {
    /// Parses a module and checks everything but its code. Linear time, no memory but the result.
    ///
    /// `bytes` must be exactly the module. What is checked stands in specs/format.md, "Structure".
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        if bytes.len() < HEADER_SIZE {
            return fail(Reason::Truncated, bytes.len());
        }
        if bytes[..4] != MAGIC {
            return fail(Reason::Magic, 0);
        }
        let header = |at| read_u32(bytes, at).ok_or(FormatError::new(Reason::Truncated, at as u32));
        let version_and_count = header(4)?;
        if version_and_count as u16 != VERSION {
            return fail(Reason::Version, 4);
        }
        if header(8)? as usize != bytes.len() {
            return fail(Reason::Length, 8);
        }
        if crate::checksum::crc32(&bytes[HEADER_SIZE..]) != header(12)? {
            return fail(Reason::Checksum, 12);
        }
        let sections = parse_sections(bytes, (version_and_count >> 16) as usize)?;
        let mut module = Self {
            bytes,
            sections,
            limits: Limits { entry: None, bss: 0, stack: 0, shadow_stack: 0, heap_min: 0, heap_max: 0 },
        };
        module.check_tables()?;
        Ok(module)
    }

    /// The whole module.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The contents of a section; empty where the module has none.
    pub fn section(&self, kind: SectionKind) -> &'a [u8] {
        let (offset, size) = self.sections[index_of(kind)];
        &self.bytes[offset as usize..(offset + size) as usize]
    }

    /// Where a section starts, in bytes from the start of the module.
    pub fn section_offset(&self, kind: SectionKind) -> u32 {
        self.sections[index_of(kind)].0
    }

    /// Declared memory.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Bytes of linear memory before the first stack: data and bss, rounded up to 16.
    pub fn static_size(&self) -> u32 {
        (self.section(SectionKind::Data).len() as u32 + self.limits.bss).next_multiple_of(LINEAR_UNIT)
    }

    /// Its thread-local variables, if it has any.
    pub fn thread_local(&self) -> Option<ThreadLocal> {
        ThreadLocal::decode(self.section(SectionKind::ThreadLocal))
    }

    fn elements(&self, kind: SectionKind) -> usize {
        self.section(kind).len() / kind.element_size()
    }

    fn record<const N: usize>(&self, kind: SectionKind, index: usize) -> Option<[u8; N]> {
        let start = index.checked_mul(N)?;
        self.section(kind).get(start..start + N)?.try_into().ok()
    }

    /// Number of signatures.
    pub fn signature_count(&self) -> usize {
        self.elements(SectionKind::Signatures)
    }

    /// The signature with this index.
    pub fn signature(&self, index: u16) -> Option<Signature> {
        Signature::decode(self.record(SectionKind::Signatures, index.into())?)
    }

    /// Number of imports.
    pub fn import_count(&self) -> usize {
        self.elements(SectionKind::Imports)
    }

    /// The import with this index.
    pub fn import(&self, index: u16) -> Option<Import<'a>> {
        let record: [u8; 8] = self.record(SectionKind::Imports, index.into())?;
        let field = |at| read_u16(&record, at);
        Some(Import {
            name: self.name_at(field(0)?)?,
            signature: self.signature(field(2)?)?,
            marshal: field(4).filter(|offset| *offset != NONE),
            callbacks: field(6).filter(|offset| *offset != NONE),
        })
    }

    /// All imports in index order.
    pub fn imports(&self) -> impl Iterator<Item = Import<'a>> + use<'a> {
        let module = *self;
        (0..module.import_count()).filter_map(move |index| module.import(index as u16))
    }

    /// Number of functions.
    pub fn function_count(&self) -> usize {
        self.elements(SectionKind::Functions)
    }

    /// The function with this index.
    pub fn function(&self, index: u16) -> Option<Function> {
        self.record(SectionKind::Functions, index.into()).map(Function::decode)
    }

    /// First word after a function's code.
    pub fn function_end(&self, index: u16) -> Option<u32> {
        self.function(index)?;
        let next =
            self.record(SectionKind::Functions, usize::from(index) + 1).map(|record| Function::decode(record).start);
        Some(next.unwrap_or(self.code_words() as u32))
    }

    /// The function whose code holds this word.
    pub fn function_at(&self, word: u32) -> Option<u16> {
        let (mut low, mut high) = (0, self.function_count());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.function(middle as u16)?.start <= word { low = middle + 1 } else { high = middle }
        }
        if (word as usize) < self.code_words() { low.checked_sub(1).map(|index| index as u16) } else { None }
    }

    /// Number of words of code.
    pub fn code_words(&self) -> usize {
        self.elements(SectionKind::Code)
    }

    /// The instruction word at this position of the code section.
    pub fn code_word(&self, word: u32) -> Option<u32> {
        read_u32(self.section(SectionKind::Code), word as usize * 4)
    }

    /// Number of address-taken functions.
    pub fn callback_count(&self) -> usize {
        self.elements(SectionKind::Callbacks)
    }

    /// The function index of an address-taken function.
    pub fn callback(&self, index: u16) -> Option<u16> {
        read_u16(self.section(SectionKind::Callbacks), usize::from(index) * 2)
    }

    /// Function indices of the constructors, in order.
    pub fn constructors(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.section(SectionKind::Constructors).chunks_exact(2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    /// All exports.
    pub fn exports(&self) -> impl Iterator<Item = Export<'a>> + use<'a> {
        let module = *self;
        (0..module.elements(SectionKind::Exports)).filter_map(move |index| {
            let record: [u8; 4] = module.record(SectionKind::Exports, index)?;
            Some(Export { name: module.name_at(read_u16(&record, 0)?)?, function: read_u16(&record, 2)? })
        })
    }

    /// All relocations.
    pub fn relocations(&self) -> impl Iterator<Item = Relocation> + use<'a> {
        let words = self.section(SectionKind::Relocations).chunks_exact(4);
        words.filter_map(|bytes| Relocation::decode(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])))
    }

    /// The name of a function, where the names section is there and holds one.
    pub fn function_name(&self, index: u16) -> Option<&'a str> {
        let mut names = self.section(SectionKind::Names).split(|byte| *byte == 0);
        core::str::from_utf8(names.nth(index.into())?).ok().filter(|name| !name.is_empty())
    }

    fn name_at(&self, offset: u16) -> Option<&'a str> {
        let tail = self.section(SectionKind::Strings).get(usize::from(offset)..)?;
        let end = tail.iter().position(|byte| *byte == 0)?;
        core::str::from_utf8(&tail[..end]).ok().filter(|name| !name.is_empty())
    }

    fn check_tables(&mut self) -> Result<(), FormatError> {
        self.limits = self.check_limits()?;
        if let Some(Err(reason)) = self.thread_local().map(|record| record.check(self.section(SectionKind::Data).len()))
        {
            return fail(reason, self.section_offset(SectionKind::ThreadLocal) as usize);
        }
        let at = |kind: SectionKind, index: usize| self.section_offset(kind) as usize + index * kind.element_size();
        for index in 0..self.signature_count() {
            if self.signature(index as u16).is_none() {
                return fail(Reason::Signature, at(SectionKind::Signatures, index));
            }
        }
        // Names lie one behind another in the order of the records that have them, so that each byte is read once.
        let mut names = 0;
        for index in 0..self.import_count() {
            let place = at(SectionKind::Imports, index);
            let record: [u8; 8] = self.record(SectionKind::Imports, index).unwrap_or_default();
            self.next_name(&mut names, read_u16(&record, 0)).ok_or(FormatError::new(Reason::Name, place as u32))?;
            let Some(import) = self.import(index as u16) else { return fail(Reason::Index, place + 2) };
            for (offset, kind) in
                [(import.marshal, SectionKind::MarshalMeta), (import.callbacks, SectionKind::CallbackMeta)]
            {
                if offset.is_some_and(|offset| usize::from(offset) >= self.section(kind).len()) {
                    return fail(Reason::Index, place + 4);
                }
            }
        }
        self.check_functions()?;
        for (kind, step) in [(SectionKind::Callbacks, 2), (SectionKind::Constructors, 2)] {
            for (index, bytes) in self.section(kind).chunks_exact(step).enumerate() {
                if usize::from(u16::from_le_bytes([bytes[0], bytes[1]])) >= self.function_count() {
                    return fail(Reason::Index, at(kind, index));
                }
            }
        }
        let mut last = None;
        for index in 0..self.elements(SectionKind::Exports) {
            let record: [u8; 4] = self.record(SectionKind::Exports, index).unwrap_or_default();
            let Some(name) = self.next_name(&mut names, read_u16(&record, 0)) else {
                return fail(Reason::Name, at(SectionKind::Exports, index));
            };
            if last.is_some_and(|last| last >= name) {
                return fail(Reason::Order, at(SectionKind::Exports, index));
            }
            last = Some(name);
            if usize::from(read_u16(&record, 2).unwrap_or(NONE)) >= self.function_count() {
                return fail(Reason::Index, at(SectionKind::Exports, index));
            }
        }
        if names != self.section(SectionKind::Strings).len() {
            return fail(Reason::Name, self.section_offset(SectionKind::Strings) as usize + names);
        }
        self.check_relocations()
    }

    /// The name at `offset`, which must be the one that starts at `next`; moves `next` behind it.
    fn next_name(&self, next: &mut usize, offset: Option<u16>) -> Option<&'a str> {
        let name = self.name_at(offset.filter(|offset| usize::from(*offset) == *next)?)?;
        *next += name.len() + 1;
        Some(name)
    }

    fn check_limits(&self) -> Result<Limits, FormatError> {
        let place = self.section_offset(SectionKind::Limits) as usize;
        let section = self.section(SectionKind::Limits);
        let field = |at| read_u32(section, at).ok_or(FormatError::new(Reason::Section, HEADER_SIZE as u32));
        let entry = field(0)?;
        if entry >> 16 != 0 {
            return fail(Reason::Reserved, place + 2);
        }
        let limits = Limits {
            entry: Some(entry as u16).filter(|entry| *entry != NONE),
            bss: field(4)?,
            stack: field(8)?,
            shadow_stack: field(12)?,
            heap_min: field(16)?,
            heap_max: field(20)?,
        };
        if limits.entry.is_some_and(|entry| usize::from(entry) >= self.function_count()) {
            return fail(Reason::Index, place);
        }
        let fixed = [
            self.section(SectionKind::Data).len() as u32,
            limits.bss,
            limits.stack,
            limits.shadow_stack,
            limits.heap_min,
        ];
        let total: u64 = fixed.iter().map(|size| u64::from(*size)).sum();
        if total > u64::from(u32::MAX / 4)
            || !limits.stack.is_multiple_of(LINEAR_UNIT)
            || !limits.shadow_stack.is_multiple_of(4)
            || limits.heap_max < limits.heap_min
        {
            return fail(Reason::Limits, place);
        }
        Ok(limits)
    }

    fn check_functions(&self) -> Result<(), FormatError> {
        let mut expected = 0;
        for index in 0..self.function_count() {
            let place = self.section_offset(SectionKind::Functions) as usize + index * 8;
            let Some(function) = self.function(index as u16) else { return fail(Reason::Function, place) };
            let Some(signature) = self.signature(function.signature) else { return fail(Reason::Index, place + 4) };
            let end = self.function_end(index as u16).unwrap_or(0);
            let least = signature.param_slots().max(signature.result_slots()).max(1);
            let starts_well = if index == 0 { function.start == 0 } else { function.start == expected };
            if !starts_well || end <= function.start || end as usize > self.code_words() || signature.is_variadic() {
                return fail(Reason::Function, place);
            }
            if function.slots < least || function.slots > crate::operand::MAX_SLOTS {
                return fail(Reason::Function, place + 3);
            }
            expected = end;
        }
        if self.function_count() == 0 && self.code_words() > 0 {
            return fail(Reason::Function, self.section_offset(SectionKind::Code) as usize);
        }
        Ok(())
    }

    fn check_relocations(&self) -> Result<(), FormatError> {
        let data = self.section(SectionKind::Data);
        let mut free_from = 0;
        for (index, bytes) in self.section(SectionKind::Relocations).chunks_exact(4).enumerate() {
            let place = self.section_offset(SectionKind::Relocations) as usize + index * 4;
            let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            let Some(relocation) = Relocation::decode(word) else { return fail(Reason::Relocation, place) };
            let Some(value) = read_u32(data, relocation.offset as usize) else {
                return fail(Reason::Relocation, place);
            };
            if relocation.offset < free_from {
                return fail(Reason::Relocation, place);
            }
            if relocation.kind == RelocationKind::Callback && value as usize >= self.callback_count() {
                return fail(
                    Reason::Index,
                    self.section_offset(SectionKind::Data) as usize + relocation.offset as usize,
                );
            }
            free_from = relocation.offset + 4;
        }
        Ok(())
    }
}

fn index_of(kind: SectionKind) -> usize {
    match kind {
        SectionKind::Names => SectionKind::ALL.len() - 3,
        SectionKind::Lines => SectionKind::ALL.len() - 2,
        SectionKind::Evidence => SectionKind::ALL.len() - 1,
        kind => kind as usize - 1,
    }
}

fn parse_sections(bytes: &[u8], count: usize) -> Result<[(u32, u32); SectionKind::ALL.len()], FormatError> {
    let mut sections = [(0, 0); SectionKind::ALL.len()];
    let mut last = None;
    let mut offset = HEADER_SIZE + count * SECTION_ENTRY_SIZE;
    if offset > bytes.len() {
        return fail(Reason::Truncated, bytes.len());
    }
    for index in 0..count {
        let place = HEADER_SIZE + index * SECTION_ENTRY_SIZE;
        let (Some(code), Some(size)) = (read_u32(bytes, place), read_u32(bytes, place + 4)) else {
            return fail(Reason::Truncated, place);
        };
        let kind = u16::try_from(code).ok().and_then(SectionKind::from_code).filter(|kind| Some(*kind) > last);
        let Some(kind) = kind else { return fail(Reason::Section, place) };
        let size = size as usize;
        let limit = if matches!(
            kind,
            SectionKind::Signatures | SectionKind::Imports | SectionKind::Functions | SectionKind::Exports
        ) {
            usize::from(NONE) * kind.element_size()
        } else {
            usize::MAX
        };
        let fixed = matches!(kind, SectionKind::Limits | SectionKind::ThreadLocal) && size != kind.element_size();
        if size == 0 || fixed || !size.is_multiple_of(kind.element_size()) || size > limit {
            return fail(Reason::SectionSize, place + 4);
        }
        let Some(end) = offset.checked_add(size).filter(|end| *end <= bytes.len()) else {
            return fail(Reason::Truncated, place + 4);
        };
        sections[index_of(kind)] = (offset as u32, size as u32);
        let padded = end.next_multiple_of(4);
        if bytes.get(end..padded).is_none_or(|padding| padding.iter().any(|byte| *byte != 0)) {
            return fail(Reason::Reserved, end);
        }
        offset = padded;
        last = Some(kind);
    }
    if offset != bytes.len() {
        return fail(Reason::Length, offset);
    }
    Ok(sections)
}
