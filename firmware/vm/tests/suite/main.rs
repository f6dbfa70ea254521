//! What a module experiences: modules written in assembly, verified and run on a 64-bit host.

mod arithmetic;
mod common;
mod control;
mod floats;
mod hosts;
mod life;
mod memory;
