//! How much of linear memory a module reaches, and that what it reaches is its own. The blocks that instances get are full of 0xa5
//! before (`common`).

use espb_vm::{Context, Instance, Stacks, TrapKind};

use crate::common::{ModuleBuilder, TestHost, with_instance};

/// Data and bss of [`module`], rounded up.
const STATICS: u32 = 48;

/// Four bytes of data, 30 of bss, a stack of 1,024 bytes and a heap of 64 KB.
fn module() -> ModuleBuilder {
    let mut module = ModuleBuilder::new();
    module.data = vec![1, 2, 3, 4];
    module.limits.bss = 30;
    module.limits.heap_min = 1 << 16;
    module.limits.heap_max = 1 << 16;
    module
}

/// How many bytes a module reaches.
fn reached(instance: &Instance<'_>) -> u32 {
    let start = instance.linear_address();
    (0..).find(|offset| !instance.memory().is_readable(start + offset, 1)).expect("memory ends")
}

/// The bytes behind the data that are not zero.
fn dirt(instance: &Instance<'_>) -> usize {
    let mut bytes = vec![0; reached(instance) as usize];
    instance.memory().read(instance.linear_address(), &mut bytes).expect("reached");
    assert_eq!(bytes[..4], [1, 2, 3, 4]);
    bytes[4..].iter().filter(|byte| **byte != 0).count()
}

#[test]
fn a_module_reaches_what_it_was_given_and_never_sees_what_was_there_before() {
    with_instance(module().function(":", 1, 0, "ret"), &TestHost::default(), |instance| {
        assert_eq!((reached(instance), dirt(instance)), (STATICS, 0));
        let mut shadow = [0; 64];
        let context = Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free");
        assert!(reached(instance) >= STATICS + 1024);
        assert_eq!((dirt(instance), context.stack_peak()), (0, 0));
        for size in [1, 5000, 20_000] {
            let block = instance.allocate(size).expect("room");
            assert!(instance.memory().is_writable(block, size) && reached(instance) < STATICS + 1024 + 40_000);
            assert_eq!(dirt(instance), 0);
        }
        let block = instance.allocate(1).expect("room");
        assert_eq!(instance.reallocate(block, 30_000), Ok(Some(block)), "nothing is behind it");
        assert!(instance.memory().is_writable(block, 30_000));
        while instance.allocate(512).is_some() {}
        assert_eq!((reached(instance), dirt(instance)), (instance.layout().linear(), 0));
    });
}

#[test]
fn zeroed_blocks_are_zero_whether_they_were_used_before_or_not() {
    with_instance(module().function(":", 1, 0, "ret"), &TestHost::default(), |instance| {
        let used = instance.allocate(3000).expect("room");
        instance.memory().fill(used, 0xff, 3000).expect("inside");
        instance.release(used).expect("live");
        // Starts in what was used and ends in what nobody had.
        let block = instance.allocate_zeroed(4, 5000).expect("room");
        assert_eq!((block, dirt(instance)), (used, 0));
    });
}

#[test]
fn what_is_stored_across_the_end_of_what_is_reached_is_not_seen_later() {
    let module = module().function("i:", 4, 0, "ldi r2 -1\nldi r3 -1\nst64 r2 r0 0\nret").function(
        "i:l",
        4,
        0,
        "ld64 r2 r0 0\nret64 r2",
    );
    with_instance(module, &TestHost::default(), |instance| {
        let start = instance.linear_address();
        let (mut shadow, mut early) = ([0; 64], [0; 64]);
        let in_bss = Stacks::At { address: start + 16, size: 16 };
        let context = Context::new(instance, &mut early, in_bss, 1).expect("bss is there");
        assert_eq!(context.call(1, &[start + STATICS - 1]), Ok(0), "behind bss is not what was there before");
        let context = Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free");
        let last = start + reached(instance) - 1;
        assert_eq!(context.call(1, &[last]), Ok(0), "nor behind what was given since");
        context.call(0, &[last]).expect("starts inside");
        instance.allocate(10_000).expect("room");
        assert_eq!(context.call(1, &[last]), Ok(0xff));
    });
}

#[test]
fn memory_that_is_given_out_while_a_function_runs_is_there_for_every_access() {
    // r8 is an address that is reached since the call before; how far it is moved, and what is in r9 afterwards, 7 before.
    let accesses = [
        ("ld8 r9 r8 4", 0, 0),
        ("ld32 r9 r8 4", 0, 0),
        ("ld64 r9 r8 0", 0, 0),
        ("ldi r7 3\nldx32 r9 r8 r7", 0, 0),
        ("ld32.w r9 r8 300", 0, 0),
        ("st8 r9 r8 4", 0, 7),
        ("st32 r9 r8 4", 0, 7),
        ("ldi r7 3\nstx16 r9 r8 r7", 0, 7),
        ("st32.w r9 r8 300", 0, 7),
        // These move their base, once.
        ("ld8.post r9 r8 3", 3, 0),
        ("ld32.post r9 r8 4", 4, 0),
        ("ld8.pre r9 r8 1", 1, 0),
        ("ld32.pre r9 r8 -4", 0xffff_fffc, 0),
        ("st8.post r9 r8 1", 1, 7),
        ("st32.post r9 r8 8", 8, 7),
        // These run behind another instruction with one dispatch.
        ("addi r8 r8 4\nld32 r9 r8 0", 4, 0),
        ("ld32 r9 r8 0\naddi r8 r8 4", 4, 0),
        ("mov r8 r8\nst32 r9 r8 0\naddi r8 r8 4", 4, 7),
        // Out of the loop.
        ("ldi r6 0\nldi r7 100\nmemset r8 r6 r7", 0, 7),
    ];
    let host = TestHost::default().with("grow", |call| {
        let instance = call.instance();
        let (start, before) = (instance.linear_address(), reached(instance));
        while reached(instance) == before {
            instance.allocate(64).expect("room");
        }
        Ok((start + before + 16).into())
    });
    for (text, moved, value) in accesses {
        let text = format!("callh r8 0\nmov r5 r8\nldi r9 7\n{text}\nsub r8 r8 r5\nret64 r8");
        let module = module().import("grow", ":i").function(":l", 12, 0, &text);
        with_instance(module, &host, |instance| {
            let mut shadow = [0; 64];
            let context = Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free");
            assert_eq!(context.call(0, &[]), Ok(value << 32 | moved), "{text}");
        });
    }
}

#[test]
fn a_task_reaches_what_another_was_given() {
    let module = module().function("i:i", 4, 0, "ld32 r2 r0 0\nret32 r2");
    with_instance(module, &TestHost::default(), |instance| {
        let (mut first, mut second) = ([0; 64], [0; 64]);
        let main = Context::new(instance, &mut first, Stacks::Main, 1).expect("the main stack is free");
        let other = Context::new(instance, &mut second, Stacks::Heap(64), 1).expect("the heap has room");
        let block = instance.allocate(10_000).expect("room");
        instance.memory().write_word(block + 9000, 77).expect("inside");
        assert_eq!((main.call(0, &[block + 9000]), other.call(0, &[block + 9000])), (Ok(77), Ok(77)));
        let behind = instance.linear_address() + reached(instance);
        assert_eq!(other.call(0, &[behind]).map_err(|trap| (trap.kind, trap.value)), Err((TrapKind::Load, behind)));
    });
}
