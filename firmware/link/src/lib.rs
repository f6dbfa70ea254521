//! The link: what a firmware and its host say to each other on the console UART, and how it lies beside plain log text.
//!
//! Types and framing only: nothing here does input or output, waits, or allocates. specs/link.md is the specification.
#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[cfg(test)]
extern crate std;

pub mod event;
pub mod frame;
pub mod request;
pub mod splitter;
pub mod tag;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

/// The number of an instance: from 1, counting up, and not given twice until the chip resets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceId(pub u16);

/// Where a module is loaded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A slot in flash, counted from 0.
    Slot(u8),
    /// The slot that would run at boot: the newest that may. An instance that is loaded names its slot.
    Newest,
    /// What `Request::Upload` brought into RAM; it becomes the instance's and goes with it.
    Upload {
        /// The upload's number.
        token: u32,
    },
}

/// Version of the messages. Both sides say theirs in `Hello`; a difference ends the conversation.
pub const PROTOCOL: u16 = 4;

/// Longest message in bytes, serialised, its tag included, without checksum.
pub const MAX_MESSAGE: usize = 1024;
