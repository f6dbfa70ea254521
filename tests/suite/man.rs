//! Manual pages and completions: none of the commands that the help lists is left out.

use std::fs;

use crate::program::espb;

/// The commands that `espb --help` lists.
fn commands() -> Vec<String> {
    let help = espb(["--help"]).stdout;
    let list = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
    // A continued description is indented deeper than a name.
    let names = list.lines().filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    let names: Vec<String> = names.filter(|name| *name != "help").map(str::to_owned).collect();
    assert!(names.len() >= 6, "the help lists commands:\n{help}");
    names
}

#[test]
fn every_command_has_a_manual_page_and_the_program_has_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let finished = espb(["man".as_ref(), folder.path().join("man").as_os_str()]);
    assert_eq!(finished.code, 0, "{}", finished.transcript());
    let mut pages: Vec<String> = fs::read_dir(folder.path().join("man"))
        .expect("the folder was made")
        .map(|entry| entry.expect("the folder can be read").file_name().to_string_lossy().into_owned())
        .collect();
    let mut expected: Vec<String> = commands().iter().map(|name| format!("espb-{name}.1")).collect();
    expected.push("espb.1".to_owned());
    pages.sort();
    expected.sort();
    assert_eq!(pages, expected);

    let page = fs::read_to_string(folder.path().join("man/espb-build.1")).expect("the page is there");
    for part in [".TH", "Translate LLVM IR", "\\-\\-output", "\\-\\-message\\-format"] {
        assert!(page.contains(part), "espb-build.1 lacks {part}:\n{page}");
    }
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = espb(["completions", shell]).stdout;
        for name in commands() {
            assert!(script.contains(&name), "completions for {shell} lack {name}");
        }
    }
}
