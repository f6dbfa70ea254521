//! Branches, calls, the stacks, fuel and the stop flag.

use espb_vm::{Context, Frame, Stacks, TrapKind};

use crate::common::{ModuleBuilder, TestHost, outcome, run, with_instance};

#[test]
fn branches_go_where_the_comparison_says() {
    let on_registers: &[(&str, fn(u32, u32) -> bool)] = &[
        ("beq", |a, b| a == b),
        ("bne", |a, b| a != b),
        ("blts", |a, b| (a as i32) < b as i32),
        ("bges", |a, b| a as i32 >= b as i32),
        ("bltu", |a, b| a < b),
        ("bgeu", |a, b| a >= b),
    ];
    let values = [0, 1, 5, 0x7fff_ffff, 0x8000_0000, 0xffff_fffb, u32::MAX];
    for (name, taken) in on_registers {
        for (a, b) in values.iter().flat_map(|a| values.map(|b| (*a, b))) {
            let text = format!("{name} r0 r1 there\nldi r9 1\nret32 r9\nthere:\nldi r9 2\nret32 r9");
            assert_eq!(run("ii:i", &text, &[a, b]), Ok(if taken(a, b) { 2 } else { 1 }), "{name} {a:#x} {b:#x}");
            let immediate = b as i32;
            if (-128..128).contains(&immediate) {
                let text = format!("{name}i r0 {immediate} there\nldi r9 1\nret32 r9\nthere:\nldi r9 2\nret32 r9");
                assert_eq!(run("ii:i", &text, &[a, b]), Ok(if taken(a, b) { 2 } else { 1 }), "{name}i {a:#x} {b:#x}");
            }
        }
    }
    for a in values {
        let text = "bnez r0 there\nbeqz r0 other\nunreachable\nthere:\nldi r9 2\nret32 r9\nother:\njmp end\nunreachable\nend:\nldi r9 1\nret32 r9";
        assert_eq!(run("i:i", text, &[a]), Ok(if a != 0 { 2 } else { 1 }));
    }
}

#[test]
fn switch_takes_the_entry_or_goes_past_the_table() {
    let text = "again:\nswitch r0 3\n.entry zero\n.entry one\n.entry back\nldi r9 9\nret32 r9\nzero:\nldi r9 10\nret32 r9\none:\nldi r9 11\nret32 r9\nback:\naddi r0 r0 -1\njmp again";
    for (value, expected) in [(0, 10), (1, 11), (2, 11), (3, 9), (u32::MAX, 9)] {
        assert_eq!(run("i:i", text, &[value]), Ok(expected));
    }
}

/// Fibonacci by recursion: calls, windows, results, the linear frame.
fn fibonacci() -> ModuleBuilder {
    let text = "bltsi r0 2 small\nstsp32 r0 0\naddi r4 r0 -1\ncall r4 0\nmov64 r2 r4\nldsp32 r0 0\naddi r8 r0 -2\ncall r8 0\nadd64 r2 r2 r8\nret64 r2\nsmall:\nzext64 r2 r0\nret64 r2";
    ModuleBuilder::new().function("i:l", 10, 16, text)
}

#[test]
fn calls_nest_and_return() {
    assert_eq!(outcome(fibonacci(), &TestHost::default(), &[20]), Ok(6765));
}

#[test]
fn a_call_keeps_the_callers_registers_and_stack() {
    let main = "stsp32 r0 3\nldi r4 3\nldi r5 4\ncall r4 1\nldsp32 r6 3\nadd r0 r0 r6\nadd r0 r0 r4\nret32 r0";
    let module = ModuleBuilder::new().function("i:i", 8, 16, main).function(
        "ii:i",
        3,
        32,
        "stsp32 r1 0\nmul r0 r0 r1\nldi r2 99\nret32 r0",
    );
    assert_eq!(outcome(module, &TestHost::default(), &[1000]), Ok(2012));
}

#[test]
fn endless_recursion_exhausts_either_stack() {
    let shadow = ModuleBuilder::new().function(":", 4, 0, "call r2 0\nret");
    let trap = outcome(shadow, &TestHost::default(), &[]).expect_err("the shadow stack is small");
    assert_eq!((trap.kind, trap.function, trap.offset), (TrapKind::ShadowStackOverflow, 0, 0));
    let linear = ModuleBuilder::new().function(":", 4, 256, "mov r1 r1\ncall r2 0\nret");
    let trap = outcome(linear, &TestHost::default(), &[]).expect_err("the linear stack is small");
    assert_eq!((trap.kind, trap.function, trap.offset, trap.value), (TrapKind::LinearStackOverflow, 0, 4, 256));
}

#[test]
fn a_frame_that_just_fits_is_no_overflow() {
    // Entry header 16 bytes and 4 slots, then 10 calls with a window at slot 2.
    let mut module = ModuleBuilder::new().function("i:", 4, 16, "beqz r0 end\naddi r2 r0 -1\ncall r2 0\nend:\nret");
    module.limits.shadow_stack = 16 + 16 + 10 * 8;
    module.limits.stack = 11 * 16;
    with_instance(module, &TestHost::default(), |instance| {
        let mut shadow = vec![0; instance.layout().shadow_stack as usize / 4];
        let context = Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free");
        assert_eq!(context.call(0, &[10]), Ok(0));
        // The innermost frame's registers are all 0.
        assert_eq!(context.shadow_peak(), instance.layout().shadow_stack - 16);
        assert_eq!(context.call(0, &[11]).map_err(|trap| trap.kind), Err(TrapKind::ShadowStackOverflow));
    });
}

#[test]
fn an_entry_that_just_fits_is_no_overflow() {
    // Header 16 bytes and 4 slots.
    for (words, fits) in [(8, true), (7, false), (3, false), (0, false)] {
        with_instance(ModuleBuilder::new().function(":", 4, 0, "ret"), &TestHost::default(), |instance| {
            let mut shadow = vec![0; words];
            let context = Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free");
            assert_eq!(context.call(0, &[]).is_ok(), fits, "{words} words");
        });
    }
}

#[test]
fn alloca_moves_the_stack_pointer_and_spset_restores_it() {
    let text = "adsp r4 0\nalloca r5 r0\nsub r6 r4 r5\nadsp r7 0\nsne r8 r5 r7\nspset r4\nadsp r7 0\nsne r9 r4 r7\nor r8 r8 r9\nmuli r8 r8 100\nadd r6 r6 r8\nret32 r6";
    for (size, moved) in [(0, 0), (1, 16), (16, 16), (17, 32), (960, 960)] {
        assert_eq!(run("i:i", text, &[size]), Ok(moved), "{size}");
    }
    for size in [961, 0x7fff_ffff, u32::MAX] {
        let trap = run("i:i", text, &[size]).expect_err("more than the stack");
        assert_eq!((trap.kind, trap.value), (TrapKind::LinearStackOverflow, size));
    }
    // Above its own frame, below the stack, or askew.
    for offset in [16, 1024, -1024i32, 8, -8] {
        let trap =
            run("i:", "adsp r4 0\nadd r4 r4 r0\nspset r4\nret", &[offset as u32]).expect_err("never had this value");
        assert_eq!(trap.kind, TrapKind::StackPointer, "{offset}");
    }
}

#[test]
fn indirect_calls_accept_thunks_of_the_right_type_only() {
    let module = || {
        let mut module = ModuleBuilder::new();
        let wanted = module.signature("i:i");
        module
            .function("i:i", 8, 0, &format!("ldi r4 20\ncalli r4 r0 {wanted}\nret32 r4"))
            .function("i:i", 1, 0, "addi r0 r0 1\nret32 r0")
            .function("ii:i", 2, 0, "ret32 r0")
            .callback(1)
            .callback(2)
    };
    let call = |address| outcome(module(), &TestHost::default(), &[address]);
    assert_eq!(call(0x4200_1000), Ok(21));
    let trap = call(0x4200_1008).expect_err("another type");
    assert_eq!((trap.kind, trap.value, trap.offset), (TrapKind::IndirectSignature, 0x4200_1008, 4));
    for address in [0, 0x4200_0ff8, 0x4200_1004, 0x4200_1010, u32::MAX] {
        let trap = call(address).expect_err("no thunk of this instance");
        assert_eq!((trap.kind, trap.value), (TrapKind::IndirectCall, address), "{address:#x}");
    }
    let by_name = ModuleBuilder::new()
        .function(":i", 8, 0, "adfn r5 0\nldi r2 1\ncalli r2 r5 1\nret32 r2")
        .function("i:i", 1, 0, "addi r0 r0 1\nret32 r0")
        .callback(1);
    assert_eq!(outcome(by_name, &TestHost::default(), &[]), Ok(2));
}

#[test]
fn what_an_indirect_call_found_is_taken_for_no_other_call() {
    // By r0 with the type i:i, then by r1 with a type of its own.
    let module = |types: &str| {
        let mut module = ModuleBuilder::new();
        let (first, second) = (module.signature("i:i"), module.signature(types));
        let text = format!(
            "ldi r4 20\ncalli r4 r0 {first}\nmov r9 r4\nldi r4 30\ncalli r4 r1 {second}\nmuli r9 r9 100\nadd r4 r4 r9\nret32 r4"
        );
        module
            .function("ii:i", 12, 0, &text)
            .function("i:i", 1, 0, "addi r0 r0 1\nret32 r0")
            .function("i:i", 1, 0, "addi r0 r0 2\nret32 r0")
            .callback(1)
            .callback(2)
    };
    let call = |types, second| outcome(module(types), &TestHost::default(), &[0x4200_1000, second]);
    assert_eq!(call("i:i", 0x4200_1000), Ok(2131));
    assert_eq!(call("i:i", 0x4200_1008), Ok(2132));
    assert_eq!(call("i:i", 0).map_err(|trap| trap.kind), Err(TrapKind::IndirectCall));
    assert_eq!(call("ii:i", 0x4200_1000).map_err(|trap| trap.kind), Err(TrapKind::IndirectSignature));
}

#[test]
fn traps_in_the_code_are_told_apart() {
    assert_eq!(run(":", "unreachable", &[]).map_err(|trap| trap.kind), Err(TrapKind::Unreachable));
    let trap = run(":", "trap 17", &[]).expect_err("a trap");
    assert_eq!((trap.kind, trap.value), (TrapKind::Explicit, 17));
}

#[test]
fn the_report_holds_the_frames() {
    let module = ModuleBuilder::new()
        .function(":", 8, 0, "mov r1 r1\ncall r2 1\nret")
        .function(":", 8, 0, "adfn r4 0\ncalli r5 r4 0\nret")
        .function(":", 8, 0, "mov r0 r0\nunreachable")
        .callback(2);
    with_instance(module, &TestHost::default(), |instance| {
        let mut shadow = vec![0; 256];
        let context = Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free");
        context.call(0, &[]).expect_err("unreachable");
        let report = instance.report().expect("it has trapped");
        let expected = [
            Frame { function: 2, offset: 28 + 4 },
            Frame { function: 1, offset: 16 },
            Frame { function: 0, offset: 4 },
        ];
        assert_eq!(report.frames(), expected);
        assert_eq!((report.trap.function, report.trap.offset), (2, 32));
    });
}

/// Counts down: a backward branch each time.
const LOOP: &str = "again:\naddi r0 r0 -1\nbnez r0 again\nret";

#[test]
fn fuel_pays_for_backward_branches_and_calls_to_the_unit() {
    for (module, arguments, cost) in [
        (ModuleBuilder::new().function("i:", 4, 0, LOOP), vec![3001], 3000),
        (ModuleBuilder::new().function(":", 4, 0, "call r2 1\ncall r2 1\nret").function(":", 1, 0, "ret"), vec![], 2),
        (ModuleBuilder::new().function(":", 4, 0, "jmp on\nunreachable\non:\nret"), vec![], 0),
    ] {
        with_instance(module, &TestHost::default(), |instance| {
            let mut shadow = vec![0; 256];
            let context = Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free");
            instance.set_fuel(Some(cost + 5000));
            assert_eq!(context.call(0, &arguments), Ok(0));
            drop(context);
            assert_eq!(instance.fuel(), Some(5000));
            if cost > 0 {
                instance.set_fuel(Some(cost - 1));
                let mut shadow = vec![0; 256];
                let context =
                    Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free again");
                assert_eq!(context.call(0, &arguments).map_err(|trap| trap.kind), Err(TrapKind::OutOfFuel));
            }
        });
    }
}

#[test]
fn a_jump_to_itself_costs_fuel() {
    with_instance(ModuleBuilder::new().function(":", 4, 0, "jmp 0"), &TestHost::default(), |instance| {
        let mut shadow = vec![0; 256];
        instance.set_fuel(Some(100_000));
        let context = Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free");
        assert_eq!(context.call(0, &[]).map_err(|trap| trap.kind), Err(TrapKind::OutOfFuel));
    });
}

#[test]
fn another_task_stops_an_endless_loop() {
    with_instance(ModuleBuilder::new().function(":", 4, 0, "jmp 0"), &TestHost::default(), |instance| {
        std::thread::scope(|scope| {
            let task = scope.spawn(|| {
                let mut shadow = vec![0; 256];
                let context = Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free");
                context.call(0, &[]).map_err(|trap| trap.kind)
            });
            instance.stop();
            assert_eq!(task.join().expect("the task does not panic"), Err(TrapKind::Stopped));
        });
    });
}

#[test]
fn long_blocks_of_memory_cost_fuel_by_their_length() {
    // 1 KB is worth four units; what is shorter than 256 bytes is free.
    for (length, fuel, left, kind) in [
        (1024, 4, 0, None),
        (1024, 3, 0, Some(TrapKind::OutOfFuel)),
        (255, 0, 0, None),
        (256, 1, 0, None),
        (511, 5, 4, None),
    ] {
        for text in ["memset r2 r1 r0", "memmove r2 r2 r0"] {
            let module = ModuleBuilder::new().function("i:", 4, 1024, &format!("adsp r2 0\n{text}\nret"));
            with_instance(module, &TestHost::default(), |instance| {
                instance.set_fuel(Some(fuel));
                let mut shadow = vec![0; 64];
                let context = Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free");
                assert_eq!(context.call(0, &[length]).err().map(|trap| trap.kind), kind, "{text} {length} {fuel}");
                drop(context);
                assert_eq!(instance.fuel(), Some(left), "{text} {length} {fuel}");
            });
        }
    }
}

#[test]
fn a_context_with_a_budget_stops_where_the_instance_would_go_on() {
    let module = ModuleBuilder::new().function("i:", 4, 0, "again:\naddi r0 r0 -1\nbnez r0 again\nret");
    with_instance(module, &TestHost::default(), |instance| {
        let mut shadow = vec![0; 64];
        let context = Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free");
        context.set_budget(Some(5000));
        assert_eq!(context.call(0, &[5001]), Ok(0), "a budget is for each time that it is set");
        context.set_budget(Some(5000));
        assert_eq!(context.call(0, &[5002]).map_err(|trap| trap.kind), Err(TrapKind::OutOfFuel));
    });
}
