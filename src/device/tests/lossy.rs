//! Updates over a line that drops, repeats, damages and reorders, against the code that the firmware runs: frames, receiver,
//! slots. Only the flash, the RAM and the wiring of `firmware/device/src/link.rs` are replaced.

use std::collections::VecDeque;
use std::time::Duration;

use espb_format::checksum::crc32;
use espb_link::PROTOCOL;
use espb_link::event::{Event, Hello, Refusal, Refused, Slot};
use espb_link::frame::{self, MAX_FRAME};
use espb_link::request::{Destination, MAX_CHUNK, Request, Upload};
use espb_link::splitter::{Piece, Splitter};
use espb_link::tag::Tag;
use espb_slots::{
    Area, Install, Memory, ModuleName, Offer, Receiver, SECTOR, Seal, SlotIndex, Storage, Store, TransferError,
};

use crate::device::dialogue::{Dialogue, Goal};
use crate::device::transport::{DeviceError, Received, Transport};

#[path = "../../../tests/shared/random.rs"]
mod random;
use random::Random;

const SLOT_BYTES: usize = 0x3000;

struct Flash {
    slots: [Vec<u8>; 2],
    record: Vec<u8>,
}

impl Storage for Flash {
    type Error = &'static str;

    fn slots(&self) -> u8 {
        2
    }

    fn view(&self, area: Area) -> &[u8] {
        match area {
            Area::Slot(slot) => self.slots.get(slot.index()).map_or(&[], Vec::as_slice),
            Area::Record => &self.record,
        }
    }

    fn erase(&mut self, area: Area, offset: u32) -> Result<(), &'static str> {
        self.cells(area, offset, SECTOR as usize).fill(0xff);
        Ok(())
    }

    fn program(&mut self, area: Area, offset: u32, bytes: &[u8]) -> Result<(), &'static str> {
        self.cells(area, offset, bytes.len()).iter_mut().zip(bytes).for_each(|(cell, byte)| *cell &= byte);
        Ok(())
    }
}

impl Flash {
    fn cells(&mut self, area: Area, offset: u32, length: usize) -> &mut [u8] {
        let bytes = match area {
            Area::Slot(slot) => &mut self.slots[slot.index()],
            Area::Record => &mut self.record,
        };
        &mut bytes[offset as usize..offset as usize + length]
    }
}

struct Ram(Vec<u8>);

impl Memory for Ram {
    fn allocate(_: u32) -> Option<Self> {
        Some(Self(Vec::new()))
    }

    fn append(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The device's end of the line.
struct Device {
    splitter: Splitter,
    receiver: Receiver<Ram>,
    store: Store<Flash>,
    answers: Vec<u8>,
}

impl Device {
    fn new() -> Self {
        let flash = Flash { slots: [vec![0xff; SLOT_BYTES], vec![0xff; SLOT_BYTES]], record: vec![0xff; 0x2000] };
        let store = Store::open(flash, None);
        Self { splitter: Splitter::new(), receiver: Receiver::new(), store, answers: Vec::new() }
    }

    fn hear(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let message = match self.splitter.push(*byte) {
                Piece::Message(message) => message.to_vec(),
                _ => continue,
            };
            if let Ok((request, tag)) = frame::decode(&message)
                && let Err(error) = self.carry_out(&request, tag)
            {
                let kind = match error {
                    TransferError::Unknown | TransferError::Incomplete { .. } => Refusal::Request,
                    _ => Refusal::Slot,
                };
                self.say(tag, &Event::Refused(Refused { kind, code: 0, offset: None, reason: &error.to_string() }));
            }
        }
    }

    fn say(&mut self, tag: Tag, event: &Event<'_>) {
        let mut buffer = [0; MAX_FRAME];
        self.answers.extend(frame::encode(event, tag, &mut buffer).expect("events fit"));
    }

    fn carry_out(&mut self, request: &Request<'_>, tag: Tag) -> Result<(), TransferError<&'static str>> {
        match request {
            Request::Hello { .. } => self.say(
                tag,
                &Event::Hello(Hello {
                    protocol: PROTOCOL,
                    chip: "esp32c3",
                    firmware: "test",
                    free_heap: 0,
                    boot_instructions: 0,
                    slot: Slot::Empty,
                }),
            ),
            Request::Upload(Upload { token, length, crc32, destination, .. }) => {
                let store = matches!(destination, Destination::Slot { .. });
                let install = Install {
                    length: *length,
                    crc32: *crc32,
                    autostart: true,
                    seal: Seal::default(),
                    name: ModuleName::default(),
                    slot: None,
                };
                let offer = Offer { token: *token, install, store };
                let bytes = self.receiver.begin(offer, &mut self.store, &|_| false)?;
                self.say(tag, &Event::Received { token: *token, bytes, window: 3 * MAX_CHUNK as u32 });
            }
            Request::Chunk { token, offset, bytes } => {
                let bytes = self.receiver.add(*token, *offset, bytes, &mut self.store)?;
                self.say(tag, &Event::Received { token: *token, bytes, window: 3 * MAX_CHUNK as u32 });
            }
            Request::Store { token } => {
                let SlotIndex(slot) = self.receiver.finish(*token, &mut self.store)?;
                self.say(tag, &Event::Stored { token: *token, slot });
            }
            _ => {}
        }
        Ok(())
    }

    /// What the device would run after a reset, as number of the update.
    fn runs(&self) -> Option<Vec<u8>> {
        let boot = self.store.choose()?;
        self.store.module(boot.slot, &boot.header).map(<[u8]>::to_vec)
    }
}

/// A bad line in both directions. Time passes only while somebody waits.
struct BadLine {
    device: Device,
    random: Random,
    now: Duration,
    deadline: Option<Duration>,
    to_host: VecDeque<Vec<u8>>,
    /// A frame that comes late, or comes back to who sent it.
    held: Option<Vec<u8>>,
    /// One frame in so many suffers.
    rate: usize,
}

impl BadLine {
    fn fate(&mut self) -> usize {
        if self.random.below(self.rate) == 0 { self.random.below(6) } else { usize::MAX }
    }

    /// What arrives of a frame, and in which order.
    fn pass(&mut self, frame: Vec<u8>) -> Vec<Vec<u8>> {
        let mut arriving = match self.fate() {
            0 => vec![],
            1 => vec![frame.clone(), frame],
            2 => {
                let mut damaged = frame;
                let at = self.random.below(damaged.len());
                damaged[at] ^= 1 << self.random.below(8);
                vec![damaged]
            }
            3 => vec![frame[..self.random.below(frame.len())].to_vec()],
            4 => {
                // Log text of somebody who does not wait.
                let noise = (0..self.random.below(40)).map(|_| self.random.below(256) as u8).collect();
                vec![noise, frame]
            }
            5 => match self.held.replace(frame) {
                Some(earlier) => vec![earlier],
                None => return vec![],
            },
            _ => vec![frame],
        };
        if self.random.below(4) == 0 {
            // What was held back comes late.
            arriving.extend(self.held.take());
        }
        arriving
    }
}

impl Transport for BadLine {
    fn send(&mut self, bytes: &[u8]) -> Result<(), DeviceError> {
        for frame in self.pass(bytes.to_vec()) {
            self.device.hear(&frame);
        }
        let answers = std::mem::take(&mut self.device.answers);
        for frame in answers.split_inclusive(|byte| *byte == 0).collect::<Vec<_>>().chunks(2) {
            let passed = self.pass(frame.concat());
            self.to_host.extend(passed);
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<Received, DeviceError> {
        if let Some(bytes) = self.to_host.pop_front() {
            return Ok(if bytes.is_empty() { Received::Bytes(vec![0]) } else { Received::Bytes(bytes) });
        }
        self.now = self.deadline.expect("nobody waits for ever here");
        Ok(Received::Deadline)
    }

    fn now(&self) -> Duration {
        self.now
    }

    fn set_deadline(&mut self, deadline: Option<Duration>) {
        self.deadline = deadline;
    }
}

fn module(random: &mut Random) -> Vec<u8> {
    (0..1 + random.below(6000)).map(|_| random.below(256) as u8).collect()
}

#[test]
fn ten_thousand_updates_over_a_bad_line_never_leave_a_wrong_module() {
    let mut random = Random(6);
    let mut retried = 0;
    let mut line = BadLine {
        device: Device::new(),
        random: Random(7),
        now: Duration::ZERO,
        deadline: None,
        to_host: VecDeque::new(),
        held: None,
        rate: 12,
    };
    for update in 0..10_000 {
        let new = module(&mut random);
        let before = line.now;
        let mut text = |_: &[u8]| {};
        let goal = Goal::Slot { slot: None, autostart: true, name: "app" };
        let outcome = Dialogue::begin(&mut line, &mut text)
            .and_then(|mut dialogue| dialogue.install(update + 1, &new, &Seal::default(), goal, &mut |_| {}));
        retried += u32::from(line.now > before);
        // At the first attempt, and the device needs nothing for it.
        assert!(outcome.is_ok(), "update {update}: {outcome:?}");
        assert!(line.device.runs().as_ref() == Some(&new), "update {update} is done, but another module runs");
        // The user is content with what runs, or not.
        let boot = line.device.store.choose().expect("a module");
        line.device.store.begin(&boot).expect("the flash works");
        if random.below(3) == 0 { line.device.store.reject(boot.slot) } else { line.device.store.confirm(boot.slot) }
            .expect("the flash works");
    }
    assert!(retried > 3000, "the line was not bad enough: {retried}");
}

#[test]
fn a_million_frames_of_anything_harm_nothing() {
    let mut random = Random(8);
    let mut device = Device::new();
    let old = [1, 2, 3, 4];
    let offer = |token, module: &[u8]| {
        Request::Upload(Upload {
            token,
            length: module.len() as u32,
            crc32: crc32(module),
            version: 0,
            floor: 0,
            signature: &[],
            destination: Destination::Slot { slot: None, autostart: true, name: "old" },
        })
    };
    let framed = |request: &Request<'_>| {
        frame::encode(request, Tag::UNASKED.next(), &mut [0; MAX_FRAME]).expect("fits").to_vec()
    };
    for request in [offer(1, &old), Request::Chunk { token: 1, offset: 0, bytes: &old }, Request::Store { token: 1 }] {
        device.hear(&framed(&request));
    }
    let boot = device.store.choose().expect("a module");
    device.store.begin(&boot).expect("the flash works");
    device.store.confirm(boot.slot).expect("the flash works");
    for _ in 0..1_000_000u32 {
        // A right frame around bytes that may or may not be a message, or a message with fields at their limits.
        let length = random.below(24);
        let mut bytes: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        if random.below(2) == 0 {
            let limits = [0, 1, 2, 4, 5, 0x7fff_ffff, u32::MAX];
            let mut pick = || limits[random.below(limits.len())];
            let chunk = [0xff; 8];
            let request = match pick() % 4 {
                0 => Request::Chunk { token: pick(), offset: pick(), bytes: &chunk[..(pick() % 9) as usize] },
                1 => Request::Store { token: pick() },
                2 => offer(pick(), &chunk[..(pick() % 9) as usize]),
                _ => Request::Upload(Upload {
                    token: pick(),
                    length: pick(),
                    crc32: pick(),
                    version: pick(),
                    floor: pick(),
                    signature: &chunk,
                    destination: Destination::Ram,
                }),
            };
            device.hear(&framed(&request));
        } else {
            let checksum = crc32(&bytes).to_le_bytes();
            bytes.extend(checksum);
            let mut body = vec![0; cobs_length(bytes.len())];
            let used = cobs::encode(&bytes, &mut body);
            device.hear(&[&[0], &body[..used], &[0]].concat());
        }
        device.answers.clear();
    }
    // What was good still runs unless a whole other module was stored; then that one does, and the good one stays.
    let boot = device.store.choose().expect("a module");
    assert!(boot.slot == device.store.last_good().expect("the good one") || boot.trial);
    assert_eq!(
        device.store.last_good().and_then(|slot| {
            let header = device.store.header(slot).ok()?;
            device.store.module(slot, &header).map(<[u8]>::to_vec)
        }),
        Some(old.to_vec())
    );
}

fn cobs_length(length: usize) -> usize {
    length + length / 254 + 2
}
