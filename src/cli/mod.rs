//! The command line: one file a command. Nothing outside this folder prints.

#[cfg(feature = "emulate")]
mod board;
mod build;
mod cc;
mod census;
mod completions;
mod connect;
mod console;
mod counters;
#[cfg(feature = "emulate")]
mod emulate;
mod event;
mod exit;
mod explain;
mod files;
mod find;
mod flash;
mod image;
mod inspect;
mod key;
mod link;
mod list;
mod man;
mod monitor;
#[cfg(feature = "emulate")]
mod profile;
mod progress;
mod project;
mod push;
mod remove;
mod report;
mod run;
mod sign;
mod size;
mod start;
mod stats;
mod stop;
mod verify;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

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
    Flash(flash::FlashArgs),
    Image(image::ImageArgs),
    Sign(sign::SignArgs),
    Push(push::PushArgs),
    List(list::ListArgs),
    Start(start::StartArgs),
    Stop(stop::StopArgs),
    Stats(counters::StatsArgs),
    Remove(remove::RemoveArgs),
    Monitor(monitor::MonitorArgs),
    Watch(watch::WatchArgs),
    #[cfg(feature = "emulate")]
    Emulate(emulate::EmulateArgs),
    Completions(completions::CompletionsArgs),
    #[command(hide = true)]
    Man(man::ManArgs),
}

impl Command {
    /// Whether the project file has something to say to it.
    fn takes_defaults(&self) -> bool {
        match self {
            Self::Build(_) | Self::Run(_) | Self::Flash(_) | Self::Image(_) | Self::Monitor(_) | Self::Watch(_) => true,
            #[cfg(feature = "emulate")]
            Self::Emulate(_) => true,
            _ => false,
        }
    }
}

/// The `espb` program: parses the command line and runs the command.
pub fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == crate::ir::STAGE_COMMAND) {
        return crate::ir::run_stage();
    }
    let words: Vec<_> = cc::depfile_options(std::env::args_os()).collect();
    let parsed = Cli::try_parse_from(&words).and_then(|cli| {
        let reporter = Reporter::new(cli.message_format);
        if !cli.command.takes_defaults() {
            return Ok(Ok(cli));
        }
        match project::Project::find(&project::here()) {
            Ok(None) => Ok(Ok(cli)),
            Ok(Some(project)) => {
                let mut matches = project.apply(Cli::command()).try_get_matches_from(&words)?;
                Cli::from_arg_matches_mut(&mut matches).map(Ok)
            }
            Err(error) => Ok(Err(reporter.refuse(&error))),
        }
    });
    let cli = match parsed {
        Ok(Ok(cli)) => cli,
        Ok(Err(exit)) => return exit.into(),
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
        Command::Flash(args) => flash::run(args, reporter),
        Command::Image(args) => image::run(args, reporter),
        Command::Sign(args) => sign::run(args, reporter),
        Command::Push(args) => push::run(args, reporter),
        Command::List(args) => list::run(args, reporter),
        Command::Start(args) => start::run(args, reporter),
        Command::Stop(args) => stop::run(args, reporter),
        Command::Stats(args) => counters::run(args, reporter),
        Command::Remove(args) => remove::run(args, reporter),
        Command::Monitor(args) => monitor::run(args, reporter),
        Command::Watch(args) => watch::run(args, reporter),
        #[cfg(feature = "emulate")]
        Command::Emulate(args) => emulate::run(args, reporter),
        Command::Completions(args) => completions::run(args, reporter),
        Command::Man(args) => man::run(args, reporter),
    };
    exit.into()
}
