//! Runs the `espb` binary and keeps what a user would see of it. Knows no command's meaning.

use std::ffi::OsStr;
use std::process::Command;

use serde_json::Value;

/// What a finished run of `espb` left.
pub struct Finished {
    /// The command line, for messages.
    pub command: String,
    /// The exit code; -1 if a signal ended the process.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `espb` with `arguments` from the root of the repository, so that paths in reports are those of the sources in it.
pub fn espb<I, S>(arguments: I) -> Finished
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(env!("CARGO_BIN_EXE_espb"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    finish(&mut command)
}

/// Runs a command that is `espb` or ends in it.
pub fn finish(command: &mut Command) -> Finished {
    command.env("NO_COLOR", "1");
    let shown = format!("{command:?}");
    let output = command.output().unwrap_or_else(|error| panic!("{shown}: {error}"));
    Finished {
        command: shown,
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Finished {
    /// The JSON objects with this `reason` that `--message-format json` printed, from either stream.
    pub fn objects(&self, reason: &str) -> Vec<Value> {
        self.stdout
            .lines()
            .chain(self.stderr.lines())
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|object| object["reason"] == reason)
            .collect()
    }

    /// Everything, for the message of a failed check.
    pub fn transcript(&self) -> String {
        format!("{}\nexit code {}\n--- stdout\n{}--- stderr\n{}", self.command, self.code, self.stdout, self.stderr)
    }
}
