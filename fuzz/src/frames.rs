//! Any bytes on the line: text and frames come apart again, and no byte is lost between them.

use espb_link::event::Event;
use espb_link::frame::{self, MAX_FRAME};
use espb_link::request::Request;
use espb_link::splitter::{Piece, Splitter};
use espb_link::tag::Tag;

/// Bytes as they come, then as the body of a frame with a right checksum.
pub fn attack(data: &[u8]) -> bool {
    let mut splitter = Splitter::new();
    let mut seen = 0;
    for byte in data {
        match splitter.push(*byte) {
            Piece::Nothing => {}
            Piece::Text(text) => seen += text.len(),
            Piece::Message(message) => {
                seen += message.len();
                decode(message);
            }
        }
    }
    assert!(seen <= data.len(), "{seen} bytes out of {}", data.len());
    let good = decode(data);
    // Noise costs one frame at most: after a delimiter or two a good frame is heard.
    let mut buffer = [0; MAX_FRAME];
    let framed =
        frame::encode(&Request::Ping { token: 7 }, Tag::UNASKED.next(), &mut buffer).expect("it is short").to_vec();
    let heard =
        [&framed[..], &framed[..]].concat().iter().any(|byte| matches!(splitter.push(*byte), Piece::Message(_)));
    assert!(heard, "the line does not find back into step");
    good
}

/// A message as both sides read it; what can be read can be sent again and is the same.
fn decode(message: &[u8]) -> bool {
    let request = frame::decode::<Request<'_>>(message);
    let event = frame::decode::<Event<'_>>(message);
    if let Ok((request, tag)) = &request {
        let mut buffer = [0; MAX_FRAME];
        if let Ok(framed) = frame::encode(request, *tag, &mut buffer) {
            let sent = format!("{:?}", Ok::<_, ()>((request, tag)));
            round_trip(framed, |bytes| assert_eq!(format!("{:?}", frame::decode::<Request<'_>>(bytes)), sent));
        }
    }
    if let Ok((event, tag)) = &event {
        let mut buffer = [0; MAX_FRAME];
        if let Ok(framed) = frame::encode(event, *tag, &mut buffer) {
            let sent = format!("{:?}", Ok::<_, ()>((event, tag)));
            round_trip(framed, |bytes| assert_eq!(format!("{:?}", frame::decode::<Event<'_>>(bytes)), sent));
        }
    }
    assert!(request.is_err() || event.is_err(), "a message that both sides take for the other's");
    request.is_ok() || event.is_ok()
}

fn round_trip(framed: &[u8], same: impl Fn(&[u8])) {
    let mut splitter = Splitter::new();
    let mut messages = 0;
    for byte in framed {
        if let Piece::Message(message) = splitter.push(*byte) {
            same(message);
            messages += 1;
        }
    }
    assert_eq!(messages, 1, "a frame of our own is not heard");
}
