//! Where constants are made.

use super::listing::becomes;

#[test]
fn a_constant_of_a_loop_is_made_before_it() {
    becomes(
        "define void @f(ptr %p, i32 %n) {
        entry:
            br label %loop
        loop:
            %i = phi i32 [ %n, %entry ], [ %j, %loop ]
            %q = getelementptr i32, ptr %p, i32 %i
            store i32 1000003, ptr %q
            %j = add i32 %i, -1
            %c = icmp eq i32 %j, 0
            br i1 %c, label %end, label %loop
        end:
            ret void
        }",
        "
        f(i32, i32): 3 slots
            ldi.w r2, 1000003
        L1:
            stx32 r2, r0, r1
            addi r1, r1, -1
            bnez r1, L1
            ret
        ",
    );
}

#[test]
fn a_constant_of_two_places_is_made_once_where_the_first_needs_it() {
    becomes(
        "declare i32 @g()
        define void @f(ptr %p) {
            %a = call i32 @g()
            store i32 1000003, ptr %p
            %b = call i32 @g()
            %q = getelementptr i32, ptr %p, i32 %b
            store i32 1000003, ptr %q
            ret void
        }",
        "
        f(i32): 5 slots
            callh w3, g
            ldi.w r1, 1000003
            st32 r1, r0, +0
            callh w4, g
            stx32 r1, r0, r4
            ret
        ",
    );
}

#[test]
fn a_constant_of_two_sides_is_not_made_for_the_third() {
    becomes(
        "declare i32 @g()
        define void @f(i32 %a, ptr %p) {
            switch i32 %a, label %end [ i32 3, label %one
                                        i32 1000, label %two ]
        one:
            store i32 1000003, ptr %p
            br label %end
        two:
            %b = call i32 @g()
            %q = getelementptr i32, ptr %p, i32 %b
            store i32 1000003, ptr %q
            br label %end
        end:
            ret void
        }",
        "
        f(i32, i32): 5 slots
            ldi r2, 1000
            bgeu r0, r2, L1
            bnei r0, 3, L2
            ldi.w r0, 1000003
            st32 r0, r1, +0
            ret
        L1:
            bne r0, r2, L2
            callh w4, g
            ldi.w r0, 1000003
            stx32 r0, r1, r4
        L2:
            ret
        ",
    );
}
