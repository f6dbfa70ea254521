//! Which registers share slots, which slots they get, and where calls put their windows.

use super::text::read;
use crate::codegen::allocate::{Outcome, allocate};
use crate::codegen::coalesce::Webs;
use crate::codegen::layout;
use crate::codegen::liveness::Liveness;
use crate::codegen::machine::VReg;

/// The slots of the registers in the order of their numbers, `-` for one that is not used; then the windows; then the size of the frame.
fn allocation(text: &str) -> String {
    let mut function = read(text);
    let order = layout::order(&function);
    let mut liveness = Liveness::new(&mut function, &order);
    let webs = Webs::new(&function, &order, &mut liveness);
    let fixed = vec![false; function.widths.len()];
    let outcome = allocate(&function, &order, &liveness, &webs, &fixed).expect("no call is too large");
    let Outcome::Fits(allocation) = outcome else { panic!("everything fits") };
    let slots = allocation.slots.iter().map(|slot| slot.map_or("-".to_owned(), |slot| format!("r{slot}")));
    let windows = allocation.windows.iter().map(|window| format!("w{window}"));
    let parts: Vec<String> = slots.chain(windows).collect();
    format!("{} of {}", parts.join(" "), allocation.frame)
}

/// Whether two registers are in one web.
fn joined(text: &str, a: u32, b: u32) -> bool {
    let mut function = read(text);
    let order = layout::order(&function);
    let mut liveness = Liveness::new(&mut function, &order);
    let webs = Webs::new(&function, &order, &mut liveness);
    webs.find(VReg(a).whole()).0 == webs.find(VReg(b).whole()).0
}

#[test]
fn parameters_stay_where_they_arrive_and_slots_are_used_again() {
    // v2 takes the slot of v1, whose last use is its definition; v3 that of v0.
    let text = "entry:
        parameters v0, v1
        add v2, v1, v1
        add v3, v0, v2
        ret32 v3";
    assert_eq!(allocation(text), "r0 r1 r1 r0 of 2");
}

#[test]
fn a_copy_joins_registers_that_are_never_live_together() {
    // The loop counter and its next value are one register: the copy at the loop's end is gone.
    let counter = "entry:
            parameters v0
            copy v1 <- #0
            jmp loop
        loop:
            addi v2, v1, 1
            copy v1 <- v2
            bltu v1, v0, loop else end
        end:
            ret32 v1";
    assert!(joined(counter, 1, 2));
    // Here the old value is needed after the new one is made.
    let both = "entry:
            parameters v0
            copy v1 <- #0
            jmp loop
        loop:
            addi v2, v1, 1
            add v0, v0, v1
            copy v1 <- v2
            bltu v1, v0, loop else end
        end:
            ret32 v1";
    assert!(!joined(both, 1, 2));
}

#[test]
fn a_single_register_may_become_half_of_a_pair() {
    let text = "entry:
        parameters v0, v1
        copy w2.0 <- v0, w2.1 <- v1
        ret64 w2";
    assert!(joined(text, 0, 2) && joined(text, 1, 2));
    assert_eq!(allocation(text), "r0 r1 r0 of 2");
}

#[test]
fn what_lives_across_a_call_lies_below_its_window() {
    // A call loses everything from two slots below its window on. v1 is needed behind the call, v0 is not: it is moved into the window.
    let text = "entry:
        parameters v0, v1
        call f1 (v0) -> v2
        add v3, v2, v1
        ret32 v3";
    assert_eq!(allocation(text), "r0 r1 r4 r0 w4 of 5");
}

#[test]
fn an_argument_is_computed_in_the_window_and_a_result_used_in_it() {
    let text = "entry:
        parameters v0
        addi v1, v0, 1
        muli v2, v0, 3
        call f1 (v1, v2) -> v3
        call f2 (v3) -> v4
        ret32 v4";
    assert_eq!(allocation(text), "r0 r2 r3 r2 r2 w2 w2 of 4");
}

#[test]
fn the_arguments_of_a_tail_call_are_computed_in_their_places() {
    // v3 becomes the first argument, v2 the second; nothing has to move.
    let text = "entry:
        parameters v0, v1
        addi v2, v0, 1
        addi v3, v1, 1
        tcall f1 (v3, v2)";
    assert_eq!(allocation(text), "r0 r1 r2 r0 of 3");
}

#[test]
fn a_tail_call_needs_a_frame_that_holds_its_arguments() {
    assert_eq!(allocation("entry:\nparameters v0\ntcall f1 (v0, #1, #2, #3)"), "r0 of 4");
    assert_eq!(allocation("entry:\nparameters v0\ntcalli v0 (#1, #2)"), "r0 of 3", "and the address behind them");
}

#[test]
fn a_hole_in_the_life_of_one_value_is_room_for_another() {
    // v3 lies in the slot of v1 while v1 has no value.
    let text = "entry:
        parameters v0, v1
        add v2, v0, v1
        addi v3, v2, 5
        add v4, v3, v2
        copy v1 <- #1
        add v5, v4, v1
        add v6, v5, v0
        ret32 v6";
    assert_eq!(allocation(text), "");
}
