//! What the host asks of the device. Variants and fields are only ever appended: their order is the wire format.

use heapless::Vec;
use serde::{Deserialize, Serialize};

/// Most arguments of a call.
pub const MAX_ARGUMENTS: usize = 16;

/// A message from host to device.
#[allow(clippy::large_enum_variant, reason = "nothing here allocates; one message at a time is on a stack")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Who are you? Answered with `Event::Hello`.
    Hello {
        /// The host's [`crate::PROTOCOL`].
        protocol: u16,
    },
    /// Load the module of the slot and call it. Answered with `Loaded` and `Started`, or `Refused`.
    #[serde(borrow)]
    Start(Start<'a>),
    /// End the running instance and take back everything it owns. Answered with `Stopped`.
    Stop,
    /// Answered with `Event::Stats`.
    Stats,
    /// Answered with `Event::Pong` and the same token.
    Ping {
        /// Any number.
        token: u32,
    },
}

/// What to call and under which limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start<'a> {
    /// The function.
    #[serde(borrow)]
    pub call: Call<'a>,
    /// Its arguments. The entry gets them as `argc` and `argv`, so all must be text there.
    pub arguments: Vec<Argument<'a>, MAX_ARGUMENTS>,
    /// Taken backward branches and calls after which the instance traps; `None` sets no limit.
    pub fuel: Option<u64>,
    /// Leave the instance's tasks and timers running when the call returns.
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
