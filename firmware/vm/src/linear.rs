//! Linear memory: reserved as a whole, committed as far as it was handed out. The module reaches what is committed, and that was
//! cleared, so it never sees what others left there; what nobody asks for costs nothing to clear. Never here: who gets which part.

use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::address::Region;
use crate::layout::{Granule, Layout};

/// Bytes that are committed at a time: cleared with interrupts off on the chip, so few; a multiple of 16.
const STEP: u32 = 2048;

/// The linear memory of an instance.
///
/// The granule behind the committed part is zeroed as well: accesses that start inside may end there ([`crate::access`]).
pub(crate) struct Linear {
    reserved: Region,
    /// Bytes from the start on; grows only.
    committed: AtomicU32,
}

impl Linear {
    /// Data, whose bytes the caller writes next, and bss are committed at first.
    pub(crate) fn new(block: &mut [MaybeUninit<Granule>], layout: &Layout, data: usize) -> Self {
        let statics = (layout.statics / Granule::SIZE) as usize;
        clear(block.get_mut(data / Granule::SIZE as usize..=statics).unwrap_or_default());
        let reserved = Region::linear(block.as_mut_ptr().cast(), layout.linear());
        Self { reserved, committed: AtomicU32::new(layout.statics) }
    }

    /// Pointer to the block that it starts.
    pub(crate) fn pointer(&self) -> *mut u8 {
        self.reserved.pointer(self.start())
    }

    /// Address of its first byte.
    #[inline(always)]
    pub(crate) fn start(&self) -> u32 {
        self.reserved.start()
    }

    /// What the module can reach now.
    #[inline(always)]
    pub(crate) fn committed(&self) -> Region {
        self.reserved.up_to(self.committed.load(Ordering::Acquire))
    }

    /// Commits the next part, if any is left. No other task may do so meanwhile.
    pub(crate) fn commit_step(&self) {
        let committed = self.committed();
        let next = (committed.size() + STEP).min(self.reserved.size());
        let granules = (next - committed.size() + Granule::SIZE) / Granule::SIZE;
        let first = self.reserved.pointer(committed.start() + committed.size()).cast();
        // SAFETY: these granules lie behind what the module reaches, in the block of which the instance has the sole use: by `Layout` a
        // granule of padding follows linear memory.
        clear(unsafe { core::slice::from_raw_parts_mut(first, granules as usize) });
        self.committed.store(next, Ordering::Release);
    }
}

/// Zeroes the granules, in a little more than one machine instruction a word: the chip's `memset`, which LLVM would make of a plain loop,
/// takes four.
pub(crate) fn clear(granules: &mut [MaybeUninit<Granule>]) {
    const AT_ONCE: usize = 8;
    let clear_words = |first: *mut u32, granules: usize| {
        for word in 0..granules * (Granule::SIZE / 4) as usize {
            // SAFETY: so many words lie in the granules that the caller has got.
            unsafe { first.add(word).write_volatile(0) };
        }
    };
    let (groups, rest) = granules.as_chunks_mut::<AT_ONCE>();
    for group in groups {
        clear_words(group.as_mut_ptr().cast(), AT_ONCE);
    }
    clear_words(rest.as_mut_ptr().cast(), rest.len());
}
