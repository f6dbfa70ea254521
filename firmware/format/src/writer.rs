//! Puts a module together from its sections. The translator's last step; never on the chip.

use std::vec::Vec;

use crate::container::{HEADER_SIZE, MAGIC, Module, SectionKind, VERSION};

/// The sections of a module to be, in any order.
#[derive(Clone, Debug, Default)]
pub struct ModuleWriter {
    sections: Vec<(SectionKind, Vec<u8>)>,
}

/// All sections of a module, to change some of them.
impl From<&Module<'_>> for ModuleWriter {
    fn from(module: &Module<'_>) -> Self {
        let mut writer = Self::new();
        for kind in SectionKind::ALL {
            writer.section(*kind, module.section(*kind).to_vec());
        }
        writer
    }
}

impl ModuleWriter {
    /// A module without sections.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a section; an empty one is left out of the module, a second one of a kind replaces the first.
    pub fn section(&mut self, kind: SectionKind, contents: Vec<u8>) -> &mut Self {
        self.sections.retain(|(other, _)| *other != kind);
        if !contents.is_empty() {
            self.sections.push((kind, contents));
        }
        self
    }

    /// The bytes of the module: header, section table, sections in ascending order, checksum.
    pub fn finish(mut self) -> Vec<u8> {
        self.sections.sort_by_key(|(kind, _)| *kind);
        let mut body = Vec::new();
        for (kind, contents) in &self.sections {
            body.extend_from_slice(&u32::from(*kind as u16).to_le_bytes());
            body.extend_from_slice(&(contents.len() as u32).to_le_bytes());
        }
        for (_, contents) in &self.sections {
            body.extend_from_slice(contents);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut module = Vec::with_capacity(HEADER_SIZE + body.len());
        module.extend_from_slice(&MAGIC);
        module.extend_from_slice(&VERSION.to_le_bytes());
        module.extend_from_slice(&(self.sections.len() as u16).to_le_bytes());
        module.extend_from_slice(&((HEADER_SIZE + body.len()) as u32).to_le_bytes());
        module.extend_from_slice(&crate::checksum::crc32(&body).to_le_bytes());
        module.extend_from_slice(&body);
        module
    }
}
