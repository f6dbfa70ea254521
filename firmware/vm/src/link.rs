//! The link below a frame: where its caller goes on and how far away the caller's frame is. Never here: the stack it lies in.

/// One word: byte offset of the return position in the code section (26 bits) and the call's window in slots (6 bits).
///
/// In bytes and slots, because so a return needs no mask. A call's window is at least 2 slots, so 0 marks an entry from the host.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link(u32);

impl Link {
    /// Most bytes of code that a link can name a position in.
    pub(crate) const MAX_CODE: usize = 1 << 26;
    /// The link of a function that the host entered.
    pub(crate) const ENTRY: Self = Self(0);

    /// The link of a call: `offset` is below [`Self::MAX_CODE`], `window` the encoded window, a multiple of 4.
    #[inline(always)]
    pub(crate) fn new(offset: u32, window: u8) -> Self {
        Self(offset << 6 | u32::from(window) >> 2)
    }

    /// From a word of the shadow stack.
    #[inline(always)]
    pub(crate) fn from_word(word: u32) -> Self {
        Self(word)
    }

    #[inline(always)]
    pub(crate) fn word(self) -> u32 {
        self.0
    }

    #[inline(always)]
    pub(crate) fn is_entry(self) -> bool {
        self.window() == 0
    }

    /// Byte offset of the instruction to return to.
    #[inline(always)]
    pub(crate) fn offset(self) -> u32 {
        self.0 >> 6
    }

    /// Bytes between the caller's frame pointer and this one.
    #[inline(always)]
    pub(crate) fn window(self) -> usize {
        ((self.0 & 63) << 2) as usize
    }
}
