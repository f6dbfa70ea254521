//! Floating point at its edges: classes, comparisons and conversions of zeros, subnormals, infinities and NaNs are what LLVM makes of the
//! same text for this machine.

use super::widths::agrees;
use std::fmt::Write;

/// Doubles by their bits: both signs are tried.
const DOUBLES: [u64; 16] = [
    0,
    1,
    0x000f_ffff_ffff_ffff,
    0x0010_0000_0000_0000,
    0x3fe0_0000_0000_0000,
    0x3fef_ffff_ffff_ffff,
    0x3ff0_0000_0000_0000,
    0x405f_c000_0000_0000,
    0x4060_0000_0000_0000,
    0x41df_ffff_ffe0_0000,
    0x41e0_0000_0000_0000,
    0x43e0_0000_0000_0000,
    0x7fef_ffff_ffff_ffff,
    0x7ff0_0000_0000_0000,
    0x7ff0_0000_0000_0001,
    0x7ff8_0000_0000_0000,
];

/// Reports `body`'s results, named `%r0` and so on with these types, for every double and the float of the same upper bits.
fn each(declarations: &str, body: impl Fn(&str, &str, &str) -> (String, Vec<u32>)) -> String {
    let (mut ir, mut main) = (format!("declare void @out(i64)\n{declarations}\n"), String::new());
    for (float, kind, bits) in [("double", "f64", 64u32), ("float", "f32", 32)] {
        let (text, widths) = body(float, kind, &format!("i{bits}"));
        let mut reports = String::new();
        for (index, width) in widths.iter().enumerate() {
            let _ = if *width == 64 {
                writeln!(reports, "  call void @out(i64 %r{index})")
            } else {
                writeln!(reports, "  %e{index} = zext i{width} %r{index} to i64\n  call void @out(i64 %e{index})")
            };
        }
        let _ = writeln!(
            ir,
            "define internal void @{kind}(i{bits} %x, i{bits} %y) noinline {{\n  %a = bitcast i{bits} %x to {float}\n  %b = bitcast i{bits} %y to {float}\n{text}{reports}  ret void\n}}"
        );
        let all: Vec<u64> =
            DOUBLES.iter().flat_map(|value| [*value, value | 1 << 63]).map(|value| value >> (64 - bits)).collect();
        for (index, x) in all.iter().enumerate() {
            for other in [0, 1, 7, 26] {
                let y = all[(index + other) % all.len()];
                let _ = writeln!(main, "  call void @{kind}(i{bits} {x}, i{bits} {y})");
            }
        }
    }
    format!("{ir}define i32 @app_main() {{\n{main}  ret i32 0\n}}\n")
}

#[test]
fn classes_of_numbers_are_told_apart() {
    let declarations = "declare i1 @llvm.is.fpclass.f64(double, i32)\ndeclare i1 @llvm.is.fpclass.f32(float, i32)";
    agrees(&each(declarations, |float, kind, _| {
        let mut text = String::new();
        let tests: Vec<u32> = (0..10).map(|bit| 1 << bit).chain([0x003, 0x204, 0x264, 0x1f8, 0x3ff, 0x0f0]).collect();
        for (index, test) in tests.iter().enumerate() {
            let _ = writeln!(text, "  %r{index} = call i1 @llvm.is.fpclass.{kind}({float} %a, i32 {test})");
        }
        (text, vec![1; tests.len()])
    }));
}

#[test]
fn comparisons_know_nans_and_signed_zeros() {
    let predicates = ["oeq", "ogt", "oge", "olt", "ole", "one", "ord", "ueq", "ugt", "uge", "ult", "ule", "une", "uno"];
    agrees(&each("", |float, _, _| {
        let mut text = String::new();
        for (index, predicate) in predicates.iter().enumerate() {
            let _ = writeln!(text, "  %r{index} = fcmp {predicate} {float} %a, %b");
        }
        (text, vec![1; predicates.len()])
    }));
}

#[test]
fn saturating_conversions_stop_at_the_ends_and_make_nans_zero() {
    let widths = [1u32, 2, 7, 8, 16, 24, 31, 32, 33, 40, 50, 63, 64];
    let mut declarations = String::new();
    for (width, sign) in widths.iter().flat_map(|width| [(width, "s"), (width, "u")]) {
        for (float, kind) in [("double", "f64"), ("float", "f32")] {
            let _ = writeln!(declarations, "declare i{width} @llvm.fpto{sign}i.sat.i{width}.{kind}({float})");
        }
    }
    agrees(&each(&declarations, |float, kind, _| {
        let (mut text, mut results) = (String::new(), Vec::new());
        for (width, sign) in widths.iter().flat_map(|width| [(width, "s"), (width, "u")]) {
            let _ = writeln!(
                text,
                "  %r{} = call i{width} @llvm.fpto{sign}i.sat.i{width}.{kind}({float} %a)",
                results.len()
            );
            results.push(*width);
        }
        (text, results)
    }));
}

#[test]
fn signs_are_bits_of_their_own() {
    let declarations = "declare double @llvm.fabs.f64(double)\ndeclare float @llvm.fabs.f32(float)\n\
        declare double @llvm.copysign.f64(double, double)\ndeclare float @llvm.copysign.f32(float, float)\n";
    agrees(&each(declarations, |float, kind, integer| {
        let text = format!(
            "  %n = fneg {float} %a\n  %r0 = bitcast {float} %n to {integer}\n  %m = call {float} @llvm.fabs.{kind}({float} %a)\n  \
             %r1 = bitcast {float} %m to {integer}\n  %c = call {float} @llvm.copysign.{kind}({float} %a, {float} %b)\n  %r2 = bitcast {float} %c to {integer}\n"
        );
        let bits = if kind == "f64" { 64 } else { 32 };
        (text, vec![bits; 3])
    }));
}
