//! What both ends rely on: any message survives the line, text stays text, noise costs at most what it touched.

use std::{string::String, vec, vec::Vec};

use crate::{
    InstanceId,
    event::*,
    frame::{self, FrameError, MAX_FRAME, Message},
    request::*,
    splitter::{Piece, Splitter},
    tag::Tag,
};

const STARTED: Event<'static> = Event::Started { instance: InstanceId(1) };
const STOPPED: Event<'static> = Event::Stopped { instance: InstanceId(1) };

fn framed<M: Message + serde::Serialize>(message: &M) -> Vec<u8> {
    frame::encode(message, Tag::UNASKED.next(), &mut [0; MAX_FRAME]).expect("fits").to_vec()
}

/// Everything a receiver sees: text, and the events between it.
fn receive(bytes: &[u8]) -> (String, Vec<String>) {
    let (mut text, mut events) = (Vec::new(), Vec::new());
    let mut splitter = Splitter::new();
    for &byte in bytes {
        match splitter.push(byte) {
            Piece::Nothing => {}
            Piece::Text(bytes) => text.extend_from_slice(bytes),
            Piece::Message(message) => {
                events.push(std::format!("{:?}", frame::decode::<Event<'_>>(message).expect("an event").0));
            }
        }
    }
    (String::from_utf8_lossy(&text).into_owned(), events)
}

fn trapped() -> Event<'static> {
    Event::Trapped(Trapped {
        instance: InstanceId(7),
        code: 3,
        reason: "load outside of the module's memory",
        value: Some(0),
        task: "my_task",
        backtrace: heapless::Vec::from_slice(&[Frame { function: 0, word: 0 }; MAX_BACKTRACE]).expect("16 frames"),
        module_crc32: u32::MAX,
        instructions: u64::MAX,
    })
}

#[test]
fn frames_and_text_share_a_line() {
    let mut line = b"boot\n".to_vec();
    line.extend(framed(&STARTED));
    line.extend(b"Hello from dynamic code!\n");
    line.extend(framed(&trapped()));
    line.extend(framed(&Event::Pong { token: 0 }));
    line.extend(b"end");
    let (text, events) = receive(&line);
    assert_eq!(text, "boot\nHello from dynamic code!\nend");
    assert_eq!(events, [STARTED, trapped(), Event::Pong { token: 0 }].map(|event| std::format!("{event:?}")));
}

#[test]
fn a_request_arrives_as_it_was_sent() {
    let request = Request::Start(Start {
        instance: InstanceId(3),
        call: Call::Export("checksum"),
        arguments: heapless::Vec::from_slice(&[
            Argument::Text("zero\0inside"),
            Argument::Integer(i64::MIN),
            Argument::Number(-0.5),
        ])
        .expect("three arguments"),
        fuel: Some(1 << 40),
        detached: true,
    });
    let line = framed(&request);
    let mut splitter = Splitter::new();
    let mut seen = false;
    for &byte in &line {
        if let Piece::Message(message) = splitter.push(byte) {
            assert_eq!(frame::decode::<Request<'_>>(message), Ok((request.clone(), Tag::UNASKED.next())));
            seen = true;
        }
    }
    assert!(seen);
}

#[test]
fn the_longest_chunk_fits_into_a_frame() {
    let chunk = Request::Chunk { token: u32::MAX, offset: u32::MAX, bytes: &[0; MAX_CHUNK] };
    assert!(frame::encode(&chunk, Tag::UNASKED, &mut [0; MAX_FRAME]).is_ok());
}

#[test]
fn the_loss_of_a_byte_costs_one_frame_at_most() {
    let first = framed(&trapped());
    for lost in 0..first.len() {
        let mut line = first.clone();
        line.remove(lost);
        line.extend(framed(&STARTED));
        line.extend(framed(&STOPPED));
        let (_, events) = receive(&line);
        assert_eq!(events.last(), Some(&std::format!("{STOPPED:?}")), "byte {lost} lost");
        assert!(events.len() >= 2, "byte {lost} lost, only {events:?} arrived");
    }
}

#[test]
fn no_change_of_a_single_bit_goes_unnoticed() {
    let first = framed(&trapped());
    let sent = std::format!("{:?}", trapped());
    for bit in 0..first.len() * 8 {
        let mut line = first.clone();
        line[bit / 8] ^= 1 << (bit % 8);
        line.extend(framed(&STOPPED));
        let (_, events) = receive(&line);
        assert!(!events.contains(&sent), "bit {bit} changed");
    }
}

#[test]
fn a_delimiter_in_endless_noise_ends_by_itself() {
    let mut line = vec![0];
    line.extend(std::iter::repeat_n(b'x', 3 * MAX_FRAME));
    line.extend(framed(&STARTED));
    let (text, events) = receive(&line);
    assert_eq!((text.len(), events), (3 * MAX_FRAME, vec![std::format!("{STARTED:?}")]));
}

#[test]
fn a_message_that_does_not_fit_is_refused() {
    let reason = "x".repeat(crate::MAX_MESSAGE);
    let refused = Event::Refused(Refused { kind: Refusal::Request, code: 0, offset: None, reason: &reason });
    assert_eq!(frame::encode(&refused, Tag::UNASKED, &mut [0; MAX_FRAME]), Err(FrameError::TooLong));
}

#[test]
fn neither_side_takes_its_own_words_for_the_others() {
    let (request, event) = (framed(&Request::Ping { token: 7 }), framed(&Event::Pong { token: 7 }));
    let bodies = [request, event].map(|frame| {
        let mut body = frame[1..frame.len() - 1].to_vec();
        let length = frame::open(&mut body).expect("a frame");
        body.truncate(length);
        body
    });
    assert_eq!(frame::decode::<Event<'_>>(&bodies[0]), Err(FrameError::Echo));
    assert_eq!(frame::decode::<Request<'_>>(&bodies[1]), Err(FrameError::Echo));
}

#[test]
fn tags_count_up_and_are_never_that_of_unasked_events() {
    let mut tag = Tag::UNASKED;
    let tags: Vec<Tag> = std::iter::from_fn(|| {
        tag = tag.next();
        Some(tag)
    })
    .take(0x8000)
    .collect();
    assert!(!tags.contains(&Tag::UNASKED));
    assert_eq!(tags[0x7fff], tags[0]);
    assert!(tags[1..0x7fff].iter().all(|later| *later != tags[0]));
}

#[test]
fn the_protocol_of_a_hello_can_be_read_in_any_version() {
    let later = [0, 5, b'?'];
    assert_eq!(frame::decode::<Event<'_>>(&later), Err(FrameError::Echo));
    assert_eq!((frame::protocol_of(&later), frame::protocol_of(&[8, 1])), (Some(5), None));
}

#[test]
fn messages_lie_on_the_wire_as_the_specification_says() {
    assert_eq!(framed(&Request::Ping { token: 300 }), b"\0\x05\x04\xac\x02\x01\x05O\x12\x80.\0");
    assert_eq!(framed(&Event::Pong { token: 0 }), b"\0\x02\x08\x07\x01\x80\x92ES\x10\0");
}
