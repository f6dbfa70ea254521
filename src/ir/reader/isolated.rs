//! The LLVM stage in a process of its own, so that an LLVM that aborts becomes a diagnostic.
//!
//! Must never hold: a second way of reading; the child runs `read`.

use super::{Output, Request, read};
use crate::diagnostic::{Diagnostic, Place};
use crate::ir::Module;
use std::io::{self, Read, Write, stdin, stdout};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// The hidden first argument with which `espb` runs as the child.
pub const STAGE_COMMAND: &str = "__llvm-stage";

/// Longer than any program that fits a chip takes, by far.
const LIMIT: Duration = Duration::from_secs(120);

/// What the child says: the program with warnings, or errors.
type Response = Result<(Module, Vec<Diagnostic>), Vec<Diagnostic>>;

/// Reads and links in a child process of this program, whose `main` must call [`run_stage`] when its first argument is
/// [`STAGE_COMMAND`].
///
/// # Errors
/// Those of [`read`], and an LLVM that ended the child.
pub fn read_isolated(request: &Request) -> Result<Output, Vec<Diagnostic>> {
    let program = std::env::current_exe()
        .map_err(|error| vec![failure(&format!("espb cannot find its own program file: {error}"), "", Place::None)])?;
    let mut command = Command::new(program);
    command.arg(STAGE_COMMAND);
    read_through(command, request, LIMIT)
}

/// Runs `command` as the child for at most `limit`.
fn read_through(mut command: Command, request: &Request, limit: Duration) -> Result<Output, Vec<Diagnostic>> {
    let place = request.place();
    let broken = |what: &str, noise: &str| vec![failure(what, noise, place.clone())];
    let request = postcard::to_stdvec(request).map_err(|error| broken(&error.to_string(), ""))?;
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| broken(&format!("cannot start the LLVM stage: {error}"), ""))?;
    let input = child.stdin.take();
    // A child that dies early closes its input: its answer tells, not the broken pipe.
    thread::spawn(move || input.map(|mut input| input.write_all(&request)));
    let (answer, noise) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let Ok(answer) = answer.recv_timeout(limit) else {
        // Both fail only for a child that has just ended by itself.
        let _ = child.kill();
        let _ = child.wait();
        let seconds = limit.as_secs();
        return Err(broken(&format!("LLVM found no end in {seconds} seconds and was stopped"), ""));
    };
    let status = child.wait().map_err(|error| broken(&error.to_string(), ""))?;
    let noise = String::from_utf8_lossy(&noise.recv().unwrap_or_default()).into_owned();
    if !status.success() {
        return Err(broken(&format!("LLVM ended unexpectedly ({status})"), &noise));
    }
    decode(&answer).unwrap_or_else(|| Err(broken("the answer of the LLVM stage is broken", &noise)))
}

/// Everything that comes out of a pipe until it is closed.
fn collect(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error counts; nobody listens any more after the time limit.
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        let _ = sender.send(bytes);
    });
    receiver
}

/// The child's answer, `None` if it is none.
fn decode(bytes: &[u8]) -> Option<Result<Output, Vec<Diagnostic>>> {
    let response: Response = postcard::from_bytes(bytes).ok()?;
    Some(response.map(|(module, warnings)| Output { module, warnings }))
}

/// The child's part: a request on stdin, the answer on stdout.
pub fn run_stage() -> ExitCode {
    match serve(stdin().lock(), stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Answers the request in `input`.
fn serve(mut input: impl Read, mut output: impl Write) -> io::Result<()> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    let request: Request = postcard::from_bytes(&bytes).map_err(io::Error::other)?;
    let response: Response = read(&request).map(|output| (output.module, output.warnings));
    output.write_all(&postcard::to_stdvec(&response).map_err(io::Error::other)?)?;
    output.flush()
}

/// A fault that is not the input's, with LLVM's own words if it left any.
fn failure(what: &str, noise: &str, place: Place) -> Diagnostic {
    let line = noise.lines().find(|line| line.contains("LLVM ERROR") || line.contains("Assertion"));
    let message = match line.or_else(|| noise.lines().next()) {
        Some(line) => format!("{what}: {line}"),
        None => what.to_owned(),
    };
    let help = "the input is probably damaged or uses something LLVM 22 cannot digest: compile it again, \
                without -g if it has debug information; if it stays, report it with the input";
    Diagnostic::error("espb::ir::llvm_failed", message, place, help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Input;

    fn request(text: &str) -> Request {
        Request { inputs: vec![Input { name: "a.ll".to_owned(), bytes: text.into() }], roots: Vec::new() }
    }

    #[test]
    fn the_child_answers_what_reading_in_process_answers() {
        for text in ["define float @f() {\n ret float -0.0\n}\n", "define void @f() {\n ret i32 1\n}\n", ""] {
            let request = request(text);
            let mut answer = Vec::new();
            serve(postcard::to_stdvec(&request).unwrap().as_slice(), &mut answer).unwrap();
            assert_eq!(decode(&answer).unwrap(), read(&request));
        }
    }

    #[test]
    fn a_crash_of_llvm_is_a_diagnostic_with_its_last_words() {
        let mut crash = Command::new("sh");
        crash.args(["-c", "echo 'noise\nLLVM ERROR: Broken module found' >&2; kill -ABRT $$"]);
        let errors = read_through(crash, &request(""), LIMIT).unwrap_err();
        let [error] = errors.as_slice() else { panic!("{errors:?}") };
        assert_eq!((error.code, &error.place), ("espb::ir::llvm_failed", &Place::File("a.ll".to_owned())));
        assert!(error.message.ends_with("LLVM ERROR: Broken module found"), "{}", error.message);
        assert!(!error.help.is_empty());
    }

    #[test]
    fn a_child_that_answers_nonsense_is_a_diagnostic() {
        let errors = read_through(Command::new("true"), &request(""), LIMIT).unwrap_err();
        assert_eq!(errors[0].code, "espb::ir::llvm_failed");
    }

    #[test]
    fn a_child_that_finds_no_end_is_stopped() {
        let mut endless = Command::new("sh");
        endless.args(["-c", "exec sleep 1000"]);
        let errors = read_through(endless, &request(""), Duration::from_millis(1)).unwrap_err();
        assert!(errors[0].message.contains("no end"), "{}", errors[0].message);
    }
}
