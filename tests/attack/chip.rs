//! One hostile module on one emulated chip: started, followed, stopped, and what must hold of the firmware afterwards.

use std::time::Duration;

use espb::device::emulated::{Attached, Count, EmulatedDevice};
use espb::device::transport::{Received, Transport};
use espb_image::Chip;
use espb_link::event::{Event, Loaded, Stats};
use espb_link::frame::{self, MAX_FRAME};
use espb_link::request::{Call, Request, Start};
use espb_link::splitter::{Piece, Splitter};
use espb_link::{PROTOCOL, Source};

/// How long a module may run before it is stopped; virtual time.
const RUN: Duration = Duration::from_millis(150);
/// How long the firmware may take for an answer; virtual time. The line takes a millisecond for twelve bytes.
const ANSWER: Duration = Duration::from_millis(200);
/// Taken backward branches and calls of the copies that have a budget.
const FUEL: u64 = 50_000;
/// The most microseconds that a heartbeat may come after its time: it is due every 10 ms.
const MOST_DELAY: u32 = 2_000;

/// How a module that did no harm ended.
#[derive(Clone, Copy)]
pub enum Outcome {
    Exited,
    Trapped,
    Refused,
    Stopped,
}

impl Outcome {
    pub const COUNT: usize = 4;
}

/// What is left of a module that did no harm.
pub struct Survived {
    pub outcome: Outcome,
    /// Microseconds.
    pub heartbeat_delay: u32,
}

struct Console {
    device: EmulatedDevice,
    splitter: Splitter,
    text: Vec<u8>,
}

/// What of an event matters here.
enum Heard {
    Hello,
    Loaded(Loaded),
    Ended(Outcome),
    Stats(Stats),
    Pong(u32),
    Other,
}

impl Console {
    fn send(&mut self, request: &Request<'_>) -> Result<(), String> {
        let mut buffer = [0; MAX_FRAME];
        let bytes = frame::encode(request, &mut buffer).map_err(|error| error.to_string())?;
        self.device.send(bytes).map_err(|error| error.to_string())
    }

    /// Listens until an event for which `wanted` gives something, or for so long.
    fn hear<T>(&mut self, time: Duration, wanted: impl Fn(Heard) -> Option<T>) -> Result<Option<T>, String> {
        self.device.set_deadline(Some(self.device.now() + time));
        loop {
            let bytes = match self.device.receive().map_err(|error| error.to_string())? {
                Received::Bytes(bytes) => bytes,
                Received::Deadline => return Ok(None),
                Received::Timeout => return Err("there is no wall-clock limit".into()),
            };
            let mut found = None;
            for byte in bytes {
                match self.splitter.push(byte) {
                    Piece::Nothing => {}
                    Piece::Text(text) => self.text.extend_from_slice(text),
                    Piece::Message(message) => {
                        let event = frame::decode(message).map_err(|error| error.to_string())?;
                        found = found.or(wanted(heard(&event)));
                    }
                }
            }
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    fn stats(&mut self) -> Result<Stats, String> {
        self.send(&Request::Stats { instance: None })?;
        let stats = self.hear(ANSWER, |event| if let Heard::Stats(stats) = event { Some(stats) } else { None })?;
        stats.ok_or_else(|| "the firmware gives no figures".into())
    }
}

fn heard(event: &Event<'_>) -> Heard {
    match event {
        Event::Hello(_) => Heard::Hello,
        Event::Loaded(loaded) => Heard::Loaded(*loaded),
        Event::Exited(_) => Heard::Ended(Outcome::Exited),
        Event::Trapped(_) => Heard::Ended(Outcome::Trapped),
        Event::Refused(_) => Heard::Ended(Outcome::Refused),
        Event::Stopped { .. } => Heard::Ended(Outcome::Stopped),
        Event::Stats(stats) => Heard::Stats(*stats),
        Event::Pong { token } => Heard::Pong(*token),
        _ => Heard::Other,
    }
}

/// Runs a module, with a budget of fuel or without, and says what harm it did.
pub fn attack(module: &[u8], with_fuel: bool) -> Result<Survived, String> {
    let device = EmulatedDevice::boot(Chip::Esp32c3, module, None, Count::Nothing, Attached::default())
        .map_err(|error| error.to_string())?;
    let mut console = Console { device, splitter: Splitter::new(), text: Vec::new() };
    let result = follow(&mut console, with_fuel);
    let text = String::from_utf8_lossy(&console.text);
    if let Some(at) = text.find("espb firmware stopped") {
        return Err(text[at..].lines().next().unwrap_or_default().into());
    }
    result
}

fn run(console: &mut Console, loaded: Loaded, with_fuel: bool) -> Result<Outcome, String> {
    let ended = |event| if let Heard::Ended(outcome) = event { Some(outcome) } else { None };
    let instance = loaded.instance;
    console.send(&Request::Start(Start {
        instance,
        call: Call::Entry,
        arguments: heapless::Vec::new(),
        fuel: with_fuel.then_some(FUEL),
        detached: false,
    }))?;
    let outcome = match console.hear(RUN, ended)? {
        // What was not started is still loaded.
        Some(outcome) if !matches!(outcome, Outcome::Refused) => return Ok(outcome),
        other => other,
    };
    console.send(&Request::Stop { instance })?;
    let stopped = console.hear(ANSWER, ended)?.ok_or("the firmware does not stop the module")?;
    Ok(outcome.unwrap_or(stopped))
}

fn follow(console: &mut Console, with_fuel: bool) -> Result<Survived, String> {
    console
        .hear(ANSWER, |event| matches!(event, Heard::Hello).then_some(()))?
        .ok_or("the firmware does not say hello")?;
    console.send(&Request::Hello { protocol: PROTOCOL })?;
    let before = console.stats()?;
    console.send(&Request::Load { source: Source::Newest })?;
    let loaded = console.hear(ANSWER, |event| match event {
        Heard::Loaded(loaded) => Some(Ok(loaded)),
        Heard::Ended(outcome) => Some(Err(outcome)),
        _ => None,
    })?;
    let outcome = match loaded.ok_or("the firmware does not load the module")? {
        Ok(loaded) => run(console, loaded, with_fuel)?,
        Err(refused) => refused,
    };
    console.send(&Request::Ping { token: 7 })?;
    console
        .hear(ANSWER, |event| matches!(event, Heard::Pong(7)).then_some(()))?
        .ok_or("the firmware does not answer")?;
    let after = console.stats()?;
    if after.free_heap != before.free_heap {
        return Err(format!(
            "{} bytes of the firmware's heap were free before, {} after",
            before.free_heap, after.free_heap
        ));
    }
    if after.heartbeat_delay > MOST_DELAY {
        return Err(format!("a heartbeat came {} microseconds late", after.heartbeat_delay));
    }
    if after.heartbeats != (after.ticks / 10) && after.heartbeats + 1 != after.ticks / 10 {
        return Err(format!("{} heartbeats in {} ticks", after.heartbeats, after.ticks));
    }
    Ok(Survived { outcome, heartbeat_delay: after.heartbeat_delay })
}
