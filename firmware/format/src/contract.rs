//! Contracts: what the parameters and the result of a host function mean.
//!
//! The same types serve the translator, which writes a contract into the sections `immeta` and `cbmeta` of a module, and
//! the firmware, which compares them with its own table. specs/contracts.md defines meanings and bytes. Nothing here
//! knows a particular host function, and nothing here performs a call.

use crate::signature::{Signature, ValType};
use alloc::vec::Vec;
use core::fmt;

mod decode;
mod encode;
mod entries;
mod host;
mod reader;
mod rules;
mod section;

pub use decode::Half;
pub use encode::Encoded;
pub use entries::{CbmetaEntries, ImmetaEntries, ImmetaEntry, Members};
pub use host::{Contradiction, HostContract, find};
pub use reader::{DecodeError, Reason};
pub use rules::RuleError;
pub use section::{SectionFull, of_import, push_record, record};

/// What a host function's parameters and result mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contract {
    /// One meaning for each fixed parameter of the signature. Variadic arguments have none: a [`Param::Format`] says
    /// how they are to be read, without one they are plain values.
    pub params: Vec<Param>,
    /// What comes back.
    pub result: ResultMeaning,
    /// Properties of the function itself. They stand in the host's table only, not in a module.
    pub flags: Flags,
}

/// What one parameter means; `M` is how the members of a structure are kept. Every meaning but `Value` and `UserData` needs an `i32` parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Param<M = Vec<Member>> {
    /// A number. Native code does not use it as an address.
    #[default]
    Value,
    /// The address of memory that native code reads or writes.
    Pointer(Pointer<M>),
    /// A function of the module that native code calls.
    Callback(Callback),
    /// A word that native code keeps and hands back, and does not use as an address.
    UserData,
    /// An object of the kernel or of a driver that the instance owns.
    Handle(Handle),
    /// The address where native code stores the handle of an object it created; the instance owns the object.
    HandleOut {
        /// What was created.
        kind: HandleKind,
        /// Whether the address may be null.
        nullable: bool,
    },
    /// A terminated string that says how further arguments are read.
    Format(Format),
}

/// Memory behind a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer<M = Vec<Member>> {
    /// Who reads and who writes.
    pub direction: Direction,
    /// How many bytes.
    pub extent: Extent,
    /// Whether the address may be null. An extent of 0 bytes allows any address in any case.
    pub nullable: bool,
    /// Whether native code goes on using the memory after the call has returned.
    pub deferred: bool,
    /// Words inside the memory that are not plain data, by ascending byte offset.
    pub members: M,
}

impl Pointer {
    /// Memory that must be there, is plain data, and is used only during the call.
    #[must_use]
    pub const fn new(direction: Direction, extent: Extent) -> Self {
        Self { direction, extent, nullable: false, deferred: false, members: Vec::new() }
    }
}

/// A word inside a structure that is passed by pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Byte offset inside the structure, a multiple of 4.
    pub offset: Slot,
    /// What the word means; parameters named in it are byte offsets of the same structure. It is a pointer without
    /// members, a callback, a handle or the address of one: other words need no entry.
    pub meaning: Param,
}

/// Who reads and who writes the memory behind a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Native code reads.
    In,
    /// Native code writes.
    Out,
    /// Native code reads and writes.
    InOut,
}

/// A parameter of the same function, counted from 0, or the byte offset of a member of the same structure.
pub type Slot = u8;

/// How many bytes lie behind a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// A constant number of bytes.
    Const(u32),
    /// `param * scale` bytes.
    Arg {
        /// The parameter that counts.
        param: Slot,
        /// Bytes for each count, at least 1.
        scale: u32,
    },
    /// The product of two parameters.
    Product(Slot, Slot),
    /// Bytes up to and including the first zero byte.
    CString,
    /// Bytes up to and including the first zero byte, or as many as the parameter says if that is fewer.
    CStringMax(Slot),
    /// One element of the queue whose handle the parameter is.
    Element(Slot),
    /// As many bytes as the 32-bit word says to which the parameter points, at the time of the call.
    StoredAt(Slot),
    /// Any part of the region in which the address lies: the host function finds the end itself and must stay within.
    Region,
}

/// A function pointer that native code calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// How it is called.
    pub signature: Signature,
    /// The parameter (or member) whose value comes back to the callback.
    pub user: Option<Slot>,
    /// Whether a null function pointer is accepted.
    pub nullable: bool,
}

/// An object that the instance owns, passed by its handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    /// The kind that the object must be of.
    pub kind: HandleKind,
    /// Whether a null handle is accepted.
    pub nullable: bool,
    /// What becomes of the object.
    pub fate: Fate,
}

/// What a call does to an object whose handle it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Used,
    /// It is gone afterwards.
    Released,
    /// It is gone afterwards if the parameter has this value.
    ReleasedWhen {
        /// The parameter that decides.
        param: Slot,
        /// The value that means release.
        value: u8,
    },
}

macro_rules! handle_kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal $word:literal,)*) => {
        /// The kinds of objects that an instance can own. The codes are part of the module format.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum HandleKind { $($(#[$doc])* $name,)* }

        impl HandleKind {
            /// Every kind, by ascending code.
            pub const ALL: &[HandleKind] = &[$(HandleKind::$name,)*];

            /// The code in the module format.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $(HandleKind::$name => $code,)* }
            }

            /// The kind with this code.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(HandleKind::$name),)* _ => None }
            }

            /// The word that stands for the kind in hints files and messages.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(HandleKind::$name => $word,)* }
            }
        }
    };
}

handle_kinds! {
    /// A task.
    Task = 0 "task",
    /// A queue, semaphore, mutex or queue set: the kernel has one type for them.
    Queue = 1 "queue",
    /// A software timer of the kernel.
    Timer = 2 "timer",
    /// An event group.
    EventGroup = 3 "event_group",
    /// A stream or message buffer.
    StreamBuffer = 4 "stream_buffer",
    /// A timer of `esp_timer`.
    EspTimer = 5 "esp_timer",
    /// An open namespace of the non-volatile storage.
    Nvs = 6 "nvs",
    /// An open stream of the C library.
    File = 7 "file",
}

/// A format string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Whether it prints or scans.
    pub style: FormatStyle,
    /// Where the arguments are.
    pub args: FormatArgs,
}

/// The language of a format string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatStyle {
    /// printf: arguments are values, those of `%s` terminated strings; `%n` is refused.
    Print,
    /// scanf: arguments are addresses that are written.
    Scan,
}

/// Where the arguments of a format string are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatArgs {
    /// The variadic arguments, of which the first has the index of the last fixed parameter plus one.
    Variadic,
    /// Behind this `va_list` parameter: the address of 4-byte slots, 8-byte values at addresses divisible by 8.
    VaList(Slot),
}

/// What a result means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResultMeaning {
    /// A number, an address in the module's own memory, or nothing.
    #[default]
    Value,
    /// The handle of an object.
    Handle {
        /// The kind of object.
        kind: HandleKind,
        /// Whether the call created it, so that the instance owns it.
        created: bool,
        /// Whether null may come back.
        nullable: bool,
    },
    /// Native memory that the module may read: the firmware copies it into the instance and hands out the copy.
    Copied {
        /// How many bytes.
        extent: Extent,
        /// Whether null may come back.
        nullable: bool,
    },
    /// Memory from the instance's heap that becomes the module's own, to be freed by it; null may come back.
    Own {
        /// How many bytes.
        extent: Extent,
    },
    /// The word that was given as user data.
    UserData,
}

/// Properties of a host function: a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// No property.
    pub const NONE: Flags = Flags(0);
    /// May be called from a callback, where blocking would stop other software: it returns at once.
    pub const FROM_CALLBACK: Flags = Flags(1);
    /// May be called where interrupts are handled; implies `FROM_CALLBACK`.
    pub const FROM_ISR: Flags = Flags(2 | 1);
    /// Does not return to its caller.
    pub const NO_RETURN: Flags = Flags(4);
    /// Affects the whole device: the firmware must allow it expressly.
    pub const RESTRICTED: Flags = Flags(8);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets.
    #[must_use]
    pub const fn union(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl Contract {
    /// The contract of a function of which only plain values are known.
    #[must_use]
    pub fn plain(signature: &Signature) -> Self {
        Self { params: signature.params().map(|_| Param::Value).collect(), ..Self::default() }
    }

    /// Whether the contract says no more than the signature, so that a module stores nothing about it.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.result == ResultMeaning::Value && self.params.iter().all(|param| *param == Param::Value)
    }
}

impl<M> Param<M> {
    /// Whether a parameter of type `ty` can have this meaning.
    #[must_use]
    pub const fn fits(&self, ty: ValType) -> bool {
        matches!(self, Param::Value) || matches!(ty, ValType::I32)
    }
}

impl fmt::Display for HandleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests;
