//! Where arguments and results lie: in windows, in the caller's frame, in the place of one's own.

use super::listing::becomes;

#[test]
fn arguments_and_results_stay_in_the_window() {
    // %a lives across both calls, so the windows lie above it; %x is never moved.
    becomes(
        "declare i32 @g(i32, i64)
        define i32 @f(i32 %a, i32 %b) {
            %w = sext i32 %b to i64
            %x = call i32 @g(i32 %a, i64 %w)
            %y = call i32 @g(i32 %x, i64 5)
            %z = sub i32 %y, %a
            ret i32 %z
        }",
        "
        f(i32, i32) -> i32: 6 slots
            sext64    r4:5, r1
            mov       r3, r0
            callh     w3, g
            ldi64     r4:5, 5
            callh     w3, g
            sub       r0, r3, r0
            ret32     r0
        ",
    );
}

#[test]
fn a_guaranteed_tail_call_puts_the_arguments_in_place_of_its_own() {
    becomes(
        "define i32 @f(i32 %a, i32 %b, i64 %c) {
            %d = add i32 %a, 1
            %r = musttail call i32 @g(i32 %b, i32 %d, i64 %c)
            ret i32 %r
        }
        define internal i32 @g(i32 %a, i32 %b, i64 %c) noinline {
            ret i32 %b
        }",
        "
        f(i32, i32, i64) -> i32: 6 slots
            addi      r0, r0, 1
            mov       r4, r0
            mov       r0, r1
            mov       r1, r4
            tcall     g
        g(i32, i32, i64) -> i32: 4 slots
            ret32     r1
        ",
    );
}

#[test]
fn the_address_of_an_indirect_tail_call_is_moved_out_of_the_arguments_way() {
    becomes(
        "define i32 @f(ptr %g, i32 %a) {
            %r = musttail call i32 %g(ptr null, i32 %a)
            ret i32 %r
        }",
        "
        f(i32, i32) -> i32: 3 slots
            mov       r2, r0
            ldi       r0, 0
            tcalli    r2, signature 0
        ",
    );
}

#[test]
fn a_variadic_function_hands_its_arguments_on() {
    becomes(
        "define void @f(ptr %this, ...) {
            %adjusted = getelementptr i8, ptr %this, i32 -8
            musttail call void (ptr, ...) @g(ptr %adjusted, ...)
            ret void
        }
        define internal void @g(ptr %this, ...) noinline {
            %list = alloca ptr
            call void @llvm.va_start(ptr %list)
            %at = load ptr, ptr %list
            %first = load i32, ptr %at
            store i32 %first, ptr %this
            ret void
        }",
        "
        f(i32, i32): 2 slots
            addi      r0, r0, -8
            tcall     g
        g(i32, i32): 3 slots, linear frame 16
            adsp      r2, sp+0
            st32      r1, r2, +0
            ldsp32    r1, sp+0
            ld32      r1, r1, +0
            st32      r1, r0, +0
            ret
        ",
    );
}

#[test]
fn a_host_function_in_the_tail_is_called_and_its_result_returned() {
    becomes(
        "declare i32 @g(i32)
        define i32 @f(i32 %a) {
            %r = musttail call i32 @g(i32 %a)
            ret i32 %r
        }",
        "
        f(i32) -> i32: 3 slots
            mov       r2, r0
            callh     w2, g
            ret32     r2
        ",
    );
}

#[test]
fn arguments_beyond_the_signature_lie_in_the_callers_frame() {
    // 26 parameters: 23 in registers, the address of the others as the 24th. The 8-byte one lies at a multiple of 8.
    let first: Vec<String> = (0..23).map(|index| format!("i32 %p{index}")).collect();
    let zeros = vec!["i32 0"; 23].join(", ");
    becomes(
        &format!(
            "define i32 @f(i32 %a, i64 %b) {{
                %r = call i32 @g({zeros}, i32 %a, i64 %b, i32 7)
                ret i32 %r
            }}
            define internal i32 @g({}, i32 %x, i64 %y, i32 %z) noinline {{
                %w = trunc i64 %y to i32
                %s = add i32 %w, %z
                ret i32 %s
            }}",
            first.join(", ")
        ),
        "
        f(i32, i64) -> i32: 26 slots, linear frame 32
            stsp32    r0, sp+0
            stsp32    r1, sp+8
            stsp32    r2, sp+12
            ldi       r0, 7
            stsp32    r0, sp+16
            ldi64     r2:3, 0
            ldi64     r4:5, 0
            ldi64     r6:7, 0
            ldi64     r8:9, 0
            ldi64     r10:11, 0
            ldi64     r12:13, 0
            ldi64     r14:15, 0
            ldi64     r16:17, 0
            ldi64     r18:19, 0
            ldi64     r20:21, 0
            ldi64     r22:23, 0
            ldi       r24, 0
            adsp      r25, sp+0
            call      w2, g
            ret32     r2
        g(i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32, i32) -> i32: 24 slots
            ld64      r0:1, r23, +8
            ld32      r1, r23, +16
            add       r0, r0, r1
            ret32     r0
        ",
    );
}
