//! `espb stop`: ends instances of a running device.

use clap::Args;
use espb_link::InstanceId;
use serde_json::json;

use super::exit::Exit;
use super::link::LinkArgs;
use super::report::Reporter;

/// Stop an instance: its tasks and timers end, its memory comes back
#[derive(Debug, Args)]
pub struct StopArgs {
    /// The instance; without it all of them
    #[arg(value_name = "INSTANCE")]
    instance: Option<u16>,
    #[command(flatten)]
    link: LinkArgs,
}

/// Runs the command.
pub fn run(args: &StopArgs, reporter: Reporter) -> Exit {
    args.link.talk(reporter, |dialogue| {
        let instances = match args.instance {
            Some(instance) => vec![InstanceId(instance)],
            None => dialogue.instances()?.iter().map(|resident| resident.instance).collect(),
        };
        for instance in instances {
            dialogue.stop(instance)?;
            if reporter.is_json() {
                reporter.object(&json!({ "reason": "stopped", "instance": instance.0 }));
            }
        }
        Ok(Exit::Success)
    })
}
