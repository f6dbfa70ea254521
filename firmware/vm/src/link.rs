//! The link below a frame: where its caller goes on. Never here: the stack it lies in.
//!
//! How far away the caller's frame is, the call itself tells: the word before the place where its caller goes on has the window in its
//! second byte, in a call of one word as in one with an extension.

/// Bytes from the window of a call back from where its caller goes on.
pub(crate) const WINDOW_BEHIND: usize = 3;

/// Where a caller goes on: on the chip the address itself, elsewhere the byte offset in the code section. Neither is ever 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link(u32);

impl Link {
    /// The link of a function that the host entered.
    pub(crate) const ENTRY: Self = Self(0);

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
        self.0 == 0
    }
}
