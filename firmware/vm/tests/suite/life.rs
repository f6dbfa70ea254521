//! Loading, what an instance costs, its heap, what it reports.

use espb_format::container::Module;
use espb_format::verifier::verify;
use espb_vm::{Context, Granule, Instance, Layout, LoadError, Stacks, Thunks, TrapKind};
use std::mem::MaybeUninit;

use crate::common::{ModuleBuilder, TestHost, with_instance};

fn nothing() -> ModuleBuilder {
    ModuleBuilder::new().function(":", 1, 0, "ret")
}

#[test]
fn the_heap_takes_what_there_is_between_its_limits() {
    let mut module = nothing();
    module.limits.heap_min = 1000;
    module.limits.heap_max = u32::MAX;
    let bytes = module.finish();
    let module = Module::parse(&bytes).expect("correct");
    let least = Layout::of(&module, 1 << 20).expect("room").block - Layout::of(&module, 1 << 20).expect("room").heap;
    let mut last = 0;
    for available in (least as usize..40_000).step_by(8) {
        match Layout::of(&module, available) {
            Ok(layout) => {
                assert!(layout.block as usize <= available && layout.heap >= 1000 && layout.heap >= last);
                // All but the bitmaps (1/64), their padding and the rest of a granule.
                assert!(
                    layout.heap as usize + layout.heap as usize / 64 + 64 > available - 1296,
                    "{available}: {layout:?}"
                );
                assert_eq!(Layout::of(&module, layout.block as usize), Ok(layout));
                last = layout.heap;
            }
            Err(error) => assert!(matches!(error, LoadError::Memory { needed, .. } if needed as usize > available)),
        }
    }
    assert!(last > 0);
}

#[test]
fn an_instance_costs_little_beyond_its_memory() {
    let mut module = nothing();
    module.limits.heap_min = 0;
    module.limits.heap_max = 0;
    let bytes = module.finish();
    let layout = Layout::of(&Module::parse(&bytes).expect("correct"), 1 << 20).expect("room");
    let beyond = layout.block - layout.linear() + size_of::<Instance<'_>>() as u32 + size_of::<Context<'_>>() as u32;
    assert!(beyond <= 1024, "{beyond} bytes");
}

#[test]
fn loading_names_what_is_missing() {
    let host = TestHost::default().with("known", |_| Ok(0));
    let bytes = nothing().import("known", ":").import("unknown", ":").callback(0).callback(0).finish();
    let module = verify(&Module::parse(&bytes).expect("correct")).expect("correct");
    let layout = Layout::of(&module, 1 << 20).expect("room");
    let mut block = vec![MaybeUninit::new(Granule::ZERO); layout.granules()];
    let enough = Thunks { first: 0x4200_0000, shift: 3, count: 2 };
    assert_eq!(Instance::new(module, &mut block, enough, &host).err(), Some(LoadError::Import(1)));
    let few = Thunks { count: 1, ..enough };
    assert_eq!(
        Instance::new(module, &mut block, few, &host).err(),
        Some(LoadError::Thunks { needed: 2, available: 1 })
    );
    let least = Layout::of(&module, 0).err();
    let Some(LoadError::Memory { needed, available: 0 }) = least else { panic!("{least:?}") };
    assert!(Layout::of(&module, needed as usize).is_ok() && Layout::of(&module, needed as usize - 16).is_err());
}

#[test]
fn the_heap_gives_distinct_blocks_and_refuses_misuse() {
    with_instance(nothing(), &TestHost::default(), |instance| {
        let memory = instance.memory();
        let first = instance.allocate(100).expect("room");
        memory.fill(first, 7, 100).expect("inside");
        let second = instance.allocate_zeroed(5, 8).expect("room");
        assert!(second >= first + 100 && second.is_multiple_of(16));
        // The second block is in the way, so the first one moves with its contents.
        let moved = instance.reallocate(first, 500).expect("a live block").expect("room");
        assert_ne!(moved, first);
        let mut bytes = [0; 100];
        memory.read(moved, &mut bytes).expect("inside");
        assert_eq!(bytes, [7; 100]);
        assert_eq!(instance.reallocate(moved, 200), Ok(Some(moved)));
        assert_eq!(instance.block_size(moved), Ok(208));
        assert_eq!(instance.reallocate(moved, 1 << 20), Ok(None));
        assert_eq!(instance.block_size(moved), Ok(208));
        for wrong in [first, moved + 1, moved + 16, instance.linear_address(), 1, u32::MAX] {
            assert_eq!(
                instance.release(wrong).map_err(|trap| (trap.kind, trap.value)),
                Err((TrapKind::HeapMisuse, wrong))
            );
            assert_eq!(instance.reallocate(wrong, 1).map_err(|trap| trap.kind), Err(TrapKind::HeapMisuse));
        }
        assert_eq!(instance.release(0), Ok(()));
        assert_eq!(instance.allocate_zeroed(0x1_0001, 0x1_0000), None);
        assert_eq!(instance.release(moved), Ok(()));
        assert_eq!(instance.release(second), Ok(()));
        let heap = instance.heap_use();
        assert_eq!((heap.live, heap.blocks, heap.peak), (0, 0, 112 + 48 + 512));
    });
}

#[test]
fn memory_from_calloc_is_zero_though_it_was_used_before() {
    with_instance(nothing(), &TestHost::default(), |instance| {
        let block = instance.allocate(64).expect("room");
        instance.memory().fill(block, 0xff, 64).expect("inside");
        instance.release(block).expect("live");
        assert_eq!(instance.allocate_zeroed(4, 16), Some(block));
        assert_eq!(instance.memory().read_word(block + 60), Ok(0));
    });
}

#[test]
fn the_peaks_of_both_stacks_are_noted() {
    let module = ModuleBuilder::new().function("i:", 8, 128, "adsp r4 0\nst32 r0 r4 8\ncall r4 1\nret").function(
        ":",
        4,
        0,
        "ldi r3 1\nret",
    );
    with_instance(module, &TestHost::default(), |instance| {
        let mut shadow = vec![u32::MAX; 256];
        let context = Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free");
        assert_eq!((context.stack_peak(), context.shadow_peak()), (0, 0));
        context.call(0, &[1]).expect("no trap");
        assert_eq!((instance.stack_peak(), instance.shadow_peak()), (0, 0), "nobody has asked");
        context.note_peaks();
        // The deepest store is 120 bytes below the top; frames: header 16, window at slot 4, register 3 of the callee.
        assert_eq!((instance.stack_peak(), instance.shadow_peak()), (120, 16 + 16 + 16));
    });
}

#[test]
fn one_context_at_a_time_has_the_main_stack() {
    with_instance(nothing(), &TestHost::default(), |instance| {
        let (mut first, mut second, mut third) = ([0; 32], [0; 32], [0; 32]);
        let main = Context::new(instance, &mut first, Stacks::Main, 1).expect("the main stack is free");
        assert!(Context::new(instance, &mut second, Stacks::Main, 1).is_err());
        assert!(Context::new(instance, &mut second, Stacks::Heap(1 << 20), 1).is_err());
        drop(main);
        assert!(Context::new(instance, &mut third, Stacks::Main, 1).is_ok());
    });
}
