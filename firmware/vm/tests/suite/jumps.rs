//! setjmp and longjmp: back to a frame that is still active, and nowhere else.

use espb_vm::{Context, Stacks, Trap, TrapKind};

use crate::common::{ModuleBuilder, TestHost, outcome, with_instance};

/// Function 0 sets a jump with the buffer at the start of linear memory and calls function 1 with `(depth, value)`, which calls itself
/// `depth` times and jumps back with `value`. Function 0 gives 1000 × what it got there + its own r0.
fn nested() -> ModuleBuilder {
    let outer = "adram r8 0\nsetjmp r2 r8\nbnez r2 back\nmov r12 r0\nmov r13 r1\ncall r12 1\nunreachable\nback:\nldi r3 1000\nmul r2 r2 r3\nadd r2 r2 r0\nret32 r2";
    let inner = "bnez r0 deeper\nadram r8 0\nlongjmp r8 r1\ndeeper:\naddi r4 r0 -1\nmov r5 r1\ncall r4 1\nret";
    ModuleBuilder::new().function("ii:i", 16, 32, outer).function("ii:", 10, 16, inner)
}

#[test]
fn a_long_jump_comes_back_through_any_number_of_calls() {
    for depth in [0, 1, 9] {
        assert_eq!(outcome(nested(), &TestHost::default(), &[depth, 7]), Ok(7000 + u64::from(depth)));
    }
    assert_eq!(outcome(nested(), &TestHost::default(), &[2, 0]), Ok(1002), "0 becomes 1");
}

#[test]
fn the_linear_stack_comes_back_too() {
    // 16 bytes are taken before setjmp and 64 in between; then the stack pointer is what it was.
    let text = "ldi r9 16\nalloca r9 r9\nadram r8 0\nsetjmp r2 r8\nadsp r10 0\nbnez r2 back\nldi r11 64\nalloca r11 r11\nldi r7 1\nlongjmp r8 r7\nback:\nsub r9 r9 r10\nret32 r9";
    assert_eq!(outcome(ModuleBuilder::new().function(":i", 16, 16, text), &TestHost::default(), &[]), Ok(0));
}

fn kind(module: ModuleBuilder, arguments: &[u32]) -> Result<u64, TrapKind> {
    outcome(module, &TestHost::default(), arguments).map_err(|trap: Trap| trap.kind)
}

#[test]
fn a_frame_that_has_returned_is_gone() {
    let outer = "call r4 1\nadram r8 0\nldi r7 1\nlongjmp r8 r7";
    let inner = "adram r8 0\nsetjmp r2 r8\nret";
    let module = ModuleBuilder::new().function(":", 10, 0, outer).function(":", 10, 0, inner);
    assert_eq!(kind(module, &[]), Err(TrapKind::LongJump));
}

#[test]
fn every_forged_word_of_the_buffer_is_found_out() {
    // Function 0 sets a jump, replaces word r0 of the buffer by r1 and jumps. Its entry frame starts at 16, its setjmp is word 1, its
    // linear stack ends at 0x3fc8_0000 + 256 + 1024. Function 1 has a setjmp as word 11.
    let text = "adram r8 0\nsetjmp r2 r8\nbnez r2 back\nadram r8 0\nbeqi r0 9 as_it_is\nstx32 r1 r8 r0\nas_it_is:\nldi r7 5\nlongjmp r8 r7\nback:\nret32 r2\nret32 r2";
    let other = "adram r8 0\nsetjmp r2 r8\nret";
    let forged = |word: u32, value: u32| {
        let module = ModuleBuilder::new().function("ii:i", 16, 32, text).function(":", 16, 0, other);
        kind(module, &[word, value])
    };
    let top = 0x3fc8_0000 + 256 + 1024;
    assert_eq!(forged(9, 0), Ok(5));
    assert_eq!(forged(0, 16), Ok(5), "the right frame");
    assert_eq!(forged(1, 1), Ok(5), "the right position");
    assert_eq!(forged(2, top - 32), Ok(5), "the right stack pointer");
    for (word, value) in [(0, 0), (0, 12), (0, 20), (0, u32::MAX), (1, 0), (1, 2), (1, 11), (1, u32::MAX)] {
        assert_eq!(forged(word, value), Err(TrapKind::LongJump), "{word} {value}");
    }
    for pointer in [0, top, top - 16, top - 33, top - 1024 - 16, u32::MAX] {
        assert_eq!(forged(2, pointer), Err(TrapKind::LongJump), "{pointer:#x}");
    }
}

#[test]
fn a_buffer_outside_memory_traps_as_an_access() {
    let text = |instruction: &str| ModuleBuilder::new().function("i:", 8, 0, &format!("{instruction}\nret"));
    assert_eq!(kind(text("setjmp r2 r0"), &[4]), Err(TrapKind::Store));
    assert_eq!(kind(text("longjmp r0 r2"), &[4]), Err(TrapKind::Load));
}

#[test]
fn a_jump_does_not_leave_the_entry_from_the_host() {
    let host = TestHost::default().with("again", |call| call.context().call(1, &[]));
    let outer = "adram r8 0\nsetjmp r2 r8\nbnez r2 back\ncallh r4 0\nback:\nret";
    let inner = "adram r8 0\nldi r7 1\nlongjmp r8 r7";
    let module = ModuleBuilder::new().import("again", ":").function(":", 10, 0, outer).function(":", 10, 0, inner);
    assert_eq!(outcome(module, &host, &[]).map_err(|trap| trap.kind), Err(TrapKind::LongJump));
}

#[test]
fn jumping_for_ever_costs_fuel() {
    let module = ModuleBuilder::new().function(":", 10, 0, "adram r8 0\nsetjmp r2 r8\nlongjmp r8 r8");
    with_instance(module, &TestHost::default(), |instance| {
        instance.set_fuel(Some(10_000));
        let mut shadow = [0; 64];
        let context = Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free");
        assert_eq!(context.call(0, &[]).map_err(|trap| trap.kind), Err(TrapKind::OutOfFuel));
    });
}
