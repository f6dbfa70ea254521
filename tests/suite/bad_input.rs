//! Whatever is wrong with the input, `espb` says so once, with place and remedy, exits with 1 and leaves no output behind.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::compile::{to_bitcode, to_ir, to_ir_with};
use crate::program::espb;

/// A module that is right in every respect; the cases spoil one thing each.
const GOOD: &str = "\
target triple = \"riscv32-esp-unknown-elf\"
target datalayout = \"e-m:e-p:32:32-i64:64-n32-S128\"

define i32 @app_main() {
  ret i32 0
}
";

/// A folder with the inputs of one case.
struct Case {
    folder: TempDir,
}

/// A diagnostic's place, as far as the case fixes it.
struct Place<'a> {
    file: &'a Path,
    line: Option<u64>,
}

impl Case {
    fn new() -> Self {
        Case { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, contents).expect("a temporary file");
        path
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("out.espb")
    }

    /// `espb build` of `inputs` must be refused at `place` with all of `words` in message or help.
    fn refused_by_build(&self, inputs: &[&Path], options: &[&str], place: Place<'_>, words: &[&str]) {
        let mut arguments: Vec<OsString> = vec!["build".into()];
        arguments.extend(inputs.iter().map(OsString::from));
        arguments.extend(options.iter().map(OsString::from));
        arguments.extend(["-o".into(), self.output().into()]);
        refused(arguments, place, words);
        assert!(!self.output().exists(), "an output file was left behind");
    }
}

/// Runs a command as a person and as a program would, and checks the one diagnostic.
fn refused(arguments: Vec<OsString>, place: Place<'_>, words: &[&str]) {
    let shown = espb(&arguments);
    assert_eq!(shown.code, 1, "{}", shown.transcript());
    assert_eq!(shown.stdout, "", "stdout is for results\n{}", shown.transcript());
    assert!(!shown.stderr.contains("panicked"), "{}", shown.transcript());

    let json = espb(arguments.iter().cloned().chain(["--message-format".into(), "json".into()]));
    assert_eq!(json.code, 1, "{}", json.transcript());
    let reports = json.objects("diagnostic");
    assert_eq!(reports.len(), 1, "one diagnostic expected\n{}", json.transcript());
    let report = &reports[0];
    let text = |key: &str| report[key].as_str().unwrap_or_default().to_owned();
    assert_eq!(report["severity"], "error", "{}", json.transcript());
    assert!(
        text("code").starts_with("espb::") && shown.stderr.contains(&text("code")),
        "a stable code\n{}",
        shown.transcript()
    );
    assert!(!text("message").is_empty() && !text("help").is_empty(), "a message and a remedy\n{}", json.transcript());
    assert!(same_file(&text("file"), place.file), "place {} expected\n{}", place.file.display(), json.transcript());
    if place.line.is_some() {
        assert_eq!(report["line"].as_u64(), place.line, "{}", json.transcript());
    }
    let said = said(report);
    for word in words {
        assert!(said.contains(word), "`{word}` should be mentioned\n{}", json.transcript());
    }
}

fn said(report: &Value) -> String {
    format!("{} {}", report["message"].as_str().unwrap_or_default(), report["help"].as_str().unwrap_or_default())
}

fn same_file(reported: &str, expected: &Path) -> bool {
    Path::new(reported).file_name() == expected.file_name()
}

fn whole(file: &Path) -> Place<'_> {
    Place { file, line: None }
}

fn at(file: &Path, line: u64) -> Place<'_> {
    Place { file, line: Some(line) }
}

#[test]
fn an_empty_file() {
    let case = Case::new();
    let input = case.file("empty.ll", "");
    case.refused_by_build(&[&input], &[], whole(&input), &["empty"]);
}

#[test]
fn a_text_that_is_not_ir() {
    let case = Case::new();
    let input = case.file("letter.ll", "Dear reader,\nthis is not IR.\n");
    case.refused_by_build(&[&input], &[], at(&input, 1), &["clang"]);
}

#[test]
fn truncated_bitcode() {
    let case = Case::new();
    let bitcode = to_bitcode(&case.file("good.ll", GOOD));
    let bytes = fs::read(&bitcode).expect("clang wrote it");
    for length in [4, 100, bytes.len() / 2, bytes.len() - 4] {
        let input = case.file("cut.bc", &bytes[..length]);
        case.refused_by_build(&[&input], &[], whole(&input), &[]);
    }
}

#[test]
fn ir_with_a_syntax_error() {
    let case = Case::new();
    let input = case.file("typo.ll", GOOD.replace("ret i32 0", "ret i33x 0"));
    case.refused_by_build(&[&input], &[], at(&input, 5), &[]);
}

#[test]
fn ir_for_another_pointer_width() {
    let case = Case::new();
    let wide = "target triple = \"x86_64-unknown-linux-gnu\"\n\
                target datalayout = \"e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128\"\n\
                define i32 @app_main() {\n  ret i32 0\n}\n";
    let input = case.file("wide.ll", wide);
    case.refused_by_build(&[&input], &[], whole(&input), &["64", "32"]);
}

#[test]
fn an_import_without_a_contract() {
    let case = Case::new();
    let source = case.file(
        "mystery.c",
        "int mystery_of_the_deep(void *p);\nint app_main(void)\n{\n    int x = 1;\n    return mystery_of_the_deep(&x);\n}\n",
    );
    let input = to_ir(&source, case.folder.path());
    case.refused_by_build(&[&input], &[], at(&source, 5), &["mystery_of_the_deep", "hints"]);
}

#[test]
fn a_symbol_defined_twice() {
    let case = Case::new();
    let first = case.file("first.ll", GOOD);
    let second = case.file("second.ll", GOOD);
    case.refused_by_build(&[&first, &second], &[], whole(&second), &["app_main"]);
}

#[test]
fn a_missing_entry() {
    let case = Case::new();
    let input = case.file("no_entry.ll", GOOD.replace("app_main", "application"));
    case.refused_by_build(&[&input], &[], whole(&input), &["app_main", "--entry"]);
    let other = case.file("other.ll", GOOD);
    case.refused_by_build(&[&other], &["--entry", "start_here"], whole(&other), &["start_here"]);
}

#[test]
fn a_missing_export() {
    let case = Case::new();
    let input = case.file("good.ll", GOOD);
    case.refused_by_build(&[&input], &["--export", "not_there"], whole(&input), &["not_there"]);
}

#[test]
fn an_unreadable_path() {
    let case = Case::new();
    let missing = case.folder.path().join("missing.ll");
    case.refused_by_build(&[&missing], &[], whole(&missing), &[]);
    let folder = case.folder.path().join("folder.ll");
    fs::create_dir(&folder).expect("a temporary folder");
    case.refused_by_build(&[&folder], &[], whole(&folder), &[]);
}

#[test]
fn hints_with_an_error_in_line_three() {
    let case = Case::new();
    let input = case.file("good.ll", GOOD);
    let hints = case.file("bad.hints", "# fine\n\nmy_complex_api: sideways 0\n");
    let option = hints.to_string_lossy();
    case.refused_by_build(&[&input], &["--hints", &option], at(&hints, 3), &[]);
}

#[test]
fn a_corrupted_module() {
    let case = Case::new();
    let input = case.file("good.ll", GOOD);
    let built = espb([OsString::from("build"), input.into(), "-o".into(), case.output().into()]);
    assert_eq!(built.code, 0, "{}", built.transcript());
    let bytes = fs::read(case.output()).expect("the module just built");

    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 0xff;
    let spoilt = [
        case.file("flipped.espb", &flipped),
        case.file("cut.espb", &bytes[..bytes.len() - 1]),
        case.file("empty.espb", b""),
        case.file("text.espb", "not a module at all, but long enough to have a header of its own"),
    ];
    for module in &spoilt {
        refused(vec!["verify".into(), module.into()], whole(module), &[]);
        refused(vec!["run".into(), "--emulate".into(), "esp32c3".into(), module.into()], whole(module), &[]);
        refused(vec!["inspect".into(), module.into()], whole(module), &[]);
    }
}

#[test]
fn an_output_that_cannot_be_written() {
    let case = Case::new();
    let input = case.file("good.ll", GOOD);
    let nowhere = case.folder.path().join("no/such/folder.espb");
    refused(vec!["build".into(), input.into(), "-o".into(), nowhere.clone().into()], whole(&nowhere), &[]);
}

#[test]
fn a_wrong_command_line_is_another_matter() {
    for arguments in [
        &["build"][..],
        &["build", "--no-such-option", "x.ll"],
        &["bake"],
        &["run", "--for", "banana", "x.espb"],
        &["run", "--emulate", "esp9000", "x.espb"],
    ] {
        let finished = espb(arguments);
        assert_eq!(finished.code, 2, "{}", finished.transcript());
        assert!(finished.stdout.is_empty() && !finished.stderr.is_empty(), "{}", finished.transcript());
    }
}

#[test]
fn a_thrown_exception() {
    let case = Case::new();
    let source = case.file("throws.cpp", "extern \"C\" int app_main()\n{\n    throw 7;\n}\n");
    let input = to_ir_with(&source, case.folder.path(), &["-fexceptions"]);
    case.refused_by_build(&[&input], &[], at(&source, 3), &["exception", "-fno-exceptions"]);
}
