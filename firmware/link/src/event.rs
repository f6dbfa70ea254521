//! What the device tells the host. Variants and fields are only ever appended: their order is the wire format.

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::{InstanceId, Source};

/// Most frames of a backtrace that a trap report carries, innermost first.
pub const MAX_BACKTRACE: usize = 16;

/// Most instances that the device keeps at once.
pub const MAX_INSTANCES: usize = 4;

/// Longest text of a field, in bytes; the device cuts longer ones at a character's end.
pub const MAX_TEXT: usize = 256;

/// A message from device to host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event<'a> {
    /// The device is up: sent once after boot and in answer to `Request::Hello`.
    #[serde(borrow)]
    Hello(Hello<'a>),
    /// A module was verified and instantiated.
    Loaded(Loaded),
    /// A request was not carried out; nothing was left behind.
    Refused(Refused<'a>),
    /// The call begins.
    Started {
        /// Of which instance.
        instance: InstanceId,
    },
    /// The call returned, or the module called `exit`.
    Exited(Exited),
    /// The instance was stopped by an error of the module.
    Trapped(Trapped<'a>),
    /// The instance was ended by `Request::Stop`.
    Stopped {
        /// Which one.
        instance: InstanceId,
    },
    /// Answer to `Request::Stats`.
    Stats(Stats),
    /// Answer to `Request::Ping`.
    Pong {
        /// The request's token.
        token: u32,
    },
    /// Answer to `Request::List`, in the order of their loading.
    Instances(Vec<Resident, MAX_INSTANCES>),
    /// Answer to `Request::Upload` and `Request::Chunk`.
    Received {
        /// The upload's number.
        token: u32,
        /// Bytes of the module that are there, from its start.
        bytes: u32,
        /// Bytes that may be on their way beyond these.
        window: u32,
    },
    /// Answer to `Request::Store`.
    Stored {
        /// The upload's number.
        token: u32,
        /// The slot that holds it.
        slot: u8,
    },
    /// Answer to `Request::Slots`, `Confirm` and `Remove`; also sent unasked when a trial has failed.
    #[serde(borrow)]
    Slots(Slots<'a>),
    /// Answer to `Request::Speed`: the speed changes after this frame.
    Speed {
        /// Bits a second.
        baud: u32,
    },
}

/// Most slots that a device can have.
pub const MAX_SLOTS: usize = 4;

/// The slots of a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slots<'a> {
    /// Least version that the device takes.
    pub floor: u32,
    /// Whether modules must be signed.
    pub signed: bool,
    /// One each slot, in the order of their numbers.
    #[serde(borrow)]
    pub slots: Vec<SlotInfo<'a>, MAX_SLOTS>,
}

/// A slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotInfo<'a> {
    /// Its state (specs/slots.md): 0 empty, 1 new, 2 trial, 3 valid, 4 bad.
    pub state: u8,
    /// Whether this is the module that runs at boot.
    pub newest: bool,
    /// Whether its module is started at boot.
    pub autostart: bool,
    /// Length of the module in bytes.
    pub length: u32,
    /// Bytes that a module here can have.
    pub capacity: u32,
    /// Version of the module.
    pub version: u32,
    /// Its name.
    pub name: &'a str,
}

/// An instance that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resident {
    /// Which one.
    pub instance: InstanceId,
    /// Where its module is.
    pub source: Source,
    /// What it does.
    pub state: State,
    /// Linear memory in bytes.
    pub linear_memory: u32,
}

/// What an instance does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Nothing was called yet.
    Loaded,
    /// A call is in progress.
    Running,
    /// A detached call has returned; tasks and timers that it left live on.
    Idle,
}

/// Who the device is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello<'a> {
    /// The firmware's [`crate::PROTOCOL`].
    pub protocol: u16,
    /// Chip name as in `--emulate`, for example `esp32c3`.
    pub chip: &'a str,
    /// Version of the firmware.
    pub firmware: &'a str,
    /// Free heap in bytes.
    pub free_heap: u32,
    /// Machine instructions from the start of the application to its first task.
    pub boot_instructions: u64,
    /// What the module slot holds.
    pub slot: Slot,
}

/// What the module slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slot {
    /// There is no slot partition.
    Missing,
    /// The slot was never written, or was erased.
    Empty,
    /// The slot's header or checksum is wrong.
    Corrupt,
    /// A module whose checksum is right.
    Module {
        /// Its length in bytes.
        length: u32,
        /// Whether it starts at boot.
        autostart: bool,
    },
}

/// Costs of loading, in machine instructions and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// The new instance's number. Numbers count up from 1 and are not given twice until the chip resets.
    pub instance: InstanceId,
    /// Machine instructions spent on verifying and instantiating.
    pub load_instructions: u64,
    /// Linear memory.
    pub linear_memory: u32,
    /// RAM taken beside linear memory: instance, bindings, bookkeeping of the heap (1/64 of it). Tasks take their own when they start.
    pub overhead: u32,
    /// Free heap of the firmware afterwards.
    pub free_heap: u32,
}

/// Why a request was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused<'a> {
    /// What kind of refusal.
    pub kind: Refusal,
    /// The stable number of the broken rule where `kind` is `Format`, else 0.
    pub code: u8,
    /// Byte offset in the module, where there is one.
    pub offset: Option<u32>,
    /// The reason in words.
    pub reason: &'a str,
}

/// Kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The request could not be read, or does not fit the device's state.
    Request,
    /// The slot holds no module.
    Slot,
    /// The verifier refused the module.
    Format,
    /// An import is unknown to this firmware or contradicts its contract.
    Import,
    /// There is not enough memory.
    Memory,
    /// The function to call does not exist or does not take these arguments.
    Call,
    /// The device does not take a module of this version, or not without its signature.
    Seal,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exited {
    /// Which instance; it is gone unless the call was detached and returned.
    pub instance: InstanceId,
    /// Its result, or the argument of `exit`.
    pub result: Value,
    /// Machine instructions of the whole chip from `Started` to here.
    pub instructions: u64,
}

/// A C value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// `void`
    Void,
    /// 32-bit integer or pointer.
    I32(i32),
    /// 64-bit integer.
    I64(i64),
    /// `float`
    F32(f32),
    /// `double`
    F64(f64),
}

/// Why and where an instance was stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trapped<'a> {
    /// Which instance; it is gone.
    pub instance: InstanceId,
    /// The stable number of the trap (specs/isa.md, "Traps").
    pub code: u8,
    /// The trap in words.
    pub reason: &'a str,
    /// The address, divisor or other value that caused it, where there is one.
    pub value: Option<u32>,
    /// Name of the task that ran the module code.
    pub task: &'a str,
    /// Where, innermost first.
    pub backtrace: Vec<Frame, MAX_BACKTRACE>,
    /// CRC-32 of the module's bytes: which module it was.
    pub module_crc32: u32,
    /// Machine instructions of the whole chip from `Started` to here.
    pub instructions: u64,
}

/// A position in the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Function index.
    pub function: u16,
    /// Word of the code section of the instruction that runs: the one that trapped, or the call that has not returned.
    pub word: u32,
}

/// Counters of the firmware and of an instance. Peaks are in bytes, 0 where no instance was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Machine instructions since the application started.
    pub instructions: u64,
    /// Peak of the module's private heap.
    pub heap_peak: u32,
    /// Peak of linear stack, of the task that used most.
    pub linear_stack_peak: u32,
    /// Peak of shadow stack, of the task that used most.
    pub shadow_stack_peak: u32,
    /// Beats of the firmware's heartbeat task, one each 10 ms.
    pub heartbeats: u32,
    /// Kernel ticks, one each millisecond.
    pub ticks: u32,
    /// Free heap of the firmware.
    pub free_heap: u32,
    /// The least free heap of the firmware since the last load, or since boot.
    pub minimum_free_heap: u32,
    /// Native stack of module tasks that was never used, of the task that used most.
    pub native_stack_spare: u32,
    /// The most microseconds that a heartbeat came after its time, by the hardware's clock.
    pub heartbeat_delay: u32,
    /// The firmware's largest block of free heap.
    pub largest_free_block: u32,
    /// Thunks that no instance has.
    pub free_thunks: u32,
    /// Callbacks of interrupts that were lost because too many waited.
    pub lost_interrupts: u32,
}
