//! Value types and function signatures, and their byte codes.
//!
//! Says how many values of which width go in and out, never what they mean: meaning is `contract`'s.

use alloc::vec::Vec;
use core::fmt;

/// The type of a value in a register. Pointers are `I32`, as is every integer narrower than 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ValType {
    /// 32-bit integer or address.
    I32,
    /// 64-bit integer.
    I64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
}

impl ValType {
    /// The two-bit code of specs/contracts.md.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            ValType::I32 => 0,
            ValType::I64 => 1,
            ValType::F32 => 2,
            ValType::F64 => 3,
        }
    }

    /// The type with this two-bit code; higher bits are ignored.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code & 3 {
            0 => ValType::I32,
            1 => ValType::I64,
            2 => ValType::F32,
            _ => ValType::F64,
        }
    }

    /// Whether the value takes 64 bits.
    #[must_use]
    pub const fn is_wide(self) -> bool {
        matches!(self, ValType::I64 | ValType::F64)
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ValType::I32 => "i32",
            ValType::I64 => "i64",
            ValType::F32 => "f32",
            ValType::F64 => "f64",
        })
    }
}

/// The parameters and the result of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signature {
    /// The fixed parameters, at most [`Signature::MAX_PARAMS`].
    pub params: Vec<ValType>,
    /// `None` for void.
    pub result: Option<ValType>,
    /// Whether further arguments may follow the fixed ones.
    pub variadic: bool,
}

/// A count of parameters that the byte code cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyParams(pub usize);

impl fmt::Display for TooManyParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a function has {} parameters, more than {}", self.0, Signature::MAX_PARAMS)
    }
}

/// Why the byte code of a signature was not accepted; offsets count from the start of the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// The bytes end inside the signature.
    Truncated {
        /// Where the missing byte would be.
        offset: usize,
    },
    /// A bit pattern that no encoder produces.
    Invalid {
        /// The offending byte.
        offset: usize,
    },
}

const VARIADIC: u8 = 1 << 3;
const LONG_COUNT: u8 = 15;

impl Signature {
    /// The most parameters that a signature may have (its count is one byte).
    pub const MAX_PARAMS: usize = 255;

    /// A signature without variadic arguments.
    pub fn new(params: impl Into<Vec<ValType>>, result: Option<ValType>) -> Self {
        Self { params: params.into(), result, variadic: false }
    }

    /// Appends the byte code: a head byte (bits 0–2 result: 0 void, 1 + type code otherwise; bit 3 variadic; bits 4–7
    /// count, 15 meaning that a byte with the count follows), then two bits a parameter, lowest first.
    ///
    /// # Errors
    /// When there are more than [`Signature::MAX_PARAMS`] parameters; nothing is appended then.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), TooManyParams> {
        let count = u8::try_from(self.params.len()).map_err(|_| TooManyParams(self.params.len()))?;
        let result = self.result.map_or(0, |ty| ty.code() + 1);
        let variadic = if self.variadic { VARIADIC } else { 0 };
        out.push(result | variadic | (count.min(LONG_COUNT) << 4));
        if count >= LONG_COUNT {
            out.push(count);
        }
        for four in self.params.chunks(4) {
            out.push(four.iter().rev().fold(0, |byte, ty| (byte << 2) | ty.code()));
        }
        Ok(())
    }

    /// Reads a signature from the start of `bytes`; gives it and its length in bytes. Each signature has exactly one
    /// code: anything else is refused, so that codes can be compared as bytes.
    ///
    /// # Errors
    /// Truncation, an unknown result code, a long count that a short one could hold, padding bits that are not zero.
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize), SignatureError> {
        let byte = |offset: usize| bytes.get(offset).copied().ok_or(SignatureError::Truncated { offset });
        let head = byte(0)?;
        let result = match head & 7 {
            0 => None,
            code @ 1..=4 => Some(ValType::from_code(code - 1)),
            _ => return Err(SignatureError::Invalid { offset: 0 }),
        };
        let (count, mut offset) = match head >> 4 {
            LONG_COUNT => match byte(1)? {
                count if count >= LONG_COUNT => (usize::from(count), 2),
                _ => return Err(SignatureError::Invalid { offset: 1 }),
            },
            count => (usize::from(count), 1),
        };
        let mut params = Vec::with_capacity(count);
        while params.len() < count {
            let packed = byte(offset)?;
            let here = (count - params.len()).min(4);
            params.extend((0..here).map(|i| ValType::from_code(packed >> (2 * i))));
            if here < 4 && packed >> (2 * here) != 0 {
                return Err(SignatureError::Invalid { offset });
            }
            offset += 1;
        }
        Ok((Self { params, result, variadic: head & VARIADIC != 0 }, offset))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, ty) in self.params.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{ty}")?;
        }
        if self.variadic {
            f.write_str(if self.params.is_empty() { "..." } else { ", ..." })?;
        }
        f.write_str(")")?;
        self.result.map_or(Ok(()), |ty| write!(f, " -> {ty}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ValType::{F32, F64, I32, I64};
    use alloc::vec;

    fn round_trip(signature: &Signature) -> Vec<u8> {
        let mut bytes = Vec::new();
        signature.encode(&mut bytes).unwrap();
        assert_eq!(Signature::decode(&bytes), Ok((signature.clone(), bytes.len())));
        bytes
    }

    #[test]
    fn signatures_survive_the_round_trip_in_few_bytes() {
        assert_eq!(round_trip(&Signature::default()), [0]);
        assert_eq!(round_trip(&Signature::new([I32; 6], Some(I32))), [0x61, 0, 0]);
        assert_eq!(round_trip(&Signature::new([I64, F32, F64], Some(F64))), [0x34, 0b11_10_01]);
        let printf = Signature { variadic: true, ..Signature::new([I32], Some(I32)) };
        assert_eq!(round_trip(&printf), [0x19, 0]);
        round_trip(&Signature::new([I64; 15], None));
        round_trip(&Signature::new([F64; 255], None));
    }

    #[test]
    fn a_signature_with_too_many_parameters_is_refused() {
        let signature = Signature::new(vec![I32; 256], None);
        assert_eq!(signature.encode(&mut Vec::new()), Err(TooManyParams(256)));
    }

    #[test]
    fn only_one_code_stands_for_a_signature() {
        assert_eq!(Signature::decode(&[0x07]), Err(SignatureError::Invalid { offset: 0 }));
        assert_eq!(Signature::decode(&[0xF0, 2, 0]), Err(SignatureError::Invalid { offset: 1 }));
        assert_eq!(Signature::decode(&[0x10, 0b100]), Err(SignatureError::Invalid { offset: 1 }));
        assert_eq!(Signature::decode(&[0x51, 0]), Err(SignatureError::Truncated { offset: 2 }));
        assert_eq!(Signature::decode(&[]), Err(SignatureError::Truncated { offset: 0 }));
    }

    #[test]
    fn every_accepted_code_is_the_one_the_encoder_writes() {
        for head in 0..=255_u8 {
            for second in 0..=255_u8 {
                let bytes = [head, second, 0, 0x40, 0];
                if let Ok((signature, length)) = Signature::decode(&bytes) {
                    let mut again = Vec::new();
                    signature.encode(&mut again).unwrap();
                    assert_eq!(again, bytes[..length]);
                }
            }
        }
    }
}
