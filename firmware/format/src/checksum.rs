//! The one checksum of modules, slots and link frames: CRC-32 as in IEEE 802.3 (reflected, initial value and final xor all ones).

use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// One table of 1 KB: the chip's flash is worth more here than the last factor of speed.
static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// The checksum of `bytes`.
pub fn crc32(bytes: &[u8]) -> u32 {
    CRC.checksum(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_check_value_of_the_catalogue_is_met() {
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
    }
}
