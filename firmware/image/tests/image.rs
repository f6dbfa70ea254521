//! What stands where in a flash image, seen as the bootloader and the firmware see it.

use espb_image::{Chip, FLASH_SIZE, FlashImage, ImageError, Placement, SlotIndex, flash_image};
use espb_slots::{Area, SECTOR, SlotState, Storage, Store, header::MODULE_OFFSET};
use object::{build::elf, elf as values};
use std::error::Error;

const ENTRY: u32 = 0x4038_0000;
const SLOT: usize = 0x20_0000;
const SLOT_SIZE: usize = 0xf_0000;
const RECORD: usize = 0x3e_0000;
const MODULE: usize = SLOT + MODULE_OFFSET as usize;

/// The smallest firmware: read-only data and code in flash, `code` bytes long, and code in RAM.
fn firmware(code: usize) -> Vec<u8> {
    let mut builder = elf::Builder::new(object::Endianness::Little, false);
    builder.header.e_type = values::ET_EXEC;
    builder.header.e_machine = values::EM_RISCV;
    builder.header.e_entry = ENTRY.into();
    builder.header.e_phoff = 0x34;
    let sections = [(".rodata", 0x3c00_0020, 64), (".text", 0x4202_0020_u64, code), (".rwtext", u64::from(ENTRY), 64)];
    let mut offset = 0x1000;
    for (name, address, length) in sections {
        let section = builder.sections.add();
        section.name = name.into();
        section.sh_type = values::SHT_PROGBITS;
        section.sh_flags = values::SHF_ALLOC | values::SHF_EXECINSTR;
        section.sh_addr = address;
        section.sh_offset = offset;
        section.sh_addralign = 4;
        section.data = elf::SectionData::Data(vec![0x13; length].into());
        offset += length as u64;
    }
    let names = builder.sections.add();
    names.name = ".shstrtab".into();
    names.sh_type = values::SHT_STRTAB;
    names.data = elf::SectionData::SectionString;
    let mut bytes = Vec::new();
    builder.write(&mut bytes).expect("the builder accepts its own sections");
    bytes
}

fn image() -> Result<FlashImage, ImageError> {
    flash_image(&firmware(64), Chip::Esp32c3)
}

#[test]
fn the_image_holds_bootloader_partition_table_and_application_where_the_chip_looks() -> Result<(), Box<dyn Error>> {
    let flash = image()?.merged();
    assert_eq!(flash.len(), FLASH_SIZE as usize);
    assert_eq!(flash[0], 0xe9, "bootloader");
    assert_eq!(flash[0x8000..0x8002], [0xaa, 0x50], "partition table");
    assert_eq!(flash[0x1_0000], 0xe9, "application");
    assert_eq!(flash[0x1_0004..0x1_0008], ENTRY.to_le_bytes(), "its entry");
    assert!(flash[SLOT..].iter().all(|&byte| byte == 0xff), "the slot is erased");
    Ok(())
}

/// The finished flash, as the firmware sees it.
struct Flash(Vec<u8>);

impl Storage for Flash {
    type Error = ();

    fn slots(&self) -> u8 {
        2
    }

    fn view(&self, area: Area) -> &[u8] {
        match area {
            Area::Slot(slot) => &self.0[SLOT + SLOT_SIZE * slot.index()..][..SLOT_SIZE],
            Area::Record => &self.0[RECORD..][..2 * SECTOR as usize],
        }
    }

    fn erase(&mut self, _: Area, _: u32) -> Result<(), ()> {
        Err(())
    }

    fn program(&mut self, _: Area, _: u32, _: &[u8]) -> Result<(), ()> {
        Err(())
    }
}

fn placement(file: &[u8], autostart: bool) -> Placement<'_> {
    Placement { file, name: "app", autostart, slot: None, key: None }
}

#[test]
fn a_placed_module_is_what_the_firmware_runs() -> Result<(), Box<dyn Error>> {
    let mut image = image()?;
    let before = image.merged();
    image.place_module(&placement(b"123456789", true))?;
    let flash = image.merged();
    let store = Store::open(Flash(flash.clone()), None);
    let boot = store.choose().ok_or("nothing to run")?;
    assert_eq!((boot.slot, boot.trial, boot.header.name.as_str()), (SlotIndex(0), false, "app"));
    // 0xcbf43926 is the check value of CRC-32 (IEEE 802.3) for these nine digits.
    assert_eq!((boot.header.length, boot.header.crc32, boot.header.autostart), (9, 0xcbf4_3926, true));
    assert_eq!(flash[MODULE..MODULE + 10], *b"123456789\xff");
    assert!(flash[..SLOT] == before[..SLOT], "the firmware is untouched");
    Ok(())
}

#[test]
fn a_second_module_runs_and_the_first_stays_unless_its_slot_is_named() -> Result<(), Box<dyn Error>> {
    let mut image = image()?;
    image.place_module(&placement(&[7; 0x5000], true))?;
    // Through the merged form, as the command line gets its image.
    let mut image = FlashImage::from_merged(&image.merged())?;
    assert_eq!(image.place_module(&placement(&[8; 16], false))?, SlotIndex(1));
    let store = Store::open(Flash(image.merged()), None);
    assert_eq!(store.choose().map(|boot| boot.slot), Some(SlotIndex(1)));
    assert_eq!(store.entry(SlotIndex(0)).state, SlotState::Valid);
    image.place_module(&Placement { slot: Some(SlotIndex(1)), ..placement(&[9; 16], false) })?;
    let flash = image.merged();
    assert_eq!(flash[MODULE + SLOT_SIZE..][..17], [[9; 16].as_slice(), &[0xff]].concat());
    Ok(())
}

#[test]
fn a_merged_image_keeps_its_meaning_and_its_gaps() -> Result<(), Box<dyn Error>> {
    let merged = image()?.merged();
    let image = FlashImage::from_merged(&merged)?;
    assert!(image.merged() == merged);
    let written: usize = image.segments().iter().map(|segment| segment.data.len()).sum();
    assert!(written < 0x4_0000, "erased sectors are not written: {written} bytes");
    Ok(())
}

#[test]
fn a_module_that_fills_the_slot_fits_and_one_byte_more_is_refused() -> Result<(), Box<dyn Error>> {
    let mut image = image()?;
    let most = SLOT_SIZE - MODULE_OFFSET as usize;
    image.place_module(&placement(&vec![1; most], false))?;
    let full = image.clone();
    let error = image.place_module(&placement(&vec![1; most + 1], false)).err().ok_or("it was accepted")?;
    assert_eq!(
        error.to_string(),
        "the module has 978945 bytes, but the slot holds 978944; strip its debug information or split it"
    );
    assert!(image == full, "the image is unchanged");
    Ok(())
}

#[test]
fn what_is_no_firmware_is_refused() {
    assert!(matches!(flash_image(b"not an ELF file", Chip::Esp32c3), Err(ImageError::Firmware(_))));
    assert!(matches!(flash_image(&firmware(0x1f_0000), Chip::Esp32c3), Err(ImageError::Firmware(_))), "too large");
}

#[test]
fn images_without_a_usable_partition_table_take_no_module() -> Result<(), Box<dyn Error>> {
    let place = |flash: &[u8]| FlashImage::from_merged(flash)?.place_module(&placement(b"module", false));
    assert!(matches!(place(&[]), Err(ImageError::NoPartitionTable(_))));
    let mut damaged = image()?.merged();
    damaged[0x8004] ^= 1;
    assert!(matches!(place(&damaged), Err(ImageError::PartitionTable { .. })));
    assert!(matches!(place(&vec![0; FLASH_SIZE as usize + 1]), Err(ImageError::TooLong { .. })));
    Ok(())
}
