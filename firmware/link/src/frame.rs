//! One message in one frame: 0x00, COBS(postcard bytes ++ CRC-32), 0x00. Knows bytes, not messages' meaning.

use core::fmt;

use espb_format::checksum::crc32;
use serde::{Deserialize, Serialize};

use crate::MAX_MESSAGE;

/// Bytes of the checksum behind a message, little-endian CRC-32 (IEEE).
const CHECKSUM: usize = 4;

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
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the message does not fit into a frame",
            Self::Body => "the frame's body is malformed",
            Self::Checksum => "the frame's checksum is wrong",
            Self::Message => "the frame holds no message of this protocol version",
        })
    }
}

impl core::error::Error for FrameError {}

/// Frames `message` into `buffer` and returns the part that was filled.
pub fn encode<'b, M: Serialize>(message: &M, buffer: &'b mut [u8; MAX_FRAME]) -> Result<&'b [u8], FrameError> {
    let mut plain = [0; MAX_MESSAGE + CHECKSUM];
    let (room, _) = plain.split_at_mut(MAX_MESSAGE);
    let length = postcard::to_slice(message, room).map_err(|_| FrameError::TooLong)?.len();
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

/// Reads the message from bytes that [`open`] accepted.
pub fn decode<'m, M: Deserialize<'m>>(message: &'m [u8]) -> Result<M, FrameError> {
    match postcard::take_from_bytes(message) {
        Ok((message, [])) => Ok(message),
        _ => Err(FrameError::Message),
    }
}
