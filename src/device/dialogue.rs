//! Requests that are asked again until they are answered, and modules sent in pieces: what holds over a line that loses,
//! repeats and damages. Every request here does the same when it comes twice.

use std::collections::VecDeque;
use std::time::Duration;

use espb_format::checksum::crc32;
use espb_link::event::{Loaded, Refusal, Stats};
use espb_link::request::{Argument, Call, Destination, MAX_ALLOWED, MAX_CHUNK, Request, Start, Upload};
use espb_link::tag::Tag;
use espb_link::{InstanceId, PROTOCOL, Source};
use espb_slots::{Seal, SlotState};

use super::client::{Client, Heard, Message, RefusedRequest, SlotTable};
use super::transport::{Counters, DeviceError, Transport};

/// How long, on the device's clock, an answer may take before the request is sent again.
const ANSWER: Duration = Duration::from_millis(500);
/// How often a request is sent before the device counts as silent. Erasing a slot takes seconds.
const TRIES: u32 = 30;

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// The line or the device failed.
    Device(DeviceError),
    /// The device refused.
    Refused(RefusedRequest),
    /// The wall clock's limit came.
    Timeout,
    /// The device's clock reached the end that was set with [`Dialogue::end_at`].
    TimeReached,
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
    news: VecDeque<Message>,
    /// How long an answer may take; `None` where the line loses nothing.
    patience: Option<Duration>,
    end: Option<Duration>,
    /// Of the last start: it can be refused after it began.
    started: Tag,
    boot_instructions: u64,
}

impl<'t, 'c> Dialogue<'t, 'c> {
    /// Greets the device and makes sure that it speaks the same protocol. Console text goes to `console` as it comes.
    pub fn begin(transport: &'t mut dyn Transport, console: &'c mut dyn FnMut(&[u8])) -> Result<Self, Trouble> {
        let mut dialogue = Self::new(transport, console, Some(ANSWER));
        let request = Request::Hello { protocol: PROTOCOL };
        // That of a device which boots at this moment will do.
        dialogue.boot_instructions = dialogue.ask_or_hear(&request, |message, _| match message {
            Message::Hello { boot_instructions, .. } => Some(*boot_instructions),
            _ => None,
        })?;
        Ok(dialogue)
    }

    /// Waits for the Hello of a device that boots, over a line that loses nothing: no request is sent twice.
    pub fn at_boot(
        transport: &'t mut dyn Transport,
        console: &'c mut dyn FnMut(&[u8]),
        end: Option<Duration>,
    ) -> Result<Self, Trouble> {
        let mut dialogue = Self::new(transport, console, None);
        dialogue.end = end;
        loop {
            if let Some(Message::Hello { boot_instructions, .. }) = dialogue.next(None)? {
                dialogue.boot_instructions = boot_instructions;
                return Ok(dialogue);
            }
        }
    }

    fn new(transport: &'t mut dyn Transport, console: &'c mut dyn FnMut(&[u8]), patience: Option<Duration>) -> Self {
        let client = Client::new(transport);
        Self {
            client,
            console,
            news: VecDeque::new(),
            patience,
            end: None,
            started: Tag::UNASKED,
            boot_instructions: 0,
        }
    }

    /// The transport, for its clock.
    pub fn transport(&mut self) -> &mut dyn Transport {
        self.client.transport()
    }

    /// Machine instructions from the device's reset to its first task.
    pub fn boot_instructions(&self) -> u64 {
        self.boot_instructions
    }

    /// Exact counts as of the last event, where the device is emulated.
    pub fn counters(&self) -> Option<Counters> {
        self.client.counters()
    }

    /// Gives up when the device's clock comes to `end`; `None` never.
    pub fn end_at(&mut self, end: Option<Duration>) {
        self.end = end;
    }

    /// The events that came unasked so far.
    pub fn take_news(&mut self) -> Vec<Message> {
        self.news.drain(..).collect()
    }

    /// The next event that nobody asked for, until the device's clock has advanced by `limit`; `None` if none came.
    pub fn next(&mut self, limit: Option<Duration>) -> Result<Option<Message>, Trouble> {
        let deadline = limit.map(|limit| self.transport().now() + limit);
        while self.news.is_empty() {
            match self.receive(deadline)? {
                Some((message, tag)) => self.note(message, tag),
                None => return Ok(None),
            }
        }
        Ok(self.news.pop_front())
    }

    /// The next event and its tag; `None` at the deadline.
    fn receive(&mut self, deadline: Option<Duration>) -> Result<Option<(Message, Tag)>, Trouble> {
        let first = deadline.into_iter().chain(self.end).min();
        self.transport().set_deadline(first);
        match self.client.receive(self.console)? {
            Heard::Message(message, tag) => Ok(Some((message, tag))),
            Heard::Deadline if self.end.is_some() && first == self.end => Err(Trouble::TimeReached),
            Heard::Deadline => Ok(None),
            Heard::Timeout => Err(Trouble::Timeout),
        }
    }

    /// Keeps what nobody asked for. The rest are late answers to what was sent twice.
    fn note(&mut self, message: Message, tag: Tag) {
        let late =
            matches!(&message, Message::Refused(refused) if refused.kind == Refusal::Memory && tag == self.started);
        if tag == Tag::UNASKED || late {
            self.news.push_back(message);
        }
    }

    /// Sends a request until `wanted` finds its answer.
    pub fn ask<T>(&mut self, request: &Request<'_>, wanted: impl Fn(&Message) -> Option<T>) -> Result<T, Trouble> {
        self.ask_or_hear(request, |message, answers| wanted(message).filter(|_| answers))
    }

    /// Sends a request until `wanted` finds what it waits for: in its answer, or in something else.
    fn ask_or_hear<T>(
        &mut self,
        request: &Request<'_>,
        wanted: impl Fn(&Message, bool) -> Option<T>,
    ) -> Result<T, Trouble> {
        let tag = self.client.next_tag();
        if matches!(request, Request::Start(_)) {
            self.started = tag;
        }
        for _ in 0..TRIES {
            self.client.send_as(request, tag)?;
            let deadline = self.patience.map(|patience| self.transport().now() + patience);
            while let Some((message, answered)) = self.receive(deadline)? {
                if let Some(found) = wanted(&message, answered == tag) {
                    return Ok(found);
                }
                match message {
                    Message::Refused(refused) if answered == tag => return Err(Trouble::Refused(refused)),
                    message => self.note(message, answered),
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

    /// Keeps the module on trial; says whether the device does. It does not if the trial has failed meanwhile.
    pub fn confirm(&mut self, slot: u8) -> Result<bool, Trouble> {
        let table = self.ask(&Request::Confirm { slot }, slots)?;
        Ok(table.slots.get(usize::from(slot)).is_some_and(|row| row.state == SlotState::Valid))
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

    /// Makes an instance, which may call the restricted functions in `allowed`. Where the answer was lost, the instance that came of
    /// it is found.
    pub fn load(&mut self, source: Source, allowed: &[String]) -> Result<InstanceId, Trouble> {
        self.load_measured(source, allowed).map(|(instance, _)| instance)
    }

    /// As [`Self::load`], with what it cost, unless the answer that tells was lost.
    pub fn load_measured(
        &mut self,
        source: Source,
        allowed: &[String],
    ) -> Result<(InstanceId, Option<Loaded>), Trouble> {
        // Those beyond what the link takes are refused by name.
        let allowed = allowed.iter().map(String::as_str).take(MAX_ALLOWED).collect();
        let loaded = self.ask(&Request::Load { source, allowed }, |message| match message {
            Message::Loaded(loaded) => Some((loaded.instance, Some(*loaded))),
            _ => None,
        });
        match loaded {
            Err(Trouble::Refused(refused)) if refused.kind == Refusal::Request => {
                let residents = self.instances()?;
                let found = residents.iter().find(|resident| resident.source == source);
                found.map(|resident| (resident.instance, None)).ok_or(Trouble::Refused(refused))
            }
            other => other,
        }
    }

    /// Calls the entry of an instance and leaves it running.
    pub fn start(&mut self, instance: InstanceId, arguments: &[&str]) -> Result<(), Trouble> {
        let arguments = arguments.iter().map(|text| Argument::Text(text)).collect();
        self.call(Start { instance, call: Call::Entry, arguments, fuel: None, detached: true })
    }

    /// Calls a function of an instance; how that ends is told unasked.
    pub fn call(&mut self, start: Start<'_>) -> Result<(), Trouble> {
        let instance = start.instance;
        let started =
            self.ask(&Request::Start(start), |message| (*message == Message::Started(instance)).then_some(()));
        match started {
            // It began, and only the answer was lost.
            Err(Trouble::Refused(refused)) if refused.kind == Refusal::Request => {
                let ended = |message: &Message| match message {
                    Message::Exited(exited) => exited.instance == instance,
                    Message::Trapped { instance: trapped, .. } => *trapped == instance,
                    _ => false,
                };
                let residents = self.instances()?;
                let runs = residents
                    .iter()
                    .any(|resident| resident.instance == instance && resident.state != espb_link::event::State::Loaded);
                if runs || self.news.iter().any(ended) { Ok(()) } else { Err(Trouble::Refused(refused)) }
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
        // One for all of them: each answer says how many bytes are there.
        let tag = self.client.next_tag();
        progress(there as usize);
        while (there as usize) < module.len() {
            while let Some(rest) = module.get(sent as usize..).filter(|rest| !rest.is_empty()) {
                let bytes = rest.get(..MAX_CHUNK).unwrap_or(rest);
                let end = sent + bytes.len() as u32;
                if end > there.saturating_add(window) && sent > there {
                    break;
                }
                self.client.send_as(&Request::Chunk { token, offset: sent, bytes }, tag)?;
                sent = end;
            }
            let deadline = self.patience.map(|patience| self.transport().now() + patience);
            match self.receive(deadline)? {
                None if *tries == 0 => return Err(Trouble::Device(silent())),
                None => {
                    *tries -= 1;
                    sent = there;
                }
                Some((Message::Refused(refused), answered)) if answered == tag => {
                    return Err(Trouble::Refused(refused));
                }
                Some((message, answered)) => match received(&message, token).filter(|_| answered == tag) {
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
                    None => self.note(message, answered),
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
