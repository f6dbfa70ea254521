//! Host functions, callbacks, and host functions that call back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use espb_vm::{Context, Frame, Stacks, Trap, TrapKind};

use crate::common::{ModuleBuilder, TestHost, outcome, signature, with_instance};

#[test]
fn arguments_and_results_of_each_width_cross() {
    let host = TestHost::default()
        .with("mix", |call| {
            assert_eq!(call.arguments.len(), 5);
            assert_eq!(call.signature(), Some(signature("ilfi:l")));
            Ok(call.double_word(1).wrapping_add((call.word(0) + call.word(3) + call.word(4)).into()))
        })
        .with("word", |call| Ok(u64::from(call.word(0)) | 0xdead << 32))
        .with("nothing", |_| Ok(u64::MAX));
    let text = "ldi r4 1\nldi64 r5 -2\nldi r7 3\nldi r8 4\ncallh r4 0\naddi64 r4 r4 1\nmov64 r6 r4\ncallh r6 1\nmov r8 r6\nldi r9 5\ncallh r8 2\nadd64 r4 r4 r6\nret64 r4";
    let module = ModuleBuilder::new()
        .import("mix", "ilfi:l")
        .import("word", "i:i")
        .import("nothing", ":")
        .function(":l", 16, 0, text);
    // 1 − 2 + 3 + 4 + 1 = 7; the second import gives its word 7 and leaves the slot above as it was: 0.
    assert_eq!(outcome(module, &host, &[]), Ok(14));
}

#[test]
fn variadic_calls_carry_their_own_types() {
    let host = TestHost::default().with("sum", |call| {
        assert_eq!(call.signature(), Some(signature("iild:i")));
        Ok(u64::from(call.word(0) + call.word(1)) + call.double_word(2) + f64::from_bits(call.double_word(4)) as u64)
    });
    let mut module = ModuleBuilder::new().import("sum", "i…:i");
    let types = module.signature("iild:i");
    let text = format!("ldi r2 1\nldi r3 2\nldi64 r4 3\nldi r8 4\ni32.f64 r6 r8\ncallhv r2 0 {types}\nret32 r2");
    assert_eq!(outcome(module.function(":i", 16, 0, &text), &host, &[]), Ok(10));
}

#[test]
fn host_functions_reach_the_modules_memory_and_nothing_else() {
    let host = TestHost::default().with("twice", |call| {
        let (memory, address) = (call.memory(), call.word(0));
        let length = memory.string_length(address)?;
        let mut text = vec![0; length as usize];
        memory.read(address, &mut text)?;
        let into = call.word(1);
        memory.write(into, &text)?;
        memory.write(into + length, &text)?;
        Ok(length.into())
    });
    let module = |address: &str| {
        let mut module = ModuleBuilder::new().import("twice", "ii:i");
        module.constants = b"Hi!\0".to_vec();
        module.function(
            "i:i",
            8,
            0,
            &format!("{address}\nadram r3 0\ncallh r2 0\nldg32 r4 0\nmuli r2 r2 0\nadd r2 r2 r4\nret32 r2"),
        )
    };
    assert_eq!(outcome(module("adro r2 0"), &host, &[0]), Ok(u32::from_le_bytes(*b"Hi!H").into()));
    let trap = outcome(module("mov r2 r0"), &host, &[0x3c20_0004]).expect_err("past the constants");
    assert_eq!((trap.kind, trap.import, trap.function, trap.offset), (TrapKind::Load, 0, 0, 8));
}

#[test]
fn a_string_without_an_end_is_a_trap() {
    let mut module = ModuleBuilder::new().function(":", 1, 0, "ret");
    module.constants = b"Hi".to_vec();
    with_instance(module, &TestHost::default(), |instance| {
        assert_eq!(
            instance.memory().string_length(instance.constant_address()).map_err(|trap| trap.kind),
            Err(TrapKind::Load)
        );
    });
}

#[test]
fn host_functions_end_the_instance() {
    let host = TestHost::default()
        .with("exit", |call| Err(Trap::exit(call.word(0) as i32)))
        .with("abort", |_| Err(Trap::new(TrapKind::Abort, 0)))
        .with("picky", |call| Err(call.violation(1, call.word(1))));
    let module = |import| {
        ModuleBuilder::new().import("exit", "i:").import("abort", "i:").import("picky", "ii:").function(
            ":",
            4,
            0,
            &format!("ldi r2 -3\nldi r3 9\ncallh r2 {import}\nret"),
        )
    };
    assert_eq!(outcome(module(0), &host, &[]).map_err(|trap| trap.exit_code()), Err(Some(-3)));
    assert_eq!(outcome(module(1), &host, &[]).map_err(|trap| (trap.kind, trap.offset)), Err((TrapKind::Abort, 8)));
    let trap = outcome(module(2), &host, &[]).expect_err("a contract is broken");
    assert_eq!((trap.kind, trap.import, trap.argument, trap.value), (TrapKind::Contract, 2, 1, 9));
}

/// `main` calls the host, which calls back its argument's thunk with its argument plus one.
fn bouncing(callback: &str) -> ModuleBuilder {
    let main = "stsp32 r0 0\nldi r5 50\nmov r6 r0\nadfn r7 0\nmov r8 r0\ncallh r7 0\nadd r5 r5 r6\nldsp32 r6 0\nadd r5 r5 r6\nadd r5 r5 r7\nret32 r5";
    ModuleBuilder::new()
        .import("bounce", "ii:i")
        .function("i:i", 10, 16, main)
        .function("i:i", 12, 32, callback)
        .callback(1)
}

fn bouncing_host() -> TestHost {
    TestHost::default().with("bounce", |call| {
        let callback = call.instance().thunks().index(call.word(0)).expect("a thunk of the instance");
        call.context().call_callback(callback, &[call.word(1) + 1])
    })
}

#[test]
fn a_callback_runs_on_top_of_the_frames_there_are() {
    // The callback dirties all its registers and its frame; 50 + 7 + 7 + 8 × 2 come out.
    let callback = "ldi r1 -1\nldi r2 -1\nldi r3 -1\nldi r4 -1\nldi64 r5 -1\nldi64 r7 -1\nldi64 r9 -1\nstsp64 r9 0\nstsp64 r9 3\nshli r0 r0 1\nret32 r0";
    assert_eq!(outcome(bouncing(callback), &bouncing_host(), &[7]), Ok(50 + 7 + 7 + 16));
}

#[test]
fn a_trap_in_a_callback_shows_the_frames_below_the_host_call() {
    with_instance(bouncing("mov r0 r0\nunreachable"), &bouncing_host(), |instance| {
        let mut shadow = vec![0; 256];
        let context = Context::new(instance, &mut shadow, Stacks::Main, 2).expect("the main stack is free");
        let trap = context.call(0, &[7]).expect_err("unreachable");
        assert_eq!((trap.kind, trap.function), (TrapKind::Unreachable, 1));
        let report = instance.report().expect("it has trapped");
        assert_eq!(report.frames(), [Frame { function: 1, offset: 11 * 4 + 4 }, Frame { function: 0, offset: 5 * 4 }]);
        assert_eq!(context.call(0, &[7]).map_err(|trap| trap.kind), Err(TrapKind::Stopped));
    });
}

#[test]
fn a_host_that_hides_a_callbacks_trap_cannot_go_on_with_the_module() {
    let host = TestHost::default().with("bounce", |call| {
        assert!(call.context().call_callback(0, &[1]).is_err());
        Ok(0)
    });
    with_instance(bouncing("unreachable"), &host, |instance| {
        let mut shadow = vec![0; 256];
        let context = Context::new(instance, &mut shadow, Stacks::Main, 2).expect("the main stack is free");
        assert_eq!(context.call(0, &[7]).map_err(|trap| trap.kind), Err(TrapKind::Stopped));
        assert_eq!(instance.report().map(|report| report.trap.kind), Some(TrapKind::Unreachable));
    });
}

#[test]
fn callbacks_that_nest_without_end_are_a_trap() {
    let callback = "adfn r4 0\nmov r5 r0\ncallh r4 0\nret32 r4";
    let trap = outcome(bouncing(callback), &bouncing_host(), &[7]).expect_err("four entries at most");
    assert_eq!((trap.kind, trap.value), (TrapKind::EntryDepth, 4));
    for (entries, kind) in [(2, None), (1, Some(TrapKind::EntryDepth)), (0, Some(TrapKind::EntryDepth))] {
        with_instance(bouncing("ret32 r0"), &bouncing_host(), |instance| {
            let mut shadow = vec![0; 256];
            let context = Context::new(instance, &mut shadow, Stacks::Main, entries).expect("the main stack is free");
            assert_eq!(context.call(0, &[7]).err().map(|trap| trap.kind), kind, "{entries} entries");
        });
    }
}

#[test]
fn a_callback_pays_from_the_same_fuel() {
    // The callback takes 9 backward branches, the host call itself nothing.
    let callback = "ldi r1 10\nagain:\naddi r1 r1 -1\nbnez r1 again\nret32 r0";
    for (fuel, left, kind) in [(109, 100, None), (8, 0, Some(TrapKind::OutOfFuel))] {
        with_instance(bouncing(callback), &bouncing_host(), |instance| {
            instance.set_fuel(Some(fuel));
            let mut shadow = vec![0; 256];
            let context = Context::new(instance, &mut shadow, Stacks::Main, 2).expect("the main stack is free");
            assert_eq!(context.call(0, &[7]).err().map(|trap| trap.kind), kind);
            drop(context);
            assert_eq!(instance.fuel(), Some(left));
        });
    }
}

#[test]
fn entries_that_do_not_fit_are_refused() {
    for (function, arguments) in [(0, &[][..]), (0, &[1, 2]), (2, &[1]), (u16::MAX, &[])] {
        with_instance(bouncing("ret32 r0"), &bouncing_host(), |instance| {
            let mut shadow = vec![0; 256];
            let context = Context::new(instance, &mut shadow, Stacks::Main, 2).expect("the main stack is free");
            assert_eq!(
                context.call(function, arguments).map_err(|trap| trap.kind),
                Err(TrapKind::Entry),
                "{function} {arguments:?}"
            );
        });
    }
}

#[test]
fn tasks_share_memory_and_heap_but_no_stack() {
    // Each task stores its number in its frame, lets the other run, and adds what it still finds there.
    let turns = Arc::new(AtomicU32::new(0));
    let host = TestHost::default().with("yield", move |_| {
        turns.fetch_add(1, Ordering::SeqCst);
        while !turns.load(Ordering::SeqCst).is_multiple_of(2) {
            std::thread::yield_now();
        }
        Ok(0)
    });
    let module = ModuleBuilder::new().import("yield", ":").function(
        "i:i",
        8,
        64,
        "stsp32 r0 5\ncallh r2 0\nldsp32 r1 5\nret32 r1",
    );
    with_instance(module, &host, |instance| {
        std::thread::scope(|scope| {
            let tasks = [Stacks::Main, Stacks::Heap(256)].map(|stacks| {
                scope.spawn(move || {
                    let mut shadow = vec![0; 64];
                    let number = if stacks == Stacks::Main { 11 } else { 22 };
                    let context = Context::new(instance, &mut shadow, stacks, 1).expect("there is room");
                    (context.call(0, &[number]), u64::from(number))
                })
            });
            for task in tasks {
                let (result, number) = task.join().expect("no panic");
                assert_eq!(result, Ok(number));
            }
        });
        assert_eq!(instance.heap_use().live, 0);
    });
}
