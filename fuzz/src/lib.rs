//! Attacks on what stands between a hostile module and the firmware. One module a target: from any bytes it makes an input, gives it to
//! the code under attack and panics where a promise of docs/isolation.md is broken. The same functions run under libFuzzer (`targets/`)
//! and on the replayed corpus of `make test`. Never here: a chip.

pub mod container;
pub mod corpus;
pub mod frames;
pub mod host;
pub mod interpreter;
pub mod program;
pub mod slots;
pub mod verifier;

/// A target's name and its attack; the answer says whether the input got past the checks under attack.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// Every target.
pub const TARGETS: [Target; 5] = [
    ("container", container::attack),
    ("verifier", verifier::attack),
    ("interpreter", interpreter::attack),
    ("frames", frames::attack),
    ("slots", slots::attack),
];
