//! The header of a module slot: what the first sector of a slot's flash partition says about the module behind it.
//!
//! Written by espb-image, read by the firmware at boot. Only the layout: reading or writing flash is its users' work.

/// First four bytes of a slot that holds a module, in flash order.
pub const MAGIC: [u8; 4] = *b"ESLT";

/// Version of the header layout.
pub const VERSION: u32 = 1;

/// Offset of the module in its partition, in bytes: one flash sector, so that header and module are erased apart
/// and the module starts on a boundary of the flash cache.
pub const MODULE_OFFSET: u32 = 0x1000;

/// Bytes that a header takes at the start of the partition.
pub const HEADER_LEN: usize = 32;

/// Partition type of a module slot: the first of the types that the partition table leaves to applications.
pub const PARTITION_TYPE: u8 = 0x40;

/// Partition subtype of a module slot.
pub const PARTITION_SUBTYPE: u8 = 0x00;

/// What erased flash reads as.
const ERASED: [u8; 4] = [0xff; 4];

/// Flag bit 0: start the module at boot, without waiting for a Start frame.
const AUTOSTART: u32 = 1;

/// What the header of a slot says. Five little-endian words in flash (magic, version, length, CRC, flags), then zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotHeader {
    /// Length of the module in bytes.
    pub length: u32,
    /// CRC-32 (IEEE 802.3) over the module's bytes.
    pub crc32: u32,
    /// Whether the firmware starts the module at boot.
    pub autostart: bool,
}

/// Why a slot has no usable header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotError {
    /// The slot was never written, or was erased.
    Empty,
    /// There is something else than a slot header.
    BadMagic([u8; 4]),
    /// The header has a layout that this code does not know.
    UnknownVersion(u32),
    /// The header has flags that this code does not know.
    UnknownFlags(u32),
}

impl core::fmt::Display for SlotError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Empty => f.write_str("the slot is empty"),
            Self::BadMagic(found) => write!(f, "the slot starts with {found:02x?}, not with a slot header"),
            Self::UnknownVersion(found) => write!(f, "the slot header has version {found}, expected {VERSION}"),
            Self::UnknownFlags(found) => write!(f, "the slot header has unknown flags {found:#x}"),
        }
    }
}

impl core::error::Error for SlotError {}

impl SlotHeader {
    /// The header as it stands in flash.
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let flags = if self.autostart { AUTOSTART } else { 0 };
        let words = [u32::from_le_bytes(MAGIC), VERSION, self.length, self.crc32, flags];
        let mut bytes = [0; HEADER_LEN];
        for (place, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        bytes
    }

    /// Reads a header from flash. The length is as found: whoever maps the module compares it with the partition.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, SlotError> {
        let bytes_of = |word: usize| [bytes[4 * word], bytes[4 * word + 1], bytes[4 * word + 2], bytes[4 * word + 3]];
        let word = |word: usize| u32::from_le_bytes(bytes_of(word));
        match bytes_of(0) {
            ERASED => return Err(SlotError::Empty),
            MAGIC => (),
            other => return Err(SlotError::BadMagic(other)),
        }
        if word(1) != VERSION {
            return Err(SlotError::UnknownVersion(word(1)));
        }
        let flags = word(4);
        if flags & !AUTOSTART != 0 {
            return Err(SlotError::UnknownFlags(flags));
        }
        Ok(Self { length: word(2), crc32: word(3), autostart: flags & AUTOSTART != 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_lies_in_flash_as_specified() {
        let header = SlotHeader { length: 0x1234, crc32: 0xdead_beef, autostart: true };
        let bytes = header.encode();
        assert_eq!(bytes[..20], *b"ESLT\x01\0\0\0\x34\x12\0\0\xef\xbe\xad\xde\x01\0\0\0");
        assert_eq!(SlotHeader::decode(&bytes), Ok(header));
    }

    #[test]
    fn foreign_bytes_are_refused_with_a_reason() {
        let bytes = SlotHeader { length: 8, crc32: 0, autostart: false }.encode();
        let with = |at: usize, value: u8| {
            let mut changed = bytes;
            changed[at] = value;
            SlotHeader::decode(&changed)
        };
        assert_eq!(SlotHeader::decode(&[0xff; HEADER_LEN]), Err(SlotError::Empty));
        assert_eq!(with(0, b'X'), Err(SlotError::BadMagic(*b"XSLT")));
        assert_eq!(with(4, 2), Err(SlotError::UnknownVersion(2)));
        assert_eq!(with(16, 2), Err(SlotError::UnknownFlags(2)));
    }
}
