//! Where values are live: instruction n of the numbering reads at 2n and writes at 2n + 1; the end of a block counts as an instruction.

use super::text::{read, trimmed, write};
use crate::codegen::layout;
use crate::codegen::liveness::Liveness;
use crate::codegen::machine::{Function, VReg};

fn liveness(function: &mut Function) -> Liveness {
    let order = layout::order(function);
    Liveness::new(function, &order)
}

/// The segments of a lane as `start..end`.
fn segments(liveness: &Liveness, register: u32, lane: u8) -> Vec<String> {
    let segments = &liveness.segments[liveness.lane(VReg(register).lane(lane))];
    segments.iter().map(|segment| format!("{}..{}", segment.start, segment.end)).collect()
}

#[test]
fn a_value_lives_from_its_definition_to_its_last_use() {
    // Instructions 0 to 4.
    let mut function = read(
        "entry:
            parameters v0, v1
            add v2, v0, v1
            add v3, v2, v0
            add v4, v3, v2
            ret32 v4",
    );
    let liveness = liveness(&mut function);
    assert_eq!(segments(&liveness, 0, 0), ["1..5"], "v0: read last by instruction 2, at 4");
    assert_eq!(segments(&liveness, 1, 0), ["1..3"]);
    assert_eq!(segments(&liveness, 2, 0), ["3..7"]);
    assert_eq!(segments(&liveness, 4, 0), ["7..9"], "the end of the block reads it");
}

#[test]
fn a_value_that_a_loop_needs_again_lives_through_all_of_it() {
    // v0 is read in the loop only, and needed in each turn; v2 is made and used up within one.
    let mut function = read(
        "entry:
            parameters v0
            copy v1 <- #0
            jmp loop
        loop:
            addi v2, v0, 1
            add v1, v1, v2
            blts v1, v0, loop else end
        end:
            ret32 v1",
    );
    let liveness = liveness(&mut function);
    // The loop is instructions 3 to 5; its end is position 12.
    assert_eq!(segments(&liveness, 0, 0), ["1..12"]);
    assert_eq!(segments(&liveness, 2, 0), ["7..9"]);
}

#[test]
fn a_value_is_not_live_where_it_will_be_written_before_it_is_read() {
    // Between its last use and the second definition v1 leaves room for others.
    let mut function = read(
        "entry:
            parameters v0
            copy v1 <- v0
            addi v2, v1, 1
            addi v3, v2, 1
            copy v1 <- v3
            ret32 v1",
    );
    assert_eq!(segments(&liveness(&mut function), 1, 0), ["3..5", "9..11"]);
}

#[test]
fn what_nobody_reads_is_dropped_and_what_does_more_is_kept() {
    let mut function = read(
        "entry:
            parameters v0, v1
            add v2, v0, v1
            mul v3, v2, v0
            divs v4, v0, v1
            ld32 v5, v0, 0
            call f1 (v0) -> v6
            ret32 v1",
    );
    liveness(&mut function);
    // A division and a load may trap, a call may do anything.
    let expected = "parameters v0, v1
        copy
        copy
        divs v4, v0, v1
        ld32 v5, v0, 0
        call f1 (v0) -> v6";
    assert_eq!(trimmed(&write(&function, 0)), trimmed(expected));
}

#[test]
fn lanes_live_and_die_by_themselves() {
    let mut function = read(
        "entry:
            parameters w0
            copy v1 <- w0.1
            addi v2, v1, 1
            add v3, v2, w0
            ret32 v3",
    );
    let liveness = liveness(&mut function);
    assert_eq!(segments(&liveness, 0, 1), ["1..3"]);
    assert_eq!(segments(&liveness, 0, 0), ["1..7"]);
}

#[test]
fn behind_a_setjmp_values_live_everywhere() {
    // A later call may come back to the setjmp, so what is live behind it must never lose its place; v3 may.
    let mut function = read(
        "entry:
            parameters v0, v1
            setjmp v2, v1
            addi v3, v0, 1
            call f1 (v3) -> v4
            add v5, v0, v4
            ret32 v5",
    );
    let liveness = liveness(&mut function);
    assert_eq!(segments(&liveness, 0, 0), ["0..12"]);
    assert_eq!(segments(&liveness, 3, 0), ["5..7"]);
}

#[test]
fn calls_are_listed_with_their_positions() {
    let mut function = read(
        "entry:
            parameters v0
            call f1 (v0) -> v1
            call f2 (v1) -> v2
            ret32 v2",
    );
    let positions: Vec<u32> = liveness(&mut function).calls.iter().map(|call| call.position).collect();
    assert_eq!(positions, [2, 4]);
}
