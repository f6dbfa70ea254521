//! `espb push`: a module into a running device, into RAM or into a slot.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Args;
use espb_format::container::Module;
use espb_link::{InstanceId, Source};
use espb_slots::Seal;
use serde_json::json;

use super::exit::Exit;
use super::image::ModuleFile;
use super::link::LinkArgs;
use super::progress::Bar;
use super::report::Reporter;
use super::size::parse_duration;
use crate::device::client::Message;
use crate::device::dialogue::{Dialogue, Goal, Trouble};
use crate::device::trap;

/// Load a module into a running device and start it: into RAM until the next reset, or into a slot to stay
#[derive(Debug, Args)]
pub struct PushArgs {
    /// The module
    #[arg(value_name = "MODULE")]
    module: PathBuf,
    /// Arguments of its entry, when it goes into RAM
    #[arg(value_name = "ARG", conflicts_with = "stay")]
    arguments: Vec<String>,
    #[command(flatten)]
    link: LinkArgs,
    /// Function that affects the whole device and that the module may call all the same, e.g. esp_restart (repeatable)
    #[arg(long, value_name = "NAME", conflicts_with = "stay")]
    allow: Vec<String>,
    /// Store it in a slot: it replaces the module that runs at boot, once its trial is a success
    #[arg(long)]
    stay: bool,
    /// Which slot; without it the one that is needed least
    #[arg(long, value_name = "N", requires = "stay")]
    slot: Option<u8>,
    /// Do not start it at boot
    #[arg(long, requires = "stay")]
    no_autostart: bool,
    /// How long it must run without a trap to be kept
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "2s", requires = "stay")]
    trial: Duration,
}

/// Runs the command.
pub fn run(args: &PushArgs, reporter: Reporter) -> Exit {
    match ModuleFile::read(&args.module) {
        Ok(module) => args.link.talk(reporter, |dialogue| push(args, &module, dialogue, reporter)),
        Err(error) => reporter.refuse(&error),
    }
}

/// A number for an upload, unlike that of the last one.
pub fn token() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (since.as_micros() as u32).wrapping_mul(0x9e37_79b1) ^ std::process::id()
}

fn push(
    args: &PushArgs,
    file: &ModuleFile,
    dialogue: &mut Dialogue<'_, '_>,
    reporter: Reporter,
) -> Result<Exit, Trouble> {
    let began = SystemTime::now();
    if !args.stay {
        let instance = into_ram(file, &args.arguments, &args.allow, dialogue, reporter)?;
        report(file, instance, None, began, reporter);
        return Ok(Exit::Success);
    }
    let (module, seal) = Seal::split(&file.bytes);
    let token = token();
    let goal = Goal::Slot { slot: args.slot, autostart: !args.no_autostart, name: &file.name };
    let bar = Bar::new(reporter);
    bar.start("sending".into(), module.len() as u64);
    let stored = dialogue.install(token, module, &seal, goal, &mut |bytes| bar.at(bytes as u64));
    bar.clear();
    let slot = stored?;
    // The module that it replaces gives way; should the trial fail, the device starts it again.
    for resident in dialogue.instances()? {
        if matches!(resident.source, Source::Slot(_)) {
            dialogue.stop(resident.instance)?;
        }
    }
    let instance = dialogue.load(Source::Slot(slot), &[])?;
    dialogue.start(instance, &[&file.name])?;
    if !survives(dialogue, instance, args.trial, module, reporter)? {
        reporter.talk("the module was rolled back; the one before runs again");
        return Ok(Exit::Trapped);
    }
    if !dialogue.confirm(slot)? {
        reporter.talk("the device has given the trial up; `espb list` shows what runs");
        return Ok(Exit::Trapped);
    }
    report(file, instance, Some(slot), began, reporter);
    Ok(Exit::Success)
}

/// Loads a module into RAM, where it may call the restricted functions in `allowed`, and starts it.
pub fn into_ram(
    file: &ModuleFile,
    arguments: &[String],
    allowed: &[String],
    dialogue: &mut Dialogue<'_, '_>,
    reporter: Reporter,
) -> Result<InstanceId, Trouble> {
    let (module, seal) = Seal::split(&file.bytes);
    let token = token();
    let bar = Bar::new(reporter);
    bar.start("sending".into(), module.len() as u64);
    let sent = dialogue.upload(token, module, &seal, Goal::Ram, &mut |bytes| bar.at(bytes as u64));
    bar.clear();
    sent?;
    let instance = dialogue.load(Source::Upload { token }, allowed)?;
    let arguments: Vec<&str> =
        std::iter::once(file.name.as_str()).chain(arguments.iter().map(String::as_str)).collect();
    dialogue.start(instance, &arguments)?;
    Ok(instance)
}

/// Follows an instance for a while; shows a trap.
pub fn survives(
    dialogue: &mut Dialogue<'_, '_>,
    instance: InstanceId,
    time: Duration,
    module: &[u8],
    reporter: Reporter,
) -> Result<bool, Trouble> {
    let end = dialogue.transport().now() + time;
    loop {
        let left = end.saturating_sub(dialogue.transport().now());
        match dialogue.next(Some(left))? {
            None => return Ok(true),
            Some(Message::Trapped { instance: trapped, trap, .. }) if trapped == instance => {
                if let Ok(module) = Module::parse(module) {
                    reporter.diagnostic(&trap::diagnostic(&trap, &module));
                }
                return Ok(false);
            }
            // The device took it back, or was reset: the trial is over.
            Some(Message::Stopped(stopped)) if stopped == instance => return Ok(false),
            Some(Message::Hello { .. }) => return Ok(false),
            Some(_) => {}
        }
    }
}

/// Tells that a module runs, and how long after `began`.
pub fn report(
    file: &ModuleFile,
    InstanceId(instance): InstanceId,
    slot: Option<u8>,
    began: SystemTime,
    reporter: Reporter,
) {
    let milliseconds = SystemTime::now().duration_since(began).unwrap_or_default().as_millis() as u64;
    if reporter.is_json() {
        return reporter.object(&json!({
            "reason": "pushed", "name": file.name, "bytes": file.bytes.len(), "instance": instance, "slot": slot,
            "milliseconds": milliseconds,
        }));
    }
    let place = slot.map_or("RAM".into(), |slot| format!("slot {slot}"));
    reporter.talk(&format!("[{} runs from {place} as instance {instance} after {milliseconds} ms]", file.name));
}
