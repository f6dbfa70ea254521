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
#[cfg(test)]
mod tests;

/// Version of the messages. Both sides say theirs in `Hello`; a difference ends the conversation.
pub const PROTOCOL: u16 = 1;

/// Longest message in bytes, serialised, without checksum.
pub const MAX_MESSAGE: usize = 1024;
