//! What a person sees: `espb flash --monitor` in a terminal of tmux, with its bar, the console, and Ctrl-C.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use crate::bootloader::Peer;
use crate::compile::to_ir;
use crate::program::espb;

/// A terminal; it closes when dropped.
struct Terminal {
    name: String,
    screen: File,
    shown: String,
}

impl Terminal {
    /// Runs `command` in a shell; `folder` is for what the terminal shows.
    fn new(folder: &Path, command: &str) -> Self {
        let name = format!("espb-{}", std::process::id());
        let pipe = folder.join("screen");
        let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
        assert!(made.success());
        // The command waits until somebody looks; the shell outlives what ends the command.
        let waiting = format!("trap : INT; tmux -L {name} wait-for go; {command}; echo \"ended with $?\"; exec cat");
        tmux(&name, &["-f", "/dev/null", "new-session", "-d", "-x", "150", "-y", "40", &waiting]);
        tmux(&name, &["pipe-pane", "-o", &format!("cat > '{}'", pipe.display())]);
        let screen = File::open(&pipe).expect("the pipe is there");
        tmux(&name, &["wait-for", "-S", "go"]);
        Self { name, screen, shown: String::new() }
    }

    /// Looks at the terminal until it shows this.
    fn until(&mut self, text: &str) {
        let mut bytes = [0; 4096];
        while !self.shown.contains(text) {
            let length = self.screen.read(&mut bytes).expect("the terminal shows something");
            assert!(length > 0, "the terminal ended before it showed {text}:\n{}", self.shown);
            self.shown += &String::from_utf8_lossy(&bytes[..length]);
        }
    }

    fn press(&self, key: &str) {
        tmux(&self.name, &["send-keys", key]);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.name, "kill-server"]).output();
    }
}

fn tmux(server: &str, words: &[&str]) {
    let output = Command::new("tmux").args(["-L", server]).args(words).output().expect("tmux is installed");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn flashing_shows_a_bar_and_then_the_console_until_ctrl_c() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let source = folder.path().join("app.c");
    std::fs::write(&source, "int app_main(void) { return 0; }\n").expect("a temporary file");
    let module = folder.path().join("app.espb").display().to_string();
    let built = espb(["build", &to_ir(&source, folder.path()).display().to_string(), "-o", &module]);
    assert_eq!(built.code, 0, "{}", built.transcript());
    let peer = Peer::new(&[], 5);
    let command = format!("'{}' flash --monitor --port {} '{module}'", env!("CARGO_BIN_EXE_espb"), peer.port());
    let mut terminal = Terminal::new(folder.path(), &command);
    terminal.until("[=");
    terminal.until("written and verified");
    terminal.until("were there already");
    peer.say("the board speaks\r\n");
    terminal.until("the board speaks");
    terminal.press("C-c");
    // 128 and the number of SIGINT.
    terminal.until("ended with 130");
}
