//! One instruction as data: encoding and decoding by the opcode table. For tools and the verifier; the interpreter reads words itself.

use crate::error::Reason;
use crate::opcode::{EXTENSION, Opcode};
use crate::operand::{Field, Operand};
use crate::pair;

/// Most operands of an instruction.
pub const MAX_OPERANDS: usize = 3;

/// A decoded instruction. Operand values in the table's order: registers as slots, the others as numbers
/// (displacements in units of their width, targets in words from this instruction).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// The opcode.
    pub opcode: Opcode,
    /// Its operands; those past the opcode's count are 0.
    pub operands: [i64; MAX_OPERANDS],
}

/// The one or two words of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The instruction word.
    pub word: u32,
    /// The extension word, where the opcode has one.
    pub extension: Option<u32>,
}

/// An operand does not fit its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange {
    /// The opcode.
    pub opcode: Opcode,
    /// Position of the operand, from 0.
    pub position: usize,
    /// The value that does not fit.
    pub value: i64,
}

impl Opcode {
    /// Words that the instruction takes, without a jump table behind it: 1 or 2.
    pub fn words(self) -> u32 {
        let extended = self.operands().iter().any(|operand| matches!(operand.field(), Field::Wide | Field::Extension));
        if extended { 2 } else { 1 }
    }
}

/// The smallest and largest value of an operand.
pub fn range(operand: Operand) -> (i64, i64) {
    match operand {
        Operand::Shift32 => (0, 31),
        Operand::Shift64 => (0, 63),
        operand if operand.slots() > 0 => (0, 64 - i64::from(operand.slots())),
        Operand::Window => (0, 63),
        operand => {
            let bits = match operand.field() {
                Field::Byte => 8,
                Field::Half | Field::Extension => 16,
                Field::Whole => 24,
                Field::Wide => 32,
            };
            if operand.is_signed() { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
        }
    }
}

/// Whether the operand is encoded as a register byte (slot × 4).
fn is_register(operand: Operand) -> bool {
    operand.slots() > 0 || operand == Operand::Window
}

/// An extension word with this 24-bit payload.
pub const fn extension_word(payload: u32) -> u32 {
    payload << 8 | EXTENSION as u32
}

/// The signed 24-bit payload of a jump-table entry.
pub const fn table_target(word: u32) -> i32 {
    word as i32 >> 8
}

/// Whether the word continues an instruction.
pub const fn is_extension(word: u32) -> bool {
    word as u8 == EXTENSION
}

impl Instruction {
    /// An instruction with these operands; missing ones are 0.
    pub fn new(opcode: Opcode, operands: &[i64]) -> Self {
        let mut all = [0; MAX_OPERANDS];
        for (place, value) in all.iter_mut().zip(operands) {
            *place = *value;
        }
        Self { opcode, operands: all }
    }

    /// The words, or the operand that does not fit.
    pub fn encode(&self) -> Result<Encoded, OutOfRange> {
        let mut word = self.opcode as u32;
        let mut extension = None;
        let mut shift = 8;
        for (position, (operand, value)) in self.opcode.operands().iter().zip(self.operands).enumerate() {
            let (low, high) = range(*operand);
            // An unsigned reading of a 32-bit immediate is welcome too: both name the same bits.
            let high = if *operand == Operand::I32 { u32::MAX.into() } else { high };
            if value < low || value > high {
                return Err(OutOfRange { opcode: self.opcode, position, value });
            }
            let bits = if is_register(*operand) { value as u32 * 4 } else { value as u32 };
            match operand.field() {
                Field::Byte => {
                    word |= (bits & 0xff) << shift;
                    shift += 8;
                }
                Field::Half => word |= bits << 16,
                Field::Whole => word |= bits << 8,
                Field::Wide => {
                    word |= (bits & 0xff) << 24;
                    extension = Some(extension_word(bits >> 8));
                }
                // The first byte field once more: whoever comes back from a call finds its window right before.
                Field::Extension => extension = Some(extension_word(bits << 8 | word >> 8 & 0xff)),
            }
        }
        Ok(Encoded { word, extension })
    }

    /// Reads an instruction; where its word has the code of a pair, the first of the pair. Unused fields must be zero.
    pub fn decode(word: u32, next: Option<u32>) -> Result<Self, Reason> {
        let opcode = pair::opcode(word).ok_or(Reason::Opcode)?;
        let mut operands = [0; MAX_OPERANDS];
        let mut shift = 8;
        let mut used = 0xff;
        for (place, operand) in operands.iter_mut().zip(opcode.operands()) {
            let extension = || next.filter(|next| is_extension(*next)).ok_or(Reason::Extension);
            let (bits, width) = match operand.field() {
                Field::Byte => {
                    let bits = word >> shift & 0xff;
                    used |= 0xff << shift;
                    shift += 8;
                    (bits, 8)
                }
                Field::Half => {
                    used |= 0xffff_0000;
                    (word >> 16, 16)
                }
                Field::Whole => {
                    used |= 0xffff_ff00;
                    (word >> 8, 24)
                }
                Field::Wide => {
                    used |= 0xff00_0000;
                    (extension()? & !0xff | word >> 24, 32)
                }
                Field::Extension => {
                    let extension = extension()?;
                    if (extension ^ word) >> 8 & 0xff != 0 {
                        return Err(Reason::Extension);
                    }
                    (extension >> 16, 16)
                }
            };
            *place = if is_register(*operand) {
                if bits & 3 != 0 {
                    return Err(Reason::Register);
                }
                i64::from(bits / 4)
            } else if operand.is_signed() {
                i64::from((bits << (32 - width)) as i32 >> (32 - width))
            } else {
                i64::from(bits)
            };
        }
        if word & !used != 0 {
            return Err(Reason::Reserved);
        }
        Ok(Self { opcode, operands })
    }

    /// Words that it takes, without a jump table behind it.
    pub fn words(&self) -> u32 {
        self.opcode.words()
    }

    /// Operands with their kinds.
    pub fn operands(&self) -> impl Iterator<Item = (Operand, i64)> + '_ {
        self.opcode.operands().iter().copied().zip(self.operands)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_opcode_survives_encoding_at_both_ends_of_each_range() {
        for opcode in Opcode::ALL {
            for end in [0, 1] {
                let values: std::vec::Vec<i64> = opcode
                    .operands()
                    .iter()
                    .map(|operand| if end == 0 { range(*operand).0 } else { range(*operand).1 })
                    .collect();
                let instruction = Instruction::new(*opcode, &values);
                let encoded = instruction.encode().expect("in range");
                assert_eq!(encoded.extension.is_some(), opcode.words() == 2, "{}", opcode.mnemonic());
                assert_eq!(
                    Instruction::decode(encoded.word, encoded.extension),
                    Ok(instruction),
                    "{}",
                    opcode.mnemonic()
                );
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let wide = Instruction::new(Opcode::AddImmediate, &[1, 2, 128]);
        assert_eq!(wide.encode(), Err(OutOfRange { opcode: Opcode::AddImmediate, position: 2, value: 128 }));
    }

    #[test]
    fn stray_bits_are_refused() {
        assert_eq!(Instruction::decode(Opcode::Return as u32 | 0x100, None), Err(Reason::Reserved));
        assert_eq!(Instruction::decode(Opcode::Add as u32 | 0x100, None), Err(Reason::Register));
        assert_eq!(Instruction::decode(Opcode::LoadImmediateWide as u32, Some(0)), Err(Reason::Extension));
        assert_eq!(Instruction::decode(0xfe, None), Err(Reason::Opcode));
    }
}
