//! Integer instructions against Rust's own operators, on values at the edges.

use espb_vm::{Context, Stacks, TrapKind};

use crate::common::{ModuleBuilder, TestHost, run, with_instance};

const WORDS: [u32; 14] =
    [0, 1, 2, 3, 31, 32, 33, 0x7f, 0x80, 0xffff, 0x8000_0000, 0x7fff_ffff, 0xffff_ffff, 0x1234_5678];
const DOUBLES: [u64; 12] =
    [0, 1, 31, 32, 63, 64, 0xffff_ffff, 0x1_0000_0000, 1 << 63, (1 << 63) - 1, u64::MAX, 0x1234_5678_9abc_def0];

fn slots(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

/// Calls function 0 of a one-function module with each list of arguments.
fn sweep(types: &str, text: &str, arguments: impl IntoIterator<Item = Vec<u32>>, mut check: impl FnMut(&[u32], u64)) {
    let module = ModuleBuilder::new().function(types, 16, 0, text);
    with_instance(module, &TestHost::default(), |instance| {
        let mut shadow = vec![0; 64];
        let context = Context::new(instance, &mut shadow, Stacks::Main, 1).expect("the main stack is free");
        for arguments in arguments {
            let result = context.call(0, &arguments).unwrap_or_else(|trap| panic!("{text} of {arguments:x?}: {trap}"));
            check(&arguments, result);
        }
    });
}

fn word_pairs() -> impl Iterator<Item = Vec<u32>> {
    WORDS.iter().flat_map(|a| WORDS.iter().map(|b| vec![*a, *b]))
}

fn double_pairs() -> impl Iterator<Item = Vec<u32>> {
    DOUBLES.iter().flat_map(|a| DOUBLES.iter().map(|b| [slots(*a), slots(*b)].concat()))
}

fn double(slots: &[u32]) -> u64 {
    u64::from(slots[0]) | u64::from(slots[1]) << 32
}

#[test]
fn two_words() {
    let operators: &[(&str, fn(u32, u32) -> u32)] = &[
        ("add", u32::wrapping_add),
        ("sub", u32::wrapping_sub),
        ("mul", u32::wrapping_mul),
        ("mulhs", |a, b| ((i64::from(a as i32) * i64::from(b as i32)) >> 32) as u32),
        ("mulhu", |a, b| ((u64::from(a) * u64::from(b)) >> 32) as u32),
        ("and", |a, b| a & b),
        ("or", |a, b| a | b),
        ("xor", |a, b| a ^ b),
        ("shl", |a, b| a << (b % 32)),
        ("shrs", |a, b| (a as i32 >> (b % 32)) as u32),
        ("shru", |a, b| a >> (b % 32)),
        ("rotl", |a, b| a.rotate_left(b % 32)),
        ("seq", |a, b| (a == b).into()),
        ("sne", |a, b| (a != b).into()),
        ("slts", |a, b| ((a as i32) < b as i32).into()),
        ("sltu", |a, b| (a < b).into()),
        ("mins", |a, b| (a as i32).min(b as i32) as u32),
        ("maxs", |a, b| (a as i32).max(b as i32) as u32),
        ("minu", u32::min),
        ("maxu", u32::max),
        ("movnz", |a, b| if b != 0 { a } else { 77 }),
        ("movz", |a, b| if b == 0 { a } else { 77 }),
    ];
    for (name, expected) in operators {
        sweep("ii:i", &format!("ldi r9 77\n{name} r9 r0 r1\nret32 r9"), word_pairs(), |arguments, result| {
            assert_eq!(result, u64::from(expected(arguments[0], arguments[1])), "{name} {arguments:x?}");
        });
    }
}

#[test]
fn one_word() {
    let operators: &[(&str, fn(u32) -> u32)] = &[
        ("mov", |a| a),
        ("sext8", |a| a as i8 as u32),
        ("sext16", |a| a as i16 as u32),
        ("zext16", |a| a & 0xffff),
        ("clz", u32::leading_zeros),
        ("ctz", u32::trailing_zeros),
        ("popcnt", u32::count_ones),
        ("bswap", u32::swap_bytes),
        ("abs", |a| (a as i32).wrapping_abs() as u32),
    ];
    for (name, expected) in operators {
        sweep("i:i", &format!("{name} r9 r0\nret32 r9"), WORDS.map(|a| vec![a]), |arguments, result| {
            assert_eq!(result, u64::from(expected(arguments[0])), "{name} {arguments:x?}");
        });
    }
}

#[test]
fn a_word_and_an_immediate() {
    let operators: &[(&str, &[i64], fn(u32, u32) -> u32)] = &[
        ("addi", &[-128, -1, 127], u32::wrapping_add),
        ("rsubi", &[-128, -1, 127], |a, i| i.wrapping_sub(a)),
        ("muli", &[-128, -1, 127], u32::wrapping_mul),
        ("andi", &[-128, -1, 127], |a, i| a & i),
        ("ori", &[-128, -1, 127], |a, i| a | i),
        ("xori", &[-128, -1, 127], |a, i| a ^ i),
        ("andb", &[0, 0x80, 0xff], |a, i| a & i),
        ("shli", &[0, 1, 31], |a, i| a << i),
        ("shrsi", &[0, 1, 31], |a, i| (a as i32 >> i) as u32),
        ("shrui", &[0, 1, 31], |a, i| a >> i),
        ("seqi", &[-128, -1, 127], |a, i| (a == i).into()),
        ("snei", &[-128, -1, 127], |a, i| (a != i).into()),
        ("sltsi", &[-128, -1, 127], |a, i| ((a as i32) < i as i32).into()),
        ("sltui", &[-128, -1, 127], |a, i| (a < i).into()),
        ("addi.w", &[-0x8000_0000, 0x1234_56ff, 0x7fff_ffff], u32::wrapping_add),
        ("muli.w", &[-0x8000_0000, 0x1234_56ff, 0x7fff_ffff], u32::wrapping_mul),
        ("andi.w", &[-0x8000_0000, 0x1234_56ff, 0x7fff_ffff], |a, i| a & i),
        ("ori.w", &[-0x8000_0000, 0x1234_56ff, 0x7fff_ffff], |a, i| a | i),
        ("xori.w", &[-0x8000_0000, 0x1234_56ff, 0x7fff_ffff], |a, i| a ^ i),
    ];
    for (name, immediates, expected) in operators {
        for immediate in *immediates {
            sweep(
                "i:i",
                &format!("{name} r9 r0 {immediate}\nret32 r9"),
                WORDS.map(|a| vec![a]),
                |arguments, result| {
                    assert_eq!(
                        result,
                        u64::from(expected(arguments[0], *immediate as u32)),
                        "{name} {arguments:x?} {immediate}"
                    );
                },
            );
        }
    }
}

#[test]
fn constants() {
    for value in [-0x8000, -1, 0, 0x7fff] {
        assert_eq!(run(":i", &format!("ldi r3 {value}\nret32 r3"), &[]), Ok(u64::from(value as u32)));
        assert_eq!(run(":l", &format!("ldi64 r3 {value}\nret64 r3"), &[]), Ok(value as u64));
    }
    assert_eq!(run(":i", "ldi.w r3 0x89abcdef\nret32 r3", &[]), Ok(0x89ab_cdef));
}

#[test]
fn two_doubles() {
    let operators: &[(&str, fn(u64, u64) -> u64)] = &[
        ("add64", u64::wrapping_add),
        ("sub64", u64::wrapping_sub),
        ("mul64", u64::wrapping_mul),
        ("and64", |a, b| a & b),
        ("or64", |a, b| a | b),
        ("xor64", |a, b| a ^ b),
    ];
    for (name, expected) in operators {
        sweep("ll:l", &format!("{name} r9 r0 r2\nret64 r9"), double_pairs(), |arguments, result| {
            assert_eq!(result, expected(double(arguments), double(&arguments[2..])), "{name} {arguments:x?}");
        });
    }
    let comparisons: &[(&str, fn(u64, u64) -> bool)] = &[
        ("seq64", |a, b| a == b),
        ("sne64", |a, b| a != b),
        ("slts64", |a, b| (a as i64) < b as i64),
        ("sltu64", |a, b| a < b),
    ];
    for (name, expected) in comparisons {
        sweep("ll:i", &format!("{name} r9 r0 r2\nret32 r9"), double_pairs(), |arguments, result| {
            assert_eq!(result, expected(double(arguments), double(&arguments[2..])).into(), "{name} {arguments:x?}");
        });
    }
}

#[test]
fn shifts_of_doubles() {
    let operators: &[(&str, fn(u64, u32) -> u64)] = &[
        ("shl64", |a, b| a << (b % 64)),
        ("shrs64", |a, b| (a as i64 >> (b % 64)) as u64),
        ("shru64", |a, b| a >> (b % 64)),
    ];
    for (name, expected) in operators {
        let all = || DOUBLES.iter().flat_map(|a| WORDS.iter().map(|b| [&slots(*a)[..], &[*b]].concat()));
        sweep("li:l", &format!("{name} r9 r0 r2\nret64 r9"), all(), |arguments, result| {
            assert_eq!(result, expected(double(arguments), arguments[2]), "{name} {arguments:x?}");
        });
        for distance in [0, 1, 31, 32, 63] {
            let text = format!("{}i64 r9 r0 {distance}\nret64 r9", name.trim_end_matches("64"));
            sweep("l:l", &text, DOUBLES.map(|a| slots(a).to_vec()), |arguments, result| {
                assert_eq!(result, expected(double(arguments), distance), "{text} {arguments:x?}");
            });
        }
    }
}

#[test]
fn one_double() {
    let operators: &[(&str, fn(u64) -> u64)] = &[
        ("mov64 r9 r0", |a| a),
        ("addi64 r9 r0 -128", |a| a.wrapping_sub(128)),
        ("addi64 r9 r0 127", |a| a.wrapping_add(127)),
        ("clz64 r9 r0", |a| a.leading_zeros().into()),
        ("ctz64 r9 r0", |a| a.trailing_zeros().into()),
        ("popcnt64 r9 r0", |a| a.count_ones().into()),
        ("bswap64 r9 r0", u64::swap_bytes),
        ("sext64 r9 r0", |a| a as i32 as u64),
        ("zext64 r9 r0", |a| a as u32 as u64),
        ("mulws r9 r0 r1", |a| (i64::from(a as i32) * i64::from((a >> 32) as i32)) as u64),
        ("mulwu r9 r0 r1", |a| (a & 0xffff_ffff) * (a >> 32)),
        ("ldi64 r9 5\nmovnz64 r9 r0 r1", |a| if a >> 32 != 0 { a } else { 5 }),
        ("ldi64 r9 5\nmovz64 r9 r0 r1", |a| if a >> 32 == 0 { a } else { 5 }),
    ];
    for (text, expected) in operators {
        sweep("l:l", &format!("{text}\nret64 r9"), DOUBLES.map(|a| slots(a).to_vec()), |arguments, result| {
            assert_eq!(result, expected(double(arguments)), "{text} {arguments:x?}");
        });
    }
}

#[test]
fn divisions() {
    let words: &[(&str, fn(u32, u32) -> u32)] = &[
        ("divs", |a, b| (a as i32).wrapping_div(b as i32) as u32),
        ("divu", |a, b| a / b),
        ("rems", |a, b| (a as i32).wrapping_rem(b as i32) as u32),
        ("remu", |a, b| a % b),
    ];
    for (name, expected) in words {
        let text = format!("{name} r9 r0 r1\nret32 r9");
        sweep("ii:i", &text, word_pairs().filter(|pair| pair[1] != 0), |arguments, result| {
            assert_eq!(result, u64::from(expected(arguments[0], arguments[1])), "{name} {arguments:x?}");
        });
        let trap = run("ii:i", &text, &[7, 0]).expect_err("a division by zero");
        assert_eq!((trap.kind, trap.function, trap.offset), (TrapKind::DivisionByZero, 0, 0));
    }
    let doubles: &[(&str, fn(u64, u64) -> u64)] = &[
        ("divs64", |a, b| (a as i64).wrapping_div(b as i64) as u64),
        ("divu64", |a, b| a / b),
        ("rems64", |a, b| (a as i64).wrapping_rem(b as i64) as u64),
        ("remu64", |a, b| a % b),
    ];
    for (name, expected) in doubles {
        let text = format!("mov64 r0 r0\n{name} r9 r0 r2\nret64 r9");
        sweep("ll:l", &text, double_pairs().filter(|pair| double(&pair[2..]) != 0), |arguments, result| {
            assert_eq!(result, expected(double(arguments), double(&arguments[2..])), "{name} {arguments:x?}");
        });
        let trap = run("ll:l", &text, &[7, 0, 0, 0]).expect_err("a division by zero");
        assert_eq!((trap.kind, trap.function, trap.offset), (TrapKind::DivisionByZero, 0, 4));
    }
}
