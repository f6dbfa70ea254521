//! Where a flash image has ESP-IDF's non-volatile storage. What is stored there is not looked at.

use crate::{FLASH_SIZE, FlashImage, FlashOffset, ImageError, Region, firmware::PARTITION_TABLE};
use esp_idf_part::{DataType, PartitionTable, SubType, Type};

/// Longest table that the bootloader reads (ESP-IDF, ESP_PARTITION_TABLE_MAX_LEN).
const LONGEST_TABLE: usize = 0xc00;

impl FlashImage {
    /// The partition for non-volatile storage, if there is one within the flash.
    ///
    /// # Errors
    /// `NoPartitionTable` or `PartitionTable` when the image has no sound table.
    pub fn nvs_region(&self) -> Result<Option<Region>, ImageError> {
        let table = self.written_from(PARTITION_TABLE).ok_or(ImageError::NoPartitionTable(PARTITION_TABLE))?;
        let table = PartitionTable::try_from_bytes(table.get(..LONGEST_TABLE).unwrap_or(table))
            .map_err(|source| ImageError::PartitionTable { at: PARTITION_TABLE, source })?;
        let partition = table.find_by_subtype(Type::Data, SubType::Data(DataType::Nvs));
        Ok(partition
            .map(|partition| Region { offset: FlashOffset(partition.offset()), size: partition.size() })
            .filter(|region| region.offset.0.checked_add(region.size).is_some_and(|end| end <= FLASH_SIZE)))
    }
}
