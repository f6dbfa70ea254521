//! `espb remove`: takes a stored module away.

use clap::Args;

use super::exit::Exit;
use super::link::LinkArgs;
use super::list;
use super::report::Reporter;

/// Remove the module of a slot
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// The slot
    #[arg(value_name = "SLOT")]
    slot: u8,
    #[command(flatten)]
    link: LinkArgs,
}

/// Runs the command.
pub fn run(args: &RemoveArgs, reporter: Reporter) -> Exit {
    args.link.talk(reporter, |dialogue| {
        let slots = dialogue.remove(args.slot)?;
        let instances = dialogue.instances()?;
        list::show(&slots, &instances, reporter);
        Ok(Exit::Success)
    })
}
