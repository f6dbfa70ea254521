//! What several native tasks share and what each has of its own: atomic operations, thread-local variables.

use espb_format::container::RelocationKind;
use espb_format::thread_local::ThreadLocal;
use espb_vm::atomic::{self, Atomic};
use espb_vm::{Context, Stacks, TrapKind};

use crate::common::{ModuleBuilder, TestHost, load, outcome, with_instance};

/// Data of eight bytes, of which the last four (the address of linear memory + 4) are the template of blocks of 12 bytes.
fn thread_local(text: &str) -> ModuleBuilder {
    let mut module = ModuleBuilder::new().function("i:i", 10, 0, text);
    module.data = vec![0xaa, 0xaa, 0xaa, 0xaa, 4, 0, 0, 0];
    module.relocations = vec![(4, RelocationKind::Linear)];
    module.thread_local = Some(ThreadLocal { template: 4, initialised: 4, size: 12 });
    module
}

#[test]
fn each_task_has_its_own_block_that_starts_as_the_template() {
    // Adds r0 to the third word and gives the sum of the first, less the address of linear memory, and the third.
    let text = "adtls r8 8\nld32 r9 r8 0\nadd r9 r9 r0\nst32 r9 r8 0\nadtls r8 0\nld32 r7 r8 0\nadram r6 0\nsub r7 r7 r6\nadd r7 r7 r9\nret32 r7";
    with_instance(thread_local(text), &TestHost::default(), |instance| {
        let (mut first, mut second) = ([0; 64], [0; 64]);
        let main = Context::new(instance, &mut first, Stacks::Main, 1).expect("the main stack is free");
        let other = Context::new(instance, &mut second, Stacks::Heap(64), 1).expect("the heap has room");
        let before = instance.heap_use().live;
        assert_eq!(main.call(0, &[10]), Ok(14));
        assert_eq!(main.call(0, &[10]), Ok(24));
        assert_eq!(other.call(0, &[1]), Ok(5));
        assert_eq!(main.call(0, &[0]), Ok(24));
        assert_eq!(instance.heap_use().live - before, 32, "a granule each");
        drop(other);
        drop(main);
        assert_eq!(instance.heap_use().live, 0);
    });
}

#[test]
fn no_room_for_the_block_is_a_trap() {
    let mut module = thread_local("adtls r8 0\nret32 r8");
    module.thread_local = Some(ThreadLocal { template: 4, initialised: 4, size: 5000 });
    let trap = outcome(module, &TestHost::default(), &[0]).expect_err("the heap has 4096 bytes");
    assert_eq!((trap.kind, trap.value), (TrapKind::ThreadLocal, 5000));
}

#[test]
fn a_malformed_record_is_refused() {
    let refused = |template, initialised, size| {
        let mut module = thread_local("adtls r8 12\nret32 r8");
        module.thread_local = Some(ThreadLocal { template, initialised, size });
        load(&module.finish(), &TestHost::default(), |_| ()).is_err()
    };
    assert!(!refused(4, 4, 12));
    for (template, initialised, size) in
        [(4, 5, 12), (u32::MAX, 4, 12), (4, 4, 3), (8, 0, 0), (4, 4, u32::MAX), (4, 4, 11)]
    {
        assert!(refused(template, initialised, size), "{template} {initialised} {size}");
    }
}

#[test]
fn without_thread_local_variables_there_is_no_address_of_one() {
    let mut module = thread_local("adtls r8 0\nret32 r8");
    module.thread_local = None;
    assert!(load(&module.finish(), &TestHost::default(), |_| ()).is_err());
}

/// Runs one operation on the eight bytes of data 0x8877665544332211; gives its result and what the data are then.
fn atomic(operation: Atomic, width: u8, operand: u64) -> (u64, u64) {
    let host = TestHost::default().with("operation", move |call| atomic::perform(call, operation, width));
    let wide = if width > 4 { "il:l" } else { "ii:i" };
    let text = "adram r2 0\nmov64 r3 r0\ncallh r2 0\nret64 r2";
    let mut module = ModuleBuilder::new().import("operation", wide).function("l:l", 10, 0, text);
    module.data = vec![0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88];
    with_instance(module, &host, |instance| {
        let mut shadow = [0; 64];
        let context = Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free");
        let result = context.call(0, &[operand as u32, (operand >> 32) as u32]).expect("no trap");
        let mut bytes = [0; 8];
        instance.memory().read(instance.linear_address(), &mut bytes).expect("inside");
        let result = if width > 4 { result } else { result & 0xffff_ffff };
        (result, u64::from_le_bytes(bytes))
    })
}

#[test]
fn atomic_operations_change_as_many_bytes_as_they_say() {
    assert_eq!(atomic(Atomic::FetchAdd, 1, 0xf0), (0x11, 0x8877_6655_4433_2201));
    assert_eq!(atomic(Atomic::FetchSub, 2, 0x2212), (0x2211, 0x8877_6655_4433_ffff));
    assert_eq!(atomic(Atomic::FetchAnd, 4, 0x0ff0_0ff0), (0x4433_2211, 0x8877_6655_0430_0210));
    assert_eq!(atomic(Atomic::FetchOr, 4, 0xff), (0x4433_2211, 0x8877_6655_4433_22ff));
    assert_eq!(atomic(Atomic::FetchXor, 8, u64::MAX), (0x8877_6655_4433_2211, 0x7788_99aa_bbcc_ddee));
    assert_eq!(atomic(Atomic::FetchNand, 2, 0x0fff), (0x2211, 0x8877_6655_4433_fdee));
    assert_eq!(atomic(Atomic::Exchange, 8, 5), (0x8877_6655_4433_2211, 5));
    assert_eq!(atomic(Atomic::Load, 2, 5), (0x2211, 0x8877_6655_4433_2211));
    assert_eq!(atomic(Atomic::Store, 4, 5).1, 0x8877_6655_0000_0005);
}

#[test]
fn compare_exchange_stores_or_tells_what_it_found() {
    let host = TestHost::default()
        .with("__atomic_compare_exchange_4", |call| atomic::perform(call, Atomic::CompareExchange, 4));
    // The object is word 0, what is expected word 1; the result is 100 × success + 10 × object + expected.
    let text = "adram r2 0\nadram r3 4\nmov r4 r0\ncallh r2 0\nmuli r2 r2 100\nldg32 r5 0\nmuli r5 r5 10\nadd r2 r2 r5\nldg32 r5 1\nadd r2 r2 r5\nret32 r2";
    for (object, expected, sum) in [(3, 3, 100 + 90 + 3), (4, 3, 40 + 4)] {
        let mut module =
            ModuleBuilder::new().import("__atomic_compare_exchange_4", "iiiii:i").function("i:i", 10, 0, text);
        module.data = vec![object, 0, 0, 0, expected, 0, 0, 0];
        assert_eq!(outcome(module, &host, &[9]), Ok(sum));
    }
}
