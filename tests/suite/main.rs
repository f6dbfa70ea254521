//! The end-to-end tests of the `espb` binary, one module a topic. They see what a user sees: files, stdout, stderr, exit codes.

mod bad_input;
mod cc;
mod compile;
mod contracts;
mod docs;
mod fixtures;
mod gpio;
mod headers;
mod hostile;
mod inference;
mod isolation;
mod linking;
mod man;
#[path = "../shared/mutant.rs"]
mod mutant;
mod program;
mod project;
#[path = "../shared/random.rs"]
mod random;
mod registered;
mod run;
