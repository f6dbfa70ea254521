//! Requests that are asked again until they are answered, and modules sent in pieces: what holds over a line that loses,
//! repeats and damages. Every request here does the same when it comes twice.

use std::time::Duration;

use espb_format::checksum::crc32;
use espb_link::event::{Loaded, Refusal, Stats};
use espb_link::request::{Argument, Call, Destination, MAX_CHUNK, Request, Start, Upload};
use espb_link::{InstanceId, PROTOCOL, Source};
use espb_slots::Seal;

use super::client::{Client, Heard, Message, RefusedRequest, SlotTable};
use super::transport::{DeviceError, Transport};

/// How long, on the device's clock, an answer may take before the request is sent again.
const ANSWER: Duration = Duration::from_millis(500);
/// How often a request is sent before the device counts as silent. Erasing a slot takes seconds.
const TRIES: u32 = 30;

/// How often a request must be refused as such to count: the refusal may be a late one, of something before.
const REFUSALS: u32 = 3;

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// The line or the device failed.
    Device(DeviceError),
    /// The device refused.
    Refused(RefusedRequest),
    /// The wall clock's limit came.
    Timeout,
}

impl From<DeviceError> for Trouble {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}

/// Where a module goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal<'a> {
    /// Into RAM.
    Ram,
    /// Into a slot.
    Slot {
        /// Which; `None` for the one that is needed least.
        slot: Option<u8>,
        /// Whether to start it at boot.
        autostart: bool,
        /// Its name.
        name: &'a str,
    },
}

/// A conversation in which nothing is lost.
pub struct Dialogue<'t, 'c> {
    client: Client<'t>,
    console: &'c mut dyn FnMut(&[u8]),
    /// Events that nobody asked for, in order.
    news: Vec<Message>,
}

impl<'t, 'c> Dialogue<'t, 'c> {
    /// Greets the device and makes sure that it speaks the same protocol. Console text goes to `console` as it comes.
    pub fn begin(transport: &'t mut dyn Transport, console: &'c mut dyn FnMut(&[u8])) -> Result<Self, Trouble> {
        let mut dialogue = Self { client: Client::new(transport), console, news: Vec::new() };
        dialogue.ask(&Request::Hello { protocol: PROTOCOL }, |message| {
            matches!(message, Message::Hello { .. }).then_some(())
        })?;
        Ok(dialogue)
    }

    /// The transport, for its clock.
    pub fn transport(&mut self) -> &mut dyn Transport {
        self.client.transport()
    }

    /// The events that came unasked so far.
    pub fn take_news(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.news)
    }

    /// The next event, until the device's clock has advanced by `limit`; `None` if none came.
    pub fn next(&mut self, limit: Option<Duration>) -> Result<Option<Message>, Trouble> {
        if !self.news.is_empty() {
            return Ok(Some(self.news.remove(0)));
        }
        let deadline = limit.map(|limit| self.transport().now() + limit);
        self.transport().set_deadline(deadline);
        match self.client.receive(self.console)? {
            Heard::Message(message) => Ok(Some(message)),
            Heard::Deadline => Ok(None),
            Heard::Timeout => Err(Trouble::Timeout),
        }
    }

    /// Sends a request until `wanted` finds its answer.
    pub fn ask<T>(&mut self, request: &Request<'_>, wanted: impl Fn(&Message) -> Option<T>) -> Result<T, Trouble> {
        let mut refusals = 0;
        for _ in 0..TRIES {
            self.client.send(request)?;
            let deadline = self.transport().now() + ANSWER;
            loop {
                self.transport().set_deadline(Some(deadline));
                match self.client.receive(self.console)? {
                    Heard::Deadline => break,
                    Heard::Timeout => return Err(Trouble::Timeout),
                    Heard::Message(message) => {
                        if let Some(found) = wanted(&message) {
                            return Ok(found);
                        }
                        match message {
                            Message::Refused(refused) if refused.kind == Refusal::Request && refusals < REFUSALS => {
                                refusals += 1;
                                break;
                            }
                            Message::Refused(refused) => return Err(Trouble::Refused(refused)),
                            // Late answers to what was asked twice.
                            Message::Received { .. }
                            | Message::Stored { .. }
                            | Message::Hello { .. }
                            | Message::Pong(_) => {}
                            news => self.news.push(news),
                        }
                    }
                }
            }
        }
        Err(Trouble::Device(silent()))
    }

    /// The slots.
    pub fn slots(&mut self) -> Result<SlotTable, Trouble> {
        self.ask(&Request::Slots, slots)
    }

    /// The instances.
    pub fn instances(&mut self) -> Result<Vec<espb_link::event::Resident>, Trouble> {
        self.ask(&Request::List, |message| match message {
            Message::Instances(instances) => Some(instances.clone()),
            _ => None,
        })
    }

    /// Counters.
    pub fn stats(&mut self, instance: Option<InstanceId>) -> Result<Stats, Trouble> {
        self.ask(&Request::Stats { instance }, |message| match message {
            Message::Stats(stats) => Some(*stats),
            _ => None,
        })
    }

    /// Keeps the module on trial.
    pub fn confirm(&mut self, slot: u8) -> Result<SlotTable, Trouble> {
        self.ask(&Request::Confirm { slot }, slots)
    }

    /// Takes a slot's module away.
    pub fn remove(&mut self, slot: u8) -> Result<SlotTable, Trouble> {
        self.ask(&Request::Remove { slot }, slots)
    }

    /// Ends an instance. One that is gone already is fine.
    pub fn stop(&mut self, instance: InstanceId) -> Result<(), Trouble> {
        let stopped =
            self.ask(&Request::Stop { instance }, |message| (*message == Message::Stopped(instance)).then_some(()));
        match stopped {
            Err(Trouble::Refused(_)) if !self.instances()?.iter().any(|resident| resident.instance == instance) => {
                Ok(())
            }
            other => other,
        }
    }

    /// Makes an instance. Where the answer was lost, the instance that came of it is found.
    pub fn load(&mut self, source: Source) -> Result<InstanceId, Trouble> {
        let loaded = self.ask(&Request::Load { source, allowed: heapless::Vec::new() }, |message| match message {
            Message::Loaded(Loaded { instance, .. }) => Some(*instance),
            _ => None,
        });
        match loaded {
            Err(Trouble::Refused(refused)) if refused.kind == Refusal::Request => {
                let residents = self.instances()?;
                let found = residents.iter().find(|resident| resident.source == source);
                found.map(|resident| resident.instance).ok_or(Trouble::Refused(refused))
            }
            other => other,
        }
    }

    /// Calls the entry of an instance and leaves it running.
    pub fn start(&mut self, instance: InstanceId, arguments: &[&str]) -> Result<(), Trouble> {
        let arguments = arguments.iter().map(|text| Argument::Text(text)).collect();
        let start = Start { instance, call: Call::Entry, arguments, fuel: None, detached: true };
        let started =
            self.ask(&Request::Start(start), |message| (*message == Message::Started(instance)).then_some(()));
        match started {
            // It began, and only the answer was lost.
            Err(Trouble::Refused(refused)) if refused.kind == Refusal::Request => {
                let residents = self.instances()?;
                let runs = residents
                    .iter()
                    .any(|resident| resident.instance == instance && resident.state != espb_link::event::State::Loaded);
                if runs { Ok(()) } else { Err(Trouble::Refused(refused)) }
            }
            other => other,
        }
    }

    /// Changes the speed of the line at both ends.
    pub fn speed(&mut self, baud: u32) -> Result<(), Trouble> {
        self.ask(&Request::Speed { baud }, |message| (*message == Message::Speed(baud)).then_some(()))?;
        self.transport().set_speed(baud)?;
        // The device goes back to the old speed unless it hears something at the new one.
        self.ask(&Request::Ping { token: baud }, |message| (*message == Message::Pong(baud)).then_some(()))
    }

    /// Sends a module; `token` is not that of the last one. `progress` hears how many bytes are there.
    pub fn upload(
        &mut self,
        token: u32,
        module: &[u8],
        seal: &Seal,
        goal: Goal<'_>,
        progress: &mut dyn FnMut(usize),
    ) -> Result<(), Trouble> {
        let length = u32::try_from(module.len()).map_err(|_| DeviceError {
            message: "the module is longer than any device's memory".into(),
            help: "build it with -Os and --strip".into(),
        })?;
        let destination = match goal {
            Goal::Ram => Destination::Ram,
            Goal::Slot { slot, autostart, name } => Destination::Slot { slot, autostart, name: cut(name) },
        };
        let offer = Request::Upload(Upload {
            token,
            length,
            crc32: crc32(module),
            version: seal.version,
            floor: seal.floor,
            signature: seal.signature.as_ref().map_or(&[], |signature| signature.as_slice()),
            destination,
        });
        let mut tries = TRIES;
        loop {
            let (there, window) = self.ask(&offer, |message| received(message, token))?;
            match self.chunks(token, module, there, window, &mut tries, progress) {
                // The device forgot the transfer, as after a reset: it is offered again and goes on or begins anew.
                Err(Trouble::Refused(refused)) if refused.kind == Refusal::Request && tries > 0 => tries -= 1,
                other => return other,
            }
        }
    }

    fn chunks(
        &mut self,
        token: u32,
        module: &[u8],
        mut there: u32,
        mut window: u32,
        tries: &mut u32,
        progress: &mut dyn FnMut(usize),
    ) -> Result<(), Trouble> {
        let mut sent = there;
        let mut gone_back = None;
        progress(there as usize);
        while (there as usize) < module.len() {
            while let Some(rest) = module.get(sent as usize..).filter(|rest| !rest.is_empty()) {
                let bytes = rest.get(..MAX_CHUNK).unwrap_or(rest);
                let end = sent + bytes.len() as u32;
                if end > there.saturating_add(window) && sent > there {
                    break;
                }
                self.client.send(&Request::Chunk { token, offset: sent, bytes })?;
                sent = end;
            }
            let deadline = self.transport().now() + ANSWER;
            self.transport().set_deadline(Some(deadline));
            match self.client.receive(self.console)? {
                Heard::Timeout => return Err(Trouble::Timeout),
                Heard::Deadline if *tries == 0 => return Err(Trouble::Device(silent())),
                Heard::Deadline => {
                    *tries -= 1;
                    sent = there;
                }
                Heard::Message(Message::Refused(refused)) => return Err(Trouble::Refused(refused)),
                Heard::Message(message) => match received(&message, token) {
                    Some((bytes, room)) if bytes > there => {
                        (there, window, gone_back) = (bytes, room, None);
                        sent = sent.max(there);
                        *tries = TRIES;
                        progress(there as usize);
                    }
                    // The same again: what follows on it was lost. Chunks behind the gap tell so too; once is enough.
                    Some((bytes, _)) if bytes == there && sent > there && gone_back != Some(there) => {
                        (sent, gone_back) = (there, Some(there));
                    }
                    Some(_) => {}
                    None => self.news.push(message),
                },
            }
        }
        Ok(())
    }

    /// Sends a module into a slot and makes it the one to run; gives the slot. What the device lost meanwhile is sent again.
    pub fn install(
        &mut self,
        token: u32,
        module: &[u8],
        seal: &Seal,
        goal: Goal<'_>,
        progress: &mut dyn FnMut(usize),
    ) -> Result<u8, Trouble> {
        let mut tries = TRIES;
        loop {
            self.upload(token, module, seal, goal, progress)?;
            match self.store(token) {
                Err(Trouble::Refused(refused)) if refused.kind == Refusal::Request && tries > 0 => tries -= 1,
                other => return other,
            }
        }
    }

    /// Makes the uploaded module the one to run; gives its slot.
    fn store(&mut self, token: u32) -> Result<u8, Trouble> {
        self.ask(&Request::Store { token }, |message| match message {
            Message::Stored { token: stored, slot } if *stored == token => Some(*slot),
            _ => None,
        })
    }
}

fn slots(message: &Message) -> Option<SlotTable> {
    match message {
        Message::Slots(table) => Some(table.clone()),
        _ => None,
    }
}

fn received(message: &Message, of: u32) -> Option<(u32, u32)> {
    match message {
        Message::Received { token, bytes, window } if *token == of => Some((*bytes, *window)),
        _ => None,
    }
}

/// A name as the link takes it.
fn cut(name: &str) -> &str {
    let longest = espb_slots::ModuleName::LEN.min(name.len());
    (0..=longest).rev().find_map(|end| name.get(..end)).unwrap_or_default()
}

fn silent() -> DeviceError {
    DeviceError {
        message: "the device does not answer over the link".into(),
        help: "does it run this espb's firmware? Flash it with `espb flash`; end other programs that use the port"
            .into(),
    }
}
