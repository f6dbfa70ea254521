//! The record of section `tls`: thread-local variables of a module. Never here: where a task's block lies.

use crate::error::Reason;

/// Thread-local variables. Each native task that touches one gets a block of its own, which starts as a copy of the template: bytes of
/// the data, as they are after relocation. In a module three u32 in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadLocal {
    /// Byte offset of the template in the data section.
    pub template: u32,
    /// Bytes of the template.
    pub initialised: u32,
    /// Bytes of a block: template and zeros behind it.
    pub size: u32,
}

impl ThreadLocal {
    /// Encoded size.
    pub const SIZE: usize = 12;
    /// Largest block.
    pub const MAX_SIZE: u32 = u32::MAX / 4;

    /// The 12 bytes.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        for (place, field) in bytes.chunks_exact_mut(4).zip([self.template, self.initialised, self.size]) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// The record in these words of a module.
    pub(crate) fn decode(record: [u32; Self::SIZE / 4]) -> Self {
        let [template, initialised, size] = record.map(u32::from_le);
        Self { template, initialised, size }
    }

    /// Whether the template lies in `data` bytes of data and in its block.
    pub(crate) fn check(&self, data: usize) -> Result<(), Reason> {
        let inside = u64::from(self.template) + u64::from(self.initialised) <= data as u64;
        let fits = inside && self.initialised <= self.size && (1..=Self::MAX_SIZE).contains(&self.size);
        if fits { Ok(()) } else { Err(Reason::ThreadLocal) }
    }
}
