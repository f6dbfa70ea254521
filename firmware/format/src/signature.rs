//! Signatures: the types that cross a call, packed into eight bytes.

use core::fmt;

/// A type of a parameter or result. Pointers are `I32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ValType {
    /// 32-bit integer or pointer; one register slot. Narrower integers travel extended as C's ABI extends them.
    I32 = 0,
    /// 64-bit integer; two slots, low word first.
    I64 = 1,
    /// IEEE binary32; one slot.
    F32 = 2,
    /// IEEE binary64; two slots, low word first.
    F64 = 3,
}

impl ValType {
    /// Register slots (32 bits each) that a value of this type takes.
    pub const fn slots(self) -> u8 {
        1 + (self as u8 & TWO_SLOTS)
    }

    /// The type with this two-bit code.
    pub const fn from_code(code: u8) -> ValType {
        match code & 3 {
            0 => ValType::I32,
            1 => ValType::I64,
            2 => ValType::F32,
            _ => ValType::F64,
        }
    }

    /// `i32`, `i64`, `f32` or `f64`.
    pub const fn name(self) -> &'static str {
        match self {
            ValType::I32 => "i32",
            ValType::I64 => "i64",
            ValType::F32 => "f32",
            ValType::F64 => "f64",
        }
    }
}

/// The parameters and result of a function: the eight bytes that stand in a module, as one number. Comparable by value.
///
/// Layout (specs/format.md): byte 0 parameter count (0..=24); byte 1 bits 0..=2 result (0 none, else 1 + type code), bit 7 variadic;
/// bytes 2..8 two bits a parameter, the first in the lowest bits; unused bits are zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(u64);

/// Bits of the result code.
const RESULT: u32 = 0x7f;
const VARIADIC: u64 = 0x8000;
/// First bit of the parameters' type codes.
const CODES: u32 = 16;
/// The bit of a type code that is set for the types that take two slots.
const TWO_SLOTS: u8 = 1;
/// That bit of each parameter.
const EACH_TWO_SLOTS: u64 = 0x5555_5555_5555 * TWO_SLOTS as u64;

impl Signature {
    /// Most parameters that a signature can have.
    pub const MAX_PARAMS: usize = 24;
    /// Bytes of an encoded signature.
    pub const SIZE: usize = 8;

    /// A signature, or `None` with more than [`Self::MAX_PARAMS`] parameters.
    pub fn new(params: &[ValType], result: Option<ValType>, variadic: bool) -> Option<Self> {
        if params.len() > Self::MAX_PARAMS {
            return None;
        }
        let mut bits = params.len() as u64;
        bits |= result.map_or(0, |result| 1 + result as u64) << 8;
        bits |= if variadic { VARIADIC } else { 0 };
        for (position, param) in (0..).zip(params) {
            bits |= (*param as u64) << (CODES + 2 * position);
        }
        Some(Self(bits))
    }

    /// Reads an encoded signature; `None` where the layout's rules are broken.
    pub fn decode(bytes: [u8; Self::SIZE]) -> Option<Self> {
        Self::from_bits(u64::from_le_bytes(bytes))
    }

    /// The same from two words of a module.
    pub(crate) fn from_words(record: [u32; Self::SIZE / 4]) -> Option<Self> {
        let [low, high] = record.map(u32::from_le);
        Self::from_bits(u64::from(low) | u64::from(high) << 32)
    }

    #[inline(never)]
    fn from_bits(bits: u64) -> Option<Self> {
        let signature = Self(bits);
        let unused = signature.codes() >> (2 * signature.count().min(Self::MAX_PARAMS as u32));
        let sound = signature.count() <= Self::MAX_PARAMS as u32 && signature.result_code() <= 4 && unused == 0;
        sound.then_some(signature)
    }

    /// The eight bytes.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        self.0.to_le_bytes()
    }

    fn count(&self) -> u32 {
        u32::from(self.0 as u8)
    }

    fn result_code(&self) -> u32 {
        (self.0 as u32 >> 8) & RESULT
    }

    fn codes(&self) -> u64 {
        self.0 >> CODES
    }

    /// Number of (fixed) parameters.
    pub fn param_count(&self) -> usize {
        self.count() as usize
    }

    /// The parameters' types in order.
    pub fn params(&self) -> impl Iterator<Item = ValType> + use<> {
        let codes = self.codes();
        (0..self.count()).map(move |position| ValType::from_code((codes >> (2 * position)) as u8))
    }

    /// The result's type; `None` for void.
    pub fn result(&self) -> Option<ValType> {
        self.result_code().checked_sub(1).map(|code| ValType::from_code(code as u8))
    }

    /// Whether more arguments may follow the fixed ones.
    pub fn is_variadic(&self) -> bool {
        self.0 & VARIADIC != 0
    }

    /// Slots of all parameters: they lie in a row from slot 0 of the callee's frame.
    #[inline(never)]
    pub fn param_slots(&self) -> u8 {
        (self.count() + (self.codes() & EACH_TWO_SLOTS).count_ones()) as u8
    }

    /// Slots of the result, from slot 0 of the callee's frame.
    pub fn result_slots(&self) -> u8 {
        self.result().map_or(0, ValType::slots)
    }

    /// Whether this is `fixed`, which is variadic, with the types of the variadic arguments of one call behind its parameters.
    pub fn continues(&self, fixed: &Signature) -> bool {
        let shared = (1 << (2 * fixed.count())) - 1;
        fixed.is_variadic()
            && !self.is_variadic()
            && fixed.result_code() == self.result_code()
            && fixed.count() <= self.count()
            && (fixed.codes() ^ self.codes()) & shared == 0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        list.entries(self.params());
        if self.is_variadic() {
            list.entry(&format_args!("…"));
        }
        list.finish()?;
        write!(f, " -> {:?}", self.result())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ValType::*;

    #[test]
    fn a_signature_survives_its_eight_bytes() {
        let all: std::vec::Vec<ValType> = (0..24).map(|n| ValType::from_code(n as u8 * 7)).collect();
        for length in 0..=24 {
            for result in [None, Some(I32), Some(I64), Some(F32), Some(F64)] {
                let signature = Signature::new(&all[..length], result, length % 2 == 0).expect("24 fit");
                assert_eq!(Signature::decode(signature.encode()), Some(signature));
                assert!(signature.params().eq(all[..length].iter().copied()));
                assert_eq!((signature.result(), signature.is_variadic()), (result, length % 2 == 0));
                assert_eq!(signature.param_slots(), all[..length].iter().map(|param| param.slots()).sum());
            }
        }
    }

    #[test]
    fn a_variadic_call_continues_its_function() {
        let signature = |params: &[ValType], variadic| Signature::new(params, Some(I32), variadic).expect("24 fit");
        let fixed = signature(&[I32, F64], true);
        assert!(signature(&[I32, F64], false).continues(&fixed));
        assert!(signature(&[I32, F64, I64], false).continues(&fixed));
        assert!(!signature(&[I32], false).continues(&fixed), "too few");
        assert!(!signature(&[I32, I64, I64], false).continues(&fixed), "another type");
        assert!(!signature(&[I32, F64, I64], true).continues(&fixed), "variadic itself");
        assert!(!signature(&[I32, F64], false).continues(&signature(&[I32, F64], false)), "not variadic");
        assert!(!Signature::new(&[I32, F64], None, false).expect("two fit").continues(&fixed), "another result");
        let all = [I64; Signature::MAX_PARAMS];
        assert!(signature(&all, false).continues(&signature(&all, true)));
    }

    #[test]
    fn stray_bits_and_counts_are_refused() {
        assert_eq!(Signature::new(&[I32; 25], None, false), None);
        assert_eq!(Signature::decode([25, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(Signature::decode([0, 5, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(Signature::decode([1, 0, 4, 0, 0, 0, 0, 0]), None);
    }
}
