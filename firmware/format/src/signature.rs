//! Signatures: the types that cross a call, packed into eight bytes.

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
        match self {
            ValType::I32 | ValType::F32 => 1,
            ValType::I64 | ValType::F64 => 2,
        }
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

/// The parameters and result of a function. Comparable by value; eight bytes in a module.
///
/// Layout (specs/format.md): byte 0 parameter count (0..=24); byte 1 bits 0..=2 result (0 none, else 1 + type code), bit 7 variadic;
/// bytes 2..8 two bits a parameter, the first in the lowest bits; unused bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signature {
    count: u8,
    result: Option<ValType>,
    variadic: bool,
    codes: u64,
}

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
        let mut codes = 0u64;
        for (position, param) in params.iter().enumerate() {
            codes |= (*param as u64) << (2 * position);
        }
        Some(Self { count: params.len() as u8, result, variadic, codes })
    }

    /// Reads an encoded signature; `None` where the layout's rules are broken.
    pub fn decode(bytes: [u8; Self::SIZE]) -> Option<Self> {
        let count = bytes[0];
        let result = match bytes[1] & 0x7f {
            0 => None,
            code @ 1..=4 => Some(ValType::from_code(code - 1)),
            _ => return None,
        };
        let codes = u64::from_le_bytes(bytes) >> 16;
        if count as usize > Self::MAX_PARAMS || (codes >> (2 * u32::from(count))) != 0 {
            return None;
        }
        Some(Self { count, result, variadic: bytes[1] & 0x80 != 0, codes })
    }

    /// The eight bytes.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = (self.codes << 16).to_le_bytes();
        bytes[0] = self.count;
        bytes[1] = self.result.map_or(0, |result| 1 + result as u8) | if self.variadic { 0x80 } else { 0 };
        bytes
    }

    /// Number of (fixed) parameters.
    pub fn param_count(&self) -> usize {
        self.count as usize
    }

    /// The parameters' types in order.
    pub fn params(&self) -> impl Iterator<Item = ValType> + use<> {
        let codes = self.codes;
        (0..u32::from(self.count)).map(move |position| ValType::from_code((codes >> (2 * position)) as u8))
    }

    /// The result's type; `None` for void.
    pub fn result(&self) -> Option<ValType> {
        self.result
    }

    /// Whether more arguments may follow the fixed ones.
    pub fn is_variadic(&self) -> bool {
        self.variadic
    }

    /// Slots of all parameters: they lie in a row from slot 0 of the callee's frame.
    pub fn param_slots(&self) -> u8 {
        self.params().map(ValType::slots).sum()
    }

    /// Slots of the result, from slot 0 of the callee's frame.
    pub fn result_slots(&self) -> u8 {
        self.result.map_or(0, ValType::slots)
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
            }
        }
    }

    #[test]
    fn stray_bits_and_counts_are_refused() {
        assert_eq!(Signature::new(&[I32; 25], None, false), None);
        assert_eq!(Signature::decode([25, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(Signature::decode([0, 5, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(Signature::decode([1, 0, 4, 0, 0, 0, 0, 0]), None);
    }
}
