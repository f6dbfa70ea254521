//! What the verifier accepts must not harm the host: random code, run to its end, trap or last fuel.
//!
//! A wrong access shows here as a panic of the checked build or, built with `-Zsanitizer=address`, as a report.

use espb_format::instruction::{Instruction, extension_word, range};
use espb_format::opcode::{Flow, Opcode};
use espb_format::operand::Operand;
use espb_format::pair;
use espb_format::thread_local::ThreadLocal;
use espb_vm::{Context, Stacks, TrapKind};

use crate::common::{ModuleBuilder, Random, TestHost, load};

const SLOTS: i64 = 12;

/// Words that keep most rules most of the time: registers of the frame, near targets, small displacements, few bad luck.
fn code(random: &mut Random, length: i64) -> Vec<u32> {
    let mut words = Vec::new();
    while (words.len() as i64) < length {
        let opcode = Opcode::ALL[random.below(Opcode::ALL.len() as i64) as usize];
        let mut operands = Vec::new();
        for operand in opcode.operands() {
            let (low, high) = range(*operand);
            operands.push(match operand {
                operand if operand.slots() > 0 => random.below(SLOTS - i64::from(operand.slots()) + 1),
                Operand::Window => 2 + random.below(SLOTS - 4),
                operand if operand.is_target() => random.below(length) - words.len() as i64,
                Operand::Function | Operand::Import | Operand::Callback | Operand::Signature => random.below(3),
                Operand::TableLength => random.below(3),
                Operand::Stack(_)
                | Operand::Static(_)
                | Operand::StackAddress
                | Operand::ConstantAddress
                | Operand::ThreadLocalAddress => random.below(8),
                _ if random.below(2) == 0 => low + random.below(high - low + 1),
                _ => random.below(high.min(16) + 1),
            });
        }
        let Ok(encoded) = Instruction::new(opcode, &operands).encode() else { continue };
        let here = words.len() as i64;
        words.push(encoded.word);
        words.extend(encoded.extension);
        if opcode.flow() == Flow::Switch {
            for _ in 0..operands[1] {
                words.push(extension_word((random.below(length) - here) as u32 & 0xff_ffff));
            }
        }
    }
    words.push(Opcode::Jump as u32 | ((-random.below(length)) as u32) << 8);
    pair::join(&mut words);
    words
}

#[test]
fn accepted_code_ends_in_a_result_or_a_trap() {
    let host = TestHost::default().with("back", |call| {
        let (callback, argument) = (call.word(0) % 2, call.word(1));
        call.context().call_callback(callback as u16, &[argument, argument])
    });
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut kinds = [0; TrapKind::ALL.len() + 1];
    for _ in 0..20_000 {
        let mut module = ModuleBuilder::new().import("back", "ii:i").import("back", "i…:i").import("back", "ii:");
        module.data = (0..64).collect();
        module.constants = (0..64).collect();
        module.limits.shadow_stack = 512;
        module.thread_local = Some(ThreadLocal { template: 8, initialised: 8, size: 32 });
        // Signatures 0…2 are those of the imports and of the functions.
        for _ in 0..3 {
            let length = 4 + random.below(12);
            module = module.words("ii:i", SLOTS as u8, 64, code(&mut random, length));
        }
        let bytes = module.callback(0).callback(1).callback(2).finish();
        let outcome = load(&bytes, &host, |instance| {
            instance.set_fuel(Some(2000));
            let mut shadow = vec![0; 128];
            let context = Context::new(instance, &mut shadow, Stacks::Main, 3).expect("the main stack is free");
            let memory = instance.linear_address();
            let outcome = context.call(0, &[memory + random.below(8000) as u32, random.below(1 << 32) as u32]);
            assert_eq!(outcome.is_err(), instance.report().is_some());
            outcome
        });
        match outcome {
            Ok(Ok(_)) => kinds[0] += 1,
            Ok(Err(trap)) => kinds[trap.kind as usize] += 1,
            Err(_) => {}
        }
    }
    assert_eq!(kinds[TrapKind::IllegalInstruction as usize], 0);
    // The generator reaches what it is for.
    let seen = kinds.iter().filter(|count| **count > 0).count();
    assert!(kinds.iter().sum::<i32>() > 1000 && seen > 8, "{kinds:?}");
}
