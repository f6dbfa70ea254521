//! What a module spent its instructions on, opcode by opcode: the interpreter's dispatches in the emulated chip, named.
//!
//! An opcode is known by the address its dispatch jumps to, from the jump table in the firmware's ELF file. Never here: presentation.

use std::collections::HashMap;
use std::ops::Range;

use espb_format::pair::Code;
use object::{Object, ObjectSegment};

use crate::chip::cpu::DispatchPair;

/// Entries of the interpreter's jump table: one for each value of the opcode byte.
const TABLE: usize = 256;

/// How often something was executed, and what it cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Executions.
    pub count: u64,
    /// Machine instructions, from the first of the opcode's code to the next dispatch, whatever they are: a host call's too.
    pub instructions: u64,
}

/// Executed opcodes and pairs of them, most frequent first. Opcodes that share their code count as the first of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Single opcodes, and what is one to the interpreter.
    pub opcodes: Vec<(Code, Tally)>,
    /// Two in a row, with the cost of the second.
    pub pairs: Vec<((Code, Code), Tally)>,
}

impl Profile {
    /// Names what was counted; `None` where the firmware's jump table is not found.
    pub fn new(elf: &[u8], interpreter: &Range<u32>, counted: &[DispatchPair]) -> Option<Self> {
        let opcodes = handlers(elf, interpreter)?;
        let (mut single, mut double) = (HashMap::<Code, Tally>::new(), HashMap::<(Code, Code), Tally>::new());
        for pair in counted {
            let Some(second) = opcodes.get(&pair.second) else { continue };
            add(single.entry(*second).or_default(), pair);
            if let Some(first) = opcodes.get(&pair.first) {
                add(double.entry((*first, *second)).or_default(), pair);
            }
        }
        Some(Self { opcodes: sorted(single), pairs: sorted(double) })
    }

    /// All of it.
    pub fn total(&self) -> Tally {
        self.opcodes.iter().fold(Tally::default(), |sum, (_, tally)| Tally {
            count: sum.count + tally.count,
            instructions: sum.instructions + tally.instructions,
        })
    }
}

fn add(tally: &mut Tally, pair: &DispatchPair) {
    tally.count += pair.count;
    tally.instructions += pair.instructions;
}

fn sorted<K: std::fmt::Debug>(tallies: HashMap<K, Tally>) -> Vec<(K, Tally)> {
    let mut all: Vec<(K, Tally)> = tallies.into_iter().collect();
    // The name decides among equals, so that the order is the same each time.
    all.sort_by_cached_key(|(key, tally)| (std::cmp::Reverse(tally.count), format!("{key:?}")));
    all
}

/// The opcode at each address in the interpreter's jump table, the only run of so many words that all point into the interpreter.
pub fn handlers(elf: &[u8], interpreter: &Range<u32>) -> Option<HashMap<u32, Code>> {
    let file = object::File::parse(elf).ok()?;
    for segment in file.segments() {
        let bytes = segment.data().ok()?;
        let words: Vec<u32> = bytes
            .chunks_exact(4)
            .map(|word| word.iter().rev().fold(0, |all, byte| all << 8 | u32::from(*byte)))
            .collect();
        let table = words.windows(TABLE).find(|window| window.iter().all(|word| interpreter.contains(word)));
        if let Some(table) = table {
            let mut handlers = HashMap::new();
            for (byte, address) in (0..=u8::MAX).zip(table) {
                if let Some(code) = Code::from_byte(byte) {
                    handlers.entry(*address).or_insert(code);
                }
            }
            return Some(handlers);
        }
    }
    None
}
