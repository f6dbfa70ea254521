//! Hardware behind host functions: registers and interrupts through esp-hal. Knows no module, no contract and no instance;
//! a callback is an address with a word.

pub mod alarm;
pub mod gpio;
pub mod uart;
