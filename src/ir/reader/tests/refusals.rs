//! Bad input: one diagnostic each, with place and remedy.
//!
//! Must never hold: tests that need debug information.

use super::{errors, request};
use crate::diagnostic::Place;
use crate::ir::Input;
use crate::ir::reader::{Request, read};

const MAIN: &str = "define i32 @app_main() {\n  ret i32 0\n}\n";

/// The one error of a file, its code and place.
fn refusal(bytes: &[u8]) -> (&'static str, Place, String) {
    let input = Input { name: "a.ll".to_owned(), bytes: bytes.to_vec() };
    let errors = read(&Request { inputs: vec![input], roots: Vec::new() }).expect_err("must be refused");
    let [error] = errors.as_slice() else { panic!("one error: {errors:?}") };
    assert!(!error.help.is_empty() && !error.message.ends_with('.'), "{error:?}");
    (error.code, error.place.clone(), error.message.clone())
}

fn file() -> Place {
    Place::File("a.ll".to_owned())
}

fn line(line: u32, column: u32) -> Place {
    Place::Line { file: "a.ll".to_owned(), line, column }
}

#[test]
fn files_that_are_no_ir_are_told_what_they_are() {
    for (bytes, code, what) in [
        (&b""[..], "espb::ir::empty_input", "empty"),
        (b" \n\n", "espb::ir::empty_input", "white space"),
        (b"\x7fELF\x01\x01\x01", "espb::ir::not_ir", "object file"),
        (b"\0asm\x01\0\0\0", "espb::ir::not_ir", "WebAssembly"),
        (b"!<arch>\n", "espb::ir::not_ir", "archive"),
        (b"\xff\xfe\x00\x01", "espb::ir::not_ir", "binary"),
    ] {
        let (found, place, message) = refusal(bytes);
        assert_eq!((found, place), (code, file()));
        assert!(message.contains(what), "{message}");
    }
    let (code, place, _) = refusal(b"#include <stdio.h>\nint main(void) { return 0; }\n");
    assert_eq!((code, place), ("espb::ir::not_ir", line(1, 1)));
}

#[test]
fn bitcode_that_is_cut_off_is_refused() {
    for bytes in [&b"BC\xc0\xde"[..], b"BC\xc0\xde\x35\x14\x00\x00\x05\x00\x00\x00\x62\x0c\x30\x24"] {
        let (code, place, _) = refusal(bytes);
        assert_eq!((code, place), ("espb::ir::bitcode", file()));
    }
}

#[test]
fn a_syntax_error_has_its_line_and_column() {
    let (code, place, message) = refusal(b"define i32 @f() {\n  ret i64 1\n}\n");
    assert_eq!((code, place), ("espb::ir::syntax", line(2, 7)));
    assert!(message.contains("function result type"), "{message}");
}

#[test]
fn ir_that_breaks_the_rules_is_refused() {
    let text = b"define i32 @f() {\n  %x = add i32 %y, 1\n  %y = add i32 1, 1\n  ret i32 %x\n}\n";
    let (code, place, _) = refusal(text);
    assert_eq!((code, place), ("espb::ir::invalid", file()));
}

#[test]
fn ir_for_another_target_is_refused_by_name() {
    for (head, what) in [
        (
            "target datalayout = \"e-m:e-p270:32:32-i64:64-i128:128-f80:128-n8:16:32:64-S128\"\ntarget triple = \"x86_64-pc-linux-gnu\"\n",
            "64-bit pointers",
        ),
        ("target datalayout = \"e-m:e-p:32:32-i128:128-i64:64-n32:64-S128\"\ntarget triple = \"wasm32\"\n", "wasm32"),
        ("target triple = \"armv7-none-eabi\"\n", "armv7"),
        ("target datalayout = \"E-p:32:32\"\n", "E-p:32:32"),
    ] {
        let (code, place, message) = refusal(format!("{head}{MAIN}").as_bytes());
        assert_eq!((code, place), ("espb::ir::wrong_target", file()));
        assert!(message.contains(what), "{message}");
    }
}

#[test]
fn constructs_without_a_plain_form_are_refused_in_their_function() {
    for (text, what) in [
        ("define i5000 @f(i5000 %x) {\n  ret i5000 %x\n}\n", "5000 bits"),
        ("define <vscale x 4 x i32> @f(<vscale x 4 x i32> %x) {\n  ret <vscale x 4 x i32> %x\n}\n", "vector"),
        (
            "define double @f(double %x) {\n  %y = call double @llvm.experimental.constrained.fadd.f64(double %x, double %x, metadata !\"round.dynamic\", metadata !\"fpexcept.strict\")\n  ret double %y\n}\ndeclare double @llvm.experimental.constrained.fadd.f64(double, double, metadata, metadata)\n",
            "constrained",
        ),
    ] {
        let (code, place, message) = refusal(text.as_bytes());
        assert_eq!((code, place), ("espb::ir::unsupported", Place::Function("f".to_owned())));
        assert!(message.contains(what), "{message}");
    }
    let (code, _, _) = refusal(b"module asm \".globl x\"\n");
    assert_eq!(code, "espb::ir::module_assembly");
}

#[test]
fn a_missing_entry_is_refused_with_names_that_are_there() {
    let [error] = &errors(&[MAIN], &["app_mian"])[..] else { panic!("one error") };
    assert_eq!((error.code, &error.place), ("espb::ir::missing_symbol", &file()));
    assert!(error.message.contains("app_mian") && error.help.contains("app_main"), "{error:?}");
    let declared = "declare void @start()\ndefine void @f() {\n  call void @start()\n  ret void\n}\n";
    let [error] = &errors(&[declared], &["start"])[..] else { panic!("one error") };
    assert!(error.message.contains("declared"), "{error:?}");
}

#[test]
fn every_bad_file_of_several_is_named() {
    let errors = errors(&["", MAIN, "nonsense"], &[]);
    let places: Vec<_> = errors.iter().map(|error| error.place.to_string()).collect();
    assert_eq!(places, ["a.ll", "c.ll:1:1"]);
}

#[test]
fn no_input_is_refused() {
    assert_eq!(read(&request(&[], &[])).expect_err("nothing to read")[0].code, "espb::ir::empty_input");
}
