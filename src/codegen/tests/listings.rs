//! Small functions and the code they become.

use super::{HEADER, Silent};
use crate::codegen::{Options, generate};
use crate::ir::{Input, Request, read};
use espb_format::container::Module;
use espb_format::disassembler;

fn listing(body: &str) -> String {
    let inputs = vec![Input { name: "test.ll".to_owned(), bytes: format!("{HEADER}{body}").into_bytes() }];
    let program = read(&Request { inputs, roots: vec!["f".to_owned()] }).unwrap_or_else(|all| panic!("{all:#?}"));
    let options = Options { entry: None, exports: vec!["f".to_owned()], strip: true, ..Options::default() };
    let module = generate(&program.module, &Silent, &options).unwrap_or_else(|all| panic!("{all:#?}"));
    let text = disassembler::module(&Module::parse(&module).expect("well-formed"));
    // Without offsets and the header, so that a change of one line is one line.
    let code =
        text.lines().skip(1).map(|line| line.trim().split_once("  ").map_or(line.trim(), |(_, code)| code.trim()));
    code.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_loop_over_an_array_is_three_instructions_and_a_branch() {
    let code = listing(
        "define i32 @f(ptr %p, i32 %n) {\nentry:\nbr label %loop\nloop:\n%i = phi i32 [ 0, %entry ], [ %j, %loop ]\n\
         %s = phi i32 [ 0, %entry ], [ %t, %loop ]\n%a = getelementptr i32, ptr %p, i32 %i\n%v = load i32, ptr %a\n%t = add i32 %s, %v\n\
         %j = add i32 %i, 1\n%c = icmp ult i32 %j, %n\nbr i1 %c, label %loop, label %end\nend:\nret i32 %t\n}",
    );
    assert_eq!(code, "ldi64 r2:3, 0\nldx32 r4, r0, r2\nadd r3, r3, r4\naddi r2, r2, 1\nbltu r2, r1, 0004\nret32 r3");
}

#[test]
fn arguments_and_results_stay_in_the_window() {
    let code = listing(
        "declare i32 @g(i32, i64)\ndefine i32 @f(i32 %a, i32 %b) {\n%w = sext i32 %b to i64\n%x = call i32 @g(i32 %a, i64 %w)\n\
         %y = call i32 @g(i32 %x, i64 5)\n%z = sub i32 %y, %a\nret i32 %z\n}",
    );
    assert_eq!(code, "sext64 r4:5, r1\nmov r3, r0\ncallh w3, g\nldi64 r4:5, 5\ncallh w3, g\nsub r0, r3, r0\nret32 r0");
}

#[test]
fn variables_are_reached_directly_and_signs_extended_by_the_load() {
    let code = listing(
        "@x = internal global i32 0\n@y = internal global [4 x i16] [i16 1, i16 2, i16 3, i16 4]\n\
         @z = internal constant [2 x i32] [i32 7, i32 8]\ndefine i32 @f(i32 %i) {\n%a = load i32, ptr @x\n\
         %q = getelementptr i16, ptr @y, i32 %i\n%h = load i16, ptr %q\n%s = sext i16 %h to i32\n%r = getelementptr i32, ptr @z, i32 %i\n\
         %k = load i32, ptr %r\n%b = add i32 %a, %s\n%c = add i32 %b, %k\nstore i32 %c, ptr @x\nstore i16 1, ptr @y\nret i32 %c\n}",
    );
    assert_eq!(
        code,
        "ldg32 r1, ram+8\nadram r2, ram+0\nldx16s r2, r2, r0\nadro r3, ro+0\nldx32 r0, r3, r0\nadd r1, r1, r2\nadd r0, r1, r0\n\
         stg32 r0, ram+8\nldi r1, 1\nstg16 r1, ram+0\nret32 r0"
    );
}

#[test]
fn narrow_integers_are_extended_only_where_it_matters() {
    let code = listing(
        "define i32 @f(i8 %a, i8 %b, i32 %c) {\n%x = add i8 %a, %b\n%t = icmp ugt i8 %x, 9\n\
         %s = select i1 %t, i32 100000, i32 %c\nret i32 %s\n}",
    );
    assert_eq!(
        code,
        "add r0, r0, r1\nandb r0, r0, 255\nsltui r0, r0, 10\nldi.w r1, 100000\nmovnz r1, r2, r0\nret32 r1"
    );
}

#[test]
fn halves_of_a_pair_are_registers_of_their_own() {
    let code = listing(
        "define i64 @f(i64 %a, i32 %b) {\n%h = lshr i64 %a, 32\n%t = trunc i64 %h to i32\n%z = zext i32 %t to i64\n%y = zext i32 %b to i64\n\
         %m = mul i64 %z, %y\n%n = and i64 %m, 4294967040\nret i64 %n\n}",
    );
    assert_eq!(code, "mulwu r0:1, r1, r2\nandi.w r0, r0, -256\nldi r1, 0\nret64 r0:1");
}
