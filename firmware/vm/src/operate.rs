//! The shapes of computing instructions: which registers an operator takes and which it fills. Never here: the operators.

use crate::cursor::Cursor;

/// Runs `operator` on what fields b and c name, and writes its result to what field a names.
impl Cursor {
    /// Two words.
    #[inline(always)]
    pub(crate) fn words(self, operator: impl FnOnce(u32, u32) -> u32) {
        self.write(operator(self.read::<2>(), self.read::<3>()));
    }

    /// Two words; whether the operator had a result.
    #[inline(always)]
    #[must_use]
    pub(crate) fn words_checked(self, operator: impl FnOnce(u32, u32) -> Option<u32>) -> bool {
        let result = operator(self.read::<2>(), self.read::<3>());
        if let Some(value) = result {
            self.write(value);
        }
        result.is_some()
    }

    /// A word and a signed immediate.
    #[inline(always)]
    pub(crate) fn word_i8(self, operator: impl FnOnce(u32, u32) -> u32) {
        self.write(operator(self.read::<2>(), self.byte::<3>() as i8 as u32));
    }

    /// A word and an unsigned immediate.
    #[inline(always)]
    pub(crate) fn word_u8(self, operator: impl FnOnce(u32, u32) -> u32) {
        self.write(operator(self.read::<2>(), self.byte::<3>().into()));
    }

    /// A word and a wide immediate.
    #[inline(always)]
    pub(crate) fn word_i32(self, operator: impl FnOnce(u32, u32) -> u32) {
        self.write(operator(self.read::<2>(), self.wide()));
    }

    /// One word.
    #[inline(always)]
    pub(crate) fn word(self, operator: impl FnOnce(u32) -> u32) {
        self.write(operator(self.read::<2>()));
    }

    /// One word to a pair.
    #[inline(always)]
    pub(crate) fn widen(self, operator: impl FnOnce(u32) -> u64) {
        self.write64(operator(self.read::<2>()));
    }

    /// One pair to a word.
    #[inline(always)]
    pub(crate) fn narrow(self, operator: impl FnOnce(u64) -> u32) {
        self.write(operator(self.read64::<2>()));
    }

    /// Two words to a pair.
    #[inline(always)]
    pub(crate) fn widen_two(self, operator: impl FnOnce(u32, u32) -> u64) {
        self.write64(operator(self.read::<2>(), self.read::<3>()));
    }

    /// One pair.
    #[inline(always)]
    pub(crate) fn pair(self, operator: impl FnOnce(u64) -> u64) {
        self.write64(operator(self.read64::<2>()));
    }

    /// Two pairs.
    #[inline(always)]
    pub(crate) fn pairs(self, operator: impl FnOnce(u64, u64) -> u64) {
        self.write64(operator(self.read64::<2>(), self.read64::<3>()));
    }

    /// Two pairs to a truth value.
    #[inline(always)]
    pub(crate) fn compare(self, operator: impl FnOnce(u64, u64) -> bool) {
        self.write(operator(self.read64::<2>(), self.read64::<3>()).into());
    }

    /// A pair and a word.
    #[inline(always)]
    pub(crate) fn pair_word(self, operator: impl FnOnce(u64, u32) -> u64) {
        self.write64(operator(self.read64::<2>(), self.read::<3>()));
    }

    /// A pair and an unsigned immediate.
    #[inline(always)]
    pub(crate) fn pair_u8(self, operator: impl FnOnce(u64, u32) -> u64) {
        self.write64(operator(self.read64::<2>(), self.byte::<3>().into()));
    }

    /// Two floats.
    #[inline(always)]
    pub(crate) fn floats(self, operator: impl FnOnce(f32, f32) -> f32) {
        self.words(|a, b| operator(f32::from_bits(a), f32::from_bits(b)).to_bits());
    }

    /// Two floats to a truth value.
    #[inline(always)]
    pub(crate) fn compare_floats(self, operator: impl FnOnce(f32, f32) -> bool) {
        self.words(|a, b| operator(f32::from_bits(a), f32::from_bits(b)).into());
    }

    /// Two doubles.
    #[inline(always)]
    pub(crate) fn doubles(self, operator: impl FnOnce(f64, f64) -> f64) {
        self.pairs(|a, b| operator(f64::from_bits(a), f64::from_bits(b)).to_bits());
    }

    /// Two doubles to a truth value.
    #[inline(always)]
    pub(crate) fn compare_doubles(self, operator: impl FnOnce(f64, f64) -> bool) {
        self.compare(|a, b| operator(f64::from_bits(a), f64::from_bits(b)));
    }

    /// Fields a and b, where a branch compares two registers.
    #[inline(always)]
    pub(crate) fn if_words(self, condition: impl FnOnce(u32, u32) -> bool) -> bool {
        condition(self.read::<1>(), self.read::<2>())
    }

    /// Fields a and b, where a branch compares a register with an immediate.
    #[inline(always)]
    pub(crate) fn if_i8(self, condition: impl FnOnce(u32, u32) -> bool) -> bool {
        condition(self.read::<1>(), self.byte::<2>() as i8 as u32)
    }

    /// Base register and displacement: an address.
    #[inline(always)]
    pub(crate) fn displaced<const SCALE: u32>(self) -> u32 {
        self.read::<2>().wrapping_add(u32::from(self.byte::<3>()) << SCALE)
    }

    /// Base register and wide displacement: an address.
    #[inline(always)]
    pub(crate) fn displaced_wide(self) -> u32 {
        self.read::<2>().wrapping_add(self.wide())
    }

    /// The base register that field b names, what is in it, and that with field c added.
    #[inline(always)]
    pub(crate) fn moved_base(self) -> (u8, u32, u32) {
        let base = self.byte::<2>();
        let before = self.read_slot(base);
        (base, before, before.wrapping_add(self.byte::<3>() as i8 as u32))
    }

    /// Base register and index register: an address.
    #[inline(always)]
    pub(crate) fn indexed<const SCALE: u32>(self) -> u32 {
        self.read::<2>().wrapping_add(self.read::<3>() << SCALE)
    }

    /// An address and the 16-bit displacement from it.
    #[inline(always)]
    pub(crate) fn beyond<const SCALE: u32>(self, start: u32) -> u32 {
        start.wrapping_add(u32::from(self.half()) << SCALE)
    }
}
