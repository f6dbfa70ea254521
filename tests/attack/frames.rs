//! Whatever comes over the link, the firmware goes on: frames of right checksum with requests as a host sends them, with fields
//! at their limits, and with damaged bytes, and noise between them, for one emulated chip that lives through all of them.

use std::time::Duration;

use espb::device::client::{Client, Heard, Message};
use espb::device::emulated::EmulatedDevice;
use espb::device::transport::Transport;
use espb_format::checksum::crc32;
use espb_link::event::Stats;
use espb_link::frame::{self, MAX_FRAME};
use espb_link::request::{Argument, Call, Destination, Request, Start, Upload};
use espb_link::splitter::{Piece, Splitter};
use espb_link::tag::Tag;
use espb_link::{InstanceId, PROTOCOL, Source};

use crate::chip::boot;
use crate::random::Random;

/// Frames that are sent at once: fewer bytes than the console's buffer has.
const BATCH: u64 = 8;
/// How long a byte takes on the line at the lowest speed, which a frame may have set: the emulated line follows the device's.
/// How long the device gets for a batch beside that, and for an answer in the end.
const BYTE: Duration = Duration::from_micros(1_042);
const TIME: Duration = Duration::from_millis(10);
const ANSWER: Duration = Duration::from_secs(10);
/// How often it is asked, as by every host: where it still has frames to read, the console's buffer may have no room for the next.
const TRIES: u32 = 6;

/// Sends `count` frames to a chip with this module, beginning with those of number `first`; says what harm they did, else how
/// many were answered.
pub fn attack(module: &[u8], count: u64, first: u64) -> Result<u64, String> {
    let mut device = boot(module)?;
    listen(&mut device, ANSWER, |message, _| matches!(message, Message::Hello { .. }))?;
    let before = settle(&mut device)?;
    let mut answers = 0;
    let mut number = first;
    while number < first + count {
        let mut bytes = Vec::new();
        for number in number..(number + BATCH).min(first + count) {
            bytes.extend(frame_of(module, &mut Random((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))));
        }
        device.send(&bytes).map_err(|error| error.to_string())?;
        let time = TIME + BYTE * bytes.len() as u32;
        answers +=
            listen(&mut device, time, |_, _| false).map_err(|harm| format!("frames from {number} on: {harm}"))?.0;
        number += BATCH;
        if number.is_multiple_of(4096) {
            let after = settle(&mut device).map_err(|harm| format!("frames up to {number}: {harm}"))?;
            if after.free_heap < before.free_heap || after.free_thunks != before.free_thunks {
                return Err(format!("frames up to {number} left something behind: {before:?}, then {after:?}"));
            }
        }
    }
    settle(&mut device)?;
    Ok(answers)
}

/// Hears what the device says for so long, or until `enough`; counts its events and gives the last.
fn listen(
    device: &mut EmulatedDevice,
    time: Duration,
    enough: impl Fn(&Message, Tag) -> bool,
) -> Result<(u64, Option<Message>), String> {
    let deadline = device.now() + time;
    device.set_deadline(Some(deadline));
    let mut client = Client::new(device);
    let (mut text, mut events) = (Vec::new(), 0);
    loop {
        let heard = client.receive(&mut |bytes| text.extend_from_slice(bytes));
        if let Some(at) = String::from_utf8_lossy(&text).find("espb firmware stopped") {
            return Err(String::from_utf8_lossy(&text)[at..].to_owned());
        }
        match heard.map_err(|error| format!("{error}; the console says: {}", String::from_utf8_lossy(&text)))? {
            Heard::Message(message, tag) if enough(&message, tag) => return Ok((events + 1, Some(message))),
            Heard::Message(..) => events += 1,
            Heard::Deadline | Heard::Timeout => return Ok((events, None)),
        }
    }
}

/// Ends all instances and drops the transfer; the device must answer. Gives its counters then.
fn settle(device: &mut EmulatedDevice) -> Result<Stats, String> {
    let mut ask = |request: Request<'_>, is_answer: &dyn Fn(&Message) -> bool| {
        // Whatever frame was begun ends with these.
        device.send(&[0, 0]).map_err(|error| error.to_string())?;
        // Answers to earlier frames, which have another tag, may still come.
        let tag = Tag::UNASKED.next().next();
        for _ in 0..TRIES {
            device.send(&framed(&request, tag)).map_err(|error| error.to_string())?;
            if let Some(answer) = listen(device, ANSWER, |message, answered| answered == tag && is_answer(message))?.1 {
                return Ok(answer);
            }
        }
        Err(format!("the firmware does not answer {request:?}"))
    };
    let list = ask(Request::List, &|message| matches!(message, Message::Instances(_)))?;
    if let Message::Instances(residents) = list {
        for resident in residents {
            ask(Request::Stop { instance: resident.instance }, &|message| {
                matches!(message, Message::Stopped(_) | Message::Refused(_))
            })?;
        }
    }
    let nothing = Upload {
        token: 0x7fff_fff1,
        length: 1,
        crc32: 0,
        version: 0,
        floor: 0,
        signature: &[],
        destination: Destination::Ram,
    };
    ask(Request::Upload(nothing), &|message| matches!(message, Message::Received { .. } | Message::Refused(_)))?;
    match ask(Request::Stats { instance: None }, &|message| matches!(message, Message::Stats(_)))? {
        Message::Stats(stats) => Ok(stats),
        other => Err(format!("{other:?}")),
    }
}

fn framed(request: &Request<'_>, tag: Tag) -> Vec<u8> {
    frame::encode(request, tag, &mut [0; MAX_FRAME]).map(<[u8]>::to_vec).unwrap_or_default()
}

/// A frame: as a host sends it, damaged before its checksum was made, or damaged on the line.
fn frame_of(module: &[u8], random: &mut Random) -> Vec<u8> {
    let good = framed(&request(module, random), Tag::UNASKED.next());
    match random.below(4) {
        0 | 1 => good,
        2 => {
            let mut splitter = Splitter::new();
            let mut message = Vec::new();
            for byte in &good {
                if let Piece::Message(bytes) = splitter.push(*byte) {
                    message = bytes.to_vec();
                }
            }
            for _ in 0..=random.below(3) {
                let at = random.below(message.len().max(1));
                message.get_mut(at).into_iter().for_each(|byte| *byte = random.below(256) as u8);
            }
            message.truncate(message.len() - random.below(2).min(message.len()));
            let checksum = crc32(&message).to_le_bytes();
            message.extend(checksum);
            let mut body = vec![0; message.len() + message.len() / 254 + 2];
            let length = cobs::encode(&message, &mut body);
            [&[0], &body[..length], &[0]].concat()
        }
        _ => {
            let mut bytes = good;
            let at = random.below(bytes.len().max(1));
            bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << random.below(8));
            bytes
        }
    }
}

fn request<'m>(module: &'m [u8], random: &mut Random) -> Request<'m> {
    let numbers = [0, 1, 2, 3, 4, 5, 255, 256, 0xfffc, 0x10_0000, 0x7fff_ffff, u32::MAX];
    let any = |random: &mut Random| numbers[random.below(numbers.len())];
    // Mostly the transfer that may succeed.
    let token = if random.below(8) > 0 { 1 } else { any(random) };
    let instance = InstanceId(random.below(12) as u16);
    let slot = random.below(4) as u8;
    match random.below(16) {
        0 => Request::Hello { protocol: if random.below(2) == 0 { PROTOCOL } else { any(random) as u16 } },
        1 | 2 => Request::Start(Start {
            instance,
            call: if random.below(4) > 0 { Call::Entry } else { Call::Export("none") },
            arguments: (0..random.below(17))
                .map(|argument| match argument % 3 {
                    0 => Argument::Text("text"),
                    1 => Argument::Integer(any(random).into()),
                    _ => Argument::Number(f64::from(any(random))),
                })
                .collect(),
            fuel: [None, Some(0), Some(100)][random.below(3)],
            detached: random.below(2) == 0,
        }),
        3 | 4 => Request::Stop { instance },
        5 => Request::Stats { instance: (random.below(2) == 0).then_some(instance) },
        6 => Request::Ping { token: any(random) },
        7 => Request::Load {
            source: match random.below(3) {
                0 => Source::Slot(slot),
                1 => Source::Newest,
                _ => Source::Upload { token },
            },
            allowed: (0..random.below(9)).map(|_| "esp_deep_sleep_start").collect(),
        },
        8 => Request::List,
        9 => Request::Upload(Upload {
            token,
            length: if random.below(4) > 0 { module.len() as u32 } else { any(random) },
            crc32: if random.below(4) > 0 { crc32(module) } else { any(random) },
            version: if random.below(8) > 0 { 0 } else { any(random) },
            floor: 0,
            signature: &module[..[0, 64, 3][random.below(3)].min(module.len())],
            destination: match random.below(4) {
                0 => Destination::Slot { slot: Some(slot), autostart: true, name: "a name of thirty-one letters.." },
                _ => Destination::Ram,
            },
        }),
        10 | 11 => {
            let offset = if random.below(2) == 0 { 0 } else { any(random) };
            let bytes = module.get(offset as usize..).unwrap_or(module);
            Request::Chunk { token, offset, bytes: &bytes[..bytes.len().min(1 + random.below(896))] }
        }
        12 => Request::Store { token },
        13 => Request::Confirm { slot },
        14 if random.below(8) == 0 => Request::Remove { slot },
        15 if random.below(8) == 0 => Request::Speed { baud: [115_200, 921_600][random.below(2)] },
        _ => Request::Slots,
    }
}
