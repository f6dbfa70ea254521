//! The commands for running devices, against an emulated chip that `espb emulate` keeps alive on a socket.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::compile::to_ir;
use crate::docs::blocks;
use crate::messages;
use crate::program::{Finished, espb, finish};

/// A living chip; it ends when dropped.
pub struct Chip {
    process: Child,
    /// What the other commands take as its port.
    pub link: String,
}

impl Chip {
    /// A chip on a socket in `folder`.
    pub fn new(folder: &Path) -> Self {
        Self::on(&folder.join("link").display().to_string(), &[])
    }

    /// A chip whose console is at `link`.
    fn on(link: &str, options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_espb"));
        command.args(["emulate", "--message-format", "json", "--link", link]).args(options).stdout(Stdio::piped());
        let mut process = command.spawn().expect("espb starts");
        let output = process.stdout.take().expect("a pipe");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("it says that it listens");
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(said["reason"], "emulating", "{line}");
        Self { process, link: said["link"].as_str().expect("a text").to_owned() }
    }

    /// Runs a command against the chip.
    pub fn espb(&self, arguments: &[&str]) -> Finished {
        let device = ["--port", &self.link, "--timeout", "60s"];
        let finished = espb(arguments.iter().chain(&device).chain(&["--message-format", "json"]));
        messages::check(&finished);
        finished
    }
}

impl Drop for Chip {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A module that says `says` and a number every `pause` milliseconds, for ever.
fn talking(folder: &Path, says: &str, pause: u32) -> String {
    let text = format!(
        "#include <stdio.h>\n#include \"freertos/FreeRTOS.h\"\n#include \"freertos/task.h\"\n\
         int app_main(void) {{ for (int i = 0; ; i++) {{ printf(\"{says} %d\\n\", i); vTaskDelay({pause}); }} }}\n"
    );
    module(folder, says, &text)
}

fn module(folder: &Path, name: &str, text: &str) -> String {
    let source = folder.join(name).with_extension("c");
    fs::write(&source, text).expect("a temporary file");
    let module = folder.join(name).with_extension("espb").display().to_string();
    let ir = to_ir(&source, folder);
    let built = espb(["build".as_ref(), ir.as_os_str(), "-o".as_ref(), module.as_ref()]);
    assert_eq!(built.code, 0, "{}", built.transcript());
    module
}

#[test]
fn a_living_chip_takes_modules_and_tells_what_it_holds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // The first never leaves the line silent for as long as one wait of the program.
    let (chatter, beat) = (talking(folder.path(), "chatter", 1), talking(folder.path(), "beat", 20));
    let chip = Chip::new(folder.path());

    let pushed = chip.espb(&["push", &chatter]);
    assert_eq!((pushed.code, pushed.objects("pushed").len()), (0, 1), "{}", pushed.transcript());
    let heard = chip.espb(&["monitor", "--expect", "chatter 3"]);
    assert_eq!(heard.code, 0, "{}", heard.transcript());

    // Beside it one that stays, and then one in its place.
    for slot in ["0", "1"] {
        let stays = chip.espb(&["push", &beat, "--stay", "--slot", slot, "--trial", "200ms"]);
        assert_eq!(stays.code, 0, "{}", stays.transcript());
        let listed = chip.espb(&["list"]);
        let slots = listed.objects("slot");
        assert_eq!(slots.len(), 2, "{}", listed.transcript());
        let kept: Vec<bool> = slots.iter().map(|row| row["state"] == "valid" && row["newest"] == true).collect();
        assert_eq!(kept, [slot == "0", slot == "1"], "{}", listed.transcript());
        assert_eq!(listed.objects("instance").len(), 2, "{}", listed.transcript());
    }
    let heard = chip.espb(&["monitor", "--expect", "beat 3"]);
    assert_eq!(heard.code, 0, "{}", heard.transcript());

    let counted = chip.espb(&["stats"]);
    assert!(counted.objects("counters")[0]["ticks"].as_u64() > Some(0), "{}", counted.transcript());
    let stopped = chip.espb(&["stop"]);
    assert_eq!(stopped.objects("stopped").len(), 2, "{}", stopped.transcript());
    let removed = chip.espb(&["remove", "1"]);
    assert_eq!(removed.objects("slot")[1]["state"], "empty", "{}", removed.transcript());
    let started = chip.espb(&["start"]);
    assert_eq!(started.code, 0, "the module before runs again: {}", started.transcript());
    let stopped = chip.espb(&["stop"]);
    assert_eq!(stopped.code, 0, "{}", stopped.transcript());
    let removed = chip.espb(&["remove", "0"]);
    assert_eq!(removed.objects("slot")[0]["state"], "empty", "{}", removed.transcript());
    let nothing = chip.espb(&["start"]);
    assert_eq!(nothing.code, 1, "{}", nothing.transcript());
}

#[test]
fn a_chip_on_a_serial_port_runs_modules_at_any_speed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = "#include <stdio.h>\nint app_main(int argc, char *argv[]) { printf(\"%s %d\\n\", argv[1], argc); return 42; }\n";
    let answer = module(folder.path(), "answer", text);
    let chip = Chip::on("pty", &[]);
    for _ in 0..2 {
        let ran = chip.espb(&["run", &answer, "hello"]);
        assert_eq!(ran.code, 42, "{}", ran.transcript());
        assert_eq!(ran.objects("output")[0]["text"], "hello 2\n", "{}", ran.transcript());
        let fast = chip.espb(&["stats", "--baud", "921600"]);
        assert_eq!(fast.code, 0, "{}", fast.transcript());
        // The line is as the next command expects it, which may be of another program.
        let line = fs::File::open(&chip.link).expect("the line is there");
        let settings = rustix::termios::tcgetattr(&line).expect("it is a terminal");
        assert_eq!(settings.output_speed(), 115_200);
    }
    let trap = module(folder.path(), "trap", "int app_main(void) { return *(volatile int *)16; }\n");
    let trapped = chip.espb(&["run", &trap]);
    assert_eq!(trapped.code, 101, "{}", trapped.transcript());
    assert_eq!(trapped.objects("diagnostic")[0]["line"], 1, "{}", trapped.transcript());
}

#[test]
fn the_client_of_the_guide_starts_a_module_over_tcp() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let beat = talking(folder.path(), "beat", 20);
    let client = folder.path().join("client.py");
    let text = blocks("docs/link-client.md", "python").concat();
    fs::write(&client, text).expect("a temporary file");
    let chip = Chip::on("tcp:127.0.0.1:0", &[]);
    let address: Vec<&str> = chip.link.split(':').collect();
    let [_, host, port] = address[..] else { panic!("{}", chip.link) };
    let ran = finish(Command::new("python3").arg(&client).args([host, port, &beat]));
    assert!(ran.code == 0 && ran.stdout.contains("instance 1 runs"), "{}", ran.transcript());
    let heard = chip.espb(&["monitor", "--expect", "beat 3"]);
    assert_eq!(heard.code, 0, "{}", heard.transcript());
}

#[test]
fn what_stays_in_a_chip_is_there_when_it_is_emulated_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let beat = talking(folder.path(), "beat", 20);
    let (link, flash) = (folder.path().join("link").display().to_string(), folder.path().join("flash.bin"));
    let options = ["--flash", &flash.display().to_string()];
    let chip = Chip::on(&link, &options);
    let stays = chip.espb(&["push", &beat, "--stay", "--trial", "100ms"]);
    assert_eq!(stays.code, 0, "{}", stays.transcript());
    // By then the chip has written what it holds: twenty times a second it looks.
    let heard = chip.espb(&["monitor", "--expect", "beat 50"]);
    assert_eq!(heard.code, 0, "{}", heard.transcript());
    drop(chip);
    let again = Chip::on(&link, &options);
    let listed = again.espb(&["list"]);
    assert_eq!(listed.objects("slot")[0]["state"], "valid", "{}", listed.transcript());
    let heard = again.espb(&["monitor", "--expect", "beat 1"]);
    assert_eq!(heard.code, 0, "{}", heard.transcript());
}
