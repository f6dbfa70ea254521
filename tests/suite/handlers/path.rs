//! How long the interpreter's code for each instruction is, as it was built: the machine instructions of its straight path.
//!
//! The path starts where the jump table leads and ends with the next dispatch; conditional branches are not taken, jumps are followed. A
//! branch over nothing but a jump is one the other way to where that leads, which was too far away for a branch, and is taken. Loads
//! and stores through the stack pointer are registers that did not fit. How long a path may be is not known here.

use std::ops::Range;

use espb::device::profile;
use espb_format::pair::Code;
use object::{Object, ObjectSection, ObjectSymbol};

/// The interpreter's symbol in the firmware.
const INTERPRETER: &str = "espb_interpret";
/// Machine instructions after which a path is given up: it is a loop.
const LONGEST: u32 = 1000;

/// The straight path of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The instruction, or the first of those that share this code.
    pub code: Code,
    /// Machine instructions up to and with the jump to the next; `None` where the path returns or calls a function before that.
    pub instructions: Option<u32>,
    /// Loads and stores through the stack pointer among them.
    pub spills: u32,
}

/// The paths of all instructions and pairs in the order of their codes, and the bytes of the whole loop; `None` where the firmware has no
/// interpreter.
pub fn paths(elf: &[u8]) -> Option<(Vec<Path>, u32)> {
    let file = object::File::parse(elf).ok()?;
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok(INTERPRETER))?;
    let range = symbol.address() as u32..(symbol.address() + symbol.size()) as u32;
    let section = file.section_by_index(symbol.section_index()?).ok()?;
    let bytes = section.data_range(range.start.into(), (range.end - range.start).into()).ok()??;
    let mut paths: Vec<Path> =
        profile::handlers(elf, &range)?.into_iter().map(|(start, code)| walk(bytes, &range, start, code)).collect();
    paths.sort_by_key(|path| path.code.byte());
    Some((paths, bytes.len() as u32))
}

fn walk(bytes: &[u8], range: &Range<u32>, start: u32, code: Code) -> Path {
    let mut path = Path { code, instructions: None, spills: 0 };
    let mut at = start;
    for count in 1..=LONGEST {
        let Some(place) = at.checked_sub(range.start).map(|offset| offset as usize) else { return path };
        let Some((low, rest)) = bytes.get(place..).and_then(<[u8]>::split_first_chunk) else { return path };
        let short = u32::from(u16::from_le_bytes(*low));
        let Some(step) = (if short & 3 == 3 {
            rest.first_chunk().map(|high| long(short | u32::from(u16::from_le_bytes(*high)) << 16))
        } else {
            Some(compressed(short))
        }) else {
            return path;
        };
        match step {
            Step::Next { spill } => {
                path.spills += u32::from(spill);
                at += if short & 3 == 3 { 4 } else { 2 };
            }
            Step::Jump(distance) => at = at.wrapping_add_signed(distance),
            Step::Branch(distance) => {
                let next = at + if short & 3 == 3 { 4 } else { 2 };
                let target = at.wrapping_add_signed(distance);
                at = if is_over_a_jump(bytes, range, next, target) { target } else { next };
            }
            Step::Dispatch => {
                path.instructions = Some(count);
                return path;
            }
            Step::Away => return path,
        }
    }
    path
}

/// Whether a jump and nothing else stands between these addresses.
fn is_over_a_jump(bytes: &[u8], range: &Range<u32>, next: u32, target: u32) -> bool {
    let between = bytes.get((next - range.start) as usize..).unwrap_or_default();
    let step = match (target.wrapping_sub(next), between) {
        (2, [a, b, ..]) => compressed(u16::from_le_bytes([*a, *b]).into()),
        (4, [a, b, c, d, ..]) if a & 3 == 3 => long(u32::from_le_bytes([*a, *b, *c, *d])),
        _ => return false,
    };
    matches!(step, Step::Jump(_))
}

/// Where control goes from a machine instruction.
enum Step {
    Next {
        spill: bool,
    },
    Jump(i32),
    /// Ahead, or so many bytes away.
    Branch(i32),
    Dispatch,
    /// Into a function or back from this one.
    Away,
}

const RA: u32 = 1;
const SP: u32 = 2;

/// An instruction of 32 bits (the unprivileged specification, chapter 35).
fn long(word: u32) -> Step {
    let (rd, base) = (word >> 7 & 31, word >> 15 & 31);
    match word & 0x7f {
        0x6f if rd == 0 => {
            let bits = word >> 21 & 0x3ff | (word >> 20 & 1) << 10 | (word >> 12 & 0xff) << 11 | (word >> 31) << 19;
            Step::Jump((bits << 12) as i32 >> 11)
        }
        0x63 => {
            let bits = word >> 8 & 0xf | (word >> 25 & 0x3f) << 4 | (word >> 7 & 1) << 10 | (word >> 31) << 11;
            Step::Branch((bits << 20) as i32 >> 19)
        }
        0x67 if rd == 0 && base != RA => Step::Dispatch,
        0x6f | 0x67 => Step::Away,
        0x03 | 0x23 => Step::Next { spill: base == SP },
        _ => Step::Next { spill: false },
    }
}

/// An instruction of 16 bits (the unprivileged specification, section 28.8).
fn compressed(half: u32) -> Step {
    match (half & 3, half >> 13) {
        (1, 5) => {
            let bit = |from: u32, to: u32| (half >> from & 1) << to;
            let bits = (half >> 3 & 7) << 1 | bit(11, 4) | bit(2, 5) | bit(7, 6) | bit(6, 7) | (half >> 9 & 3) << 8;
            let bits = bits | bit(8, 10) | bit(12, 11);
            Step::Jump((bits << 20) as i32 >> 20)
        }
        (1, 6 | 7) => {
            let bit = |from: u32, to: u32| (half >> from & 1) << to;
            let bits = (half >> 3 & 3) << 1 | (half >> 10 & 3) << 3 | bit(2, 5) | (half >> 5 & 3) << 6 | bit(12, 8);
            Step::Branch((bits << 23) as i32 >> 23)
        }
        (1, 1) => Step::Away,
        (2, 4) if half & 0x7c == 0 => match (half >> 12 & 1, half >> 7 & 31) {
            (0, register) if register != RA => Step::Dispatch,
            _ => Step::Away,
        },
        (2, 2 | 6) => Step::Next { spill: true },
        _ => Step::Next { spill: false },
    }
}
