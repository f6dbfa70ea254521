//! The container: header, sections and tables of a module, parsed into types that cannot be wrong.
//!
//! A module borrows its bytes and stays where it is, in flash, at a multiple of 4: it is read by words. Layouts are in specs/format.md. What makes a module well-formed is in
//! `structure`. Never here: meaning of instructions.

mod structure;

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
/// Words of the header.
const HEADER_WORDS: usize = HEADER_SIZE / 4;
/// Words of an entry of the section table.
const SECTION_ENTRY_WORDS: usize = SECTION_ENTRY_SIZE / 4;
/// "No such entry" in 16-bit index fields.
pub const NONE: u16 = 0xffff;
/// Unit of a linear frame's size, and alignment of the linear stack pointer, in bytes.
pub const LINEAR_UNIT: u32 = 16;

/// Kinds that a module needs to run: those before the strippable ones, with codes from 1 on.
const RUN_KINDS: usize = SectionKind::ThreadLocal as usize;

/// A structurally correct module. Small, because an instance holds one as long as it lives: what is rarely asked for is looked up in
/// the module itself.
#[derive(Clone, Copy, Debug)]
pub struct Module<'a> {
    /// As they lie in memory, little-endian.
    words: &'a [u32],
    /// Where the sections lie that a module needs to run, by code from 1 on, and where the last of them ends.
    starts: [Start; RUN_KINDS + 1],
}

/// Offset of a section in bytes, a multiple of 4; in its lowest two bits how many bytes of padding end the section.
#[derive(Clone, Copy, Debug, Default)]
struct Start(u32);

impl Start {
    const PADDING: u32 = 3;

    fn new(offset: u32, padding: u32) -> Self {
        Self(offset | padding)
    }

    fn offset(self) -> u32 {
        self.0 & !Self::PADDING
    }

    fn padding(self) -> u32 {
        self.0 & Self::PADDING
    }
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

/// The two 16-bit numbers in a word of a module.
fn halves(word: u32) -> [u16; 2] {
    let word = u32::from_le(word);
    [word as u16, (word >> 16) as u16]
}

impl<'a> Module<'a> {
    /// The whole module.
    pub fn bytes(&self) -> &'a [u8] {
        bytemuck::cast_slice(self.words)
    }

    /// The contents of a section; empty where the module has none.
    pub fn section(&self, kind: SectionKind) -> &'a [u8] {
        match self.starts.get(kind as usize - 1..) {
            Some([start, end, ..]) => {
                let end = end.offset() - start.padding();
                self.bytes().get(start.offset() as usize..end as usize).unwrap_or_default()
            }
            _ => self.strippable(kind).map_or(&[], |(_, bytes)| bytes),
        }
    }

    /// Where a section starts, in bytes from the start of the module. Of one that the module has not, where it would.
    pub fn section_offset(&self, kind: SectionKind) -> u32 {
        match self.starts.get(kind as usize - 1..) {
            Some([start, _, ..]) => start.offset(),
            _ => self.strippable(kind).map_or(self.bytes().len() as u32, |(offset, _)| offset),
        }
    }

    /// A section behind those that a module needs to run, found in the section table.
    #[cold]
    fn strippable(&self, wanted: SectionKind) -> Option<(u32, &'a [u8])> {
        let ([_, version_and_count, _, _], body) = self.words.split_first_chunk::<HEADER_WORDS>()?;
        let [_, count] = halves(*version_and_count);
        let mut offset = self.starts.last()?.offset();
        for [kind, size] in body.as_chunks::<SECTION_ENTRY_WORDS>().0.iter().take(count.into()) {
            let ([kind, _], size) = (halves(*kind), u32::from_le(*size));
            if kind == wanted as u16 {
                return Some((offset, self.bytes().get(offset as usize..)?.get(..size as usize)?));
            }
            if usize::from(kind) > RUN_KINDS {
                offset += size.next_multiple_of(4);
            }
        }
        None
    }

    /// Declared memory.
    pub fn limits(&self) -> Limits {
        Limits::decode(self.records(SectionKind::Limits).first().unwrap_or(&[0; Limits::SIZE / 4]))
    }

    /// Bytes of linear memory before the first stack: data and bss, rounded up to 16.
    pub fn static_size(&self) -> u32 {
        self.limits().static_size(self.section(SectionKind::Data).len())
    }

    /// Its thread-local variables, if it has any.
    pub fn thread_local(&self) -> Option<ThreadLocal> {
        self.records(SectionKind::ThreadLocal).first().copied().map(ThreadLocal::decode)
    }

    /// The words of a section that consists of words and that modules need to run.
    #[inline(never)]
    fn section_words(&self, kind: SectionKind) -> &'a [u32] {
        let Some([start, end, ..]) = self.starts.get(kind as usize - 1..) else { return &[] };
        self.words.get(start.offset() as usize / 4..end.offset() as usize / 4).unwrap_or_default()
    }

    /// The records of such a section, each of so many words.
    fn records<const WORDS: usize>(&self, kind: SectionKind) -> &'a [[u32; WORDS]] {
        self.section_words(kind).as_chunks().0
    }

    /// The function indices that a section consists of.
    fn indices(&self, kind: SectionKind) -> &'a [[u8; 2]] {
        self.section(kind).as_chunks().0
    }

    /// Number of signatures.
    pub fn signature_count(&self) -> usize {
        self.records::<{ Signature::SIZE / 4 }>(SectionKind::Signatures).len()
    }

    /// The signature with this index.
    pub fn signature(&self, index: u16) -> Option<Signature> {
        Signature::from_words(*self.records(SectionKind::Signatures).get(usize::from(index))?)
    }

    /// Number of imports.
    pub fn import_count(&self) -> usize {
        self.records::<{ Import::SIZE / 4 }>(SectionKind::Imports).len()
    }

    /// The import with this index.
    pub fn import(&self, index: u16) -> Option<Import<'a>> {
        let [name, signature, marshal, callbacks] = self.import_fields(index)?;
        Some(Import {
            name: self.name_at(name)?,
            signature: self.signature(signature)?,
            marshal: Some(marshal).filter(|offset| *offset != NONE),
            callbacks: Some(callbacks).filter(|offset| *offset != NONE),
        })
    }

    /// The signature of the import with this index, which costs less than all of it.
    pub fn import_signature(&self, index: u16) -> Option<Signature> {
        let [_, signature, _, _] = self.import_fields(index)?;
        self.signature(signature)
    }

    fn import_fields(&self, index: u16) -> Option<[u16; 4]> {
        let record: &[u32; Import::SIZE / 4] = self.records(SectionKind::Imports).get(usize::from(index))?;
        let [name, signature] = halves(record[0]);
        let [marshal, callbacks] = halves(record[1]);
        Some([name, signature, marshal, callbacks])
    }

    /// All imports in index order.
    pub fn imports(&self) -> impl Iterator<Item = Import<'a>> + use<'a> {
        let module = *self;
        (0..module.import_count()).filter_map(move |index| module.import(index as u16))
    }

    /// Number of functions.
    pub fn function_count(&self) -> usize {
        self.records::<{ Function::SIZE / 4 }>(SectionKind::Functions).len()
    }

    /// The function with this index.
    pub fn function(&self, index: u16) -> Option<Function> {
        self.records(SectionKind::Functions).get(usize::from(index)).copied().map(Function::decode)
    }

    /// All functions in index order, each with the first word after its code.
    pub(crate) fn functions(&self) -> impl Iterator<Item = (Function, u32)> + use<'a> {
        let records = self.records(SectionKind::Functions);
        let last = self.code_words() as u32;
        let ends = records.iter().skip(1).map(|record| Function::decode(*record).start).chain([last]);
        records.iter().copied().map(Function::decode).zip(ends)
    }

    /// First word after a function's code.
    pub fn function_end(&self, index: u16) -> Option<u32> {
        self.function(index)?;
        let next = index.checked_add(1).and_then(|next| self.function(next));
        Some(next.map_or(self.code_words() as u32, |next| next.start))
    }

    /// The function whose code holds this word.
    pub fn function_at(&self, word: u32) -> Option<u16> {
        let records = self.records(SectionKind::Functions);
        let behind = records.partition_point(|record| Function::decode(*record).start <= word);
        if (word as usize) < self.code_words() { behind.checked_sub(1).map(|index| index as u16) } else { None }
    }

    /// The words of code, as they lie in memory.
    pub(crate) fn code(&self) -> &'a [u32] {
        self.section_words(SectionKind::Code)
    }

    /// Number of words of code.
    pub fn code_words(&self) -> usize {
        self.code().len()
    }

    /// The instruction word at this position of the code section.
    pub fn code_word(&self, word: u32) -> Option<u32> {
        self.code().get(word as usize).copied().map(u32::from_le)
    }

    /// Number of address-taken functions.
    pub fn callback_count(&self) -> usize {
        self.indices(SectionKind::Callbacks).len()
    }

    /// The function index of an address-taken function.
    pub fn callback(&self, index: u16) -> Option<u16> {
        self.indices(SectionKind::Callbacks).get(usize::from(index)).copied().map(u16::from_le_bytes)
    }

    /// Function indices of the constructors, in order.
    pub fn constructors(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.indices(SectionKind::Constructors).iter().copied().map(u16::from_le_bytes)
    }

    /// All exports.
    pub fn exports(&self) -> impl Iterator<Item = Export<'a>> + use<'a> {
        let module = *self;
        module.section_words(SectionKind::Exports).iter().filter_map(move |record| {
            let [name, function] = halves(*record);
            Some(Export { name: module.name_at(name)?, function })
        })
    }

    /// All relocations.
    pub fn relocations(&self) -> impl Iterator<Item = Relocation> + use<'a> {
        self.section_words(SectionKind::Relocations).iter().filter_map(|word| Relocation::decode(u32::from_le(*word)))
    }

    /// The name of a function, where the names section is there and holds one.
    pub fn function_name(&self, index: u16) -> Option<&'a str> {
        let mut names = self.section(SectionKind::Names).split(|byte| *byte == 0);
        core::str::from_utf8(names.nth(index.into())?).ok().filter(|name| !name.is_empty())
    }

    fn name_at(&self, offset: u16) -> Option<&'a str> {
        let tail = self.section(SectionKind::Strings).get(usize::from(offset)..)?;
        let end = tail.iter().position(|byte| *byte == 0)?;
        core::str::from_utf8(tail.get(..end)?).ok().filter(|name| !name.is_empty())
    }
}
