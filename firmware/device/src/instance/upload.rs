//! A module that comes over the link, chunk by chunk, into RAM. Bytes only: what they mean is `load`'s business.

use core::ptr::NonNull;

use espb_format::checksum::crc32;
use espb_link::event::Refusal;

use super::load::Refused;
use crate::kernel::heap;

/// A module's bytes in RAM, or the part of them that has come.
pub struct Upload {
    bytes: NonNull<u8>,
    length: usize,
    received: usize,
    crc32: u32,
}

// SAFETY: the block belongs to this value alone.
unsafe impl Send for Upload {}

impl Upload {
    /// Room for a module of `length` bytes with this checksum.
    pub fn begin(length: u32, crc32: u32) -> Result<Self, Refused> {
        let length = length as usize;
        let room = heap::largest_free_block().saturating_sub(heap::HEADROOM);
        let block = if length <= room { heap::allocate_at_end(length.max(1)) } else { core::ptr::null_mut() };
        let bytes = NonNull::new(block).ok_or_else(|| {
            Refused::new(Refusal::Memory, format_args!("there is no room in RAM for a module of {length} bytes"))
        })?;
        Ok(Self { bytes, length, received: 0, crc32 })
    }

    /// Adds bytes that belong at `offset`, as far as they follow on what is there. Answers how many bytes are there.
    pub fn add(&mut self, offset: u32, bytes: &[u8]) -> u32 {
        let fits = bytes.len() <= self.length - self.received;
        if offset as usize == self.received && fits {
            // SAFETY: the block has `length` bytes, of which these are free; `bytes` is not in it.
            unsafe { self.bytes.add(self.received).copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
            self.received += bytes.len();
        }
        self.received as u32
    }

    /// The module, if it is complete and its checksum right.
    ///
    /// # Safety
    /// The bytes are not used when this value is gone.
    pub unsafe fn module(&self) -> Result<&'static [u8], Refused> {
        // SAFETY: so many bytes of the block were written; the caller bounds their use.
        let bytes = unsafe { core::slice::from_raw_parts(self.bytes.as_ptr(), self.received) };
        if self.received < self.length {
            let reason = format_args!("only {} of the module's {} bytes have come", self.received, self.length);
            return Err(Refused::new(Refusal::Request, reason));
        }
        if crc32(bytes) != self.crc32 {
            let reason = format_args!("the uploaded bytes have another checksum than was said: send them again");
            return Err(Refused::new(Refusal::Request, reason));
        }
        Ok(bytes)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // SAFETY: the block came from `allocate_at_end`, and this is its only owner.
        unsafe { heap::free(self.bytes.as_ptr()) };
    }
}
