//! Pairs: two instructions in a row that the interpreter carries out with one dispatch.
//!
//! The word of the first instruction has the code of the pair in place of its opcode; its fields, and the whole second instruction, stay as
//! they are. So a pair takes no room, control may come to its second instruction from elsewhere, and whoever does not care reads two
//! instructions. Which pairs there are is measured: docs/performance.md. Never here: what the instructions do.

use core::fmt;

use crate::instruction::is_extension;
use crate::opcode::Opcode;

/// Passes the table of pairs to a macro, behind whatever tokens it is given:
/// `$callback! { $($prefix)* [$(name code first second field;)+] }`. They stand by ascending code.
///
/// `field` is 1, 2 or 3 where that byte field (a, b, c) of the second instruction names the register that the first one's field a names and
/// writes, so that the interpreter need not read it again; 0 where it does not matter.
#[macro_export]
macro_rules! for_each_pair {
    ($callback:ident $($prefix:tt)*) => {
        $callback! {
            $($prefix)*
            [
                BranchZeroThenLoad32 0xbf BranchZero Load32 0;
                Store32ThenBranchNonZero 0xd3 Store32 BranchNonZero 0;
                SelectNonZeroThenXor 0xd4 SelectNonZero Xor 2;
                BranchLessUnsignedImmediateThenLoadImmediate 0xd5 BranchLessUnsignedImmediate LoadImmediate 0;
                Load32ThenBranchEqual 0xd6 Load32 BranchEqual 1;
                Load16SignedThenMulAdd 0xd7 Load16Signed MulAdd 2;
                AddImmediateThenLoad8 0xd8 AddImmediate Load8 2;
                Load16SignedWideThenMulAdd 0xd9 Load16SignedWide MulAdd 2;
                Load32ThenCompareUnsigned 0xda Load32 CompareUnsigned 3;
                AddImmediateByteThenSetLessUnsignedImmediate 0xdb AddImmediateByte SetLessUnsignedImmediate 2;
                AddThenBranchLessUnsigned 0xdc Add BranchLessUnsigned 1;
                AddImmediateThenLoad8Post 0xdd AddImmediate Load8Post 0;
                MulImmediateThenAdd 0xec MulImmediate Add 0;
                Load32WideThenMulAdd 0xed Load32Wide MulAdd 2;
                Load32ThenMulAdd 0xee Load32 MulAdd 2;
                ShiftRightUnsignedImmediateThenAndByte 0xef ShiftRightUnsignedImmediate AndByte 0;
                Load8ThenBranchNotEqual 0xf0 Load8 BranchNotEqual 1;
                AddImmediateThenAdd 0xf1 AddImmediate Add 0;
                AddThenReturnValue 0xf2 Add ReturnValue 1;
                RotateLeftImmediateThenXor 0xfb RotateLeftImmediate Xor 3;
                MoveThenMove 0xfc Move Move 0;
                LoadIndexed8ThenBranchNonZero 0xfd LoadIndexed8 BranchNonZero 1;
                AddImmediateThenCall 0xfe AddImmediate Call 0;
            ]
        }
    };
}

/// A pair of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    /// What stands in the first byte.
    pub code: u8,
    /// The first instruction.
    pub first: Opcode,
    /// The second.
    pub second: Opcode,
    /// The byte field of the second that must name the register of the first one's field a, or 0.
    pub field: u8,
}

macro_rules! define {
    ([$($name:ident $code:literal $first:ident $second:ident $field:literal;)+]) => {
        impl Pair {
            /// Every pair, by ascending code.
            pub const ALL: &'static [Pair] =
                &[$(Pair { code: $code, first: Opcode::$first, second: Opcode::$second, field: $field },)+];
        }
    };
}

for_each_pair!(define);

/// What the first byte of an instruction says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// One instruction.
    Single(Opcode),
    /// Two.
    Pair(Pair),
}

impl Code {
    /// The meaning of a byte, if it has one.
    pub fn from_byte(byte: u8) -> Option<Code> {
        match (Opcode::from_byte(byte), Pair::from_byte(byte)) {
            (Some(opcode), _) => Some(Code::Single(opcode)),
            (None, Some(pair)) => Some(Code::Pair(pair)),
            (None, None) => None,
        }
    }

    /// The byte.
    pub const fn byte(self) -> u8 {
        match self {
            Code::Single(opcode) => opcode as u8,
            Code::Pair(pair) => pair.code,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Code::Single(opcode) => f.write_str(opcode.mnemonic()),
            Code::Pair(pair) => write!(f, "{}+{}", pair.first.mnemonic(), pair.second.mnemonic()),
        }
    }
}

/// Machine instructions that a pair saves: those of a dispatch, and those of reading a register.
const DISPATCH: u32 = 6;
const READ: u32 = 3;

/// The opcode of an instruction word, that of the first instruction where it has the code of a pair.
pub fn opcode(word: u32) -> Option<Opcode> {
    match Pair::from_byte(word as u8) {
        Some(pair) => Some(pair.first),
        None => Opcode::from_byte(word as u8),
    }
}

impl Pair {
    /// The pair with this code.
    pub fn from_byte(byte: u8) -> Option<Pair> {
        let place = Self::ALL.binary_search_by_key(&byte, |pair| pair.code).ok()?;
        Self::ALL.get(place).copied()
    }

    /// Whether an instruction and the one behind it are these two, with the registers as they must be.
    pub fn holds(self, first: u32, second: u32) -> bool {
        opcode(first) == Some(self.first) && self.continues(first, second)
    }

    /// Whether the instruction behind `first`, which is the first of this pair, is the second, with the registers as they must be.
    pub(crate) fn continues(self, first: u32, second: u32) -> bool {
        let shift = 8 * u32::from(self.field);
        let code = second as u8;
        (code == self.second as u8 || Self::from_byte(code).is_some_and(|pair| pair.first == self.second))
            && (self.field == 0 || (second >> shift) as u8 == (first >> 8) as u8)
    }

    fn saves(self) -> u32 {
        if self.field == 0 { DISPATCH } else { DISPATCH + READ }
    }
}

/// Gives each instruction of a function's code the code of a pair where the table has one for it and the next, such that as much as possible is
/// saved from each instruction on.
pub fn join(code: &mut [u32]) {
    // What is saved from the next instruction on, and from the one behind it; the next instruction.
    let (mut next_saved, mut later_saved, mut next) = (0, 0, None);
    for word in code.iter_mut().rev().filter(|word| !is_extension(**word)) {
        let here = *word;
        let best = next
            .and_then(|next| Pair::ALL.iter().filter(|pair| pair.holds(here, next)).max_by_key(|pair| pair.saves()));
        let joined = best.map_or(0, |pair| pair.saves() + later_saved);
        let saved = match best {
            Some(pair) if joined > next_saved => {
                *word = here & !0xff | u32::from(pair.code);
                joined
            }
            _ => next_saved,
        };
        (later_saved, next_saved, next) = (next_saved, saved, Some(here));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instruction::Instruction;
    use crate::opcode::{EXTENSION, Flow};

    #[test]
    fn codes_are_unique_and_firsts_go_on_to_their_seconds() {
        assert!(Pair::ALL.is_sorted_by(|before, pair| before.code < pair.code), "searched by code");
        for pair in Pair::ALL {
            let name = std::format!("{}", Code::Pair(*pair));
            assert!(Opcode::from_byte(pair.code).is_none() && pair.code != EXTENSION, "{name}");
            assert!(matches!(pair.first.flow(), Flow::Next | Flow::Branch), "{name}");
            let operand = usize::from(pair.field).checked_sub(1).map(|field| pair.second.operands()[field]);
            assert!(operand.is_none_or(|operand| operand.slots() > 0), "{name}: the field is a register");
        }
    }

    #[test]
    fn instructions_are_joined_where_most_is_saved() {
        let word = |opcode, operands: &[i64]| Instruction::new(opcode, operands).encode().expect("in range").word;
        // The multiplication and the sum would make a pair too, but one that saves less.
        let mut code = [
            word(Opcode::MulImmediate, &[1, 2, 3]),
            word(Opcode::Add, &[3, 1, 4]),
            word(Opcode::BranchLessUnsigned, &[3, 4, 0]),
        ];
        let before = code;
        join(&mut code);
        let joined =
            code.map(|word| Code::from_byte(word as u8).map(|code| std::format!("{code}")).unwrap_or_default());
        assert_eq!(joined, ["muli", "add+bltu", "bltu"]);
        assert!(code.iter().zip(before).all(|(after, before)| after >> 8 == before >> 8));
        // Another register, another pair.
        let mut other = [word(Opcode::Load32, &[5, 3, 0]), word(Opcode::BranchEqual, &[6, 3, 0])];
        join(&mut other);
        assert_eq!(other[0] as u8, Opcode::Load32 as u8);
    }
}
