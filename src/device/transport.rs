//! The byte stream to a device, and its clock.

use std::fmt;
use std::time::Duration;

/// What came of waiting for bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Bytes from the device, at least one.
    Bytes(Vec<u8>),
    /// The device's clock reached the deadline.
    Deadline,
    /// The wall clock reached its limit.
    Timeout,
}

/// A device that cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceError {
    /// What happened, in one sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DeviceError {}

/// Exact counts that only an emulated chip has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Virtual clock cycles since reset.
    pub cycles: u64,
    /// Machine instructions executed since reset.
    pub instructions: u64,
    /// VM instructions executed since reset; a fused pair counts as one.
    pub vm_instructions: u64,
}

/// A byte stream to a device.
pub trait Transport {
    /// Sends all bytes.
    fn send(&mut self, bytes: &[u8]) -> Result<(), DeviceError>;

    /// Waits for bytes, the deadline of [`Self::set_deadline`], or the wall-clock limit.
    fn receive(&mut self) -> Result<Received, DeviceError>;

    /// Time on the device's clock: since reset for an emulated chip, since opening for a port.
    fn now(&self) -> Duration;

    /// Changes the speed of the line, where this end has one.
    fn set_speed(&mut self, _baud: u32) -> Result<(), DeviceError> {
        Ok(())
    }

    /// Whether the device has reset itself, where that ends the stream.
    fn has_reset(&self) -> bool {
        false
    }

    /// When to stop waiting, on the device's clock; `None` waits for ever.
    fn set_deadline(&mut self, deadline: Option<Duration>);

    /// Completes what the run leaves behind, such as files, when it is over.
    fn finish(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }

    /// The executed opcodes, where they were counted.
    #[cfg(feature = "emulate")]
    fn profile(&self) -> Option<super::profile::Profile> {
        None
    }

    /// The counts, where there are any.
    fn counters(&self) -> Option<Counters> {
        None
    }
}
