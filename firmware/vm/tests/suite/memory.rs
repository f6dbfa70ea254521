//! Loads and stores, their limits, and the initial contents of memory.

use espb_format::container::RelocationKind;
use espb_vm::{Context, Stacks, Trap, TrapKind};

use crate::common::{ModuleBuilder, TestHost, outcome, run, with_instance};

/// Data at the start of linear memory and constants, both of eight recognisable bytes.
fn module() -> ModuleBuilder {
    let mut module = ModuleBuilder::new();
    module.data = vec![0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88];
    module.constants = vec![0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8];
    module
}

fn result(types: &str, text: &str, arguments: &[u32]) -> Result<u64, Trap> {
    outcome(module().function(types, 16, 64, text), &TestHost::default(), arguments)
}

#[test]
fn loads_of_each_width_from_linear_memory_and_constants() {
    for (start, base) in [("adram r8 0", 0x80u64), ("adro r8 0", 0xf0)] {
        let byte = |n: u64| base + n;
        let half = byte(1) | byte(2) << 8;
        let word = half | byte(3) << 16 | byte(4) << 24;
        let all = [
            ("ld8s r9 r8 0", u64::from(byte(1) as i8 as u32)),
            ("ld8 r9 r8 7", byte(8)),
            ("ld16s r9 r8 0", u64::from(half as i16 as u32)),
            ("ld16 r9 r8 0", half),
            ("ld32 r9 r8 0", word),
            ("ldi r7 1\nldx8s r9 r8 r7", u64::from(byte(2) as i8 as u32)),
            ("ldi r7 1\nldx8 r9 r8 r7", byte(2)),
            ("ldi r7 1\nldx16s r9 r8 r7", u64::from((byte(3) | byte(4) << 8) as i16 as u32)),
            ("ldi r7 1\nldx16 r9 r8 r7", byte(3) | byte(4) << 8),
            ("ldi r7 1\nldx32 r9 r8 r7", byte(5) | byte(6) << 8 | byte(7) << 16 | byte(8) << 24),
            // Misaligned accesses work.
            ("addi r8 r8 3\nld32 r9 r8 0", byte(4) | byte(5) << 8 | byte(6) << 16 | byte(7) << 24),
            ("addi r8 r8 1\nld16 r9 r8 0", byte(2) | byte(3) << 8),
        ];
        for (text, expected) in all {
            assert_eq!(result(":i", &format!("{start}\n{text}\nret32 r9"), &[]), Ok(expected), "{start} {text}");
        }
        let double = (1..=8).rev().fold(0, |value, n| value << 8 | byte(n));
        assert_eq!(result(":l", &format!("{start}\nld64 r9 r8 0\nret64 r9"), &[]), Ok(double));
        assert_eq!(result(":l", &format!("{start}\nldi r7 0\nldx64 r9 r8 r7\nret64 r9"), &[]), Ok(double));
    }
}

#[test]
fn stores_of_each_width_leave_their_neighbours_alone() {
    let value = "ldi.w r0 0x44332211\nldi.w r1 0x88776655\nldi r7 1";
    let all = [
        ("st8 r0 r8 8", 0x11u64),
        ("st16 r0 r8 8", 0x2211),
        ("st32 r0 r8 8", 0x4433_2211),
        ("st64 r0 r8 1", 0x8877_6655_4433_2211),
        ("addi r8 r8 8\nstx8 r0 r8 r7", 0x1100),
        ("addi r8 r8 8\nstx16 r0 r8 r7", 0x2211_0000),
        ("addi r8 r8 8\nstx32 r0 r8 r7", 0x4433_2211_0000_0000),
        ("stx64 r0 r8 r7", 0x8877_6655_4433_2211),
        ("stg8 r0 9", 0x1100),
        ("stg16 r0 5", 0x2211_0000),
        ("stg32 r0 3", 0x4433_2211_0000_0000),
        ("stg64 r0 1", 0x8877_6655_4433_2211),
        // Misaligned accesses work.
        ("addi r8 r8 9\nst32 r0 r8 0", 0x44_3322_1100),
    ];
    for (text, expected) in all {
        assert_eq!(
            result(":l", &format!("{value}\nadram r8 0\n{text}\nldg64 r9 1\nret64 r9"), &[]),
            Ok(expected),
            "{text}"
        );
        let before = result(":l", &format!("{value}\nadram r8 0\n{text}\nldg64 r9 0\nret64 r9"), &[]);
        assert_eq!(before, Ok(0x8887_8685_8483_8281), "{text}");
    }
}

#[test]
fn direct_loads_of_statics_and_the_frame() {
    let all = [
        ("ldg8s r9 1", 0xffff_ff82u64),
        ("ldg8 r9 1", 0x82),
        ("ldg16s r9 1", 0xffff_8483),
        ("ldg16 r9 1", 0x8483),
        ("ldg32 r9 1", 0x8887_8685),
    ];
    for (text, expected) in all {
        assert_eq!(result(":i", &format!("{text}\nret32 r9"), &[]), Ok(expected), "{text}");
    }
    let frame = "stsp32 r0 15\nstsp64 r0 2\nadsp r8 16\nld32 r9 r8 0\nldsp32 r10 15\nadd r9 r9 r10\nldsp64 r10 2\nadd r9 r9 r11\nret32 r9";
    assert_eq!(result("ii:i", frame, &[100, 7]), Ok(207));
}

/// Linear memory: 8 bytes of data and 256 of bss rounded up, 1024 of stack, 4096 of heap.
const END: u32 = 0x3fc8_0000 + 272 + 1024 + HEAP;
const HEAP: u32 = 4096;

/// As [`result`], with all of the heap handed out before.
fn result_with_heap(types: &str, text: &str, arguments: &[u32]) -> Result<u64, Trap> {
    with_instance(module().function(types, 16, 64, text), &TestHost::default(), |instance| {
        instance.allocate(HEAP).expect("the heap is empty");
        let mut shadow = [0; 64];
        Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free").call(0, arguments)
    })
}

#[test]
fn an_address_outside_is_a_trap_with_its_place() {
    let (end, result) = (END, result_with_heap);
    for address in [0, 4, 0x3fc8_0000 - 1, end, 0x3c20_0000 - 1, 0x3c20_0008, u32::MAX] {
        for (text, kind) in
            [("ld8 r9 r0 0", TrapKind::Load), ("ld32 r9 r0 0", TrapKind::Load), ("st8 r9 r0 0", TrapKind::Store)]
        {
            let trap = result("i:i", &format!("mov r1 r1\n{text}\nret32 r9"), &[address]).expect_err("outside");
            assert_eq!(
                (trap.kind, trap.value, trap.function, trap.offset),
                (kind, address, 0, 4),
                "{text} {address:#x}"
            );
        }
    }
    assert!(result("i:i", "ld8 r9 r0 0\nst8 r9 r0 0\nret32 r9", &[end - 1]).is_ok());
    // Constants cannot be written, and a load must lie in them wholly.
    assert_eq!(result("i:", "st8 r9 r0 0\nret", &[0x3c20_0000]).map_err(|trap| trap.kind), Err(TrapKind::Store));
    assert_eq!(result("i:i", "ld32 r9 r0 0\nret32 r9", &[0x3c20_0005]).map_err(|trap| trap.kind), Err(TrapKind::Load));
    assert_eq!(result("i:i", "ld32 r9 r0 0\nret32 r9", &[0x3c20_0004]), Ok(0xf8f7_f6f5));
}

#[test]
fn an_access_across_the_end_reaches_nothing_but_padding() {
    let module = module().function("i:", 16, 0, "ldi r8 -1\nldi r9 -1\nst64 r8 r0 0\nret");
    with_instance(module, &TestHost::default(), |instance| {
        let before: Vec<_> = [16, 16, 16, HEAP - 48].into_iter().map(|size| instance.allocate(size)).collect();
        let mut shadow = [0; 64];
        let context = Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free");
        context.call(0, &[END - 1]).expect("starts inside");
        for block in before {
            instance.release(block.expect("the heap is empty")).expect("the bitmaps are whole");
        }
        assert_eq!(instance.heap_use().live, 0);
    });
}

#[test]
fn blocks_of_memory() {
    let moves = "adram r8 0\nadram r9 2\nldi r7 6\nmemmove r9 r8 r7\nldg64 r10 0\nret64 r10";
    assert_eq!(result(":l", moves, &[]), Ok(0x8685_8483_8281_8281));
    let from_constants = "adro r8 0\nadram r9 4\nldi r7 4\nmemmove r9 r8 r7\nldg64 r10 0\nret64 r10";
    assert_eq!(result(":l", from_constants, &[]), Ok(0xf4f3_f2f1_8483_8281));
    let sets = "adram r8 1\nldi.w r9 0x123455\nldi r7 5\nmemset r8 r9 r7\nldg64 r10 0\nret64 r10";
    assert_eq!(result(":l", sets, &[]), Ok(0x8887_5555_5555_5581));
    // A length of 0 touches nothing, whatever the addresses.
    assert_eq!(result(":", "memmove r5 r6 r7\nmemset r5 r6 r7\nret", &[]), Ok(0));
    for (text, kind) in [
        ("memset r0 r9 r1", TrapKind::Store),
        ("memmove r0 r8 r1", TrapKind::Store),
        ("memmove r8 r0 r1", TrapKind::Load),
    ] {
        for (address, length) in [(0x3fc8_0000u32, 1 << 20), (0, 1), (0x3fc8_0004, u32::MAX)] {
            let trap = result("ii:", &format!("adram r8 0\n{text}\nret"), &[address, length]).expect_err("outside");
            assert!(
                trap.kind == kind || text.starts_with("memmove") && length > 8,
                "{text} {address:#x} {length:#x}: {trap}"
            );
        }
    }
}

#[test]
fn addresses_in_the_data_are_relocated() {
    let mut module =
        ModuleBuilder::new().function("i:i", 16, 0, "adram r8 0\nldx32 r9 r8 r0\nret32 r9").callback(0).callback(0);
    // An odd offset too: packed structs hold pointers.
    module.data =
        [&12u32.to_le_bytes()[..], &3u32.to_le_bytes(), &1u32.to_le_bytes(), &[0xee], &5u32.to_le_bytes()].concat();
    module.relocations = vec![
        (0, RelocationKind::Linear),
        (4, RelocationKind::Constant),
        (8, RelocationKind::Callback),
        (13, RelocationKind::Linear),
    ];
    with_instance(module, &TestHost::default(), |instance| {
        let word = |offset| instance.memory().read_word(instance.linear_address() + offset);
        assert_eq!(word(0), Ok(instance.linear_address() + 12));
        assert_eq!(word(4), Ok(instance.constant_address() + 3));
        assert_eq!(word(8), Ok(instance.thunks().address(1)));
        assert_eq!(word(12), Ok((instance.linear_address() + 5) << 8 | 0xee));
    });
}

#[test]
fn memory_that_nobody_wrote_reads_as_zero() {
    assert_eq!(
        run("i:i", "adram r8 0\nldx32 r9 r8 r0\nadsp r8 0\nldx32 r10 r8 r0\nor r9 r9 r10\nret32 r9", &[9]),
        Ok(0)
    );
}
