//! The command line: one file a command. Nothing outside this folder prints.

mod build;
mod completions;
mod connect;
mod exit;
mod explain;
mod files;
mod flash;
mod image;
mod inspect;
mod key;
mod progress;
mod report;
mod run;
mod sign;
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
    Build(build::BuildArgs),
    Run(run::RunArgs),
    Inspect(inspect::InspectArgs),
    Verify(verify::VerifyArgs),
    Flash(flash::FlashArgs),
    Image(image::ImageArgs),
    Sign(sign::SignArgs),
    Completions(completions::CompletionsArgs),
}

/// The `espb` program: parses the command line and runs the command.
pub fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == crate::ir::STAGE_COMMAND) {
        return crate::ir::run_stage();
    }
    let cli = match Cli::try_parse() {
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
        Command::Build(args) => build::run(args, reporter),
        Command::Run(args) => run::run(args, reporter),
        Command::Inspect(args) => inspect::run(args, reporter),
        Command::Verify(args) => verify::run(args, reporter),
        Command::Flash(args) => flash::run(args, reporter),
        Command::Image(args) => image::run(args, reporter),
        Command::Sign(args) => sign::run(args, reporter),
        Command::Completions(args) => completions::run(args, reporter),
    };
    exit.into()
}
