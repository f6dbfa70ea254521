//! The records of a module's tables: their meaning and their bytes. Layouts are in specs/format.md.

use crate::container::{LINEAR_UNIT, NONE};
use crate::signature::Signature;

/// Declared memory, in bytes. 24 bytes in a module: entry u16, reserved u16, then five u32 in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Function to start with, if any.
    pub entry: Option<u16>,
    /// Zeroed bytes after the data.
    pub bss: u32,
    /// Linear stack of the entry, a multiple of 16.
    pub stack: u32,
    /// Shadow stack of each task that runs in the instance, a multiple of 4.
    pub shadow_stack: u32,
    /// Heap that the module needs at least.
    pub heap_min: u32,
    /// Heap that it can use; `u32::MAX` takes what there is.
    pub heap_max: u32,
}

impl Limits {
    /// Encoded size.
    pub const SIZE: usize = 24;

    #[inline(never)]
    pub(crate) fn decode(record: &[u32; Self::SIZE / 4]) -> Self {
        let [entry, bss, stack, shadow_stack, heap_min, heap_max] = record.map(u32::from_le);
        let entry = Some(entry as u16).filter(|entry| *entry != NONE);
        Self { entry, bss, stack, shadow_stack, heap_min, heap_max }
    }

    /// Bytes of linear memory before the first stack: so many of data, and bss, rounded up to 16.
    pub fn static_size(&self, data: usize) -> u32 {
        (data as u32 + self.bss).next_multiple_of(LINEAR_UNIT)
    }

    /// The 24 bytes.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..2].copy_from_slice(&self.entry.unwrap_or(NONE).to_le_bytes());
        let fields = [self.bss, self.stack, self.shadow_stack, self.heap_min, self.heap_max];
        for (place, field) in bytes[4..].chunks_exact_mut(4).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }
}

/// A host function that the module calls. In a module: name offset in strings u16, signature u16, offset in immeta u16, offset in cbmeta u16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Import<'a> {
    /// The function's name.
    pub name: &'a str,
    /// Its signature (of a variadic one: the fixed part).
    pub signature: Signature,
    /// Offset of its record in `immeta`.
    pub marshal: Option<u16>,
    /// Offset of its record in `cbmeta`.
    pub callbacks: Option<u16>,
}

/// A function of the module. In a module: u32 with code offset in words (bits 0..=23) and frame slots (24..=31), signature u16, linear frame in 16-byte units u16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// First word of its code, in words from the start of the code section. Its code ends where the next function's starts.
    pub start: u32,
    /// Register slots of its frame, 1..=64, parameters and call windows included.
    pub slots: u8,
    /// Index of its signature.
    pub signature: u16,
    /// Bytes of linear stack that it takes, a multiple of 16.
    pub linear_frame: u32,
}

impl Import<'_> {
    pub(crate) const SIZE: usize = 8;
}

impl Export<'_> {
    pub(crate) const SIZE: usize = 4;
}

impl Function {
    pub(crate) const SIZE: usize = 8;

    /// The 8 bytes. `start` is below 2²⁴, `linear_frame` below 2²⁰.
    pub fn encode(&self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&(self.start | u32::from(self.slots) << 24).to_le_bytes());
        bytes[4..6].copy_from_slice(&self.signature.to_le_bytes());
        bytes[6..].copy_from_slice(&((self.linear_frame / LINEAR_UNIT) as u16).to_le_bytes());
        bytes
    }

    pub(crate) fn decode(record: [u32; Self::SIZE / 4]) -> Self {
        let [code, rest] = record.map(u32::from_le);
        Self {
            start: code & 0xff_ffff,
            slots: (code >> 24) as u8,
            signature: rest as u16,
            linear_frame: (rest >> 16) * LINEAR_UNIT,
        }
    }
}

/// A function that can be called by name from outside. In a module: name offset in strings u16, function u16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Export<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its function index.
    pub function: u16,
}

/// What a relocated word of the data becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelocationKind {
    /// The word plus the address of linear memory.
    Linear = 0,
    /// The word plus the address of the constant data.
    Constant = 1,
    /// The thunk of the address-taken function whose position in `callbacks` the word holds.
    Callback = 2,
}

/// A word of the data to adjust at load. In a module one u32: kind in bits 0..=1, byte offset in the data above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Byte offset in the data section; the four bytes from here lie in it.
    pub offset: u32,
    /// What to make of them.
    pub kind: RelocationKind,
}

impl Relocation {
    pub(crate) const SIZE: usize = 4;

    /// The word.
    pub const fn encode(self) -> u32 {
        self.offset << 2 | self.kind as u32
    }

    pub(crate) fn decode(word: u32) -> Option<Self> {
        let kind = match word & 3 {
            0 => RelocationKind::Linear,
            1 => RelocationKind::Constant,
            2 => RelocationKind::Callback,
            _ => return None,
        };
        Some(Self { offset: word >> 2, kind })
    }
}
