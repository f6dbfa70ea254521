//! How much memory an instance takes and how its block is divided. Never here: touching that memory.
//!
//! The block, from its start: data and bss, main linear stack, heap (these three are linear memory, all that the module can write),
//! one granule of padding, the heap's bitmaps, the import bindings, the callees of native code.

use core::fmt;

use espb_format::container::{LINEAR_UNIT, Module, SectionKind};

/// Unit of memory blocks, heap blocks and stacks: 16 bytes, aligned to 16.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Granule(pub [u32; 4]);

impl Granule {
    /// Bytes.
    pub const SIZE: u32 = 16;
    /// All zero.
    pub const ZERO: Self = Self([0; 4]);
}

/// More than this is not looked at: no chip has it, and sums of sizes stay below 2³².
const MOST_AVAILABLE: u32 = 1 << 31;
/// Heap bytes that one word of a bitmap covers.
const HEAP_PER_WORD: u32 = 32 * Granule::SIZE;
/// Bytes of the two words (used, start of block) that describe them.
const BITMAPS_PER_WORD: u32 = 8;
/// Bytes of an import binding: host function u16, argument slots u8, result slots u8.
const BINDING_SIZE: u32 = 4;
/// Bytes of what is kept of an address-taken function: its index u16, argument slots u8, result slots u8.
const CALLEE_SIZE: u32 = 4;

/// How an instance's memory is divided. All sizes in bytes, multiples of 16 where not said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Data and bss.
    pub statics: u32,
    /// Linear stack of the main context.
    pub stack: u32,
    /// Heap.
    pub heap: u32,
    /// Shadow stack that each context of this module should have, a multiple of 4. Not part of the block.
    pub shadow_stack: u32,
    /// The whole block.
    pub block: u32,
}

impl Layout {
    /// The layout in a block of at most `available` bytes: the heap gets what the module may use and the block has.
    pub fn of(module: &Module<'_>, available: usize) -> Result<Self, LoadError> {
        let limits = module.limits();
        let available =
            u32::try_from(available).unwrap_or(u32::MAX).min(MOST_AVAILABLE) / Granule::SIZE * Granule::SIZE;
        let statics = limits.static_size(module.section(SectionKind::Data).len());
        // The format bounds the sum of the declared sizes at 2³⁰, so nothing here overflows.
        let bindings = module.import_count() as u32 * BINDING_SIZE + module.callback_count() as u32 * CALLEE_SIZE;
        let fixed = statics + limits.stack + Granule::SIZE + bindings.next_multiple_of(LINEAR_UNIT);
        let least = limits.heap_min.next_multiple_of(LINEAR_UNIT);
        let needed = fixed + least + bitmaps(least).next_multiple_of(LINEAR_UNIT);
        if needed > available {
            return Err(LoadError::Memory { needed, available });
        }
        let room = available - fixed;
        // Every started 512 bytes of heap cost a pair of bitmap words. A first guess from below, then to the last granule, so that a block
        // of exactly the size that this answers gives the same layout again.
        let share = (room / (HEAP_PER_WORD + BITMAPS_PER_WORD) + 1) * BITMAPS_PER_WORD;
        let mut most = room.saturating_sub(share.next_multiple_of(LINEAR_UNIT)) / LINEAR_UNIT * LINEAR_UNIT;
        while most + LINEAR_UNIT + bitmaps(most + LINEAR_UNIT).next_multiple_of(LINEAR_UNIT) <= room {
            most += LINEAR_UNIT;
        }
        let wanted = limits.heap_max.min(u32::MAX / 4).next_multiple_of(LINEAR_UNIT);
        let heap = most.min(wanted);
        let block = fixed + heap + bitmaps(heap).next_multiple_of(LINEAR_UNIT);
        Ok(Self { statics, stack: limits.stack, heap, shadow_stack: limits.shadow_stack, block })
    }

    /// Granules of the block.
    pub fn granules(&self) -> usize {
        (self.block / Granule::SIZE) as usize
    }

    /// Linear memory: all that the module can write.
    pub fn linear(&self) -> u32 {
        self.statics + self.stack + self.heap
    }

    /// Words of each heap bitmap.
    pub(crate) fn bitmap_words(&self) -> usize {
        self.heap.div_ceil(HEAP_PER_WORD) as usize
    }
}

fn bitmaps(heap: u32) -> u32 {
    heap.div_ceil(HEAP_PER_WORD) * BITMAPS_PER_WORD
}

/// Why a verified module could not be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// The block is too small.
    Memory {
        /// Bytes that the module needs at least.
        needed: u32,
        /// Bytes that there are.
        available: u32,
    },
    /// The host has no such function; the value is the import's index.
    Import(u16),
    /// There are fewer thunks than address-taken functions.
    Thunks {
        /// Thunks that the module needs.
        needed: u32,
        /// Thunks that the host gave.
        available: u32,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { needed, available } => {
                write!(
                    f,
                    "the module needs {needed} bytes of memory and there are {available}: lower its --heap minimum or --stack"
                )
            }
            Self::Import(index) => write!(f, "import {index} is no function of this host"),
            Self::Thunks { needed, available } => {
                write!(f, "the module needs {needed} callback thunks and {available} are free")
            }
        }
    }
}

impl core::error::Error for LoadError {}
