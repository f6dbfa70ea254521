//! `espb run` as a user meets it: arguments, exports, results, limits, figures.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::compile::to_ir;
use crate::program::{Finished, espb};

const SOURCE: &str = r#"
#include <stdint.h>
#include <stdio.h>
#include <string.h>

uint64_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
double half(double x) { return x / 2; }
int length(const char *text) { return (int)strlen(text); }
void nothing(void) {}

int app_main(int argc, char *argv[])
{
    for (int i = 0; i < argc; i++) printf("%d: %s\n", i, argv[i]);
    return argc;
}
"#;

const EXPORTS: [&str; 8] = ["--export", "fib", "--export", "half", "--export", "length", "--export", "nothing"];

fn ir(folder: &Path) -> PathBuf {
    let source = folder.join("program.c");
    fs::write(&source, SOURCE).expect("a temporary file");
    to_ir(&source, folder)
}

fn run(options: &[&str], file: &Path, arguments: &[&str]) -> Finished {
    let before = ["run"].iter().chain(&EXPORTS).chain(options).map(OsString::from);
    espb(before.chain([file.into()]).chain(arguments.iter().map(OsString::from)))
}

#[test]
fn an_export_is_called_with_what_the_command_line_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ir = ir(folder.path());
    for (name, arguments, result) in [
        ("fib", &["20"][..], "6765\n"),
        ("half", &["3"], "1.5\n"),
        ("half", &["-0.5"], "-0.25\n"),
        ("length", &["hello"], "5\n"),
        ("nothing", &[], ""),
    ] {
        let finished = run(&["--call", name], &ir, arguments);
        assert_eq!((finished.code, finished.stdout.as_str()), (0, result), "{}", finished.transcript());
    }
}

#[test]
fn only_what_can_be_typed_is_typed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (ir, typed) = (ir(folder.path()), folder.path().join("typed"));
    fs::write(&typed, b"text\0").expect("a temporary file");
    let options = ["--input", typed.to_str().expect("a plain path"), "--message-format", "json"];
    let finished = run(&options, &ir, &[]);
    let reports = finished.objects("diagnostic");
    assert_eq!((finished.code, reports.len()), (1, 1), "{}", finished.transcript());
    assert_eq!((&reports[0]["code"], &reports[0]["offset"]), (&"espb::run::input".into(), &4.into()));
}

#[test]
fn a_call_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ir = ir(folder.path());
    for (name, arguments, word) in
        [("fib", &[][..], "1 argument"), ("half", &["x"], "argument"), ("missing", &[], "missing")]
    {
        let finished = run(&["--call", name], &ir, arguments);
        assert_eq!(finished.code, 1, "{}", finished.transcript());
        assert!(finished.stderr.contains(word), "`{word}` should be mentioned\n{}", finished.transcript());
    }
}

#[test]
fn the_entry_gets_its_arguments_as_c_programs_do_and_its_result_is_the_exit_code() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let finished = run(&[], &ir(folder.path()), &["one", "two words"]);
    assert_eq!(
        (finished.code, finished.stdout.as_str()),
        (3, "0: program\n1: one\n2: two words\n"),
        "{}",
        finished.transcript()
    );
}

#[test]
fn a_module_of_exports_needs_no_entry() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("library.c");
    fs::write(&source, "int twice(int x) { return 2 * x; }\n").expect("a temporary file");
    let ir = to_ir(&source, folder.path());
    let options = ["run", "--no-entry", "--export", "twice", "--call", "twice"].map(OsString::from);
    let finished = espb(options.into_iter().chain([ir.into(), "21".into()]));
    assert_eq!((finished.code, finished.stdout.as_str()), (0, "42\n"), "{}", finished.transcript());
}

#[test]
fn figures_are_exact_the_same_each_time_and_plausible() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ir = ir(folder.path());
    let stats = |n: &str| {
        let finished = run(&["--stats", "--message-format", "json", "--call", "fib"], &ir, &[n]);
        finished.objects("stats").pop().unwrap_or_else(|| panic!("no figures\n{}", finished.transcript()))
    };
    let (ten, again, twenty) = (stats("10"), stats("10"), stats("20"));
    assert_eq!(ten, again);
    // fib(20) makes 21891 calls, fib(10) makes 177; each call is at least four dispatches, of one VM instruction or a pair.
    let number =
        |object: &serde_json::Value, path: &str| object.pointer(path).and_then(serde_json::Value::as_u64).unwrap_or(0);
    let more = number(&twenty, "/vm_instructions") - number(&ten, "/vm_instructions");
    assert!((4 * 21_714..20 * 21_714).contains(&more), "{more} more dispatches");
    assert!(number(&twenty, "/instructions/call") > number(&twenty, "/vm_instructions"));
    assert!(number(&twenty, "/peak/shadow_stack") > number(&ten, "/peak/shadow_stack"));
    assert!(number(&ten, "/instructions/boot") > 0 && number(&ten, "/instructions/load") > 0);
}
