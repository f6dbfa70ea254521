//! `espb.toml`: its values are defaults, and what it must not say is refused with its place.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::compile::to_ir;
use crate::program::{Finished, finish};

fn espb(folder: &Path, words: &[&str]) -> Finished {
    finish(Command::new(env!("CARGO_BIN_EXE_espb")).args(words).current_dir(folder))
}

/// A folder with a project file and, below it, the IR of a program with two functions that may be its entry.
fn project(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let below = folder.path().join("src");
    fs::create_dir(&below).expect("a folder");
    let source = below.join("app.c");
    let program = "int radio(void *p, int n);\nint begin(void) { return 7; }\n\
                   int app_main(void) { char c[4]; return radio(c, 4) + c[0]; }\n";
    fs::write(&source, program).expect("a temporary file");
    to_ir(&source, &below);
    fs::write(folder.path().join("radio.hints"), "radio: out 0 size arg 1\n").expect("a temporary file");
    fs::write(folder.path().join("espb.toml"), text).expect("a temporary file");
    folder
}

#[test]
fn the_project_gives_defaults_and_the_command_line_goes_before_them() {
    let folder = project("chip = \"esp32c3\"\nentry = \"begin\"\nstack = 4096\nheap = \"4K:8K\"\n");
    let below = folder.path().join("src");
    let ran = espb(&below, &["run", "app.ll", "--for", "1s"]);
    assert_eq!(ran.code, 7, "{}", ran.transcript());
    let help = espb(&below, &["build", "--help"]).stdout;
    assert!(help.contains("[default: app_main]"), "help tells of the program, not of the project:\n{help}");
    // The other entry imports a function that no firmware has.
    let other = espb(&below, &["run", "app.ll", "--for", "1s", "--entry", "app_main"]);
    assert!(other.code != 7 && other.stderr.contains("radio"), "{}", other.transcript());
    let sizes = |words: &[&str]| {
        let built = espb(&below, &[&["build", "app.ll", "-o", "app.espb"], words].concat());
        assert_eq!(built.code, 0, "{}", built.transcript());
        fs::read(below.join("app.espb")).expect("it was built")
    };
    let by_hand = ["--entry", "begin", "--stack", "4K", "--heap", "4K:8K"];
    let with_project = sizes(&[]);
    assert_ne!(with_project, sizes(&["--stack", "16K"]));
    fs::remove_file(folder.path().join("espb.toml")).expect("it was there");
    assert_eq!(with_project, sizes(&by_hand));
}

#[test]
fn hints_lie_beside_the_project_file_and_are_prerequisites() {
    let folder = project("hints = [\"radio.hints\"]\n");
    let below = folder.path().join("src");
    let built = espb(&below, &["build", "app.ll", "-o", "app.espb", "--explain", "--depfile", "app.d"]);
    assert!(built.code == 0 && built.stdout.contains("the hints say so"), "{}", built.transcript());
    let depfile = fs::read_to_string(below.join("app.d")).expect("it was written");
    assert!(depfile.contains("radio.hints") && depfile.contains("espb.toml"), "{depfile}");
}

#[test]
fn what_the_project_file_must_not_say_is_refused_with_its_place() {
    for (text, place, words) in [
        ("entry = \"begin\"\nspeed = 9\n", "espb.toml:2:1", "unknown field `speed`"),
        ("port = \"/dev/ttyUSB0\"\n", "espb.toml:1:1", "ESPB_PORT"),
        ("\nchip = \"z80\"\n", "espb.toml:2:8", "z80"),
        ("stack = \"8KB\"\n", "espb.toml:1:9", "no size"),
        ("heap = [1]\n", "espb.toml:1:8", "a string or a number"),
        ("entry = \n", "espb.toml:1:", "docs/devices.md"),
    ] {
        let folder = project(text);
        let finished = espb(&folder.path().join("src"), &["build", "app.ll", "-o", "app.espb"]);
        assert_eq!(finished.code, 1, "{text}\n{}", finished.transcript());
        assert!(
            finished.stderr.contains(place) && finished.stderr.contains(words),
            "{text}\n{}",
            finished.transcript()
        );
        // What has nothing to take from it works.
        assert_eq!(espb(folder.path(), &["completions", "bash"]).code, 0);
    }
}
