//! Random IR over integers of every width: arithmetic, conversions, intrinsics and memory agree with what LLVM makes of the same text for
//! this machine. The same seed gives the same text everywhere.

use super::machine::run;
use super::{HEADER, compile_ir, translate};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Values that each function is called with.
const INPUTS: [u64; 10] = [
    0,
    1,
    u64::MAX,
    0x8000_0000_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x1_0000_0000,
    0x8000_0000,
    0x1234_5678_9abc_def0,
    0xaaaa_5555_aaaa_5555,
    77,
];

/// A function `f` of two 64-bit integers under construction; every value it computes is reported through `out`.
struct Builder {
    state: u64,
    next: u32,
    text: String,
    declarations: BTreeSet<String>,
    /// Integers computed so far, with their widths.
    values: Vec<(String, u32)>,
}

impl Builder {
    fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            next: 0,
            text: String::new(),
            declarations: BTreeSet::new(),
            values: vec![("%x".to_owned(), 64), ("%y".to_owned(), 64)],
        }
    }

    /// Below `bound` (Marsaglia's xorshift64*).
    fn below(&mut self, bound: u32) -> u32 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        ((self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % u64::from(bound)) as u32
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len() as u32) as usize]
    }

    /// Appends an instruction and names its result.
    fn emit(&mut self, instruction: &str) -> String {
        self.next += 1;
        let name = format!("%v{}", self.next);
        let _ = writeln!(self.text, "  {name} = {instruction}");
        name
    }

    /// A call of an intrinsic with arguments of the given types.
    fn intrinsic(&mut self, result: &str, name: &str, arguments: &[(&str, &str)]) -> String {
        let types: Vec<&str> = arguments.iter().map(|(ty, _)| *ty).collect();
        self.declarations.insert(format!("declare {result} @{name}({})", types.join(", ")));
        let list: Vec<String> = arguments.iter().map(|(ty, value)| format!("{ty} {value}")).collect();
        self.emit(&format!("call {result} @{name}({})", list.join(", ")))
    }

    /// Some value or number of this width.
    fn operand(&mut self, bits: u32) -> String {
        if self.below(5) == 0 {
            let number = match self.below(6) {
                0 => 0,
                1 => 1,
                2 => u64::MAX,
                3 => 1 << (bits - 1),
                4 => u64::from(self.below(200)),
                _ => self.state,
            };
            return (number & mask(bits)).to_string();
        }
        let index = self.below(self.values.len() as u32) as usize;
        let (name, from) = self.values[index].clone();
        self.converted(&name, from, bits)
    }

    fn converted(&mut self, name: &str, from: u32, bits: u32) -> String {
        match from.cmp(&bits) {
            std::cmp::Ordering::Equal => name.to_owned(),
            std::cmp::Ordering::Greater => self.emit(&format!("trunc i{from} {name} to i{bits}")),
            std::cmp::Ordering::Less => {
                let extension = self.pick(&["zext", "sext"]);
                self.emit(&format!("{extension} i{from} {name} to i{bits}"))
            }
        }
    }

    /// A distance below the width.
    fn distance(&mut self, bits: u32) -> String {
        if bits < 7 || self.below(3) == 0 {
            return self.below(bits).to_string();
        }
        let operand = self.operand(bits);
        self.emit(&format!("urem i{bits} {operand}, {bits}"))
    }

    /// One more value of some sort, of width `bits` or one that follows from the operation.
    fn step(&mut self, bits: u32) {
        let ty = format!("i{bits}");
        let (a, b) = (self.operand(bits), self.operand(bits));
        let (value, width) = match self.below(17) {
            0..=2 => {
                let op = self.pick(&["add", "sub", "mul", "and", "or", "xor"]);
                (self.emit(&format!("{op} {ty} {a}, {b}")), bits)
            }
            3 => {
                let (op, by) = (self.pick(&["shl", "lshr", "ashr"]), self.distance(bits));
                (self.emit(&format!("{op} {ty} {a}, {by}")), bits)
            }
            4 => {
                let op = self.pick(&["udiv", "urem"]);
                let divisor = self.emit(&format!("or {ty} {b}, 1"));
                (self.emit(&format!("{op} {ty} {a}, {divisor}")), bits)
            }
            5 if bits > 1 => {
                // A positive divisor neither is zero nor overflows.
                let op = self.pick(&["sdiv", "srem"]);
                let positive = self.emit(&format!("lshr {ty} {b}, 1"));
                let odd = self.emit(&format!("or {ty} {positive}, {}", u32::from(bits > 2 || op == "srem")));
                let divisor = if bits == 2 { self.emit(&format!("or {ty} {odd}, 1")) } else { odd };
                (self.emit(&format!("{op} {ty} {a}, {divisor}")), bits)
            }
            6 => {
                let predicate = self.pick(&["eq", "ne", "ugt", "uge", "ult", "ule", "sgt", "sge", "slt", "sle"]);
                (self.emit(&format!("icmp {predicate} {ty} {a}, {b}")), 1)
            }
            7 => {
                let condition = self.operand(1);
                (self.emit(&format!("select i1 {condition}, {ty} {a}, {ty} {b}")), bits)
            }
            8 => {
                let name = self.pick(&["smin", "smax", "umin", "umax"]);
                (self.intrinsic(&ty, &format!("llvm.{name}.{ty}"), &[(&ty, &a), (&ty, &b)]), bits)
            }
            9 => {
                let name = self.pick(&["sadd.sat", "uadd.sat", "ssub.sat", "usub.sat"]);
                (self.intrinsic(&ty, &format!("llvm.{name}.{ty}"), &[(&ty, &a), (&ty, &b)]), bits)
            }
            10 => {
                let name = self.pick(&["sadd", "uadd", "ssub", "usub", "smul", "umul"]);
                let both = self.intrinsic(
                    &format!("{{{ty}, i1}}"),
                    &format!("llvm.{name}.with.overflow.{ty}"),
                    &[(&ty, &a), (&ty, &b)],
                );
                let flag = self.emit(&format!("extractvalue {{{ty}, i1}} {both}, 1"));
                self.values.push((flag, 1));
                (self.emit(&format!("extractvalue {{{ty}, i1}} {both}, 0")), bits)
            }
            11 => {
                let name = self.pick(&["ctpop", "ctlz", "cttz", "abs", "bitreverse"]);
                let flag = [("i1", "false")];
                let arguments = [
                    &[(ty.as_str(), a.as_str())][..],
                    if matches!(name, "ctpop" | "bitreverse") { &[] } else { &flag[..] },
                ]
                .concat();
                (self.intrinsic(&ty, &format!("llvm.{name}.{ty}"), &arguments), bits)
            }
            12 => {
                let (name, c) = (self.pick(&["fshl", "fshr"]), self.operand(bits));
                let low = if self.below(2) == 0 { a.clone() } else { b };
                (self.intrinsic(&ty, &format!("llvm.{name}.{ty}"), &[(&ty, &a), (&ty, &low), (&ty, &c)]), bits)
            }
            13 if bits.is_multiple_of(16) => (self.intrinsic(&ty, &format!("llvm.bswap.{ty}"), &[(&ty, &a)]), bits),
            14 => {
                let (op, float, width) =
                    (self.pick(&["sitofp", "uitofp"]), self.pick(&["float", "double"]), self.below(64) + 1);
                let number = self.emit(&format!("{op} {ty} {a} to {float}"));
                let kind = if float == "float" { "f32" } else { "f64" };
                let name = self.pick(&["fptosi.sat", "fptoui.sat"]);
                (
                    self.intrinsic(&format!("i{width}"), &format!("llvm.{name}.i{width}.{kind}"), &[(float, &number)]),
                    width,
                )
            }
            15 => {
                let (name, width) = (self.pick(&["scmp", "ucmp"]), self.below(63) + 2);
                (
                    self.intrinsic(
                        &format!("i{width}"),
                        &format!("llvm.{name}.i{width}.{ty}"),
                        &[(&ty, &a), (&ty, &b)],
                    ),
                    width,
                )
            }
            _ => {
                // The neighbours of the bytes that are written must stay.
                let place = self.emit(&format!("getelementptr i8, ptr @memory, i32 {}", self.state % 5));
                let _ = writeln!(
                    self.text,
                    "  store i64 -1, ptr @memory, align 1\n  store i64 -1, ptr getelementptr (i8, ptr @memory, i32 8), align 1"
                );
                let _ = writeln!(self.text, "  store {ty} {a}, ptr {place}, align 1");
                for half in [0, 8] {
                    let word =
                        self.emit(&format!("load i64, ptr getelementptr (i8, ptr @memory, i32 {half}), align 1"));
                    self.values.push((word, 64));
                }
                (self.emit(&format!("load {ty}, ptr {place}, align 1")), bits)
            }
        };
        self.values.push((value, width));
    }

    /// The function, named `name`, and what it declares.
    fn function(mut self, name: &str, widths: &[u32], steps: u32) -> (String, BTreeSet<String>) {
        for index in 0..steps {
            self.step(widths[index as usize % widths.len()]);
        }
        for (value, bits) in self.values.clone() {
            let extended = if bits == 64 {
                value
            } else {
                let op = self.pick(&["sext", "zext"]);
                self.emit(&format!("{op} i{bits} {value} to i64"))
            };
            let _ = writeln!(self.text, "  call void @out(i64 {extended})");
        }
        (
            format!("define internal void @{name}(i64 %x, i64 %y) noinline {{\n{}  ret void\n}}\n", self.text),
            self.declarations,
        )
    }
}

/// A program that calls the functions with all inputs.
fn program(functions: impl IntoIterator<Item = (Builder, Vec<u32>)>, steps: u32) -> String {
    let (mut ir, mut main, mut declarations) = (String::new(), String::new(), BTreeSet::new());
    for (number, (builder, widths)) in functions.into_iter().enumerate() {
        let (text, own) = builder.function(&format!("f{number}"), &widths, steps);
        ir.push_str(&text);
        declarations.extend(own);
        for (index, x) in INPUTS.iter().enumerate() {
            let _ = writeln!(
                main,
                "  call void @f{number}(i64 {}, i64 {})",
                *x as i64,
                INPUTS[(index * 7 + 3) % INPUTS.len()] as i64
            );
        }
    }
    let declarations = Vec::from_iter(declarations).join("\n");
    format!(
        "@memory = internal global [16 x i8] zeroinitializer\ndeclare void @out(i64)\n{declarations}\n{ir}define i32 @app_main() {{\n{main}  ret i32 0\n}}\n"
    )
}

fn mask(bits: u32) -> u64 {
    u64::MAX >> (64 - bits)
}

/// Compares a module with the same text compiled for this machine.
pub fn agrees(ir: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let expected = compile_ir(folder.path(), ir);
    let module = translate(&format!("{HEADER}{ir}"), "app_main", false).unwrap_or_else(|all| panic!("{all:#?}\n{ir}"));
    let (reported, result) = run(&module);
    assert!(result.is_ok(), "{result:?}\n{ir}");
    let first = reported.iter().zip(&expected).position(|(ours, theirs)| ours != theirs);
    assert!(
        reported == expected,
        "report {first:?} of {}: {:?}, expected {:?}\n{ir}",
        expected.len(),
        first.map(|at| reported[at]),
        first.map(|at| expected[at])
    );
}

#[test]
fn every_integer_width_computes_as_on_this_machine() {
    for first in [1u32, 33] {
        agrees(&program((first..first + 32).map(|bits| (Builder::new(bits.into()), vec![bits])), 120));
    }
}

#[test]
fn widths_mix() {
    let functions = (100..116).map(|seed| {
        let mut builder = Builder::new(seed);
        let widths = (0..23).map(|_| builder.below(64) + 1).collect();
        (builder, widths)
    });
    agrees(&program(functions, 160));
}
