//! Debug information: files, places, subprograms and C types.
//!
//! Must never hold: refusals; unknown debug information is left out, never an error.

use super::super::super::debug::{BaseEncoding, DebugMember};
use super::super::super::llvm::{Instruction, LLVMMetadataKind, Metadata};
use super::super::super::{DebugLocation, DebugSubprogram, DebugType, DebugTypeId, FileId, SourceFile, SourceLanguage};
use super::Converter;

/// Operands of debug nodes, by LLVM 22's DebugInfoMetadata.h.
mod operand {
    /// DICompileUnit.
    pub const PRODUCER: usize = 1;
    /// DISubprogram.
    pub const SUBPROGRAM_TYPE: usize = 4;
    /// DISubprogram and DIType.
    pub const NAME: usize = 2;
    pub const FILE: usize = 0;
    /// DIVariable.
    pub const VARIABLE_FILE: usize = 2;
    pub const VARIABLE_TYPE: usize = 3;
    /// DIType.
    pub const SIZE: usize = 3;
    pub const OFFSET: usize = 4;
    /// DIDerivedType and DICompositeType.
    pub const BASE_TYPE: usize = 5;
    /// DISubroutineType.
    pub const TYPE_ARRAY: usize = 5;
    /// DICompositeType.
    pub const ELEMENTS: usize = 6;
    /// DISubrange.
    pub const COUNT: usize = 0;
}

/// DWARF tags (DWARF 5, section 7.5.3).
mod tag {
    pub const ARRAY: u16 = 0x01;
    pub const CLASS: u16 = 0x02;
    pub const ENUMERATION: u16 = 0x04;
    pub const MEMBER: u16 = 0x0d;
    pub const POINTER: u16 = 0x0f;
    pub const REFERENCE: u16 = 0x10;
    pub const STRUCTURE: u16 = 0x13;
    pub const TYPEDEF: u16 = 0x16;
    pub const UNION: u16 = 0x17;
    pub const CONST: u16 = 0x26;
    pub const VOLATILE: u16 = 0x35;
    pub const RESTRICT: u16 = 0x37;
    pub const RVALUE_REFERENCE: u16 = 0x42;
    pub const ATOMIC: u16 = 0x47;
}

fn node(from: Metadata<'_>, index: usize) -> Option<Metadata<'_>> {
    from.operands().get(index).copied().flatten()?.node()
}

fn string(from: Metadata<'_>, index: usize) -> Option<String> {
    from.operands().get(index).copied().flatten()?.string().filter(|text| !text.is_empty())
}

fn number(from: Metadata<'_>, index: usize) -> Option<u64> {
    from.operands().get(index).copied().flatten()?.integer()
}

fn small(from: Metadata<'_>, index: usize) -> u32 {
    number(from, index).and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}

impl<'m> Converter<'m, '_> {
    /// Language and producer.
    pub(super) fn compile_units(&mut self) {
        let Some(unit) = self.llvm.named_metadata("llvm.dbg.cu").into_iter().next() else { return };
        self.module.producer = string(unit, operand::PRODUCER).unwrap_or_default();
        let text = unit.print();
        let language = ["DW_LANG_", "DW_LNAME_"].iter().find_map(|prefix| text.split_once(prefix).map(|found| found.1));
        self.module.language = language.map(|name| match name {
            name if name.starts_with("C_plus_plus") => SourceLanguage::Cpp,
            name if name.starts_with("Rust") => SourceLanguage::Rust,
            name if name.starts_with(['C']) && !name.starts_with("Co") => SourceLanguage::C,
            _ => SourceLanguage::Other,
        });
    }

    /// The place of an instruction; for inlined code that of the inlined line.
    pub(super) fn location(&mut self, instruction: Instruction<'m>) -> Option<DebugLocation> {
        let (file, line, column) = instruction.location()?;
        let file = self.file(file)?;
        (line > 0).then_some(DebugLocation { file, line, column })
    }

    /// A function as the source declares it.
    pub(super) fn subprogram(&mut self, subprogram: Metadata<'m>) -> DebugSubprogram {
        let file = node(subprogram, operand::FILE).and_then(|file| self.file(file));
        let line = subprogram.line();
        let location = file.filter(|_| line > 0).map(|file| DebugLocation { file, line, column: 0 });
        let signature = node(subprogram, operand::SUBPROGRAM_TYPE).map(|ty| self.signature(ty));
        let (result, parameters, variadic) = signature.unwrap_or_default();
        let name = string(subprogram, operand::NAME).unwrap_or_default();
        DebugSubprogram { name, location, result, parameters, variadic }
    }

    /// File, line and type of a variable.
    pub(super) fn variable(&mut self, variable: Metadata<'m>) -> (Option<(FileId, u32)>, Option<DebugTypeId>) {
        let file = node(variable, operand::VARIABLE_FILE).and_then(|file| self.file(file));
        let ty = node(variable, operand::VARIABLE_TYPE).map(|ty| self.debug_type(ty));
        (file.map(|file| (file, variable.line())), ty)
    }

    fn file(&mut self, file: Metadata<'m>) -> Option<FileId> {
        if let Some(id) = self.files.get(&file) {
            return Some(*id);
        }
        let (name, directory) = file.file()?;
        let source = SourceFile { name, directory };
        let position = self.module.files.iter().position(|known| *known == source).unwrap_or_else(|| {
            self.module.files.push(source);
            self.module.files.len() - 1
        });
        let id = FileId(position as u32);
        self.files.insert(file, id);
        Some(id)
    }

    /// Result, parameters and variadicity of a subroutine type.
    fn signature(&mut self, ty: Metadata<'m>) -> (Option<DebugTypeId>, Vec<Option<DebugTypeId>>, bool) {
        let Some(list) = node(ty, operand::TYPE_ARRAY) else { return Default::default() };
        let mut types = Vec::new();
        for entry in list.operands() {
            types.push(entry.and_then(|entry| entry.node()).map(|ty| self.debug_type(ty)));
        }
        if types.is_empty() {
            return Default::default();
        }
        let result = types.remove(0);
        // A missing type at the end stands for "...".
        let variadic = types.last().is_some_and(Option::is_none);
        if variadic {
            types.pop();
        }
        (result, types, variadic)
    }

    fn debug_type(&mut self, ty: Metadata<'m>) -> DebugTypeId {
        if let Some(id) = self.debug_types.get(&ty) {
            return *id;
        }
        // Known before its parts are read: types may be cyclic.
        let id = DebugTypeId(self.module.debug_types.len() as u32);
        self.module.debug_types.push(DebugType::Other);
        self.debug_types.insert(ty, id);
        let description = self.describe(ty);
        if let Some(slot) = self.module.debug_types.get_mut(id.0 as usize) {
            *slot = description;
        }
        id
    }

    fn target(&mut self, ty: Metadata<'m>) -> Option<DebugTypeId> {
        node(ty, operand::BASE_TYPE).map(|target| self.debug_type(target))
    }

    fn describe(&mut self, ty: Metadata<'m>) -> DebugType {
        let name = string(ty, operand::NAME);
        match ty.kind() {
            LLVMMetadataKind::LLVMDIBasicTypeMetadataKind => DebugType::Base {
                name: name.unwrap_or_default(),
                bits: small(ty, operand::SIZE),
                encoding: encoding(&ty.print()),
            },
            LLVMMetadataKind::LLVMDISubroutineTypeMetadataKind => {
                let (result, parameters, variadic) = self.signature(ty);
                DebugType::Function { result, parameters, variadic }
            }
            LLVMMetadataKind::LLVMDIDerivedTypeMetadataKind => match ty.tag() {
                tag::POINTER | tag::REFERENCE | tag::RVALUE_REFERENCE => {
                    DebugType::Pointer { pointee: self.target(ty) }
                }
                tag::TYPEDEF => DebugType::Typedef { name: name.unwrap_or_default(), target: self.target(ty) },
                tag::CONST => DebugType::Const { target: self.target(ty) },
                tag::VOLATILE | tag::RESTRICT | tag::ATOMIC => DebugType::Qualified { target: self.target(ty) },
                _ => DebugType::Other,
            },
            LLVMMetadataKind::LLVMDICompositeTypeMetadataKind => match ty.tag() {
                tag @ (tag::STRUCTURE | tag::CLASS | tag::UNION) => DebugType::Record {
                    name,
                    union: tag == tag::UNION,
                    size: small(ty, operand::SIZE) / 8,
                    members: self.members(ty),
                },
                tag::ENUMERATION => DebugType::Enumeration { name, bits: small(ty, operand::SIZE) },
                tag::ARRAY => DebugType::Array { element: self.target(ty), count: element_count(ty) },
                _ => DebugType::Other,
            },
            _ => DebugType::Other,
        }
    }

    fn members(&mut self, record: Metadata<'m>) -> Vec<DebugMember> {
        let Some(elements) = node(record, operand::ELEMENTS) else { return Vec::new() };
        let members = elements.operands().into_iter().flatten().filter_map(|element| element.node());
        members
            .filter(|member| member.tag() == tag::MEMBER)
            .map(|member| DebugMember {
                name: string(member, operand::NAME),
                bit_offset: small(member, operand::OFFSET),
                ty: self.target(member),
            })
            .collect()
    }
}

/// The product of an array's dimensions.
fn element_count(array: Metadata<'_>) -> Option<u64> {
    let dimensions = node(array, operand::ELEMENTS)?.operands();
    let mut counts = dimensions.into_iter().map(|dimension| number(dimension?.node()?, operand::COUNT));
    // clang writes -1 for a flexible array.
    counts.try_fold(1u64, |product, count| product.checked_mul(count.filter(|&count| count != u64::MAX)?))
}

/// The encoding in a base type's text, e.g. `encoding: DW_ATE_signed`.
fn encoding(text: &str) -> BaseEncoding {
    let Some((_, rest)) = text.split_once("encoding: DW_ATE_") else { return BaseEncoding::Other };
    match rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default() {
        "boolean" => BaseEncoding::Boolean,
        "float" => BaseEncoding::Float,
        "signed" => BaseEncoding::Signed,
        "unsigned" => BaseEncoding::Unsigned,
        "signed_char" | "unsigned_char" | "UTF" => BaseEncoding::Char,
        _ => BaseEncoding::Other,
    }
}
