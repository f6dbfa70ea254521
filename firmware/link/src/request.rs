//! What the host asks of the device. Variants and fields are only ever appended: their order is the wire format.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::{InstanceId, Source};

/// Most arguments of a call.
pub const MAX_ARGUMENTS: usize = 16;

/// Most bytes of a module that one message carries.
pub const MAX_CHUNK: usize = 896;

/// A message from host to device.
#[allow(clippy::large_enum_variant, reason = "nothing here allocates; one message at a time is on a stack")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Who are you? Answered with `Event::Hello`.
    Hello {
        /// The host's [`crate::PROTOCOL`].
        protocol: u16,
    },
    /// Call a function of an instance. Answered with `Started`, or `Refused`.
    #[serde(borrow)]
    Start(Start<'a>),
    /// End the instance and take back everything it owns, its memory included. Answered with `Stopped`, or `Refused`.
    Stop {
        /// The instance.
        instance: InstanceId,
    },
    /// Answered with `Event::Stats`, or `Refused` if there is no such instance.
    Stats {
        /// The instance whose peaks are asked for: a living one, or the last that ended. `None` for the firmware alone.
        instance: Option<InstanceId>,
    },
    /// Answered with `Event::Pong` and the same token.
    Ping {
        /// Any number.
        token: u32,
    },
    /// Verify a module and make an instance of it, which `Start` then runs. Answered with `Loaded`, or `Refused`.
    Load {
        /// Where the module is.
        source: Source,
    },
    /// Answered with `Event::Instances`.
    List,
    /// Make room in RAM for a module that `Chunk` messages bring. One that was begun before and not loaded is forgotten.
    /// Answered with `Received` of 0 bytes, or `Refused`.
    Upload {
        /// The module's length in bytes.
        length: u32,
        /// CRC-32 (IEEE 802.3) of its bytes.
        crc32: u32,
    },
    /// The next bytes of an upload. Answered with `Received`: bytes that do not follow on what is there are left out, so that a
    /// repeated or a lost chunk does no harm.
    Chunk {
        /// Where they belong, in bytes from the module's start.
        offset: u32,
        /// At most [`MAX_CHUNK`] bytes.
        bytes: &'a [u8],
    },
}

/// What to call and under which limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start<'a> {
    /// The instance, which has no call in progress.
    pub instance: InstanceId,
    /// The function.
    #[serde(borrow)]
    pub call: Call<'a>,
    /// Its arguments. The entry gets them as `argc` and `argv`, so all must be text there.
    pub arguments: Vec<Argument<'a>, MAX_ARGUMENTS>,
    /// Taken backward branches and calls after which the instance traps; `None` sets no limit.
    pub fuel: Option<u64>,
    /// Leave the instance and its tasks and timers when the call returns, until `Stop`.
    pub detached: bool,
}

/// The function that `Start` calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call<'a> {
    /// The module's entry: `int app_main(int argc, char *argv[], char *envp[])` or a prefix of these parameters.
    Entry,
    /// An export by name.
    Export(&'a str),
}

/// An argument as the user wrote it; the device converts it to the parameter's type or refuses the call.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Argument<'a> {
    /// A string, passed as a pointer to a NUL-terminated copy in the instance's memory.
    Text(&'a str),
    /// An integer, passed as i32 or i64.
    Integer(i64),
    /// A number, passed as float or double.
    Number(f64),
}
