//! Two instructions that become one, and what keeps them apart.

use super::listing::becomes;

#[test]
fn a_product_is_added_in_one_instruction() {
    becomes(
        "define i32 @f(i32 %a, i32 %b, i32 %c) {
            %p = mul i32 %a, %b
            %s = add i32 %c, %p
            ret i32 %s
        }",
        "
        f(i32, i32, i32) -> i32: 3 slots
            muladd r2, r0, r1
            ret32 r2
        ",
    );
}

#[test]
fn a_product_that_is_needed_twice_stays_by_itself() {
    becomes(
        "define i32 @f(i32 %a, i32 %b, i32 %c) {
            %p = mul i32 %a, %b
            %s = add i32 %c, %p
            %r = xor i32 %s, %p
            ret i32 %r
        }",
        "
        f(i32, i32, i32) -> i32: 3 slots
            mul r0, r0, r1
            add r1, r2, r0
            xor r0, r1, r0
            ret32 r0
        ",
    );
}

#[test]
fn an_address_in_an_array_is_one_instruction() {
    becomes(
        "define ptr @f(ptr %a, i32 %i) {
            %p = getelementptr [3 x i64], ptr %a, i32 0, i32 %i
            ret ptr %p
        }",
        "
        f(i32, i32) -> i32: 2 slots
            addsl3 r0, r0, r1
            ret32 r0
        ",
    );
}

#[test]
fn a_byte_and_a_bit_come_out_of_a_word_in_one_instruction() {
    becomes(
        "define i32 @f(i32 %a) {
            %h = lshr i32 %a, 9
            %b = and i32 %h, 255
            %l = lshr i32 %a, 3
            %c = and i32 %l, 1
            %r = sub i32 %b, %c
            ret i32 %r
        }",
        "
        f(i32) -> i32: 2 slots
            shruib r1, r0, 9
            shrui1 r0, r0, 3
            sub r0, r1, r0
            ret32 r0
        ",
    );
}

#[test]
fn an_access_moves_its_pointer_on() {
    becomes(
        "define void @f(ptr %from, ptr %to) {
        entry:
            br label %loop
        loop:
            %p = phi ptr [ %from, %entry ], [ %q, %loop ]
            %r = phi ptr [ %to, %entry ], [ %s, %loop ]
            %v = load i8, ptr %p
            store i8 %v, ptr %r
            %q = getelementptr i8, ptr %p, i32 1
            %s = getelementptr i8, ptr %r, i32 1
            %c = icmp eq i8 %v, 0
            br i1 %c, label %end, label %loop
        end:
            ret void
        }",
        "
        f(i32, i32): 3 slots
        L1:
            ld8.post r2, r0, 1
            st8.post r2, r1, 1
            bnez r2, L1
            ret
        ",
    );
}

#[test]
fn a_pointer_moves_on_before_its_load() {
    becomes(
        "define ptr @f(ptr %from) {
        entry:
            br label %loop
        loop:
            %p = phi ptr [ %from, %entry ], [ %q, %loop ]
            %q = getelementptr i8, ptr %p, i32 1
            %v = load i8, ptr %q
            %c = icmp eq i8 %v, 0
            br i1 %c, label %end, label %loop
        end:
            ret ptr %q
        }",
        "
        f(i32) -> i32: 2 slots
        L1:
            ld8.pre r1, r0, 1
            bnez r1, L1
            ret32 r0
        ",
    );
}

#[test]
fn a_loop_that_counts_ends_in_one_instruction() {
    becomes(
        "declare void @g()
        define void @f(i32 %n) {
        entry:
            br label %loop
        loop:
            %i = phi i32 [ %n, %entry ], [ %j, %loop ]
            call void @g()
            %j = add i32 %i, -1
            %c = icmp eq i32 %j, 0
            br i1 %c, label %end, label %loop
        end:
            ret void
        }",
        "
        f(i32): 3 slots
        L1:
            callh w3, g
            addbnez r0, -1, L1
            ret
        ",
    );
}

#[test]
fn a_count_that_the_round_still_needs_is_by_itself() {
    becomes(
        "declare void @g(i32)
        define void @f(i32 %n) {
        entry:
            br label %loop
        loop:
            %i = phi i32 [ %n, %entry ], [ %j, %loop ]
            %j = add i32 %i, -1
            call void @g(i32 %i)
            %k = xor i32 %j, %i
            call void @g(i32 %k)
            %c = icmp eq i32 %j, 0
            br i1 %c, label %end, label %loop
        end:
            ret void
        }",
        "
        f(i32): 5 slots
            jmp L2
        L1:
            mov r0, r1
        L2:
            addi r1, r0, -1
            mov r4, r0
            callh w4, g
            xor r4, r1, r0
            callh w4, g
            bnez r1, L1
            ret
        ",
    );
}
