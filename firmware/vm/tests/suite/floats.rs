//! Floating point against Rust's own operators, bit for bit except for the payload of a NaN.

#![allow(clippy::double_comparisons, reason = "a ≠ b would be true for NaNs")]

use crate::common::run;

const SINGLES: [f32; 13] = [
    0.0,
    -0.0,
    1.0,
    -1.5,
    f32::MIN_POSITIVE,
    1e-45,
    16_777_217.0,
    2_147_483_648.0,
    -2_147_483_904.0,
    1e20,
    f32::MAX,
    f32::NEG_INFINITY,
    f32::NAN,
];
const DOUBLES: [f64; 13] = [
    0.0,
    -0.0,
    1.0,
    -1.5,
    f64::MIN_POSITIVE,
    5e-324,
    4_294_967_295.5,
    -2_147_483_649.0,
    9.3e18,
    1.9e19,
    f64::MAX,
    f64::NEG_INFINITY,
    f64::NAN,
];
const INTEGERS: [u64; 9] =
    [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0001, 0x7fff_ffff_ffff_ffff, 1 << 63, u64::MAX];

fn slots(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

fn same_single(bits: u64, expected: f32) -> bool {
    f32::from_bits(bits as u32).is_nan() && expected.is_nan() || bits == u64::from(expected.to_bits())
}

fn same_double(bits: u64, expected: f64) -> bool {
    f64::from_bits(bits).is_nan() && expected.is_nan() || bits == expected.to_bits()
}

#[test]
fn arithmetic() {
    let singles: [(&str, fn(f32, f32) -> f32); 4] =
        [("addf32", |a, b| a + b), ("subf32", |a, b| a - b), ("mulf32", |a, b| a * b), ("divf32", |a, b| a / b)];
    for ((name, expected), a, b) in combinations(&singles, &SINGLES) {
        let result = run("ff:f", &format!("{name} r9 r0 r1\nret32 r9"), &[a.to_bits(), b.to_bits()]).expect("no trap");
        assert!(same_single(result, expected(a, b)), "{name} {a} {b}: {result:#x}");
    }
    let doubles: [(&str, fn(f64, f64) -> f64); 4] =
        [("addf64", |a, b| a + b), ("subf64", |a, b| a - b), ("mulf64", |a, b| a * b), ("divf64", |a, b| a / b)];
    for ((name, expected), a, b) in combinations(&doubles, &DOUBLES) {
        let arguments = [slots(a.to_bits()), slots(b.to_bits())].concat();
        let result = run("dd:d", &format!("{name} r9 r0 r2\nret64 r9"), &arguments).expect("no trap");
        assert!(same_double(result, expected(a, b)), "{name} {a} {b}: {result:#x}");
    }
}

#[test]
fn comparisons() {
    let singles: [(&str, fn(f32, f32) -> bool); 5] = [
        ("seqf32", |a, b| a == b),
        ("sltf32", |a, b| a < b),
        ("slef32", |a, b| a <= b),
        ("snef32", |a, b| a < b || a > b),
        ("sordf32", |a, b| !a.is_nan() && !b.is_nan()),
    ];
    for ((name, expected), a, b) in combinations(&singles, &SINGLES) {
        let result = run("ff:i", &format!("{name} r9 r0 r1\nret32 r9"), &[a.to_bits(), b.to_bits()]);
        assert_eq!(result, Ok(expected(a, b).into()), "{name} {a} {b}");
    }
    let doubles: [(&str, fn(f64, f64) -> bool); 5] = [
        ("seqf64", |a, b| a == b),
        ("sltf64", |a, b| a < b),
        ("slef64", |a, b| a <= b),
        ("snef64", |a, b| a < b || a > b),
        ("sordf64", |a, b| !a.is_nan() && !b.is_nan()),
    ];
    for ((name, expected), a, b) in combinations(&doubles, &DOUBLES) {
        let result =
            run("dd:i", &format!("{name} r9 r0 r2\nret32 r9"), &[slots(a.to_bits()), slots(b.to_bits())].concat());
        assert_eq!(result, Ok(expected(a, b).into()), "{name} {a} {b}");
    }
}

#[test]
fn conversions_to_integers_saturate() {
    let singles: [(&str, &str, fn(f32) -> u64); 4] = [
        ("f32.i32", "i", |a| (a as i32 as u32).into()),
        ("f32.u32", "i", |a| (a as u32).into()),
        ("f32.i64", "l", |a| a as i64 as u64),
        ("f32.u64", "l", |a| a as u64),
    ];
    for ((name, result, expected), a) in singles.iter().flat_map(|row| SINGLES.map(|a| (row, a))) {
        let width = if *result == "i" { 32 } else { 64 };
        let text = format!("{name} r9 r0\nret{width} r9");
        assert_eq!(run(&format!("f:{result}"), &text, &[a.to_bits()]), Ok(expected(a)), "{name} {a}");
    }
    let doubles: [(&str, &str, fn(f64) -> u64); 4] = [
        ("f64.i32", "i", |a| (a as i32 as u32).into()),
        ("f64.u32", "i", |a| (a as u32).into()),
        ("f64.i64", "l", |a| a as i64 as u64),
        ("f64.u64", "l", |a| a as u64),
    ];
    for ((name, result, expected), a) in doubles.iter().flat_map(|row| DOUBLES.map(|a| (row, a))) {
        let width = if *result == "i" { 32 } else { 64 };
        let text = format!("{name} r9 r0\nret{width} r9");
        assert_eq!(run(&format!("d:{result}"), &text, &slots(a.to_bits())), Ok(expected(a)), "{name} {a}");
    }
}

#[test]
fn conversions_from_integers_round_to_even() {
    let to_single: [(&str, &str, fn(u64) -> f32); 4] = [
        ("i32.f32", "i", |a| a as i32 as f32),
        ("u32.f32", "i", |a| a as u32 as f32),
        ("i64.f32", "l", |a| a as i64 as f32),
        ("u64.f32", "l", |a| a as f32),
    ];
    for ((name, from, expected), a) in to_single.iter().flat_map(|row| INTEGERS.map(|a| (row, a))) {
        let arguments = &slots(a)[..if *from == "i" { 1 } else { 2 }];
        let result = run(&format!("{from}:f"), &format!("{name} r9 r0\nret32 r9"), arguments);
        assert_eq!(result, Ok(expected(a).to_bits().into()), "{name} {a}");
    }
    let to_double: [(&str, &str, fn(u64) -> f64); 4] = [
        ("i32.f64", "i", |a| f64::from(a as i32)),
        ("u32.f64", "i", |a| f64::from(a as u32)),
        ("i64.f64", "l", |a| a as i64 as f64),
        ("u64.f64", "l", |a| a as f64),
    ];
    for ((name, from, expected), a) in to_double.iter().flat_map(|row| INTEGERS.map(|a| (row, a))) {
        let arguments = &slots(a)[..if *from == "i" { 1 } else { 2 }];
        let result = run(&format!("{from}:d"), &format!("{name} r9 r0\nret64 r9"), arguments);
        assert_eq!(result, Ok(expected(a).to_bits()), "{name} {a}");
    }
}

#[test]
fn conversions_between_widths() {
    for a in SINGLES {
        let result = run("f:d", "f32.f64 r9 r0\nret64 r9", &[a.to_bits()]).expect("no trap");
        assert!(same_double(result, a.into()), "{a}: {result:#x}");
    }
    for a in DOUBLES {
        let result = run("d:f", "f64.f32 r9 r0\nret32 r9", &slots(a.to_bits())).expect("no trap");
        assert!(same_single(result, a as f32), "{a}: {result:#x}");
    }
}

/// Every row with every pair of values.
fn combinations<R: Copy, T: Copy>(rows: &[R], values: &[T]) -> Vec<(R, T, T)> {
    rows.iter().flat_map(|row| values.iter().flat_map(|a| values.iter().map(|b| (*row, *a, *b)))).collect()
}
