//! Any bytes as a module: parsed or refused with a place inside it, and whatever is parsed can be read without harm.

use espb_format::checksum::crc32;
use espb_format::container::{HEADER_SIZE, Module, SectionKind};
use espb_format::{contract, disassembler, lines, verifier};
use espb_vm::Layout;

/// Makes magic, version, length and checksum right, so that what lies behind them is reached.
pub fn repair(bytes: &mut [u8]) {
    if bytes.len() < HEADER_SIZE {
        return;
    }
    let (length, checksum) = (bytes.len() as u32, crc32(&bytes[HEADER_SIZE..]));
    bytes[..6].copy_from_slice(b"ESPB\x02\0");
    bytes[8..12].copy_from_slice(&length.to_le_bytes());
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
}

/// Parses `data` as it is and with its header made right; the latter counts.
pub fn attack(data: &[u8]) -> bool {
    read(data);
    let mut bytes = data.to_vec();
    repair(&mut bytes);
    read(&bytes)
}

/// Reads everything there is to read in a module.
pub fn read(bytes: &[u8]) -> bool {
    let module = match Module::parse(bytes) {
        Ok(module) => module,
        Err(error) => {
            assert!(error.offset as usize <= bytes.len(), "{error} lies behind the module");
            return false;
        }
    };
    for import in module.imports() {
        let _ = contract::of_import(&module, &import);
    }
    assert_eq!(module.imports().count(), module.import_count());
    assert!(module.exports().all(|export| usize::from(export.function) < module.function_count()));
    assert!(module.constructors().all(|function| usize::from(function) < module.function_count()));
    let data = module.section(SectionKind::Data).len();
    assert!(module.relocations().all(|relocation| relocation.offset as usize + 4 <= data));
    for index in 0..module.function_count() as u16 {
        let (function, end) = (module.function(index), module.function_end(index));
        let inside = function
            .zip(end)
            .is_some_and(|(function, end)| function.start < end && end as usize <= module.code_words());
        assert!(inside, "function {index} has no code");
        let _ = module.function_name(index);
    }
    for word in [0, 1, module.code_words() as u32 / 2, u32::MAX] {
        let _ = lines::lookup(module.section(SectionKind::Lines), word);
        assert_eq!(module.function_at(word).is_some(), (word as usize) < module.code_words());
    }
    for available in [0, 1 << 10, 1 << 18, usize::MAX] {
        if let Ok(layout) = Layout::of(&module, available) {
            assert!(layout.block as usize <= available && layout.linear() < layout.block);
        }
    }
    let _ = disassembler::module(&module);
    if let Err(error) = verifier::verify(&module) {
        assert!(error.offset as usize <= bytes.len(), "{error} lies behind the module");
    }
    true
}
