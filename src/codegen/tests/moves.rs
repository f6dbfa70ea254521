//! Copies that happen at once, one after the other.

use crate::codegen::machine::Const;
use crate::codegen::moves::{From, Step, sequence};
use espb_format::operand::Operand;

/// The steps as text. Slot 60 and the one behind it are free if `scratch`.
fn steps(copies: &[(u8, From)], scratch: bool) -> String {
    let shown = sequence(copies, scratch.then_some(60)).into_iter().map(|step| match step {
        Step::Op(instruction) => {
            let operands = instruction.operands().map(|(operand, value)| match operand {
                Operand::I16 => format!("{value}"),
                _ => format!("r{value}"),
            });
            format!("{} {}", instruction.opcode.mnemonic(), operands.collect::<Vec<_>>().join(" "))
        }
        Step::Const { slot, value: Const::Int(value) } => format!("r{slot} = {value}"),
        Step::Const { slot, value } => format!("r{slot} = {value:?}"),
        Step::Load { slot, offset } => format!("r{slot} = [{offset}]"),
        Step::Load64 { slot, offset } => format!("r{slot}:{} = [{offset}]", slot + 1),
    });
    shown.collect::<Vec<_>>().join("; ")
}

fn slot(from: u8) -> From {
    From::Slot(from)
}

fn number(value: u32) -> From {
    From::Const(Const::Int(value))
}

#[test]
fn a_slot_is_read_before_it_is_written() {
    assert_eq!(steps(&[(1, slot(0)), (2, slot(1)), (3, slot(2))], true), "mov r3 r2; mov r2 r1; mov r1 r0");
    assert_eq!(steps(&[(0, slot(1)), (1, slot(2)), (2, slot(3))], true), "mov r0 r1; mov r1 r2; mov r2 r3");
}

#[test]
fn one_slot_may_go_to_several() {
    assert_eq!(steps(&[(1, slot(0)), (2, slot(0)), (0, slot(4))], true), "mov r1 r0; mov r2 r0; mov r0 r4");
}

#[test]
fn a_copy_onto_itself_is_nothing() {
    assert_eq!(steps(&[(3, slot(3))], true), "");
}

#[test]
fn a_cycle_goes_through_the_free_slot() {
    assert_eq!(steps(&[(0, slot(1)), (1, slot(0))], true), "mov r60 r0; mov r0 r1; mov r1 r60");
    assert_eq!(
        steps(&[(0, slot(1)), (1, slot(2)), (2, slot(0))], true),
        "mov r60 r0; mov r0 r1; mov r1 r2; mov r2 r60"
    );
}

#[test]
fn without_a_free_slot_a_cycle_goes_by_exclusive_or() {
    assert_eq!(steps(&[(0, slot(1)), (1, slot(0))], false), "xor r0 r0 r1; xor r1 r0 r1; xor r0 r0 r1");
}

#[test]
fn two_slots_in_a_row_go_at_once() {
    assert_eq!(steps(&[(4, slot(0)), (5, slot(1))], true), "mov64 r4 r0");
    // Overlapping upwards and downwards: mov64 reads both before it writes.
    assert_eq!(steps(&[(1, slot(0)), (2, slot(1))], true), "mov64 r1 r0");
    assert_eq!(steps(&[(0, slot(1)), (1, slot(2))], true), "mov64 r0 r1");
    assert_eq!(
        steps(&[(0, slot(2)), (1, slot(3)), (2, slot(0)), (3, slot(1))], true),
        "mov64 r60 r0; mov64 r0 r2; mov64 r2 r60"
    );
}

#[test]
fn constants_and_memory_come_last_because_nobody_waits_for_them() {
    assert_eq!(steps(&[(0, number(7)), (1, slot(0))], true), "mov r1 r0; r0 = 7");
    assert_eq!(steps(&[(0, From::Memory(8)), (3, slot(0))], true), "mov r3 r0; r0 = [8]");
}

#[test]
fn a_constant_or_memory_pair_is_one_step_where_an_instruction_can_do_it() {
    assert_eq!(steps(&[(2, number(5)), (3, number(0))], true), "ldi64 r2 5");
    assert_eq!(steps(&[(2, number(u32::MAX)), (3, number(u32::MAX))], true), "ldi64 r2 -1");
    assert_eq!(steps(&[(2, number(5)), (3, number(1))], true), "r2 = 5; r3 = 1");
    assert_eq!(steps(&[(2, From::Memory(8)), (3, From::Memory(12))], true), "r2:3 = [8]");
    assert_eq!(steps(&[(2, From::Memory(4)), (3, From::Memory(8))], true), "r2 = [4]; r3 = [8]");
}
