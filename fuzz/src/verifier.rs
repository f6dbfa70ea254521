//! A generated module whose code is then overwritten at random: the verifier's answer is held to a second, plain statement of the rules
//! of specs/format.md, which may take all the time and memory it likes.

use std::collections::BTreeSet;

use arbitrary::Unstructured;
use espb_format::container::{Function, Module, SectionKind};
use espb_format::instruction::{Instruction, is_extension, table_target};
use espb_format::opcode::{Flow, Opcode};
use espb_format::operand::Operand;
use espb_format::pair::Pair;
use espb_format::signature::Signature;
use espb_format::verifier::verify;

use crate::container::repair;
use crate::program::{self, Style};

/// Makes a module, overwrites words of its code, and compares the two verifiers.
pub fn attack(data: &[u8]) -> bool {
    let mut bytes = Unstructured::new(data);
    let Ok(changes) = bytes.int_in_range(0..=3) else { return false };
    let places: Vec<(u32, u32)> = (0..changes).filter_map(|_| bytes.arbitrary().ok()).collect();
    let Ok(mut module) = program::module(&mut bytes, Style::Any, 1) else { return false };
    let (code, words) = {
        let parsed = Module::parse(&module).expect("a generated module is well formed");
        (parsed.section_offset(SectionKind::Code) as usize, parsed.code_words())
    };
    for (place, value) in places {
        let at = code + place as usize % words.max(1) * 4;
        let word = &mut module[at..at + 4];
        match place >> 30 {
            0 => word.copy_from_slice(&value.to_le_bytes()),
            1 => word[1 + (value & 3).min(2) as usize] = (value >> 8) as u8,
            2 => word[0] = value as u8,
            _ => word[1 + (value & 3).min(2) as usize] = (value >> 8) as u8 % 25 * 4,
        }
    }
    repair(&mut module);
    let module = Module::parse(&module).expect("only its code has changed");
    let accepted = verify(&module).is_ok();
    let sound = (0..module.function_count() as u16).all(|index| is_sound(&module, index).is_some());
    assert_eq!(accepted, sound, "the verifiers disagree");
    assert!(accepted || changes > 0, "a generated module is refused");
    accepted
}

/// Whether a function keeps every rule; `None` if not.
fn is_sound(module: &Module<'_>, index: u16) -> Option<()> {
    let function = module.function(index)?;
    let end = module.function_end(index)?;
    let mut starts = BTreeSet::new();
    let mut targets = BTreeSet::new();
    let (mut at, mut last) = (function.start, None);
    while at < end {
        starts.insert(at);
        let next = Some(at + 1).filter(|next| *next < end).and_then(|next| module.code_word(next));
        let instruction = Instruction::decode(module.code_word(at)?, next).ok()?;
        check(module, function, &instruction)?;
        let mut behind = at + instruction.words();
        for (operand, value) in instruction.operands() {
            if operand.is_target() {
                targets.insert(i64::from(at) + value);
            }
            if operand == Operand::TableLength {
                for entry in 0..value as u32 {
                    let word =
                        Some(behind + entry).filter(|place| *place < end).and_then(|place| module.code_word(place))?;
                    is_extension(word).then_some(())?;
                    targets.insert(i64::from(at) + i64::from(table_target(word)));
                }
                behind += value as u32;
            }
        }
        if let Some(pair) = Pair::from_byte(module.code_word(at)? as u8) {
            let second = Some(behind).filter(|place| *place < end).and_then(|place| module.code_word(place))?;
            pair.holds(module.code_word(at)?, second).then_some(())?;
        }
        last = Some(instruction.opcode.flow());
        at = behind;
    }
    let ends = at == end && matches!(last, Some(Flow::Leave | Flow::Jump));
    let lands = targets.iter().all(|target| u32::try_from(*target).is_ok_and(|target| starts.contains(&target)));
    (ends && lands).then_some(())
}

fn check(module: &Module<'_>, function: Function, instruction: &Instruction) -> Option<()> {
    let slots = i64::from(function.slots);
    let [first, second, third] = instruction.operands;
    let signature = |index: i64| u16::try_from(index).ok().and_then(|index| module.signature(index));
    let import =
        |index: i64| u16::try_from(index).ok().and_then(|index| module.import(index)).map(|import| import.signature);
    for (operand, value) in instruction.operands() {
        let width = match operand {
            Operand::Stack(width) | Operand::Static(width) => i64::from(width),
            _ => 1,
        };
        let most = match operand {
            operand if operand.slots() > 0 => slots - i64::from(operand.slots()),
            Operand::Shift32 => 31,
            Operand::Shift64 => 63,
            Operand::Stack(_) => i64::from(function.linear_frame) / width - 1,
            Operand::Static(_) => i64::from(module.static_size()) / width - 1,
            Operand::StackAddress => function.linear_frame.into(),
            Operand::StaticAddress => module.static_size().into(),
            Operand::ConstantAddress => module.section(SectionKind::Constants).len() as i64,
            Operand::ThreadLocalAddress => module.thread_local()?.size.into(),
            Operand::Function => module.function_count() as i64 - 1,
            Operand::Callback => module.callback_count() as i64 - 1,
            _ => i64::MAX,
        };
        (value <= most).then_some(())?;
    }
    let own = module.signature(function.signature)?;
    let called: Option<Signature> = match instruction.opcode {
        Opcode::Call => Some(signature(module.function(second as u16)?.signature.into())?),
        Opcode::CallIndirect => Some(signature(third)?).filter(|signature| !signature.is_variadic()),
        Opcode::CallImport => Some(import(second)?).filter(|signature| !signature.is_variadic()),
        Opcode::CallImportVariadic => {
            let (fixed, all) = (import(second)?, signature(third)?);
            let continues = all.params().take(fixed.param_count()).eq(fixed.params());
            (fixed.is_variadic() && !all.is_variadic() && continues && fixed.result() == all.result()).then_some(all)
        }
        Opcode::TailCall => {
            return replaces(function, own, signature(module.function(first as u16)?.signature.into())?);
        }
        Opcode::TailCallIndirect => return replaces(function, own, signature(second)?),
        Opcode::Return => return (own.result_slots() == 0).then_some(()),
        Opcode::ReturnValue => return (own.result_slots() == 1).then_some(()),
        Opcode::ReturnValue64 => return (own.result_slots() == 2).then_some(()),
        _ => return Some(()),
    };
    let room = called?.param_slots().max(called?.result_slots());
    (first >= 2 && first + i64::from(room) <= slots).then_some(())
}

/// Whether a call of `callee` may take the place of a function with this signature.
fn replaces(function: Function, own: Signature, callee: Signature) -> Option<()> {
    let fits = callee.param_slots() <= function.slots && callee.result_slots() == own.result_slots();
    (fits && !callee.is_variadic()).then_some(())
}
