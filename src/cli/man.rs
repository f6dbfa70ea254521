//! `espb man`: manual pages, for those who package the program.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory};

use super::exit::Exit;
use super::report::Reporter;
use crate::diagnostic::{Diagnostic, Place};

/// Write a manual page for each command
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder to write into, made if it is missing
    folder: PathBuf,
}

/// Runs the command.
pub fn run(args: &ManArgs, reporter: Reporter) -> Exit {
    let mut command = super::Cli::command().disable_help_subcommand(true);
    // Gives subcommands the options that hold for all.
    command.build();
    let written = fs::create_dir_all(&args.folder).and_then(|()| clap_mangen::generate_to(command, &args.folder));
    match written {
        Ok(()) => Exit::Success,
        Err(error) => {
            reporter.diagnostic(&Diagnostic::error(
                "espb::cli::unwritable",
                format!("cannot write the manual pages: {error}"),
                Place::File(args.folder.display().to_string()),
                "name a folder that you may write to",
            ));
            Exit::Input
        }
    }
}
