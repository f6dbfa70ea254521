//! Every `espb` and `clang` command that the README and the guides show works as it stands there.

use std::fs;
use std::path::Path;
use std::process::Command;

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

    let hints = blocks("docs/native-calls.md", "hints").into_iter().next().expect("the guide shows hints");
    fs::write(folder.path().join("ours.hints"), hints).expect("a temporary file");

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
