//! Vectors and integers of more than 64 bits compute what LLVM makes of the same text for this machine.

use super::widths::agrees;
use std::fmt::Write;

/// Reports all 64-bit words of `@memory`.
const REPORT: &str = "
@memory = internal global [8 x i64] zeroinitializer, align 16
declare void @out(i64)
define internal void @report() noinline {
entry:
  br label %loop
loop:
  %i = phi i32 [ 0, %entry ], [ %j, %loop ]
  %p = getelementptr i64, ptr @memory, i32 %i
  %v = load i64, ptr %p
  call void @out(i64 %v)
  %j = add i32 %i, 1
  %c = icmp ult i32 %j, 8
  br i1 %c, label %loop, label %end
end:
  ret void
}
";

/// A program of one function for each body, called for each pair of operands; the function stores its result to `@memory`.
struct Program {
    text: String,
    main: String,
    functions: u32,
}

impl Program {
    fn new() -> Self {
        Self { text: REPORT.to_owned(), main: String::new(), functions: 0 }
    }

    fn declare(&mut self, line: &str) {
        if !self.text.contains(line) {
            let _ = writeln!(self.text, "{line}");
        }
    }

    /// `%r` of type `result` computed from `%a` and `%b` of type `ty`.
    fn function(&mut self, result: &str, ty: &str, body: &str, operands: &[(&str, &str)]) {
        let name = format!("f{}", self.functions);
        self.functions += 1;
        let _ = writeln!(
            self.text,
            "define internal void @{name}({ty} %a, {ty} %b) noinline {{\n  {body}\n  store {result} %r, ptr @memory\n  ret void\n}}"
        );
        for (a, b) in operands {
            let _ = writeln!(self.main, "  call void @{name}({ty} {a}, {ty} {b})\n  call void @report()");
        }
    }

    fn agrees(self) {
        agrees(&format!("{}\ndefine i32 @app_main() {{\n{}  ret i32 0\n}}\n", self.text, self.main));
    }
}

const FOUR: [(&str, &str); 3] = [
    ("<i32 1, i32 -2, i32 3, i32 -2147483648>", "<i32 100, i32 200, i32 -300, i32 7>"),
    ("<i32 0, i32 -1, i32 2147483647, i32 65536>", "<i32 -1, i32 1, i32 3, i32 65536>"),
    ("zeroinitializer", "splat (i32 5)"),
];

#[test]
fn vectors_of_integers_compute_element_by_element() {
    let mut program = Program::new();
    for op in ["add", "sub", "mul", "and", "or", "xor", "udiv", "sdiv", "urem", "srem"] {
        program.function("<4 x i32>", "<4 x i32>", &format!("%r = {op} <4 x i32> %a, %b"), &FOUR);
    }
    for op in ["shl", "lshr", "ashr"] {
        program.function(
            "<4 x i32>",
            "<4 x i32>",
            &format!("%s = and <4 x i32> %b, splat (i32 31)\n  %r = {op} <4 x i32> %a, %s"),
            &FOUR,
        );
    }
    for predicate in ["eq", "ult", "sge"] {
        let body = format!(
            "%c = icmp {predicate} <4 x i32> %a, %b\n  %r = select <4 x i1> %c, <4 x i32> %a, <4 x i32> splat (i32 77)"
        );
        program.function("<4 x i32>", "<4 x i32>", &body, &FOUR);
        program.function(
            "i4",
            "<4 x i32>",
            &format!("%c = icmp {predicate} <4 x i32> %a, %b\n  %r = bitcast <4 x i1> %c to i4"),
            &FOUR,
        );
        program.function("<4 x i1>", "<4 x i32>", &format!("%r = icmp {predicate} <4 x i32> %a, %b"), &FOUR);
    }
    for (cast, to) in [
        ("trunc", "<4 x i8>"),
        ("zext", "<4 x i64>"),
        ("sext", "<4 x i48>"),
        ("trunc", "<4 x i1>"),
        ("sitofp", "<4 x float>"),
        ("uitofp", "<4 x double>"),
    ] {
        program.function(
            to,
            "<4 x i32>",
            &format!("%s = add <4 x i32> %a, %b\n  %r = {cast} <4 x i32> %s to {to}"),
            &FOUR,
        );
    }
    for name in ["smin", "umax", "uadd.sat", "ssub.sat", "fshl"] {
        let third = if name == "fshl" { ", <4 x i32> splat (i32 9)" } else { "" };
        let parameter = if name == "fshl" { ", <4 x i32>" } else { "" };
        program.declare(&format!("declare <4 x i32> @llvm.{name}.v4i32(<4 x i32>, <4 x i32>{parameter})"));
        program.function(
            "<4 x i32>",
            "<4 x i32>",
            &format!("%r = call <4 x i32> @llvm.{name}.v4i32(<4 x i32> %a, <4 x i32> %b{third})"),
            &FOUR,
        );
    }
    program.declare("declare <4 x i32> @llvm.abs.v4i32(<4 x i32>, i1)");
    program.function("<4 x i32>", "<4 x i32>", "%r = call <4 x i32> @llvm.abs.v4i32(<4 x i32> %a, i1 false)", &FOUR);
    program.declare("declare {<4 x i32>, <4 x i1>} @llvm.smul.with.overflow.v4i32(<4 x i32>, <4 x i32>)");
    let checked = "%x = call {<4 x i32>, <4 x i1>} @llvm.smul.with.overflow.v4i32(<4 x i32> %a, <4 x i32> %b)\n  \
        %o = extractvalue {<4 x i32>, <4 x i1>} %x, 1\n  %v = extractvalue {<4 x i32>, <4 x i1>} %x, 0\n  %r = select <4 x i1> %o, <4 x i32> %b, <4 x i32> %v";
    program.function("<4 x i32>", "<4 x i32>", checked, &FOUR);
    for name in ["add", "mul", "and", "or", "xor", "smin", "smax", "umin", "umax"] {
        program.declare(&format!("declare i32 @llvm.vector.reduce.{name}.v4i32(<4 x i32>)"));
        program.function(
            "i32",
            "<4 x i32>",
            &format!("%s = xor <4 x i32> %a, %b\n  %r = call i32 @llvm.vector.reduce.{name}.v4i32(<4 x i32> %s)"),
            &FOUR,
        );
    }
    program.agrees();
}

#[test]
fn elements_of_vectors_move_where_the_indices_say() {
    let mut program = Program::new();
    program.function(
        "<4 x i32>",
        "<4 x i32>",
        "%r = shufflevector <4 x i32> %a, <4 x i32> %b, <4 x i32> <i32 3, i32 4, i32 1, i32 6>",
        &FOUR,
    );
    program.function("<8 x i32>", "<4 x i32>", "%r = shufflevector <4 x i32> %a, <4 x i32> %b, <8 x i32> <i32 0, i32 4, i32 1, i32 5, i32 2, i32 6, i32 3, i32 7>", &FOUR);
    let variable = "%i = extractelement <4 x i32> %b, i32 3\n  %j = and i32 %i, 3\n  %e = extractelement <4 x i32> %a, i32 %j\n  \
        %k = xor i32 %j, 1\n  %r = insertelement <4 x i32> %b, i32 %e, i32 %k";
    program.function("<4 x i32>", "<4 x i32>", variable, &FOUR);
    for (to, bytes) in [("i128", 16), ("<16 x i8>", 16), ("<2 x i64>", 16), ("<2 x double>", 16), ("<8 x i16>", 16)] {
        assert_eq!(bytes, 16);
        program.function(to, "<4 x i32>", &format!("%r = bitcast <4 x i32> %a to {to}"), &FOUR);
    }
    program.function("<4 x i32>", "<4 x i32>", "%w = bitcast <4 x i32> %a to <8 x i16>\n  %x = bitcast <8 x i16> %w to <2 x i64>\n  %r = bitcast <2 x i64> %x to <4 x i32>", &FOUR);
    // Three elements take twelve bytes; the fourth word stays.
    program.function(
        "<3 x i32>",
        "<4 x i32>",
        "%r = shufflevector <4 x i32> %a, <4 x i32> %b, <3 x i32> <i32 5, i32 2, i32 0>",
        &FOUR,
    );
    program.function("<4 x i32>", "<4 x i32>", "%l = load <8 x i1>, ptr @memory\n  %z = zext <8 x i1> %l to <8 x i32>\n  %s = shufflevector <8 x i32> %z, <8 x i32> poison, <4 x i32> <i32 0, i32 3, i32 5, i32 7>\n  %r = add <4 x i32> %s, %a", &FOUR);
    let looped = "br label %loop\nloop:\n  %i = phi i32 [ 0, %0 ], [ %j, %loop ]\n  %v = phi <4 x i32> [ %a, %0 ], [ %w, %loop ]\n  %w = add <4 x i32> %v, %b\n  \
        %j = add i32 %i, 1\n  %c = icmp ult i32 %j, 3\n  br i1 %c, label %loop, label %end\nend:\n  %d = icmp ugt i32 %j, 2\n  %r = select i1 %d, <4 x i32> %w, <4 x i32> %a";
    program.function("<4 x i32>", "<4 x i32>", looped, &FOUR);
    program.agrees();
}

#[test]
fn vectors_of_floats_compute_element_by_element() {
    let operands = [
        (
            "<float 1.5, float -0.0, float 0x7FF8000000000000, float 3.0>",
            "<float 0.25, float 0.0, float 1.0, float -8.0>",
        ),
        (
            "<float 0x47EFFFFFE0000000, float 0x36A0000000000000, float -1.0, float 2.0>",
            "<float 2.0, float 0.5, float 0x7FF0000000000000, float 2.0>",
        ),
    ];
    let mut program = Program::new();
    for op in ["fadd", "fsub", "fmul", "fdiv"] {
        // Which NaN comes out is not said.
        let body = format!(
            "%x = {op} <4 x float> %a, %b\n  %n = fcmp uno <4 x float> %x, %x\n  %r = select <4 x i1> %n, <4 x float> splat (float 9.0), <4 x float> %x"
        );
        program.function("<4 x float>", "<4 x float>", &body, &operands);
    }
    for predicate in ["oeq", "one", "olt", "oge", "ord", "uno", "ueq", "ugt", "ule", "une"] {
        program.function(
            "<4 x i32>",
            "<4 x float>",
            &format!("%c = fcmp {predicate} <4 x float> %a, %b\n  %r = sext <4 x i1> %c to <4 x i32>"),
            &operands,
        );
    }
    program.function("<4 x float>", "<4 x float>", "%r = fneg <4 x float> %a", &operands);
    program.declare("declare <4 x float> @llvm.copysign.v4f32(<4 x float>, <4 x float>)");
    program.function(
        "<4 x float>",
        "<4 x float>",
        "%r = call <4 x float> @llvm.copysign.v4f32(<4 x float> %a, <4 x float> %b)",
        &operands,
    );
    program.declare("declare <4 x i8> @llvm.fptosi.sat.v4i8.v4f32(<4 x float>)");
    program.function(
        "<4 x i8>",
        "<4 x float>",
        "%r = call <4 x i8> @llvm.fptosi.sat.v4i8.v4f32(<4 x float> %a)",
        &operands,
    );
    for name in ["minimum", "maximum"] {
        program.declare(&format!("declare <4 x float> @llvm.{name}.v4f32(<4 x float>, <4 x float>)"));
        let body = format!(
            "%x = call <4 x float> @llvm.{name}.v4f32(<4 x float> %a, <4 x float> %b)\n  %n = fcmp uno <4 x float> %x, %x\n  \
            %r = select <4 x i1> %n, <4 x float> splat (float 9.0), <4 x float> %x"
        );
        program.function("<4 x float>", "<4 x float>", &body, &operands);
    }
    program.declare("declare float @llvm.vector.reduce.fadd.v4f32(float, <4 x float>)");
    program.function(
        "float",
        "<4 x float>",
        "%s = fmul <4 x float> %b, %b\n  %r = call float @llvm.vector.reduce.fadd.v4f32(float 1.0, <4 x float> %s)",
        &operands[..1],
    );
    program.agrees();
}

#[test]
fn wide_integers_compute_in_two_parts() {
    for bits in [65u32, 66, 96, 100, 127, 128] {
        let ty = format!("i{bits}");
        let operands = [
            ("-1", "1"),
            ("170141183460469231", "-98765432109876543"),
            ("18446744073709551616", "18446744073709551615"),
            ("12345", "-9223372036854775808"),
            ("0", "77"),
        ];
        let mut program = Program::new();
        for op in ["add", "sub", "mul", "and", "or", "xor", "udiv", "sdiv", "urem", "srem"] {
            program.function(&ty, &ty, &format!("%r = {op} {ty} %a, %b"), &operands);
        }
        for op in ["udiv", "sdiv", "urem", "srem"] {
            for power in [1i128, 8, -8, 1 << 63, 1 << 64, -(1 << 64)] {
                program.function(&ty, &ty, &format!("%x = xor {ty} %a, %b\n  %r = {op} {ty} %x, {power}"), &operands);
            }
        }
        for op in ["shl", "lshr", "ashr"] {
            for by in [0, 1, 31, 63, 64] {
                program.function(&ty, &ty, &format!("%x = xor {ty} %a, %b\n  %r = {op} {ty} %x, {by}"), &operands);
            }
            program.function(&ty, &ty, &format!("%s = urem {ty} %b, {bits}\n  %r = {op} {ty} %a, %s"), &operands);
        }
        comparisons(&mut program, &ty, &operands);
        for name in ["ctpop", "bitreverse"] {
            program.declare(&format!("declare {ty} @llvm.{name}.{ty}({ty})"));
            program.function(
                &ty,
                &ty,
                &format!("%x = mul {ty} %a, %b\n  %r = call {ty} @llvm.{name}.{ty}({ty} %x)"),
                &operands,
            );
        }
        for name in ["ctlz", "cttz", "abs"] {
            program.declare(&format!("declare {ty} @llvm.{name}.{ty}({ty}, i1)"));
            program.function(&ty, &ty, &format!("%r = call {ty} @llvm.{name}.{ty}({ty} %a, i1 false)"), &operands);
        }
        if bits == 128 {
            for name in ["fshl", "fshr"] {
                program.declare(&format!("declare {ty} @llvm.{name}.{ty}({ty}, {ty}, {ty})"));
                program.function(
                    &ty,
                    &ty,
                    &format!("%r = call {ty} @llvm.{name}.{ty}({ty} %a, {ty} %b, {ty} %b)"),
                    &operands,
                );
            }
        }
        program.function("i64", "i64", &format!("%x = sext i64 %a to {ty}\n  %y = sext i64 %b to {ty}\n  %z = mul {ty} %x, %y\n  %h = lshr {ty} %z, 1\n  %r = trunc {ty} %h to i64"), &operands[3..]);
        program.agrees();
    }
}

/// Comparisons, and what is made of them: the smaller, the larger, saturation.
fn comparisons(program: &mut Program, ty: &str, operands: &[(&str, &str)]) {
    for predicate in ["eq", "ne", "ugt", "uge", "ult", "ule", "sgt", "sge", "slt", "sle"] {
        program.function("i1", ty, &format!("%r = icmp {predicate} {ty} %a, %b"), operands);
        program.function("i1", ty, &format!("%r = icmp {predicate} {ty} %a, %a"), operands);
    }
    for name in ["smin", "umax", "uadd.sat", "usub.sat", "sadd.sat", "ssub.sat"] {
        program.declare(&format!("declare {ty} @llvm.{name}.{ty}({ty}, {ty})"));
        program.function(ty, ty, &format!("%r = call {ty} @llvm.{name}.{ty}({ty} %a, {ty} %b)"), operands);
    }
}

#[test]
fn integers_of_any_width_compute_in_parts() {
    for bits in [129u32, 136, 191, 192, 200, 300] {
        let ty = format!("i{bits}");
        let operands = [
            ("-1", "1"),
            ("170141183460469231731687303715884105727", "-98765432109876543210987654321098765432"),
            ("340282366920938463463374607431768211456", "340282366920938463463374607431768211455"),
            ("-18446744073709551616", "66"),
        ];
        let mut program = Program::new();
        for op in ["add", "sub", "and", "or", "xor"] {
            program.function(&ty, &ty, &format!("%r = {op} {ty} %a, %b"), &operands);
        }
        for op in ["shl", "lshr", "ashr"] {
            for by in [0, 1, 63, 64, 65, 107, 128] {
                program.function(&ty, &ty, &format!("%x = xor {ty} %a, %b\n  %r = {op} {ty} %x, {by}"), &operands);
            }
            program.function(&ty, &ty, &format!("%s = and {ty} %b, 127\n  %r = {op} {ty} %a, %s"), &operands);
        }
        comparisons(&mut program, &ty, &operands);
        for (narrow, extension) in
            [("i20", "sext"), ("i64", "zext"), ("i100", "sext"), ("i128", "zext"), ("i128", "sext")]
        {
            let body = format!(
                "%x = trunc {ty} %a to {narrow}\n  %y = {extension} {narrow} %x to {ty}\n  %r = xor {ty} %y, %b"
            );
            program.function(&ty, &ty, &body, &operands);
        }
        // A bit-field: some bits of a number in memory are replaced.
        let field = format!(
            "store {ty} %a, ptr @memory\n  %l = load {ty}, ptr @memory\n  %s = and {ty} %b, 1023\n  %t = shl {ty} %s, 107\n  \
            %m = shl {ty} 1023, 107\n  %n = xor {ty} %m, -1\n  %k = and {ty} %l, %n\n  %r = or {ty} %k, %t"
        );
        program.function(&ty, &ty, &field, &operands);
        program.agrees();
    }
}

#[test]
fn wide_integers_and_floats_convert_exactly() {
    let integers = [
        "0",
        "1",
        "-1",
        "9007199254740993",
        "18446744073709551615",
        "18446744073709551616",
        "36893488147419105281",
        "-36893488147419105281",
        "85070591730234615865843651857942052864",
        "170141183460469231731687303715884105727",
        "-170141183460469231731687303715884105728",
        "85070591730234620588198515700855341056",
        "633825300114114700748351602689",
    ];
    let integers: Vec<(&str, &str)> = integers.iter().map(|number| (*number, "0")).collect();
    let mut program = Program::new();
    for float in ["float", "double"] {
        for op in ["sitofp", "uitofp"] {
            program.function(float, "i128", &format!("%r = {op} i128 %a to {float}"), &integers);
            program.function(
                float,
                "i128",
                &format!("%x = trunc i128 %a to i100\n  %r = {op} i100 %x to {float}"),
                &integers,
            );
        }
    }
    // In the range of each conversion; beyond it, those that saturate.
    let numbers = ["0.0", "0.75", "1.0", "4294967296.0", "1.8446744073709552e19", "3.0e25", "1.5e30", "8.0e37"];
    let numbers: Vec<(&str, &str)> = numbers.iter().map(|number| (*number, "0.0")).collect();
    let beyond = [
        "-0.75",
        "-1.0",
        "-1.5e30",
        "-8.0e37",
        "-1.7014118346046923e38",
        "1.7014118346046923e38",
        "3.4028236692093846e38",
        "1.0e300",
        "-1.0e300",
        "0x7FF0000000000000",
        "0xFFF0000000000000",
        "0x7FF8000000000000",
    ];
    let beyond: Vec<(&str, &str)> = beyond.iter().map(|number| (*number, "0.0")).collect();
    for (op, sign) in [("fptosi", "s"), ("fptoui", "u")] {
        program.function("i128", "double", &format!("%r = {op} double %a to i128"), &numbers);
        let narrowed =
            format!("%f = fptrunc double %a to float\n  %x = {op} float %f to i127\n  %r = zext i127 %x to i128");
        program.function("i128", "double", &narrowed, &numbers);
        for bits in [65, 100, 128] {
            program.declare(&format!("declare i{bits} @llvm.fpto{sign}i.sat.i{bits}.f64(double)"));
            let body = format!("%r = call i{bits} @llvm.fpto{sign}i.sat.i{bits}.f64(double %a)");
            program.function(&format!("i{bits}"), "double", &body, &[&numbers[..], &beyond[..]].concat());
        }
    }
    program.function("i128", "double", "%n = fneg double %a\n  %r = fptosi double %n to i128", &numbers);
    program.agrees();
}

#[test]
fn the_high_half_of_a_product_is_exact() {
    let operands =
        [("-1", "-1"), ("-9223372036854775808", "3"), ("1311768467463790320", "-81985529216486896"), ("5", "7")];
    let mut program = Program::new();
    for extension in ["zext", "sext"] {
        let body = format!(
            "%x = {extension} i64 %a to i128\n  %y = {extension} i64 %b to i128\n  %z = mul i128 %x, %y\n  %h = lshr i128 %z, 64\n  %r = trunc i128 %h to i64"
        );
        program.function("i64", "i64", &body, &operands);
    }
    program.agrees();
}
