//! The census: what a module's code consists of, by opcode and by function. For tools; never on the chip.

use std::vec::Vec;

use crate::container::Module;
use crate::instruction::Instruction;
use crate::opcode::{Flow, Opcode};

/// A number of instructions and the code words that they take, extension words and jump tables included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Instructions.
    pub instructions: u32,
    /// Words of four bytes.
    pub words: u32,
}

impl Share {
    fn add(&mut self, words: u32) {
        self.instructions += 1;
        self.words += words;
    }
}

/// What a module's code consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// All code.
    pub total: Share,
    /// The opcodes that occur, most frequent first.
    pub opcodes: Vec<(Opcode, Share)>,
    /// All functions by index, largest first.
    pub functions: Vec<(u16, Share)>,
}

/// Counts a verified module. Where a word starts no instruction, the rest of its function is left out.
pub fn census(module: &Module<'_>) -> Census {
    let mut total = Share::default();
    let mut opcodes: Vec<(Opcode, Share)> = Opcode::ALL.iter().map(|opcode| (*opcode, Share::default())).collect();
    let mut functions = Vec::new();
    for index in 0..module.function_count() as u16 {
        let mut own = Share::default();
        for (opcode, words) in instructions(module, index) {
            own.add(words);
            total.add(words);
            if let Some((_, share)) = opcodes.iter_mut().find(|(other, _)| *other == opcode) {
                share.add(words);
            }
        }
        functions.push((index, own));
    }
    opcodes.retain(|(_, share)| share.instructions > 0);
    opcodes.sort_by_key(|(opcode, share)| (core::cmp::Reverse(share.instructions), *opcode as u8));
    functions.sort_by_key(|(index, share)| (core::cmp::Reverse(share.words), *index));
    Census { total, opcodes, functions }
}

/// The opcodes of a function with the words that each takes.
fn instructions<'a>(module: &'a Module<'_>, index: u16) -> impl Iterator<Item = (Opcode, u32)> + 'a {
    let mut at = module.function(index).map_or(0, |function| function.start);
    let end = module.function_end(index).unwrap_or(0);
    core::iter::from_fn(move || {
        let word = module.code_word(at).filter(|_| at < end)?;
        let instruction = Instruction::decode(word, module.code_word(at + 1)).ok()?;
        let table = if instruction.opcode.flow() == Flow::Switch { instruction.operands[1] as u32 } else { 0 };
        let words = (instruction.words() + table).min(end - at);
        at += words;
        Some((instruction.opcode, words))
    })
}
