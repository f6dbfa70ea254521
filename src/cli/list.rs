//! `espb list`: the slots of a running device and the instances that are loaded.

use clap::Args;
use espb_link::Source;
use espb_link::event::{Resident, State};
use serde_json::{Value, json};

use super::exit::Exit;
use super::link::LinkArgs;
use super::report::Reporter;
use crate::device::client::SlotTable;

/// Show what a running device holds: slots and instances
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    link: LinkArgs,
}

/// Runs the command.
pub fn run(args: &ListArgs, reporter: Reporter) -> Exit {
    args.link.talk(reporter, |dialogue| {
        let slots = dialogue.slots()?;
        let instances = dialogue.instances()?;
        show(&slots, &instances, reporter);
        Ok(Exit::Success)
    })
}

/// Prints slots and instances.
pub fn show(table: &SlotTable, instances: &[Resident], reporter: Reporter) {
    if reporter.is_json() {
        slot_objects(table).iter().for_each(|object| reporter.object(object));
        instances.iter().for_each(|resident| reporter.object(&instance(resident)));
        return reporter.object(&json!({ "reason": "listed", "floor": table.floor, "signed": table.signed }));
    }
    let mut text = String::from("slot  state  bytes    version  name\n");
    for (number, slot) in (0..).zip(&table.slots) {
        let number: u8 = number;
        let mark = if slot.newest { "*" } else { " " };
        text += &format!(
            "{number:<3}{mark}  {:<5}  {:<7}  {:<7}  {}\n",
            slot.state.name(),
            slot.length,
            slot.version,
            slot.name
        );
    }
    text += "\ninstance  state    from    linear memory\n";
    for resident in instances {
        text += &format!(
            "{:<8}  {:<7}  {:<6}  {}\n",
            resident.instance.0,
            state(resident.state),
            source(resident.source),
            resident.linear_memory
        );
    }
    reporter.bytes(text.as_bytes());
}

/// An object for each slot.
pub fn slot_objects(table: &SlotTable) -> Vec<Value> {
    let slots = table.slots.iter().enumerate().map(|(number, slot)| {
        json!({
            "reason": "slot", "slot": number, "state": slot.state.name(), "newest": slot.newest,
            "autostart": slot.autostart, "bytes": slot.length, "capacity": slot.capacity, "version": slot.version,
            "name": slot.name,
        })
    });
    slots.collect()
}

fn instance(resident: &Resident) -> Value {
    json!({
        "reason": "instance", "instance": resident.instance.0, "state": state(resident.state),
        "source": source(resident.source), "linear_memory": resident.linear_memory,
    })
}

fn state(state: State) -> &'static str {
    match state {
        State::Loaded => "loaded",
        State::Running => "running",
        State::Idle => "idle",
    }
}

fn source(source: Source) -> String {
    match source {
        Source::Slot(slot) => format!("slot {slot}"),
        Source::Newest => "slot".into(),
        Source::Upload { .. } => "RAM".into(),
    }
}
