//! The code and the function table of a verified module, read in place without checks. Never here: anything that is not verified.

use espb_format::container::{LINEAR_UNIT, SectionKind};
use espb_format::verifier::Verified;

use crate::link::Link;

/// Where a module's code and function table lie.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    code: *const u8,
    functions: *const [u32; 2],
    callbacks: *const u16,
    callback_count: u32,
}

/// A record of the function table as it lies in the module (espb-format, `Function`).
#[derive(Clone, Copy)]
pub(crate) struct Record {
    place: *const [u32; 2],
}

impl Program {
    pub(crate) fn of(module: &Verified<'_>) -> Self {
        Self {
            code: module.section(SectionKind::Code).as_ptr(),
            functions: module.section(SectionKind::Functions).as_ptr().cast(),
            callbacks: module.section(SectionKind::Callbacks).as_ptr().cast(),
            callback_count: module.callback_count() as u32,
        }
    }

    /// The instruction at a word of the code section.
    #[inline(always)]
    pub(crate) fn code(self, word: u32) -> *const u8 {
        self.code.wrapping_add(word as usize * 4)
    }

    /// The word of the code section at which an instruction stands.
    #[inline(always)]
    pub(crate) fn word_of(self, pc: *const u8) -> u32 {
        (pc.addr().wrapping_sub(self.code.addr()) / 4) as u32
    }

    /// The link to this position, which is behind a call.
    #[cfg(target_pointer_width = "32")]
    #[inline(always)]
    pub(crate) fn link(self, pc: *const u8) -> Link {
        Link::from_word(pc.expose_provenance() as u32)
    }

    /// The position that a link leads to.
    #[cfg(target_pointer_width = "32")]
    #[inline(always)]
    pub(crate) fn position(self, link: Link) -> *const u8 {
        core::ptr::with_exposed_provenance(link.word() as usize)
    }

    /// The link to this position, which is behind a call.
    #[cfg(not(target_pointer_width = "32"))]
    #[inline(always)]
    pub(crate) fn link(self, pc: *const u8) -> Link {
        Link::from_word(pc.addr().wrapping_sub(self.code.addr()) as u32)
    }

    /// The position that a link leads to.
    #[cfg(not(target_pointer_width = "32"))]
    #[inline(always)]
    pub(crate) fn position(self, link: Link) -> *const u8 {
        self.code.wrapping_add(link.word() as usize)
    }

    /// Whether there are so many address-taken functions.
    #[inline(always)]
    pub(crate) fn has_callback(self, index: u16) -> bool {
        u32::from(index) < self.callback_count
    }

    /// The record of the address-taken function with this index, if there are so many.
    #[inline(always)]
    pub(crate) fn callback(self, index: u32) -> Option<Record> {
        if index >= self.callback_count {
            return None;
        }
        // SAFETY: the index was just checked; sections are 4-aligned, because the module is.
        let function = u16::from_le(unsafe { self.callbacks.wrapping_add(index as usize).read() });
        Some(self.function(function))
    }

    /// A function's record. Only indices from verified code may come here.
    #[inline(always)]
    pub(crate) fn function(self, index: u16) -> Record {
        Record { place: self.functions.wrapping_add(index.into()) }
    }
}

impl Record {
    #[inline(always)]
    fn word<const INDEX: usize>(self) -> u32 {
        // SAFETY: verified code calls functions of the table only, and sections are 4-aligned, because the module is.
        u32::from_le(unsafe { self.place.cast::<u32>().add(INDEX).read() })
    }

    /// First word of its code.
    #[inline(always)]
    pub(crate) fn start(self) -> u32 {
        self.word::<0>() & 0xff_ffff
    }

    /// Bytes of its frame of registers.
    #[inline(always)]
    pub(crate) fn frame(self) -> usize {
        ((self.word::<0>() >> 24) * 4) as usize
    }

    /// Index of its signature.
    #[inline(always)]
    pub(crate) fn signature(self) -> u16 {
        self.word::<1>() as u16
    }

    /// Bytes of its linear frame.
    #[inline(always)]
    pub(crate) fn linear_frame(self) -> u32 {
        // SAFETY: as in `word`.
        u32::from(u16::from_le(unsafe { self.place.cast::<u16>().add(3).read() })) * LINEAR_UNIT
    }
}
