//! A pair does what its two instructions do, whatever the registers hold and wherever control goes.

use espb_format::instruction::{Instruction, extension_word, range};
use espb_format::opcode::{Flow, Opcode};
use espb_format::operand::Operand;
use espb_format::pair::{self, Pair};
use espb_vm::{Context, Stacks, Trap};

use crate::common::{ModuleBuilder, Random, TestHost, with_instance};

/// Registers that the instructions use. Arguments come in the first four, the window of a call follows.
const REGISTERS: i64 = 6;
const ROUNDS: usize = 200;
/// Words in front of the pair: they make addresses of two registers.
const BEFORE: i64 = 3;
/// Words behind it, until the registers are stored: where branches that are not taken go on.
const BETWEEN: i64 = 1;

/// The words of an instruction with operands of all kinds; `here` is its place, `after` the first word behind the pair.
fn instruction(opcode: Opcode, field: Option<(u8, i64)>, here: i64, after: i64, random: &mut Random) -> Vec<u32> {
    let mut operands: Vec<i64> = Vec::new();
    for (position, operand) in opcode.operands().iter().enumerate() {
        let (low, high) = range(*operand);
        let forced = field.filter(|(field, _)| usize::from(*field) == position + 1).map(|(_, register)| register);
        operands.push(match operand {
            _ if forced.is_some() => forced.unwrap_or(0),
            operand if operand.slots() > 0 => random.below(REGISTERS - i64::from(operand.slots()) + 1),
            operand if operand.is_target() && random.below(4) == 0 => -here,
            operand if operand.is_target() => after + BETWEEN - here,
            Operand::Window => REGISTERS + 2,
            Operand::Function => 1,
            Operand::TableLength => 2,
            Operand::Stack(_) | Operand::Static(_) | Operand::StackAddress | Operand::StaticAddress => random.below(8),
            Operand::ConstantAddress | Operand::Callback | Operand::Import | Operand::Signature => 0,
            _ if random.below(2) == 0 => random.below(8).min(high),
            _ => low + random.below(high - low + 1),
        });
    }
    let encoded = Instruction::new(opcode, &operands).encode().expect("all operands are in range");
    let mut words = vec![encoded.word];
    words.extend(encoded.extension);
    if opcode.flow() == Flow::Switch {
        words.extend([after + BETWEEN - here, -here].map(|distance| extension_word(distance as u32 & 0xff_ffff)));
    }
    words
}

fn word(opcode: Opcode, operands: &[i64]) -> u32 {
    Instruction::new(opcode, operands).encode().expect("in range").word
}

/// Runs the words between addresses in two registers and the storing of all, with fuel for some rounds: the outcome, and memory.
fn run(middle: &[u32], arguments: &[u32]) -> (Result<u64, Trap>, Vec<u32>) {
    let mut words = vec![
        word(Opcode::StackAddress, &[4, 8]),
        word(Opcode::StaticAddress, &[5, 64]),
        word(Opcode::StaticAddress, &[3, 16]),
    ];
    assert_eq!(words.len() as i64, BEFORE);
    words.extend(middle);
    words.push(word(Opcode::AddImmediate, &[0, 0, 77]));
    words.extend((0..REGISTERS).map(|register| word(Opcode::StoreStatic32, &[register, 40 + register])));
    words.push(word(Opcode::ReturnValue, &[0]));
    let module = ModuleBuilder::new().words("iii:i", 12, 64, words).function("ii:i", 2, 0, "add r0 r0 r1\nret32 r0");
    with_instance(module, &TestHost::default(), |instance| {
        instance.set_fuel(Some(9));
        let mut shadow = vec![0; instance.layout().shadow_stack as usize / 4];
        let outcome = {
            let context = Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free");
            context.call(0, arguments)
        };
        let memory = (0..64).map(|index| instance.memory().read_word(instance.linear_address() + index * 4));
        (outcome, memory.map(|word| word.expect("256 bytes of bss")).collect())
    })
}

#[test]
fn a_pair_does_what_its_two_instructions_do() {
    let mut random = Random(0x1234_5678_9abc_def1);
    for pair in Pair::ALL {
        for _ in 0..ROUNDS {
            let second_at = BEFORE + i64::from(pair.first.words());
            let table = if pair.second.flow() == Flow::Switch { 2 } else { 0 };
            let after = second_at + i64::from(pair.second.words()) + table;
            let mut middle = instruction(pair.first, None, BEFORE, after, &mut random);
            let written = i64::from(middle[0] >> 8 & 0xff) / 4;
            middle.extend(instruction(pair.second, Some((pair.field, written)), second_at, after, &mut random));
            let mut joined = middle.clone();
            pair::join(&mut joined);
            assert_eq!(joined[0] as u8, pair.code, "{pair:?} is found");
            let arguments = [random.below(1 << 32) as u32, random.below(9) as u32, random.below(300) as u32];
            assert_eq!(run(&joined, &arguments), run(&middle, &arguments), "{pair:?} {middle:x?} {arguments:x?}");
        }
    }
}
