//! The exit codes: the one place where they are numbered. Makefiles rely on them.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Success,
    /// `run`: the entry returned this, or called `exit` with it (the low 8 bits).
    Module(u8),
    /// The input is wrong; diagnostics were printed.
    Input,
    /// The command line is wrong.
    Usage,
    /// The device, the port or the flash failed; the emulated chip counts as a device.
    Device,
    /// The module trapped or called `abort`.
    Trapped,
    /// The wall-clock limit was reached.
    Timeout,
}

impl Exit {
    /// The number that the shell sees.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Module(code) => code,
            Exit::Input => 1,
            Exit::Usage => 2,
            Exit::Device => 3,
            Exit::Trapped => 101,
            Exit::Timeout => 124,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}
