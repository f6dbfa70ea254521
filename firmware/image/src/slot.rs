//! Puts modules into the slots of a flash image, with the code that the firmware itself uses for it.

use crate::{
    FLASH_SIZE, FlashImage, FlashOffset, ImageError, SECTOR_SIZE, Segment, firmware::PARTITION_TABLE, flash::ERASED,
};
use esp_idf_part::{PartitionTable, SubType, Type};
use espb_slots::{
    Area, Install, InstallError, Installer, ModuleName, PARTITION_TYPE, PublicKey, RECORD_SUBTYPE, SECTOR,
    SLOT_SUBTYPE, Seal, SlotIndex, SlotState, Storage, Store, record,
};
use std::{convert::Infallible, ops::Range};

/// Longest table that the bootloader reads (ESP-IDF, ESP_PARTITION_TABLE_MAX_LEN).
const LONGEST_TABLE: usize = 0xc00;

/// A part of the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its first byte.
    pub offset: FlashOffset,
    /// Bytes.
    pub size: u32,
}

/// Where slots and record lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotLayout {
    /// Module slots, in the order of their numbers.
    pub slots: Vec<Region>,
    /// Two sectors.
    pub record: Region,
}

impl SlotLayout {
    /// Reads a partition table as it lies in flash.
    ///
    /// # Errors
    /// `PartitionTable` when it is damaged, `NoSlot` when it has no slot or no record within the flash.
    pub fn from_table(table: &[u8]) -> Result<Self, ImageError> {
        let table = table.get(..LONGEST_TABLE).unwrap_or(table);
        let table = PartitionTable::try_from_bytes(table)
            .map_err(|source| ImageError::PartitionTable { at: PARTITION_TABLE, source })?;
        let find = |subtype: u8| {
            let partition = table.find_by_subtype(Type::Custom(PARTITION_TYPE), SubType::Custom(subtype))?;
            let end = partition.offset().checked_add(partition.size())?;
            (end <= FLASH_SIZE).then_some(Region { offset: FlashOffset(partition.offset()), size: partition.size() })
        };
        let subtypes = (SLOT_SUBTYPE..).take(record::MAX_SLOTS);
        let slots: Vec<Region> = subtypes.map_while(find).collect();
        let record = find(RECORD_SUBTYPE).filter(|record| record.size >= record::SECTORS * SECTOR);
        match record {
            Some(record) if !slots.is_empty() => Ok(Self { slots, record }),
            _ => Err(ImageError::NoSlot),
        }
    }

    fn region(&self, area: Area) -> Option<Region> {
        match area {
            Area::Slot(slot) => self.slots.get(slot.index()).copied(),
            Area::Record => Some(self.record),
        }
    }
}

/// A module that is to be stored, with how it is to be treated.
#[derive(Clone, Copy, Debug)]
pub struct Placement<'a> {
    /// The file: a module, with a seal behind it if `espb sign` gave it one.
    pub file: &'a [u8],
    /// What people call it.
    pub name: &'a str,
    /// Whether the firmware starts it at boot; otherwise it waits to be told.
    pub autostart: bool,
    /// The slot; `None` for the one that is needed least.
    pub slot: Option<SlotIndex>,
    /// The key that the device's firmware asks for, if it does.
    pub key: Option<PublicKey>,
}

impl FlashImage {
    /// Stores a module in a slot of the image and makes it the one to run. What is in other slots stays.
    ///
    /// # Errors
    /// `ModuleTooLarge`, `Slot` or `Seal` when the module cannot be stored there; `NoPartitionTable`, `PartitionTable` or
    /// `NoSlot` when the image is not one of ours. The image is then unchanged.
    pub fn place_module(&mut self, placement: &Placement<'_>) -> Result<SlotIndex, ImageError> {
        self.store(placement).map(|(slot, _)| slot)
    }

    /// As [`Self::place_module`]; gives also the sectors that changed.
    ///
    /// # Errors
    /// As there.
    pub fn store(&mut self, placement: &Placement<'_>) -> Result<(SlotIndex, Vec<Segment>), ImageError> {
        let layout = self.slot_layout()?;
        let mut flash = MemoryFlash { contents: self.merged(), layout, changed: Vec::new() };
        let slot = flash.store(placement)?;
        let mut changed = Vec::new();
        for sectors in flash.changed_sectors() {
            let data = flash.contents.get(sectors.clone()).unwrap_or_default().to_vec();
            self.place(FlashOffset(sectors.start as u32), sectors.len() as u32, data.clone());
            changed.push(Segment { offset: FlashOffset(sectors.start as u32), data });
        }
        Ok((slot, changed))
    }

    /// Where the image's partition table has its slots.
    ///
    /// # Errors
    /// As [`SlotLayout::from_table`], and `NoPartitionTable`.
    pub fn slot_layout(&self) -> Result<SlotLayout, ImageError> {
        let table = self.written_from(PARTITION_TABLE).ok_or(ImageError::NoPartitionTable(PARTITION_TABLE))?;
        SlotLayout::from_table(table)
    }
}

/// Flash contents in memory: the slots and the record can be changed as the firmware changes them.
struct MemoryFlash {
    /// From the start of the flash.
    contents: Vec<u8>,
    layout: SlotLayout,
    /// Numbers of sectors.
    changed: Vec<usize>,
}

impl MemoryFlash {
    fn store(&mut self, placement: &Placement<'_>) -> Result<SlotIndex, ImageError> {
        let (module, seal) = Seal::split(placement.file);
        let too_large = |capacity| ImageError::ModuleTooLarge { length: module.len(), capacity };
        let install = Install {
            length: u32::try_from(module.len()).map_err(|_| too_large(FLASH_SIZE))?,
            crc32: espb_format::checksum::crc32(module),
            autostart: placement.autostart,
            seal,
            name: ModuleName::new(placement.name),
            slot: placement.slot,
        };
        let refused = |error| match error {
            InstallError::Length { capacity } => too_large(capacity),
            InstallError::Seal(error) => ImageError::Seal(error),
            other => ImageError::Slot(other.to_string()),
        };
        let mut store = Store::open(self, placement.key);
        if let Some(slot) = placement.slot.filter(|slot| store.slots().any(|existing| existing == *slot)) {
            // Whoever names a slot here has the whole flash in hand and may give up what is in it.
            let Ok(()) = store.remove(slot);
        }
        let mut installer = Installer::begin(&mut store, install, &|_| false).map_err(refused)?;
        installer.write(&mut store, module).map_err(refused)?;
        installer.finish(&mut store, SlotState::Valid).map_err(refused)
    }

    fn range(&self, area: Area) -> Range<usize> {
        let region = self.layout.region(area);
        region.map_or(0..0, |region| region.offset.0 as usize..(region.offset.0 + region.size) as usize)
    }

    fn change(&mut self, area: Area, offset: u32, length: usize) -> &mut [u8] {
        let start = self.range(area).start + offset as usize;
        let sectors = start / SECTOR_SIZE..(start + length).div_ceil(SECTOR_SIZE);
        self.changed.extend(sectors);
        self.contents.get_mut(start..start + length).unwrap_or_default()
    }

    /// Runs of changed sectors, as ranges of bytes.
    fn changed_sectors(&mut self) -> Vec<Range<usize>> {
        self.changed.sort_unstable();
        self.changed.dedup();
        let runs = self.changed.chunk_by(|one, next| one + 1 == *next);
        let bytes = runs.filter_map(|run| Some(run.first()? * SECTOR_SIZE..(run.last()? + 1) * SECTOR_SIZE));
        bytes.collect()
    }
}

impl Storage for &mut MemoryFlash {
    type Error = Infallible;

    fn slots(&self) -> u8 {
        self.layout.slots.len() as u8
    }

    fn view(&self, area: Area) -> &[u8] {
        self.contents.get(self.range(area)).unwrap_or_default()
    }

    fn erase(&mut self, area: Area, offset: u32) -> Result<(), Infallible> {
        self.change(area, offset, SECTOR_SIZE).fill(ERASED);
        Ok(())
    }

    fn program(&mut self, area: Area, offset: u32, bytes: &[u8]) -> Result<(), Infallible> {
        for (cell, byte) in self.change(area, offset, bytes.len()).iter_mut().zip(bytes) {
            *cell &= byte;
        }
        Ok(())
    }
}
