//! Every `espb` and `clang` command that the README and the guides show works as it stands there.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::compile::{root, to_ir};

/// The commands of a document: indented lines that begin with one of `programs`, without the remark behind them.
pub fn commands(document: &str, programs: &[&str]) -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join(document)).expect("the document is in the tree");
    let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
    let commands = lines.filter(|line| programs.iter().any(|program| line.split(' ').next() == Some(program)));
    commands
        .map(|line| line.split("   ").next().unwrap_or(line).split_whitespace().map(str::to_owned).collect())
        .collect()
}

/// The blocks of a document in a language, in order.
pub fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(document)).expect("the document is in the tree");
    let fence = format!("```{language}\n");
    let blocks = text.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next());
    blocks.map(str::to_owned).collect()
}

#[test]
fn the_commands_of_the_readme_work() {
    let shown = commands("README.md", &["espb", "clang"]);
    assert!(shown.len() >= 6, "the README shows how to use it: {shown:?}");
    run(shown);
}

#[test]
fn the_commands_and_hints_of_the_guides_work() {
    let shown =
        ["docs/native-calls.md", "docs/host-functions.md"].map(|document| commands(document, &["espb", "clang"]));
    assert!(shown.iter().all(|commands| !commands.is_empty()), "{shown:?}");
    run(shown.concat());
}

/// Runs commands in a folder with a program, its IR and the hints file of the guide.
fn run(shown: Vec<Vec<String>>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("app.c"), "int app_main(void) { return 0; }\n").expect("a temporary file");
    let ir = to_ir(Path::new("fixtures/tasks/hello_task.c"), folder.path());
    fs::rename(ir, folder.path().join("app.ll")).expect("a temporary file");
    let (code, built) = guided(&folder, &["build", "app.ll", "-o", "other.espb"]);
    assert_eq!(code, Some(0), "{built}");

    let hints = blocks("docs/native-calls.md", "hints").into_iter().next().expect("the guide shows hints");
    fs::write(folder.path().join("ours.hints"), hints).expect("a temporary file");
    fs::write(folder.path().join("words.txt"), "typed\n").expect("a temporary file");

    for words in shown {
        let program = match words[0].as_str() {
            "espb" => env!("CARGO_BIN_EXE_espb").to_owned(),
            _ => std::env::var("CLANG").unwrap_or_else(|_| "clang-22".into()),
        };
        // A hello that is looked at but not timed would run for ever.
        let endless = words.get(1).is_some_and(|word| word == "run") && !words.iter().any(|word| word == "--for");
        let limit = if endless { &["--for", "1s"][..] } else { &[] };
        let (command, arguments) = if endless { (&words[1..2], &words[2..]) } else { (&words[1..1], &words[1..]) };
        let output =
            Command::new(program).args(command).args(limit).args(arguments).current_dir(folder.path()).output();
        let output = output.unwrap_or_else(|error| panic!("{words:?}: {error}"));
        assert!(
            output.status.success(),
            "{words:?}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

const GUIDE: &str = "docs/native-calls.md";

/// A folder with the guide's program, as app.c and app.ll, and its hints.
fn guide_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program =
        blocks(GUIDE, "c").into_iter().find(|block| block.contains("app_main")).expect("the guide has a program");
    fs::write(folder.path().join("app.c"), program).expect("a temporary file");
    fs::write(folder.path().join("ours.hints"), &blocks(GUIDE, "hints")[0]).expect("a temporary file");
    to_ir(&folder.path().join("app.c"), folder.path());
    folder
}

/// Runs a command of the guide in its folder; the folder's name is left out of what it prints.
fn guided(folder: &TempDir, words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_espb")).args(words).current_dir(folder.path()).output();
    let output = output.unwrap_or_else(|error| panic!("{words:?}: {error}"));
    let text = [output.stdout, output.stderr].concat();
    let whole = format!("{}/", folder.path().display());
    // Where the repository lies beside the folder, places begin with the folder's name alone.
    let name = format!("{}/", folder.path().file_name().unwrap_or_default().display());
    (output.status.code(), String::from_utf8_lossy(&text).replace(&whole, "").replace(&name, ""))
}

#[test]
fn the_guide_to_native_calls_shows_what_is_printed() {
    let folder = guide_folder();
    let shown = blocks(GUIDE, "text");
    let (code, explained) = guided(&folder, &["build", "app.ll", "-o", "app.espb", "--explain"]);
    assert_eq!(code, Some(0), "{explained}");
    assert!(explained.contains(&shown[0]) && explained.contains(&shown[1]), "{explained}");
    let (_, inspected) = guided(&folder, &["inspect", "app.espb", "--contracts"]);
    // The same but for the places of the calls.
    let without_place = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split(", first called").next().unwrap_or(line).to_owned()).collect()
    };
    assert_eq!(without_place(&inspected), without_place(&explained));

    let hinted = ["build", "app.ll", "-o", "app.espb", "--explain", "--hints", "ours.hints"];
    let (code, changed) = guided(&folder, &hinted);
    assert_eq!(code, Some(0), "{changed}");
    assert!(changed.contains("radio_send (ours.hints:3)"), "{changed}");
    assert!(changed.contains("argument 0: in 0 size arg 1 * 4 (certain): the hints say so"), "{changed}");
    assert!(changed.contains("3 imports: 1 hinted, 2 inferred, 0 uncertain"), "{changed}");

    let (_, stripped) = guided(&folder, &["build", "app.ll", "-o", "app.espb", "--strip"]);
    assert_eq!(stripped, "");
    let (_, inspected) = guided(&folder, &["inspect", "app.espb", "--contracts"]);
    assert!(inspected.contains("argument 1: out 1 size 8\n"), "{inspected}");
    assert!(inspected.contains("3 without their reasons: the module was built with --strip"), "{inspected}");
}

#[test]
fn the_guide_s_message_is_the_firmware_s() {
    let expected = fs::read_to_string(root().join("fixtures/hostile/handle_after_delete.expect")).expect("a fixture");
    let shown = blocks(GUIDE, "text").iter().any(|block| expected.contains(&format!("trap: {block}")));
    assert!(shown, "{expected}");
}

/// Each refusal that the guide lists, from a program and hints that cause it.
#[test]
fn the_guide_s_refusals_are_those_that_happen() {
    let guide = fs::read_to_string(root().join("docs/native-calls.md")).expect("the document is in the tree");
    let cases = [
        ("unknown_import", "void f(void *p); int app_main(void) { int x = 1; f(&x); return x; }", ""),
        ("uncertain_result", "struct s; struct s *f(int n); int app_main(void) { return f(1) != 0; }", ""),
        ("signature_mismatch", "int f(long long n); int app_main(void) { return f(1); }", "f(i32) -> i32"),
        ("unfit_hint", "int f(void *p); void *q; int app_main(void) { return f(q); }", "f: out 0"),
        ("hint_syntax", "int app_main(void) { return 0; }", "f: sideways 0"),
        ("restricted", "void f(void); int app_main(void) { f(); return 0; }", "f(): restricted"),
    ];
    let listed: Vec<&str> = guide.lines().filter_map(|line| line.strip_prefix("| `espb::contracts::")).collect();
    assert_eq!(listed.len(), cases.len(), "{listed:?}");
    for ((code, source, hints), row) in cases.into_iter().zip(listed) {
        assert!(row.starts_with(&format!("{code}`")), "{row}");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("case.c");
        fs::write(&path, source).expect("a temporary file");
        to_ir(&path, folder.path());
        fs::write(folder.path().join("case.hints"), hints).expect("a temporary file");
        let words = ["build", "case.ll", "-o", "case.espb", "--hints", "case.hints", "--strict"];
        let (exit, text) = guided(&folder, &words);
        assert!(exit == Some(1) && text.contains(&format!("espb::contracts::{code}")), "{code}\n{text}");
    }
}

#[test]
fn every_place_that_the_architecture_names_is_there() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).expect("the document is in the tree");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let paths: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    assert!(paths.len() > 10, "the map has rows");
    for path in paths {
        assert!(root().join(path).exists(), "docs/architecture.md names {path}");
    }
}
