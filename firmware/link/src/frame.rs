//! One message in one frame: 0x00, COBS(postcard bytes ++ tag ++ CRC-32), 0x00. Knows bytes, not messages' meaning.

use core::fmt;

use espb_format::checksum::crc32;
use serde::{Deserialize, Serialize};

use crate::MAX_MESSAGE;
use crate::event::Event;
use crate::request::Request;
use crate::tag::Tag;

/// Bytes of the checksum behind a message, little-endian CRC-32 (IEEE).
const CHECKSUM: usize = 4;

/// Bytes of the tag between message and checksum.
const TAG: usize = 2;

/// The number of `Event::Hello`.
const HELLO: u8 = 0;

/// Longest COBS body: one byte more for each 254.
pub const MAX_BODY: usize = MAX_MESSAGE + CHECKSUM + (MAX_MESSAGE + CHECKSUM).div_ceil(254);

/// Longest frame, both delimiters included.
pub const MAX_FRAME: usize = MAX_BODY + 2;

/// The byte that opens and closes a frame and occurs nowhere else.
pub const DELIMITER: u8 = 0;

/// Why a message could not be framed or a body is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The message is longer than [`MAX_MESSAGE`]: shorten its texts.
    TooLong,
    /// The body is not COBS, or shorter than a checksum.
    Body,
    /// The checksum is wrong: bytes were lost or changed on the line.
    Checksum,
    /// The checksum is right but the bytes are not a message of this protocol version.
    Message,
    /// The message went the other way: the line echoes.
    Echo,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the message does not fit into a frame",
            Self::Body => "the frame's body is malformed",
            Self::Checksum => "the frame's checksum is wrong",
            Self::Message => "the frame holds no message of this protocol version",
            Self::Echo => "the frame went the other way",
        })
    }
}

impl core::error::Error for FrameError {}

/// What one side says to the other.
pub trait Message {
    /// Whether it is the device that says it.
    const FROM_DEVICE: bool;
}

impl Message for Request<'_> {
    const FROM_DEVICE: bool = false;
}

impl Message for Event<'_> {
    const FROM_DEVICE: bool = true;
}

/// Frames `message` into `buffer` and returns the part that was filled.
pub fn encode<'b, M: Message + Serialize>(
    message: &M,
    tag: Tag,
    buffer: &'b mut [u8; MAX_FRAME],
) -> Result<&'b [u8], FrameError> {
    let mut plain = [0; MAX_MESSAGE + CHECKSUM];
    let (room, _) = plain.split_at_mut(MAX_MESSAGE - TAG);
    let end = postcard::to_slice(message, room).map_err(|_| FrameError::TooLong)?.len();
    let length = end + TAG;
    plain[end..length].copy_from_slice(&tag.on_line(M::FROM_DEVICE));
    let checksum = crc32(&plain[..length]);
    plain[length..length + CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    let body = cobs::encode(&plain[..length + CHECKSUM], &mut buffer[1..]);
    buffer[0] = DELIMITER;
    buffer[body + 1] = DELIMITER;
    Ok(&buffer[..body + 2])
}

/// Undoes COBS in place and checks the checksum; returns the length of the message at the start of `body`.
pub fn open(body: &mut [u8]) -> Result<usize, FrameError> {
    let length = cobs::decode_in_place(body).map_err(|_| FrameError::Body)?;
    let (message, checksum) =
        body.get(..length).and_then(<[u8]>::split_last_chunk::<CHECKSUM>).ok_or(FrameError::Body)?;
    if crc32(message) == u32::from_le_bytes(*checksum) { Ok(message.len()) } else { Err(FrameError::Checksum) }
}

/// Reads the message and its tag from bytes that [`open`] accepted.
pub fn decode<'m, M: Message + Deserialize<'m>>(message: &'m [u8]) -> Result<(M, Tag), FrameError> {
    let (message, tag) = message.split_last_chunk::<TAG>().ok_or(FrameError::Message)?;
    let tag = Tag::from_line(*tag, M::FROM_DEVICE).ok_or(FrameError::Echo)?;
    match postcard::take_from_bytes(message) {
        Ok((message, [])) => Ok((message, tag)),
        _ => Err(FrameError::Message),
    }
}

/// The protocol version in a message that [`decode`] does not read, if it is a device's Hello: its first two fields are the same
/// in all versions.
pub fn protocol_of(message: &[u8]) -> Option<u16> {
    match postcard::take_from_bytes::<(u8, u16)>(message) {
        Ok(((HELLO, protocol), _)) => Some(protocol),
        _ => None,
    }
}
