//! `tcall` and `tcalli`: another function takes over the frame.

use espb_format::error::Reason;
use espb_vm::{Context, Frame, Stacks, TrapKind};

use crate::common::{ModuleBuilder, TestHost, load, outcome, with_instance};

/// Functions 0 and 1 count r0 down in turns; 0 ends with 100, 1 with 101. Each takes half of the linear stack.
fn turns() -> ModuleBuilder {
    let step = |other: u32, end: u32| {
        format!("stsp32 r0 0\nbeqz r0 end\nldsp32 r0 0\naddi r0 r0 -1\ntcall {other}\nend:\nldi r1 {end}\nret32 r1")
    };
    ModuleBuilder::new().function("i:i", 2, 512, &step(1, 100)).function("i:i", 30, 512, &step(0, 101))
}

#[test]
fn a_million_tail_calls_take_one_frame() {
    let mut module = turns();
    module.limits.shadow_stack = 16 + 30 * 4;
    assert_eq!(outcome(module, &TestHost::default(), &[1_000_001]), Ok(101));
}

#[test]
fn the_result_goes_to_the_first_caller() {
    // Function 0 calls 1 with a register and stack data of its own; 1 leaves through 2, of another frame size and another signature.
    let caller = "stsp32 r0 3\nldi r5 40\ncall r5 1\nldsp32 r1 3\nadd r0 r5 r1\nret32 r0";
    let between = "ldi r1 0\nmov64 r2 r0\nldi r0 2\ntcall 2";
    let last = "stsp32 r0 0\nstsp32 r0 15\nadd r0 r0 r2\nret32 r0";
    let module = ModuleBuilder::new()
        .function("i:i", 10, 16, caller)
        .function("i:i", 4, 128, between)
        .function("iil:i", 4, 64, last);
    assert_eq!(outcome(module, &TestHost::default(), &[1000]), Ok(1042));
}

#[test]
fn an_indirect_tail_call_accepts_thunks_of_the_right_type_only() {
    let call = |address| {
        let module = ModuleBuilder::new()
            .function("i:i", 2, 0, "mov r1 r0\nldi r0 20\ntcalli r1 0")
            .function("i:i", 1, 0, "addi r0 r0 1\nret32 r0")
            .function("ii:i", 2, 0, "ret32 r0")
            .callback(1)
            .callback(2);
        outcome(module, &TestHost::default(), &[address])
    };
    assert_eq!(call(0x4200_1000), Ok(21));
    let trap = call(0x4200_1008).expect_err("another type");
    assert_eq!((trap.kind, trap.value, trap.offset), (TrapKind::IndirectSignature, 0x4200_1008, 8));
    assert_eq!(call(0).map_err(|trap| trap.kind), Err(TrapKind::IndirectCall));
}

#[test]
fn the_new_frame_must_fit_both_stacks() {
    let first = "tcall 1";
    let shadow = ModuleBuilder::new().function(":", 1, 0, first).function(":", 64, 0, "ret");
    let mut small = shadow;
    small.limits.shadow_stack = 16 + 63 * 4;
    let trap = outcome(small, &TestHost::default(), &[]).expect_err("63 slots are left for 64");
    assert_eq!((trap.kind, trap.function, trap.offset), (TrapKind::ShadowStackOverflow, 0, 0));
    let frame = |bytes| ModuleBuilder::new().function(":", 1, 16, first).function(":", 1, bytes, "ret");
    assert_eq!(outcome(frame(1024), &TestHost::default(), &[]), Ok(0), "the whole stack: the first frame is gone");
    let trap = outcome(frame(1040), &TestHost::default(), &[]).expect_err("more than the stack");
    assert_eq!((trap.kind, trap.value, trap.function), (TrapKind::LinearStackOverflow, 1040, 0));
}

#[test]
fn each_costs_a_unit_of_fuel() {
    for (fuel, expected) in [(1000, Ok(100)), (999, Err(TrapKind::OutOfFuel))] {
        with_instance(turns(), &TestHost::default(), |instance| {
            instance.set_fuel(Some(fuel));
            let mut shadow = vec![0; 256];
            let context = Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free");
            assert_eq!(context.call(0, &[1000]).map_err(|trap| trap.kind), expected);
        });
    }
}

#[test]
fn the_report_has_the_function_that_runs_in_the_frame() {
    let module = ModuleBuilder::new()
        .function(":", 8, 0, "mov r1 r1\ncall r2 1\nret")
        .function(":", 8, 0, "tcall 2")
        .function(":", 8, 0, "unreachable");
    with_instance(module, &TestHost::default(), |instance| {
        let mut shadow = vec![0; 256];
        let context = Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free");
        context.call(0, &[]).expect_err("unreachable");
        let report = instance.report().expect("it has trapped");
        assert_eq!(report.frames(), [Frame { function: 2, offset: 16 }, Frame { function: 0, offset: 4 }]);
    });
}

#[test]
fn a_long_jump_does_not_come_back_to_a_function_that_was_left() {
    // Function 0 sets a jump and leaves through 1, which has no such place; 1 jumps.
    let module = ModuleBuilder::new().function(":", 10, 0, "adram r8 0\nsetjmp r2 r8\ntcall 1").function(
        ":",
        10,
        0,
        "adram r8 0\nldi r7 1\nlongjmp r8 r7",
    );
    assert_eq!(outcome(module, &TestHost::default(), &[]).map_err(|trap| trap.kind), Err(TrapKind::LongJump));
}

#[test]
fn the_verifier_wants_room_for_the_arguments_and_the_same_result() {
    let check = |own: &str, slots: u8, callee: &str| {
        let module = ModuleBuilder::new().function(own, slots, 0, "tcall 1").function(callee, 40, 0, "unreachable");
        load(&module.finish(), &TestHost::default(), |_| ()).err().map(|error| error.reason)
    };
    assert_eq!(check("i:i", 3, "il:i"), None);
    assert_eq!(check("i:i", 2, "il:i"), Some(Reason::Call));
    assert_eq!(check("i:i", 3, "i:l"), Some(Reason::Return));
    assert_eq!(check("i:i", 3, "i:"), Some(Reason::Return));
    assert_eq!(check("i:", 3, "i:i"), Some(Reason::Return));
}
