//! `espb start`: the module of a slot, in a running device.

use std::time::Duration;

use clap::Args;
use espb_link::Source;
use espb_slots::SlotState;
use serde_json::json;

use super::exit::Exit;
use super::link::LinkArgs;
use super::push::survives;
use super::report::Reporter;
use super::size::parse_duration;

/// Start the module of a slot
#[derive(Debug, Args)]
pub struct StartArgs {
    /// The slot; without it the one that runs at boot
    #[arg(value_name = "SLOT")]
    slot: Option<u8>,
    #[command(flatten)]
    link: LinkArgs,
    /// Function that affects the whole device and that the module may call all the same, e.g. esp_restart (repeatable)
    #[arg(long, value_name = "NAME")]
    allow: Vec<String>,
    /// How long a module that never ran before must run without a trap to be kept
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "2s")]
    trial: Duration,
}

/// Runs the command.
pub fn run(args: &StartArgs, reporter: Reporter) -> Exit {
    args.link.talk(reporter, |dialogue| {
        let slots = dialogue.slots()?.slots;
        let newest = (0..).zip(&slots).find(|(_, slot)| slot.newest).map(|(number, _)| number);
        let slot = args.slot.or(newest);
        let is_new =
            slot.and_then(|slot| slots.get(usize::from(slot))).is_some_and(|slot| slot.state == SlotState::New);
        let instance = dialogue.load(slot.map_or(Source::Newest, Source::Slot), &args.allow)?;
        dialogue.start(instance, &[])?;
        if is_new {
            // Without the module's file a trap has no names; `espb monitor MODULE` shows them.
            if !survives(dialogue, instance, args.trial, &[], reporter)? {
                reporter.talk("the module trapped on its trial and was rolled back");
                return Ok(Exit::Trapped);
            }
            if let Some(slot) = slot
                && !dialogue.confirm(slot)?
            {
                reporter.talk("the device has given the trial up; `espb list` shows what runs");
                return Ok(Exit::Trapped);
            }
        }
        if reporter.is_json() {
            reporter.object(&json!({ "reason": "started", "instance": instance.0, "slot": slot }));
        } else {
            reporter.talk(&format!("instance {}", instance.0));
        }
        Ok(Exit::Success)
    })
}
