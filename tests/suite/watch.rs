//! `espb watch` against a living chip: what is saved runs soon after.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::process::{ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::emulate::Chip;
use crate::messages;
use crate::program::Finished;

/// What the command printed until this text came, line by line.
fn until(lines: &mut Lines<BufReader<ChildStdout>>, text: &str, printed: &mut String) -> Value {
    for line in lines {
        let line = line.expect("the command prints text");
        *printed += &(line.clone() + "\n");
        if line.contains(text) {
            return serde_json::from_str(&line).expect("an object");
        }
    }
    panic!("{text} did not come:\n{printed}");
}

#[test]
fn a_saved_header_runs_in_the_chip_soon_after_and_an_error_leaves_the_old_program() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (source, header) = (folder.path().join("app.c"), folder.path().join("app.h"));
    let text = "#include \"app.h\"\nint printf(const char *, ...);\nvoid vTaskDelay(unsigned);\n\
                int app_main(void) { for (;;) { printf(SAYS \"\\n\"); vTaskDelay(20); } }\n";
    fs::write(&source, text).expect("a temporary file");
    fs::write(&header, "#define SAYS \"first\"\n").expect("a temporary file");
    let chip = Chip::new(folder.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_espb"));
    command.args(["watch", "--pushes", "3", "--message-format", "json", "--timeout", "120s", "--port"]).arg(&chip.link);
    let mut process = command.arg(&source).stdout(Stdio::piped()).spawn().expect("espb starts");
    let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let mut printed = String::new();

    until(&mut lines, "pushed", &mut printed);
    until(&mut lines, "first", &mut printed);
    fs::write(&header, "#define SAYS 1\n").expect("a temporary file");
    until(&mut lines, "diagnostic", &mut printed);
    until(&mut lines, "first", &mut printed);
    for says in ["second", "third"] {
        fs::write(&header, format!("#define SAYS \"{says}\"\n")).expect("a temporary file");
        let pushed = until(&mut lines, "pushed", &mut printed);
        // Stated, not judged: it is the time of this machine.
        println!("from save to running: {} ms", pushed["milliseconds"]);
        if says == "second" {
            until(&mut lines, says, &mut printed);
        }
    }
    printed.extend(lines.map(|line| line.expect("the command prints text") + "\n"));
    let code = process.wait().expect("it ends").code().unwrap_or(-1);
    let finished = Finished { command: "espb watch".into(), code, stdout: printed, stderr: String::new() };
    messages::check(&finished);
    assert_eq!(code, 0, "{}", finished.transcript());
}
