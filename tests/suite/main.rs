//! The end-to-end tests of the `espb` binary, one module a topic. They see what a user sees: files, stdout, stderr, exit codes.

mod bad_input;
mod board;
mod bootloader;
mod cc;
mod compile;
mod contracts;
mod docs;
mod emulate;
mod exhaustion;
mod fixtures;
mod flash;
mod handlers;
mod headers;
mod heartbeat;
mod hostile;
mod inference;
mod inspect;
mod isolation;
mod life;
mod link;
mod linking;
mod load;
mod man;
mod messages;
mod monitor;
#[path = "../shared/mutant.rs"]
mod mutant;
mod permission;
mod program;
mod project;
mod project_file;
#[path = "../shared/random.rs"]
mod random;
mod registered;
mod resident;
mod run;
mod terminal;
mod watch;
