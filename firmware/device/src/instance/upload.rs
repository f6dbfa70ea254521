//! The bytes of a module in RAM, as they come over the link. Bytes only: what they mean is `load`'s business.

use core::ptr::NonNull;

use espb_slots::Memory;

use crate::kernel::heap;

/// A module's bytes in RAM, or the part of them that has come.
pub struct Upload {
    block: NonNull<u8>,
    length: usize,
    received: usize,
}

// SAFETY: the block belongs to this value alone.
unsafe impl Send for Upload {}

impl Memory for Upload {
    fn allocate(length: u32) -> Option<Self> {
        let length = length as usize;
        let room = heap::largest_free_block().saturating_sub(heap::HEADROOM);
        let block = if length <= room { heap::allocate_at_end(length.max(1)) } else { core::ptr::null_mut() };
        NonNull::new(block).map(|block| Self { block, length, received: 0 })
    }

    fn append(&mut self, bytes: &[u8]) {
        if bytes.len() <= self.length - self.received {
            // SAFETY: the block has `length` bytes, of which these are free; `bytes` is not in it.
            unsafe { self.block.add(self.received).copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
            self.received += bytes.len();
        }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: so many bytes of the block were written.
        unsafe { core::slice::from_raw_parts(self.block.as_ptr(), self.received) }
    }
}

impl Upload {
    /// The bytes, for longer than a borrow.
    ///
    /// # Safety
    /// They are not used when this value is gone.
    pub unsafe fn leaked(&self) -> &'static [u8] {
        // SAFETY: so many bytes of the block were written; the caller bounds their use.
        unsafe { core::slice::from_raw_parts(self.block.as_ptr(), self.received) }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // SAFETY: the block came from `allocate_at_end`, and this is its only owner.
        unsafe { heap::free(self.block.as_ptr()) };
    }
}
