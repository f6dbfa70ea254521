//! What the host asks of the device. Variants and fields are only ever appended: their order is the wire format.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::{InstanceId, Source};

/// Most arguments of a call.
pub const MAX_ARGUMENTS: usize = 16;
/// Most restricted functions that a load may allow.
pub const MAX_ALLOWED: usize = 8;

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
        /// The restricted functions that it may call.
        #[serde(borrow)]
        allowed: heapless::Vec<&'a str, MAX_ALLOWED>,
    },
    /// Answered with `Event::Instances`.
    List,
    /// Make room for a module that `Chunk` messages bring. One that was begun before and not loaded or stored is forgotten; the
    /// same offer again goes on with it. Answered with `Received`, or `Refused`.
    Upload(Upload<'a>),
    /// The next bytes of an upload. Answered with `Received`: bytes that do not follow on what is there are left out, so that a
    /// repeated or a lost chunk does no harm.
    Chunk {
        /// The upload's number.
        token: u32,
        /// Where they belong, in bytes from the module's start.
        offset: u32,
        /// At most [`MAX_CHUNK`] bytes; a multiple of 4 except for the last.
        bytes: &'a [u8],
    },
    /// Check an upload that went into a slot, and make it the module to run at the next boot or `Load(Newest)`, on trial. Answered
    /// with `Stored`, or `Refused`; repeated, with the same.
    Store {
        /// The upload's number.
        token: u32,
    },
    /// The module on trial is a success: keep it. Answered with `Slots`, or `Refused`.
    Confirm {
        /// Its slot.
        slot: u8,
    },
    /// Take a slot's module away. Answered with `Slots`, or `Refused` if it is loaded.
    Remove {
        /// The slot.
        slot: u8,
    },
    /// Answered with `Event::Slots`.
    Slots,
    /// Change the speed of the console. Answered with `Speed` at the old one; without a valid frame at the new one within a
    /// second the device goes back to 115200.
    Speed {
        /// Bits a second.
        baud: u32,
    },
}

/// A module that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upload<'a> {
    /// The upload's number, chosen by the host: not that of its last one.
    pub token: u32,
    /// The module's length in bytes.
    pub length: u32,
    /// CRC-32 (IEEE 802.3) of its bytes.
    pub crc32: u32,
    /// Version of the module.
    pub version: u32,
    /// Once it is confirmed, no module of a version below this is taken.
    pub floor: u32,
    /// Ed25519 signature, 64 bytes, or nothing.
    pub signature: &'a [u8],
    /// Where it goes.
    pub destination: Destination<'a>,
}

/// Where an upload goes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Destination<'a> {
    /// Into RAM, for `Load(Upload)`.
    Ram,
    /// Into a slot, for `Store`.
    Slot {
        /// Which one; `None` for the one that is needed least.
        slot: Option<u8>,
        /// Whether to start it at boot.
        autostart: bool,
        /// Its name, at most 24 bytes.
        name: &'a str,
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
