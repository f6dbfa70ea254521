//! The command line: one file a command. Nothing outside this folder prints.

#[cfg(feature = "emulate")]
mod board;
mod build;
mod cc;
mod completions;
mod exit;
mod explain;
mod files;
mod inspect;
mod man;
#[cfg(feature = "emulate")]
mod profile;
mod report;
mod run;
mod size;
mod stats;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::Exit;
use report::{MessageFormat, Reporter};

/// Load new C code into a running ESP32: translate it, run it in an emulated chip, look into it
#[derive(Debug, Parser)]
#[command(name = "espb", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Form of messages
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value = "human")]
    message_format: MessageFormat,
}

#[derive(Debug, Subcommand)]
enum Command {
    Cc(cc::CcArgs),
    Build(build::BuildArgs),
    Run(run::RunArgs),
    Inspect(inspect::InspectArgs),
    Verify(verify::VerifyArgs),
    Completions(completions::CompletionsArgs),
    #[command(hide = true)]
    Man(man::ManArgs),
}

/// The `espb` program: parses the command line and runs the command.
pub fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == crate::ir::STAGE_COMMAND) {
        return crate::ir::run_stage();
    }
    let cli = match Cli::try_parse_from(cc::depfile_options(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too; they are no errors.
            let _ = error.print();
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Success };
            return exit.into();
        }
    };
    let reporter = Reporter::new(cli.message_format);
    let exit = match &cli.command {
        Command::Cc(args) => cc::run(args, reporter),
        Command::Build(args) => build::run(args, reporter),
        Command::Run(args) => run::run(args, reporter),
        Command::Inspect(args) => inspect::run(args, reporter),
        Command::Verify(args) => verify::run(args, reporter),
        Command::Completions(args) => completions::run(args, reporter),
        Command::Man(args) => man::run(args, reporter),
    };
    exit.into()
}
