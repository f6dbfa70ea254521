//! Puts a module into the slot of a flash image, as the firmware expects to find it.

use crate::{FLASH_SIZE, FlashImage, FlashOffset, ImageError, firmware::PARTITION_TABLE, flash::ERASED};
use esp_idf_part::{Partition, PartitionTable, SubType, Type};
use espb_link::slot::{MODULE_OFFSET, PARTITION_SUBTYPE, PARTITION_TYPE, SlotHeader};

impl FlashImage {
    /// Writes `module` behind a slot header into the first slot of the image's partition table, in place of what was
    /// there. With `autostart` the firmware starts it at boot, otherwise it waits to be told.
    ///
    /// # Errors
    /// `ModuleTooLarge`; `NoPartitionTable`, `PartitionTable` or `NoSlot` when the image is not one of ours. The
    /// image is then unchanged.
    pub fn place_module(&mut self, module: &[u8], autostart: bool) -> Result<(), ImageError> {
        let slot = self.slot()?;
        let capacity = slot.size().saturating_sub(MODULE_OFFSET);
        let too_large = || ImageError::ModuleTooLarge { length: module.len(), capacity };
        let length = u32::try_from(module.len()).ok().filter(|&length| length <= capacity).ok_or_else(too_large)?;
        let header = SlotHeader { length, crc32: espb_format::checksum::crc32(module), autostart };
        let mut data = header.encode().to_vec();
        data.resize(MODULE_OFFSET as usize, ERASED);
        data.extend_from_slice(module);
        self.place(FlashOffset(slot.offset()), slot.size(), data);
        Ok(())
    }

    fn slot(&self) -> Result<Partition, ImageError> {
        /// Longest table that the bootloader reads (ESP-IDF, ESP_PARTITION_TABLE_MAX_LEN).
        const LONGEST: usize = 0xc00;
        let table = self.written_from(PARTITION_TABLE).ok_or(ImageError::NoPartitionTable(PARTITION_TABLE))?;
        let table = table.get(..LONGEST).unwrap_or(table);
        let table = PartitionTable::try_from_bytes(table)
            .map_err(|source| ImageError::PartitionTable { at: PARTITION_TABLE, source })?;
        let (ty, subtype) = (Type::Custom(PARTITION_TYPE), SubType::Custom(PARTITION_SUBTYPE));
        let slot = table.find_by_subtype(ty, subtype).cloned();
        let in_flash = |slot: &Partition| slot.offset().checked_add(slot.size()).is_some_and(|end| end <= FLASH_SIZE);
        slot.filter(in_flash).ok_or(ImageError::NoSlot)
    }
}
