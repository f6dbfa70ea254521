//! Separates frames from plain text in a stream of bytes, and finds back into step after noise.
//! It decides by checksum alone what a frame is; the messages' meaning is not its business.

use crate::frame::{self, DELIMITER, MAX_BODY};

/// What a byte completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The byte was kept; nothing is complete yet.
    Nothing,
    /// Plain text.
    Text(&'a [u8]),
    /// The bytes of a message, for [`frame::decode`].
    Message(&'a [u8]),
}

/// The state of one direction of a line.
pub struct Splitter {
    /// One byte more than a frame's body can have, for the byte that shows it is none.
    body: [u8; MAX_BODY + 1],
    length: usize,
    in_frame: bool,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new()
    }
}

impl Splitter {
    /// Starts in text, as a line does.
    pub const fn new() -> Self {
        Self { body: [0; MAX_BODY + 1], length: 0, in_frame: false }
    }

    /// Whether a frame has been opened: text that comes now is noise, or what is left of a damaged frame.
    pub fn is_in_frame(&self) -> bool {
        self.in_frame
    }

    /// Takes the next byte.
    ///
    /// A delimiter opens a frame, the next one closes it. If what lies between is no frame (a delimiter was lost, or
    /// noise), it is given back as text and the closing delimiter counts as an opening one, so one loss costs one frame
    /// at most. More bytes than a frame can have are text.
    pub fn push(&mut self, byte: u8) -> Piece<'_> {
        if !self.in_frame {
            if byte == DELIMITER {
                self.in_frame = true;
                self.length = 0;
                return Piece::Nothing;
            }
            self.body[0] = byte;
            return Piece::Text(&self.body[..1]);
        }
        if byte != DELIMITER {
            self.body[self.length] = byte;
            self.length += 1;
            if self.length < self.body.len() {
                return Piece::Nothing;
            }
            self.in_frame = false;
            return Piece::Text(&self.body);
        }
        let length = core::mem::take(&mut self.length);
        if length == 0 {
            return Piece::Nothing;
        }
        let mut opened = self.body;
        match frame::open(&mut opened[..length]) {
            Ok(message) => {
                self.body = opened;
                self.in_frame = false;
                Piece::Message(&self.body[..message])
            }
            Err(_) => Piece::Text(&self.body[..length]),
        }
    }
}
