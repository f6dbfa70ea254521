//! `espb stats`: the counters of a running device.

use clap::Args;
use espb_link::InstanceId;
use serde_json::json;

use super::exit::Exit;
use super::link::LinkArgs;
use super::report::Reporter;

/// Show the counters of a running device, and of an instance if one is named
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// The instance: one that lives, or the last that ended
    #[arg(value_name = "INSTANCE")]
    instance: Option<u16>,
    #[command(flatten)]
    link: LinkArgs,
}

/// Runs the command.
pub fn run(args: &StatsArgs, reporter: Reporter) -> Exit {
    args.link.talk(reporter, |dialogue| {
        let stats = dialogue.stats(args.instance.map(InstanceId))?;
        let rows = [
            ("instructions", stats.instructions),
            ("ticks", stats.ticks.into()),
            ("heartbeats", stats.heartbeats.into()),
            ("free_heap", stats.free_heap.into()),
            ("minimum_free_heap", stats.minimum_free_heap.into()),
            ("largest_free_block", stats.largest_free_block.into()),
            ("free_thunks", stats.free_thunks.into()),
            ("native_stack_spare", stats.native_stack_spare.into()),
            ("heap_peak", stats.heap_peak.into()),
            ("linear_stack_peak", stats.linear_stack_peak.into()),
            ("shadow_stack_peak", stats.shadow_stack_peak.into()),
        ];
        if reporter.is_json() {
            let mut object = json!({ "reason": "counters", "instance": args.instance });
            for (name, value) in rows {
                object[name] = value.into();
            }
            reporter.object(&object);
        } else {
            let lines = rows.map(|(name, value)| format!("{:20} {value}\n", name.replace('_', " ")));
            reporter.bytes(lines.concat().as_bytes());
        }
        Ok(Exit::Success)
    })
}
