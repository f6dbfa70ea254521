//! Small functions and the code they become.

use super::{HEADER, Silent};
use crate::codegen::{Options, generate};
use crate::ir::{Input, Request, read};
use espb_format::container::Module;
use espb_format::disassembler;

fn listing(body: &str) -> String {
    let inputs = vec![Input { name: "test.ll".to_owned(), bytes: format!("{HEADER}{body}").into_bytes() }];
    let program = read(&Request { inputs, roots: vec!["f".to_owned()] }).unwrap_or_else(|all| panic!("{all:#?}"));
    let options = Options { exports: vec!["f".to_owned()], strip: true, ..Options::default() };
    let module = generate(&program.module, &Silent, &options).unwrap_or_else(|all| panic!("{all:#?}"));
    let text = disassembler::module(&Module::parse(&module).expect("well-formed"));
    // Without offsets, so that a change of one line is one line.
    text.lines().map(|line| line.trim().trim_start_matches(|c: char| c.is_ascii_hexdigit()).trim()).collect::<Vec<_>>().join("\n")
}

#[test]
fn show() {
    for body in [
        "define i32 @f(ptr %p, i32 %n) {\nentry:\nbr label %loop\nloop:\n%i = phi i32 [ 0, %entry ], [ %j, %loop ]\n%s = phi i32 [ 0, %entry ], [ %t, %loop ]\n\
         %a = getelementptr i32, ptr %p, i32 %i\n%v = load i32, ptr %a\n%t = add i32 %s, %v\n%j = add i32 %i, 1\n%c = icmp ult i32 %j, %n\n\
         br i1 %c, label %loop, label %end\nend:\nret i32 %t\n}",
        "declare i32 @g(i32, i64)\ndefine i32 @f(i32 %a, i32 %b) {\n%w = sext i32 %b to i64\n%x = call i32 @g(i32 %a, i64 %w)\n%y = call i32 @g(i32 %x, i64 5)\n\
         %z = sub i32 %y, %a\nret i32 %z\n}",
        "@x = internal global i32 0\n@y = internal global [4 x i16] [i16 1, i16 2, i16 3, i16 4]\n@z = internal constant [2 x i32] [i32 7, i32 8]\n\
         define i32 @f(i32 %i) {\n%a = load i32, ptr @x\n%q = getelementptr i16, ptr @y, i32 %i\n%h = load i16, ptr %q\n%s = sext i16 %h to i32\n\
         %r = getelementptr i32, ptr @z, i32 %i\n%k = load i32, ptr %r\n%b = add i32 %a, %s\n%c = add i32 %b, %k\nstore i32 %c, ptr @x\nstore i16 1, ptr @y\nret i32 %c\n}",
        "define i32 @f(i8 %a, i8 %b, i32 %c) {\n%x = add i8 %a, %b\n%t = icmp ugt i8 %x, 9\n%s = select i1 %t, i32 100000, i32 %c\nret i32 %s\n}",
        "define i64 @f(i64 %a, i32 %b) {\n%h = lshr i64 %a, 32\n%t = trunc i64 %h to i32\n%z = zext i32 %t to i64\n%y = zext i32 %b to i64\n%m = mul i64 %z, %y\n%n = and i64 %m, 4294967040\nret i64 %n\n}",
        "define i32 @f(i32 %x) {\nswitch i32 %x, label %d [\ni32 1, label %a\ni32 2, label %b\ni32 3, label %a\ni32 4, label %b\ni32 1000, label %a\n]\na:\nret i32 10\nb:\nret i32 20\nd:\nret i32 30\n}",
    ] {
        println!("----\n{}", listing(body));
    }
}
