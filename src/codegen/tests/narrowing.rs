//! Masks of values that are small anyway, and of others.

use super::listing::becomes;

/// A loop that keeps a byte, of which each turn makes the next by this operation with a byte from memory.
fn keeping(operation: &str) -> String {
    format!(
        "define i32 @f(ptr %p, i32 %n) {{
        entry:
            br label %loop
        loop:
            %i = phi i32 [ %n, %entry ], [ %j, %loop ]
            %s = phi i8 [ 0, %entry ], [ %t, %loop ]
            %v = load i8, ptr %p
            %t = {operation} i8 %s, %v
            %w = zext i8 %t to i32
            %q = getelementptr i8, ptr %p, i32 %w
            store i8 %t, ptr %q
            %j = add i32 %i, -1
            %c = icmp eq i32 %j, 0
            br i1 %c, label %end, label %loop
        end:
            %r = zext i8 %t to i32
            ret i32 %r
        }}"
    )
}

#[test]
fn what_a_loop_keeps_small_is_not_masked_in_it() {
    becomes(
        &keeping("xor"),
        "
        f(i32, i32) -> i32: 4 slots
            ldi r2, 0
        L1:
            ld8 r3, r0, +0
            xor r2, r2, r3
            stx8 r2, r0, r2
            addbnez r1, -1, L1
            ret32 r2
        ",
    );
}

#[test]
fn what_grows_in_a_loop_is_masked_where_it_is_used() {
    becomes(
        &keeping("add"),
        "
        f(i32, i32) -> i32: 4 slots
            ldi r2, 0
        L1:
            ld8 r3, r0, +0
            add r2, r2, r3
            andb r3, r2, 255
            stx8 r2, r0, r3
            addbnez r1, -1, L1
            andb r0, r2, 255
            ret32 r0
        ",
    );
}
