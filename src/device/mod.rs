//! Talking to a chip, real or emulated: the transport, the conversation over the link, what traps mean in the C source.
//!
//! The same code for both kinds of chip. Nothing here prints, and nothing here knows what is behind a transport.

#[cfg(feature = "emulate")]
pub mod emulated;
pub mod firmware;
pub mod flashing;
pub mod port;
pub mod session;
pub mod transport;
pub mod trap;
