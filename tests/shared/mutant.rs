//! Damaged copies of modules for tests: header and checksum are made right again, so that what lies behind them is reached. Shared by
//! path.

use espb_format::checksum::crc32;
use espb_format::container::{HEADER_SIZE, Module, SectionKind};
use espb_format::instruction::{Instruction, range};
use espb_format::opcode::Opcode;
use espb_format::operand::Operand;

use crate::random::Random;

/// Makes header and checksum right again.
pub fn repair(bytes: &mut [u8]) {
    if bytes.len() < HEADER_SIZE {
        return;
    }
    let (length, checksum) = (bytes.len() as u32, crc32(&bytes[HEADER_SIZE..]));
    bytes[8..12].copy_from_slice(&length.to_le_bytes());
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
}

/// A copy whose code does something else, mostly something that the verifier accepts: other registers, constants, targets, callees, and
/// other opcodes with operands of the same kinds.
pub fn mutate_code(original: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = original.to_vec();
    let Ok(module) = Module::parse(original) else { return bytes };
    let code = module.section_offset(SectionKind::Code) as usize;
    for _ in 0..=random.below(4) {
        let at = random.below(module.code_words()) as u32;
        let Some(function) = module.function_at(at).and_then(|index| module.function(index)) else { continue };
        let (Some(word), next) = (module.code_word(at), module.code_word(at + 1)) else { continue };
        let Ok(mut instruction) = Instruction::decode(word, next) else { continue };
        let same: Vec<Opcode> =
            Opcode::ALL.iter().copied().filter(|other| other.operands() == instruction.opcode.operands()).collect();
        if random.below(3) == 0 {
            instruction.opcode = same[random.below(same.len())];
        } else if let Some(position) = instruction.opcode.operands().len().checked_sub(1) {
            let position = random.below(position + 1);
            let operand = instruction.opcode.operands()[position];
            instruction.operands[position] =
                other_value(operand, instruction.operands[position], function.slots, random);
        }
        let Ok(encoded) = instruction.encode() else { continue };
        let words = [Some(encoded.word), encoded.extension];
        for (word, place) in words.iter().flatten().zip(bytes[code + 4 * at as usize..].chunks_exact_mut(4)) {
            place.copy_from_slice(&word.to_le_bytes());
        }
    }
    repair(&mut bytes);
    bytes
}

fn other_value(operand: Operand, value: i64, slots: u8, random: &mut Random) -> i64 {
    let (low, high) = range(operand);
    let near = value + random.below(9) as i64 - 4;
    match operand {
        operand if operand.slots() > 0 || operand == Operand::Window => random.below(slots.into()) as i64,
        Operand::I8 | Operand::U8 | Operand::I16 | Operand::I32 => match random.below(3) {
            0 => near.clamp(low, high),
            1 => low,
            _ => high,
        },
        _ => near.clamp(low, high),
    }
}

/// A copy with a few bits, bytes, words or runs changed, or cut short.
pub fn mutate(original: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.number() as u8,
            2 => bytes[at] = [0, 0xff, 0x7f, 0x80][random.below(4)],
            3 => {
                let from = random.below(bytes.len());
                let length = random.below(16).min(bytes.len() - at.max(from));
                bytes.copy_within(from..from + length, at);
            }
            4 => bytes[at / 4 * 4] = random.number() as u8,
            _ => {
                let word = (at / 4 * 4).min(bytes.len().saturating_sub(4));
                let value = (random.number() as u32).checked_shr(random.below(32) as u32).unwrap_or(0);
                bytes[word..].iter_mut().zip(value.to_le_bytes()).for_each(|(place, byte)| *place = byte);
            }
        }
    }
    if random.below(16) == 0 {
        // Not to nothing, which no slot holds.
        bytes.truncate(1 + random.below(bytes.len()));
    }
    repair(&mut bytes);
    bytes
}
