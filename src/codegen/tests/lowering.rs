//! Instruction selection: what an IR instruction becomes, and what costs nothing.

use super::listing::becomes;

#[test]
fn an_address_folds_into_the_access_and_a_comparison_into_the_branch() {
    becomes(
        "define i32 @f(ptr %p, i32 %n) {
        entry:
            br label %loop
        loop:
            %i = phi i32 [ 0, %entry ], [ %j, %loop ]
            %s = phi i32 [ 0, %entry ], [ %t, %loop ]
            %a = getelementptr i32, ptr %p, i32 %i
            %v = load i32, ptr %a
            %t = add i32 %s, %v
            %j = add i32 %i, 1
            %c = icmp ult i32 %j, %n
            br i1 %c, label %loop, label %end
        end:
            ret i32 %t
        }",
        "
        f(i32, i32) -> i32: 5 slots
            ldi64 r2:3, 0
        L1:
            ldx32 r4, r0, r2
            add r3, r3, r4
            addi r2, r2, 1
            bltu r2, r1, L1
            ret32 r3
        ",
    );
}

#[test]
fn variables_are_reached_directly_and_signs_extended_by_the_load() {
    becomes(
        "@x = internal global i32 0
        @y = internal global [4 x i16] [i16 1, i16 2, i16 3, i16 4]
        @z = internal constant [2 x i32] [i32 7, i32 8]
        define i32 @f(i32 %i) {
            %a = load i32, ptr @x
            %q = getelementptr i16, ptr @y, i32 %i
            %h = load i16, ptr %q
            %s = sext i16 %h to i32
            %r = getelementptr i32, ptr @z, i32 %i
            %k = load i32, ptr %r
            %b = add i32 %a, %s
            %c = add i32 %b, %k
            store i32 %c, ptr @x
            store i16 1, ptr @y
            ret i32 %c
        }",
        "
        f(i32) -> i32: 4 slots
            ldg32 r1, ram+8
            adram r2, ram+0
            ldx16s r2, r2, r0
            adro r3, ro+0
            ldx32 r0, r3, r0
            add r1, r1, r2
            add r0, r1, r0
            stg32 r0, ram+8
            ldi r1, 1
            stg16 r1, ram+0
            ret32 r0
        ",
    );
}

#[test]
fn narrow_integers_are_extended_only_where_it_matters() {
    becomes(
        "define i32 @f(i8 %a, i8 %b, i32 %c) {
            %x = add i8 %a, %b
            %t = icmp ugt i8 %x, 9
            %s = select i1 %t, i32 100000, i32 %c
            ret i32 %s
        }",
        "
        f(i32, i32, i32) -> i32: 3 slots
            add r0, r0, r1
            andb r0, r0, 255
            sltui r0, r0, 10
            ldi.w r1, 100000
            movnz r1, r2, r0
            ret32 r1
        ",
    );
}

#[test]
fn halves_of_a_pair_are_registers_of_their_own() {
    becomes(
        "define i64 @f(i64 %a, i32 %b) {
            %h = lshr i64 %a, 32
            %t = trunc i64 %h to i32
            %z = zext i32 %t to i64
            %y = zext i32 %b to i64
            %m = mul i64 %z, %y
            %n = and i64 %m, 4294967040
            ret i64 %n
        }",
        "
        f(i64, i32) -> i64: 3 slots
            mulwu r0:1, r1, r2
            andi.w r0, r0, -256
            ldi r1, 0
            ret64 r0:1
        ",
    );
}
