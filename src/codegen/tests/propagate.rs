//! Copies that go because what they were made from is read instead.

use super::text::read;
use crate::codegen::layout;
use crate::codegen::propagate::propagate;

/// Holds what becomes of `code` to `expected`.
fn becomes(code: &str, expected: &str) {
    let mut function = read(code);
    let order = layout::order(&function);
    propagate(&mut function, &order);
    assert_eq!(function.blocks, read(expected).blocks);
}

#[test]
fn a_copy_goes_where_its_block_reads_it_while_both_are_the_same() {
    becomes(
        "entry:
            parameters v0, v1
            copy v2 <- v0
            add v3, v2, v1
            bne v2, v3, other else end
        other:
            ret32 v0
        end:
            ret32 v3",
        "entry:
            parameters v0, v1
            copy
            add v3, v0, v1
            bne v0, v3, other else end
        other:
            ret32 v0
        end:
            ret32 v3",
    );
}

/// Code that stays as it is.
fn stays(code: &str) {
    becomes(code, code);
}

#[test]
fn a_copy_stays_where_what_it_was_made_from_changes_before_it_is_read() {
    stays(
        "entry:
            parameters v0, v1
            copy v2 <- v0
            addi v0, v0, 1
            add v3, v2, v0
            ret32 v3",
    );
}

#[test]
fn a_copy_stays_where_another_block_reads_it() {
    stays(
        "entry:
            parameters v0, v1
            copy v2 <- v0
            bnez v2, other else end
        other:
            ret32 v2
        end:
            ret32 v0",
    );
}

#[test]
fn a_copy_stays_where_a_setjmp_comes_back_before_it_is_read() {
    stays(
        "entry:
            parameters v0, v1
            copy v2 <- v0
            setjmp v3, v1
            add v3, v3, v2
            ret32 v3",
    );
}
