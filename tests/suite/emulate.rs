//! The commands for running devices, against an emulated chip that `espb emulate` keeps alive on a socket.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::compile::to_ir;
use crate::messages;
use crate::program::{Finished, espb};

/// A living chip; it ends when dropped.
struct Chip {
    process: Child,
    link: PathBuf,
}

impl Chip {
    fn new(folder: &Path) -> Self {
        let link = folder.join("link");
        let mut command = Command::new(env!("CARGO_BIN_EXE_espb"));
        command.args(["emulate", "--message-format", "json", "--link"]).arg(&link).stdout(Stdio::piped());
        let mut process = command.spawn().expect("espb starts");
        let output = process.stdout.take().expect("a pipe");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("it says that it listens");
        assert!(line.contains("emulating"), "{line}");
        Self { process, link }
    }

    fn espb(&self, arguments: &[&str]) -> Finished {
        let link = self.link.display().to_string();
        let device = ["--port", &link, "--timeout", "60s"];
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
    let source = folder.join(says).with_extension("c");
    let text = format!(
        "#include <stdio.h>\n#include \"freertos/FreeRTOS.h\"\n#include \"freertos/task.h\"\n\
         int app_main(void) {{ for (int i = 0; ; i++) {{ printf(\"{says} %d\\n\", i); vTaskDelay({pause}); }} }}\n"
    );
    fs::write(&source, text).expect("a temporary file");
    let module = folder.join(says).with_extension("espb").display().to_string();
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
