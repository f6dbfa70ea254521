//! Several inputs become one module that holds what the entry reaches, once.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::program::espb;

const HEADER: &str = "target triple = \"riscv32-esp-unknown-elf\"\ntarget datalayout = \"e-m:e-p:32:32-i64:64-n32-S128\"\ndeclare i32 @puts(ptr)\n";
const MAIN: &str = "@text = private unnamed_addr constant [24 x i8] c\"the same in both inputs\\00\"\n\
    declare i32 @other()\n\
    define i32 @app_main() {\n  %a = call i32 @puts(ptr @text)\n  %b = call i32 @other()\n  ret i32 %b\n}\n";
const OTHER: &str = "@text = private unnamed_addr constant [24 x i8] c\"the same in both inputs\\00\"\n\
    define i32 @other() {\n  %a = call i32 @puts(ptr @text)\n  ret i32 3\n}\n";
/// Reached by nobody, also from outside; it would bring a variable, a constant and an import.
const UNREACHED: &str = "@big = global [5000 x i32] zeroinitializer\n@table = constant [4 x i32] [i32 1, i32 2, i32 3, i32 4]\n\
    declare i32 @nobody_knows_this_function(ptr)\n\
    define i32 @unreached(i32 %i) {\n  %p = getelementptr i32, ptr @table, i32 %i\n  %x = load i32, ptr %p\n  store i32 %x, ptr @big\n\
    %y = call i32 @nobody_knows_this_function(ptr @big)\n  ret i32 %y\n}\n";

/// Builds the inputs into `folder` and gives the module's path.
fn build(folder: &Path, texts: &[&str]) -> OsString {
    let mut arguments: Vec<OsString> = vec!["build".into(), "--strip".into()];
    for (number, text) in texts.iter().enumerate() {
        let input = folder.join(format!("{number}.ll"));
        fs::write(&input, format!("{HEADER}{text}")).expect("a temporary file");
        arguments.push(input.into());
    }
    let output = folder.join("linked.espb");
    arguments.extend(["-o".into(), output.clone().into()]);
    let finished = espb(arguments);
    assert_eq!(finished.code, 0, "{}", finished.transcript());
    output.into()
}

#[test]
fn what_nobody_reaches_adds_no_byte() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let with = fs::read(build(folder.path(), &[MAIN, &format!("{OTHER}{UNREACHED}")])).expect("just built");
    let without = fs::read(build(folder.path(), &[MAIN, OTHER])).expect("just built");
    assert_eq!(with, without);
}

#[test]
fn equal_constants_of_several_inputs_are_kept_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let module = build(folder.path(), &[MAIN, OTHER]);
    let inspected = espb(["inspect".into(), module, "--message-format".into(), "json".into()]);
    let sections = inspected.objects("sections");
    let sections = sections
        .first()
        .and_then(|object| object["sections"].as_array())
        .unwrap_or_else(|| panic!("{}", inspected.transcript()));
    let rodata =
        sections.iter().find(|section| section["name"] == "rodata").and_then(|section| section["bytes"].as_u64());
    assert_eq!(rodata, Some(24), "{}", inspected.transcript());
}
