//! Position and frame of the interpreter: reading fields of the instruction, reading and writing the registers that they name.
//!
//! All access to code and shadow stack on the fast path is here. Its safety is the verifier's theorem, "verified code" below: the
//! cursor stands at an instruction of an accepted module, its register fields name slots of the frame (64-bit ones both slots), its
//! fields lie in the code section, and every way on leads to an instruction of the same function. The frame lies in the shadow
//! stack, because a call checks that before it moves the frame pointer. Never here: what an instruction does.

use crate::link::{Link, WINDOW_BEHIND};

/// Where the interpreter is: an instruction, and the frame it works on.
#[derive(Clone, Copy)]
pub(crate) struct Cursor {
    pc: *const u8,
    fp: *mut u8,
}

/// Low and high word.
#[inline(always)]
const fn halves(value: u64) -> (u32, u32) {
    (value as u32, (value >> 32) as u32)
}

impl Cursor {
    /// A cursor at an instruction.
    ///
    /// # Safety
    /// `pc` is an instruction of verified code and `fp` a frame of its function in a shadow stack that outlives the cursor.
    #[inline(always)]
    pub(crate) unsafe fn new(pc: *const u8, fp: *mut u8) -> Self {
        Self { pc, fp }
    }

    /// The instruction.
    #[inline(always)]
    pub(crate) fn pc(self) -> *const u8 {
        self.pc
    }

    /// The frame.
    #[inline(always)]
    pub(crate) fn fp(self) -> *mut u8 {
        self.fp
    }

    /// The byte field a (1), b (2) or c (3), or the opcode (0).
    #[inline(always)]
    pub(crate) fn byte<const FIELD: usize>(self) -> u8 {
        const { assert!(FIELD < 4) };
        // SAFETY: verified code: an instruction has four bytes.
        unsafe { self.pc.add(FIELD).read() }
    }

    /// The fields b and c as one.
    #[inline(always)]
    pub(crate) fn half(self) -> u16 {
        // SAFETY: verified code; instructions are 4-aligned, because sections are and the module is.
        u16::from_le(unsafe { self.pc.add(2).cast::<u16>().read() })
    }

    /// The fields a, b and c as one, signed.
    #[inline(always)]
    pub(crate) fn whole(self) -> i32 {
        self.word_at(0) as i32 >> 8
    }

    /// The 24 bits of extension word `index` (1 for the first).
    #[inline(always)]
    pub(crate) fn extension(self, index: usize) -> i32 {
        self.word_at(index) as i32 >> 8
    }

    /// The signature in the first extension word.
    #[inline(always)]
    pub(crate) fn signature(self) -> u16 {
        // SAFETY: verified code: the instruction has an extension word.
        u16::from_le(unsafe { self.pc.add(6).cast::<u16>().read() })
    }

    /// The wide field: c and the first extension word.
    #[inline(always)]
    pub(crate) fn wide(self) -> u32 {
        self.word_at(1) & !0xff | u32::from(self.byte::<3>())
    }

    #[inline(always)]
    fn word_at(self, index: usize) -> u32 {
        // SAFETY: verified code: the extension words that an instruction announces are there.
        u32::from_le(unsafe { self.pc.cast::<u32>().add(index).read() })
    }

    #[inline(always)]
    fn slot(self, byte: u8) -> *mut u32 {
        // The register byte is the distance itself, so no shift is needed.
        self.fp.wrapping_add(byte.into()).cast()
    }

    /// The register at this distance.
    #[inline(always)]
    pub(crate) fn read_slot(self, byte: u8) -> u32 {
        // SAFETY: verified code: only register and window fields and 0 come here.
        unsafe { self.slot(byte).read() }
    }

    /// The register pair at this distance.
    #[inline(always)]
    pub(crate) fn read_pair(self, byte: u8) -> u64 {
        let slot = self.slot(byte);
        // SAFETY: verified code: only register and window fields and 0 come here, of 64-bit values.
        unsafe { u64::from(slot.read()) | u64::from(slot.add(1).read()) << 32 }
    }

    /// The register that a field names.
    #[inline(always)]
    pub(crate) fn read<const FIELD: usize>(self) -> u32 {
        self.read_slot(self.byte::<FIELD>())
    }

    /// The register pair that a field names.
    #[inline(always)]
    pub(crate) fn read64<const FIELD: usize>(self) -> u64 {
        self.read_pair(self.byte::<FIELD>())
    }

    /// Writes the register that field a names.
    #[inline(always)]
    pub(crate) fn write(self, value: u32) {
        // SAFETY: verified code.
        unsafe { self.slot(self.byte::<1>()).write(value) }
    }

    /// Writes the register pair that field a names.
    #[inline(always)]
    pub(crate) fn write64(self, value: u64) {
        self.write_pair(self.byte::<1>(), value);
    }

    /// Writes the register at this distance.
    #[inline(always)]
    pub(crate) fn write_slot(self, byte: u8, value: u32) {
        // SAFETY: verified code: only register and window fields and 0 come here.
        unsafe { self.slot(byte).write(value) }
    }

    /// Writes the register pair at this distance.
    #[inline(always)]
    pub(crate) fn write_pair(self, byte: u8, value: u64) {
        let (low, high) = halves(value);
        let slot = self.slot(byte);
        // SAFETY: verified code: only register and window fields and 0 come here, of 64-bit values.
        unsafe {
            slot.write(low);
            slot.add(1).write(high);
        }
    }

    /// The arguments in a call's window.
    #[inline(always)]
    pub(crate) fn window<'a>(self, slots: u8) -> &'a [u32] {
        // SAFETY: verified code: the callee's parameters lie in the frame, and no other reference to a frame is ever made. The slice is
        // used for the time of one host call, in which nothing runs in this frame (a nested entry starts above it).
        unsafe { core::slice::from_raw_parts(self.slot(self.byte::<1>()), slots.into()) }
    }

    /// States that a field names the register with this byte, if any field is given (not 0), so that what was written there just now need not
    /// be read again.
    ///
    /// # Safety
    /// The field has this byte.
    #[inline(always)]
    pub(crate) unsafe fn assume<const FIELD: usize>(self, byte: u8) {
        if FIELD > 0 {
            // SAFETY: as the caller promises.
            unsafe { core::hint::assert_unchecked(self.byte::<FIELD>() == byte) }
        }
    }

    /// To the instruction `words` away.
    #[inline(always)]
    pub(crate) fn go(&mut self, words: i32) {
        self.pc = self.pc.wrapping_offset(words as isize * 4);
    }

    /// Moves to a function's entry in a frame `window` bytes up, leaving the link below it.
    ///
    /// # Safety
    /// `pc` is the entry of a function of the same module whose frame from there on lies in the shadow stack.
    #[inline(always)]
    pub(crate) unsafe fn enter(&mut self, pc: *const u8, window: u8, link: Link, sp: u32) {
        self.fp = self.fp.wrapping_add(window.into());
        self.pc = pc;
        let below = self.fp.cast::<u32>();
        // SAFETY: verified code: a window starts at slot 2 or later, so the link lies in the caller's frame.
        unsafe {
            below.sub(2).write(link.word());
            below.sub(1).write(sp);
        }
    }

    /// Moves to the entry of a function that takes over the frame and the link below it.
    ///
    /// # Safety
    /// As for [`Self::enter`].
    #[inline(always)]
    pub(crate) unsafe fn replace(&mut self, pc: *const u8) {
        self.pc = pc;
    }

    /// The link of this frame and the caller's linear stack pointer.
    #[inline(always)]
    pub(crate) fn link(self) -> (Link, u32) {
        let below = self.fp.cast::<u32>();
        // SAFETY: every frame was made by `enter` or `Context::call`, and both leave a link below it, which no register can name.
        unsafe { (Link::from_word(below.sub(2).read()), below.sub(1).read()) }
    }

    /// Back to a caller, who goes on at `pc`.
    ///
    /// # Safety
    /// `pc` is where the link of this frame leads, and that is no entry.
    #[inline(always)]
    pub(crate) unsafe fn leave(&mut self, pc: *const u8) {
        // SAFETY: verified code: a call stands before `pc`, and its last word has the window in its second byte.
        let window = unsafe { pc.sub(WINDOW_BEHIND).read() };
        self.fp = self.fp.wrapping_sub(window.into());
        self.pc = pc;
    }
}
