//! Talking to a chip, real or emulated: the transport, the conversation over the link, what traps mean in the C source.
//!
//! The same code for both kinds of chip. Nothing here prints, and nothing here knows what is behind a transport.

pub mod client;
pub mod crash;
pub mod dialogue;
#[cfg(feature = "emulate")]
pub mod emulated;
pub mod firmware;
pub mod flashing;
#[cfg(feature = "emulate")]
pub mod hosted;
#[cfg(feature = "emulate")]
pub mod listener;
pub mod port;
pub mod profile;
pub mod session;
pub mod stream;
pub mod transport;
pub mod trap;
#[cfg(feature = "emulate")]
mod waveform;

#[cfg(test)]
mod tests;
