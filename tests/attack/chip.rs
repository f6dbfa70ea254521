//! A conversation with the firmware on an emulated chip: one hostile module started, followed, stopped, and what must hold of the firmware
//! afterwards.

use std::time::Duration;

use espb::device::client::{Client, Heard, Message, Trap};
use espb::device::emulated::{Attached, Count, EmulatedDevice};
use espb_image::Chip;
use espb_link::event::{Stats, Value};
use espb_link::request::{Call, Request, Start};
use espb_link::{InstanceId, Source};

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

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Returned(Value),
    Trapped(Trap),
}

/// How a call ended, if it has, or the firmware's words where it refused it; and what was printed meanwhile.
pub type Called = (Option<Result<End, String>>, Vec<u8>);

/// An emulated chip that has said hello.
pub struct Conversation<'d> {
    client: Client<'d>,
    text: Vec<u8>,
}

impl<'d> Conversation<'d> {
    pub fn with(device: &'d mut EmulatedDevice) -> Result<Self, String> {
        let mut chip = Self { client: Client::new(device), text: Vec::new() };
        chip.hear(ANSWER, |message| matches!(message, Message::Hello { .. }).then_some(()))?
            .ok_or("the firmware does not say hello")?;
        Ok(chip)
    }

    /// Listens until a message for which `wanted` gives something, or for so long.
    fn hear<T>(&mut self, time: Duration, wanted: impl Fn(Message) -> Option<T>) -> Result<Option<T>, String> {
        let deadline = self.client.transport().now() + time;
        self.client.transport().set_deadline(Some(deadline));
        loop {
            let text = &mut self.text;
            let heard = self.client.receive(&mut |bytes| text.extend_from_slice(bytes));
            match heard.map_err(|error| error.to_string())? {
                Heard::Message(message, _) => {
                    if let Some(found) = wanted(message) {
                        return Ok(Some(found));
                    }
                }
                Heard::Deadline => return Ok(None),
                Heard::Timeout => return Err("there is no wall-clock limit".into()),
            }
        }
    }

    fn send(&mut self, request: &Request<'_>) -> Result<(), String> {
        self.client.send(request).map(drop).map_err(|error| error.to_string())
    }

    fn stats(&mut self) -> Result<Stats, String> {
        self.send(&Request::Stats { instance: None })?;
        let stats =
            self.hear(ANSWER, |message| if let Message::Stats(stats) = message { Some(stats) } else { None })?;
        stats.ok_or_else(|| "the firmware gives no figures".into())
    }

    /// Makes an instance of the module in the slot; the firmware's words where it refuses it.
    pub fn load(&mut self) -> Result<Result<InstanceId, String>, String> {
        self.send(&Request::Load { source: Source::Newest, allowed: heapless::Vec::new() })?;
        let loaded = self.hear(ANSWER, |message| match message {
            Message::Loaded(loaded) => Some(Ok(loaded.instance)),
            Message::Refused(refused) => Some(Err(refused.reason)),
            _ => None,
        })?;
        loaded.ok_or_else(|| "the firmware does not load the module".into())
    }

    /// Calls a function and gives how that ended, if it has after so long, and what was printed meanwhile.
    pub fn call(
        &mut self,
        instance: InstanceId,
        call: Call<'_>,
        fuel: Option<u64>,
        time: Duration,
    ) -> Result<Called, String> {
        self.text.clear();
        self.send(&Request::Start(Start { instance, call, arguments: heapless::Vec::new(), fuel, detached: false }))?;
        let ended = self.hear(time, |message| match message {
            Message::Exited(exited) => Some(Ok(End::Returned(exited.result))),
            Message::Trapped { trap, .. } => Some(Ok(End::Trapped(trap))),
            Message::Refused(refused) => Some(Err(refused.reason)),
            _ => None,
        })?;
        Ok((ended, self.text.clone()))
    }

    fn stop(&mut self, instance: InstanceId) -> Result<(), String> {
        self.send(&Request::Stop { instance })?;
        let over = |message| matches!(message, Message::Stopped(_) | Message::Refused(_)).then_some(());
        self.hear(ANSWER, over)?.ok_or_else(|| "the firmware does not stop the module".into())
    }

    fn follow(&mut self, with_fuel: bool) -> Result<Survived, String> {
        let before = self.stats()?;
        let outcome = match self.load()? {
            Err(_) => Outcome::Refused,
            Ok(instance) => match self.call(instance, Call::Entry, with_fuel.then_some(FUEL), RUN)?.0 {
                Some(Ok(End::Returned(_))) => Outcome::Exited,
                Some(Ok(End::Trapped(_))) => Outcome::Trapped,
                refused_or_running => {
                    self.stop(instance)?;
                    if refused_or_running.is_some() { Outcome::Refused } else { Outcome::Stopped }
                }
            },
        };
        self.send(&Request::Ping { token: 7 })?;
        self.hear(ANSWER, |message| (message == Message::Pong(7)).then_some(()))?
            .ok_or("the firmware does not answer")?;
        let after = self.stats()?;
        if after.free_heap != before.free_heap {
            let (before, after) = (before.free_heap, after.free_heap);
            return Err(format!("{before} bytes of the firmware's heap were free before, {after} after"));
        }
        if after.heartbeat_delay > MOST_DELAY {
            return Err(format!("a heartbeat came {} microseconds late", after.heartbeat_delay));
        }
        if after.heartbeats != (after.ticks / 10) && after.heartbeats + 1 != after.ticks / 10 {
            return Err(format!("{} heartbeats in {} ticks", after.heartbeats, after.ticks));
        }
        Ok(Survived { outcome, heartbeat_delay: after.heartbeat_delay })
    }
}

/// A chip with this module in its slot.
pub fn boot(module: &[u8]) -> Result<EmulatedDevice, String> {
    EmulatedDevice::boot(Chip::Esp32c3, module, None, Count::Nothing, Attached::default())
        .map_err(|error| error.to_string())
}

/// Runs a module, with a budget of fuel or without, and says what harm it did.
pub fn attack(module: &[u8], with_fuel: bool) -> Result<Survived, String> {
    let mut device = boot(module)?;
    let mut chip = Conversation::with(&mut device)?;
    let result = chip.follow(with_fuel);
    let text = String::from_utf8_lossy(&chip.text);
    match text.find("espb firmware stopped") {
        Some(at) => Err(text[at..].lines().take(2).collect::<Vec<_>>().join(" ")),
        None => result,
    }
}
