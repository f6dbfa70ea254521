//! The chip's mask ROM: the maker's own code, executed, not imitated. The build script finds the ELF file that the
//! `espflash` crate carries; this module takes it apart.
//!
//! Nothing here knows what the code does, but for the few variables that the ROM's start-up and the second-stage
//! bootloader set and later ROM functions read (see [`Rom::boot_state`]).

use object::read::elf::ElfFile32;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, elf};

/// The ROM of the ESP32-C3, revision 1.1, as an ELF file (Apache-2.0, Espressif Systems).
static ESP32C3: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/esp32c3_rom.elf"));

/// Bytes at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Bus address of the first byte.
    pub address: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A mask ROM.
pub struct Rom {
    elf: ElfFile32<'static>,
}

impl Rom {
    /// The ESP32-C3's.
    pub fn esp32c3() -> Result<Self, String> {
        ElfFile32::parse(ESP32C3)
            .map(|elf| Self { elf })
            .map_err(|error| format!("the embedded mask ROM is no ELF file ({error}); build espb again"))
    }

    /// Code, constants and initialised variables, each where the running chip has it. The maker's file leaves the
    /// "allocated" mark off most variables, so every section with an address and contents counts.
    pub fn contents(&self) -> Result<Vec<Contents>, String> {
        let mut contents = Vec::new();
        for section in self.elf.sections() {
            let is_contents = section.elf_section_header().sh_type.get(Endianness::Little) == elf::SHT_PROGBITS;
            if !is_contents || section.address() == 0 && section.name() != Ok(".fixed.text") || section.size() == 0 {
                continue;
            }
            let bytes = section.data().map_err(|error| format!("the embedded mask ROM is damaged ({error})"))?;
            contents.push(Contents { address: section.address() as u32, bytes: bytes.to_vec() });
        }
        Ok(contents)
    }

    /// The address of a ROM symbol.
    pub fn symbol(&self, name: &str) -> Result<u32, String> {
        self.elf
            .symbols()
            .find(|symbol| symbol.name() == Ok(name))
            .map(|symbol| symbol.address() as u32)
            .ok_or_else(|| format!("the embedded mask ROM has no symbol {name}"))
    }

    /// Variables that the ROM's start-up code and the bootloader have set by the time the application runs: printing goes
    /// to UART0 (and not to USB, which has no host), and the flash's size is known.
    pub fn boot_state(&self, flash_size: u32) -> Result<Vec<Contents>, String> {
        let word = |address: u32, value: u32| Contents { address, bytes: value.to_le_bytes().to_vec() };
        let flash_description = self.initial_word(self.symbol("rom_spiflash_legacy_data")?)?;
        Ok(vec![
            Contents { address: self.symbol("g_uart_print")?, bytes: vec![1] },
            word(self.symbol("_putc1")?, self.symbol("ets_write_char_uart")?),
            // The second word of the flash description is the size in bytes (esp_rom_spiflash_chip_t).
            word(flash_description + 4, flash_size),
        ])
    }

    /// The word that an initialised variable begins with.
    fn initial_word(&self, address: u32) -> Result<u32, String> {
        let word = self.contents()?.into_iter().find_map(|contents| {
            let offset = address.checked_sub(contents.address)? as usize;
            let bytes = contents.bytes.get(offset..offset + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        });
        word.ok_or_else(|| format!("the embedded mask ROM has no variable at {address:#010x}"))
    }
}
