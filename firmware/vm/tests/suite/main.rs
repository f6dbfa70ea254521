//! What a module experiences: modules written in assembly, verified and run on a 64-bit host.

#![allow(clippy::type_complexity, reason = "rows of a table")]

mod arithmetic;
mod common;
mod control;
mod floats;
mod hostile;
mod hosts;
mod jumps;
mod life;
mod linear;
mod memory;
mod pairs;
mod refusals;
mod tail_calls;
mod tasks;
