//! What happens to a register for which there is no slot.

use super::text::{read, trimmed, write};
use crate::codegen::allocate::{Outcome, allocate};
use crate::codegen::coalesce::Webs;
use crate::codegen::layout;
use crate::codegen::liveness::Liveness;
use crate::codegen::machine::{Function, VReg};
use crate::codegen::spill::spill;

/// Holds the first block of a function to `expected` after a register was moved out.
fn spilled(text: &str, register: u32, expected: &str) -> Function {
    let mut function = read(text);
    let order = layout::order(&function);
    let mut fixed = vec![false; function.widths.len()];
    let web = (0..1).map(|lane| (VReg(register), lane)).collect();
    spill(&mut function, &order, &[web], &mut fixed);
    assert_eq!(trimmed(&write(&function, 0)), trimmed(expected));
    function
}

#[test]
fn a_register_in_memory_is_stored_where_it_is_made_and_loaded_where_it_is_used() {
    // v1 lives in the first 8 bytes of the linear frame; each access has a short-lived register of its own.
    let function = spilled(
        "entry:
            parameters v0
            addi v1, v0, 1
            add v2, v1, v0
            add v3, v2, v1
            ret32 v3",
        1,
        "parameters v0
        addi v4, v0, 1
        stsp32 v4, 0
        copy v5 <- [0]
        add v2, v5, v0
        copy v6 <- [0]
        add v3, v2, v6",
    );
    assert_eq!(function.frame, 8);
}

#[test]
fn a_register_that_only_ever_holds_a_constant_is_made_anew() {
    let function = spilled(
        "entry:
            parameters v0
            copy v1 <- #1000000
            add v2, v0, v1
            call f1 (v1, v2) -> v3
            ret32 v3",
        1,
        "parameters v0
        copy
        copy v4 <- #1000000
        add v2, v0, v4
        call f1 (#1000000, v2) -> v3",
    );
    assert!(function.frame <= 8, "nothing is stored");
}

#[test]
fn copies_and_calls_take_what_is_in_memory_without_a_register() {
    spilled(
        "entry:
            parameters v0, v1
            copy v2 <- v0
            call f1 (v1, v2) -> v3
            add v4, v3, v0
            ret32 v4",
        0,
        "parameters v5, v1
        stsp32 v5, 0
        copy v2 <- [0]
        call f1 (v1, v2) -> v3
        copy v6 <- [0]
        add v4, v3, v6",
    );
}

#[test]
fn the_end_of_a_block_loads_what_it_reads() {
    let function = spilled(
        "entry:
            parameters v0, v1
            tcalli v0 (v1)",
        0,
        "parameters v2, v1
        stsp32 v2, 0
        copy v3 <- [0]",
    );
    let mut read = Vec::new();
    function.blocks[0].terminator.for_each_use(|reg| read.push(reg.vreg.0));
    assert_eq!(read, [3, 1]);
}

/// Registers that do not get a slot, with 70 values alive across a call.
fn crowded(extra: &str) -> Vec<u32> {
    let numbers = || 2..72;
    let made: String = numbers().map(|number| format!("addi v{number}, v0, {}\n", number % 100)).collect();
    let used: String = numbers().map(|number| format!("add v1, v1, v{number}\n")).collect();
    let text = format!("entry:\nparameters v0, v1\n{made}call f1 ()\n{extra}{used}ret32 v1");
    let mut function = read(&text);
    let order = layout::order(&function);
    let mut liveness = Liveness::new(&mut function, &order);
    let webs = Webs::new(&function, &order, &mut liveness);
    let fixed = vec![false; function.widths.len()];
    match allocate(&function, &order, &liveness, &webs, &fixed).expect("no call is too large") {
        Outcome::Spill(webs) => webs.into_iter().flatten().map(|(vreg, _)| vreg.0).collect(),
        Outcome::Fits(_) => Vec::new(),
    }
}

#[test]
fn of_too_many_values_those_go_to_memory_that_are_used_least_for_their_length() {
    // Below the link of the call there are 62 slots for 71 values.
    let spilled = crowded("");
    assert_eq!(spilled.len(), 9);
    // A value that is used often meanwhile is none of them.
    let often = "add v1, v1, v40\n".repeat(20);
    assert!(!crowded(&often).contains(&40));
}
