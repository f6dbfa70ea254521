//! The host's end of the link: requests out, events in, console text between them. Knows what a message is, not what to do about it.

use espb_link::event::{Event, Exited, Hello, Loaded, Refusal, Resident, SlotInfo, Stats};
use espb_link::frame::{self, MAX_FRAME};
use espb_link::request::Request;
use espb_link::splitter::{Piece, Splitter};
use espb_link::tag::Tag;
use espb_link::{InstanceId, PROTOCOL};

use super::transport::{Counters, DeviceError, Received, Transport};

/// A conversation with a device.
pub struct Client<'t> {
    transport: &'t mut dyn Transport,
    splitter: Splitter,
    /// What has arrived and was not looked at yet.
    arrived: std::vec::IntoIter<u8>,
    tag: Tag,
}

/// What came of waiting for an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// An event, and the tag of the request that it answers.
    Message(Message, Tag),
    /// The device's clock reached the deadline of the transport.
    Deadline,
    /// The wall clock reached its limit.
    Timeout,
}

/// An event, owned. [`Event`] says what each means.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// The device is up and speaks this program's protocol.
    Hello {
        /// Machine instructions from reset to the first task.
        boot_instructions: u64,
        /// Free heap in bytes.
        free_heap: u32,
    },
    /// An instance was made.
    Loaded(Loaded),
    /// A request was refused.
    Refused(RefusedRequest),
    /// A call began.
    Started(InstanceId),
    /// A call returned.
    Exited(Exited),
    /// An instance was stopped by an error of its module.
    Trapped {
        /// Which one.
        instance: InstanceId,
        /// Why and where.
        trap: Trap,
        /// Machine instructions since the call began.
        instructions: u64,
    },
    /// An instance was ended on request.
    Stopped(InstanceId),
    /// Counters.
    Stats(Stats),
    /// An answer to `Ping`.
    Pong(u32),
    /// The instances there are.
    Instances(Vec<Resident>),
    /// So many bytes of an upload are there.
    Received {
        /// The upload's number.
        token: u32,
        /// Bytes, from its start.
        bytes: u32,
        /// Bytes that may be on their way beyond these.
        window: u32,
    },
    /// An upload is the module to run now.
    Stored {
        /// The upload's number.
        token: u32,
        /// Its slot.
        slot: u8,
    },
    /// The slots there are.
    Slots(SlotTable),
    /// The console's speed changes.
    Speed(u32),
}

/// The slots of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotTable {
    /// Least version that the device takes.
    pub floor: u32,
    /// Whether modules must be signed.
    pub signed: bool,
    /// In the order of their numbers.
    pub slots: Vec<SlotRow>,
}

/// A slot of a device. [`espb_link::event::SlotInfo`] says what each field means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotRow {
    /// Its state.
    pub state: espb_slots::SlotState,
    /// Whether this module runs at boot.
    pub newest: bool,
    /// Whether it is started at boot.
    pub autostart: bool,
    /// Bytes of the module.
    pub length: u32,
    /// Bytes that fit.
    pub capacity: u32,
    /// Version of the module.
    pub version: u32,
    /// Its name.
    pub name: String,
}

/// A trap report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    /// The trap's number.
    pub code: u8,
    /// The trap in words.
    pub reason: String,
    /// The value that caused it.
    pub value: Option<u32>,
    /// Task that ran the code.
    pub task: String,
    /// Function and code word, innermost first.
    pub backtrace: Vec<(u16, u32)>,
    /// CRC-32 of the module.
    pub module_crc32: u32,
}

/// Why the device did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRequest {
    /// What kind of refusal.
    pub kind: Refusal,
    /// Byte offset in the module, where there is one.
    pub offset: Option<u32>,
    /// The reason in words.
    pub reason: String,
}

impl<'t> Client<'t> {
    /// A conversation over this transport.
    pub fn new(transport: &'t mut dyn Transport) -> Self {
        Self { transport, splitter: Splitter::new(), arrived: Vec::new().into_iter(), tag: Tag::UNASKED }
    }

    /// The transport, for its clock and counters.
    pub fn transport(&mut self) -> &mut dyn Transport {
        self.transport
    }

    /// Exact counts as of the last event, where the device is emulated.
    pub fn counters(&self) -> Option<Counters> {
        self.transport.counters()
    }

    /// The tag for another request.
    pub fn next_tag(&mut self) -> Tag {
        self.tag = self.tag.next();
        self.tag
    }

    /// Sends a request for the first time; gives the tag that its answer will have.
    pub fn send(&mut self, request: &Request<'_>) -> Result<Tag, DeviceError> {
        let tag = self.next_tag();
        self.send_as(request, tag)?;
        Ok(tag)
    }

    /// Sends a request under this tag, one that is sent again under that of the first time.
    pub fn send_as(&mut self, request: &Request<'_>, tag: Tag) -> Result<(), DeviceError> {
        let mut buffer = [0; MAX_FRAME];
        let framed = frame::encode(request, tag, &mut buffer).map_err(|error| DeviceError {
            message: error.to_string(),
            help: "shorten the name and the arguments of the call".into(),
        })?;
        self.transport.send(framed)
    }

    /// Waits for the next event. Console text goes to `console` as it comes. What is no event, such as an echo, is left out.
    pub fn receive(&mut self, console: &mut dyn FnMut(&[u8])) -> Result<Heard, DeviceError> {
        loop {
            for byte in self.arrived.by_ref() {
                match self.splitter.push(byte) {
                    Piece::Nothing => {}
                    Piece::Text(text) => console(text),
                    Piece::Message(message) => match frame::decode(message) {
                        Ok((event, tag)) => return Ok(Heard::Message(owned(event)?, tag)),
                        Err(_) => same_protocol(frame::protocol_of(message).unwrap_or(PROTOCOL))?,
                    },
                }
            }
            match self.transport.receive()? {
                Received::Bytes(bytes) => self.arrived = bytes.into_iter(),
                Received::Deadline => return Ok(Heard::Deadline),
                Received::Timeout => return Ok(Heard::Timeout),
            }
        }
    }
}

fn same_protocol(protocol: u16) -> Result<(), DeviceError> {
    if protocol == PROTOCOL {
        return Ok(());
    }
    Err(DeviceError {
        message: format!("the firmware speaks link protocol {protocol}, this espb speaks {PROTOCOL}"),
        help: "flash the firmware of this espb".into(),
    })
}

fn owned(event: Event<'_>) -> Result<Message, DeviceError> {
    Ok(match event {
        Event::Hello(Hello { protocol, boot_instructions, free_heap, .. }) => {
            same_protocol(protocol)?;
            Message::Hello { boot_instructions, free_heap }
        }
        Event::Loaded(loaded) => Message::Loaded(loaded),
        Event::Refused(refused) => Message::Refused(RefusedRequest {
            kind: refused.kind,
            offset: refused.offset,
            reason: refused.reason.into(),
        }),
        Event::Started { instance } => Message::Started(instance),
        Event::Exited(exited) => Message::Exited(exited),
        Event::Trapped(trapped) => Message::Trapped {
            instance: trapped.instance,
            instructions: trapped.instructions,
            trap: Trap {
                code: trapped.code,
                reason: trapped.reason.into(),
                value: trapped.value,
                task: trapped.task.into(),
                module_crc32: trapped.module_crc32,
                backtrace: trapped.backtrace.iter().map(|frame| (frame.function, frame.word)).collect(),
            },
        },
        Event::Stopped { instance } => Message::Stopped(instance),
        Event::Stats(stats) => Message::Stats(stats),
        Event::Pong { token } => Message::Pong(token),
        Event::Instances(residents) => Message::Instances(residents.to_vec()),
        Event::Received { token, bytes, window } => Message::Received { token, bytes, window },
        Event::Stored { token, slot } => Message::Stored { token, slot },
        Event::Slots(table) => Message::Slots(SlotTable {
            floor: table.floor,
            signed: table.signed,
            slots: table.slots.iter().map(row).collect::<Option<_>>().ok_or_else(|| DeviceError {
                message: "the firmware reports a slot state that this espb does not know".into(),
                help: "flash the firmware of this espb".into(),
            })?,
        }),
        Event::Speed { baud } => Message::Speed(baud),
    })
}

fn row(info: &SlotInfo<'_>) -> Option<SlotRow> {
    Some(SlotRow {
        state: espb_slots::SlotState::from_number(info.state)?,
        newest: info.newest,
        autostart: info.autostart,
        length: info.length,
        capacity: info.capacity,
        version: info.version,
        name: info.name.into(),
    })
}
