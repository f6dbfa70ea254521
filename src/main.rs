//! The `espb` program. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    espb::cli::main()
}
