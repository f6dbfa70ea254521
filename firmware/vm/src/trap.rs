//! Traps: why an instance stopped, and where. Never here: what to do about it.

use core::fmt;

use espb_format::container::NONE;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $text:literal;)+) => {
        /// Why an instance stopped. The number is stable and travels over the link.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum TrapKind { $($(#[doc = $doc])+ $name = $code,)+ }

        impl TrapKind {
            /// Every kind, in the order of their codes.
            pub const ALL: &'static [TrapKind] = &[$(TrapKind::$name,)+];

            /// The reason in words, without a full stop.
            pub const fn text(self) -> &'static str {
                match self { $(TrapKind::$name => $text,)+ }
            }

            /// The kind with this code.
            pub const fn from_code(code: u8) -> Option<TrapKind> {
                match code { $($code => Some(TrapKind::$name),)+ _ => None }
            }
        }
    };
}

kinds! {
    /// Not a failure: the module called exit; [`Trap::value`] is the exit code.
    Exit = 1, "the module ended by exit";
    /// A load outside the module's memory; the value is the address.
    Load = 2, "load from an address outside the module's memory";
    /// A store outside the module's memory or to a constant; the value is the address.
    Store = 3, "store to an address outside the module's writable memory";
    /// Integer division or remainder by zero.
    DivisionByZero = 4, "division by zero";
    /// A frame does not fit the shadow stack.
    ShadowStackOverflow = 5, "the call stack is exhausted (endless recursion?)";
    /// A frame or alloca does not fit the linear stack; the value is the size that was asked for.
    LinearStackOverflow = 6, "the stack is exhausted (endless recursion, or large local variables?)";
    /// A stack pointer was restored to a value it cannot have had; the value is it.
    StackPointer = 7, "the stack pointer was set to a value it never had in this call";
    /// A call through an address that is no function of this module; the value is the address.
    IndirectCall = 8, "call through a pointer that is no function of this module";
    /// A call through a function pointer of another type; the value is the address.
    IndirectSignature = 9, "call through a pointer to a function of another type";
    /// Control reached a place that the compiler held to be unreachable.
    Unreachable = 10, "control reached a place marked as unreachable";
    /// The translator placed a trap; the value is its code.
    Explicit = 11, "the code reached a trap";
    /// The module called abort, or an assertion failed.
    Abort = 12, "the module called abort";
    /// The fuel that the host gave is spent.
    OutOfFuel = 13, "the fuel is spent (endless loop?)";
    /// The host stopped the instance.
    Stopped = 14, "the instance was stopped";
    /// free or realloc of something that is no live block of this module's heap; the value is the address.
    HeapMisuse = 15, "free or realloc of a pointer that is no live heap block";
    /// A host function was called against its contract: see [`Trap::import`] and [`Trap::argument`]; the value is the argument's.
    Contract = 16, "a host function was called with an argument that its contract forbids";
    /// Callbacks and host functions call each other too deeply.
    EntryDepth = 17, "callbacks are nested too deeply";
    /// The host entered a function with arguments that do not fit its signature, or one that does not exist.
    Entry = 18, "the host called a function that the module does not have, or with arguments that do not fit it";
    /// An opcode byte without meaning was met: impossible in verified code, so memory or flash is damaged.
    IllegalInstruction = 19, "the module's code is damaged";
    /// The host could not do what an import asks for; the value is the host's own code.
    Host = 20, "a host function failed in a way the module cannot handle";
    /// The heap has no room for a task's thread-local variables; the value is their size.
    ThreadLocal = 21, "the heap has no room for the task's thread-local variables";
    /// longjmp to a setjmp whose function has returned, or of another task; the value is the address of the jmp_buf.
    LongJump = 22, "longjmp to a place that is gone";
}

/// An instance's end: the reason and, once the interpreter has filled it in, the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    /// The reason.
    pub kind: TrapKind,
    /// Position of the argument that breaks a contract, from 0.
    pub argument: u8,
    /// Index of the import concerned, else [`NONE`].
    pub import: u16,
    /// Index of the function that was running, else [`NONE`].
    pub function: u16,
    /// Byte offset of the instruction in the code section.
    pub offset: u32,
    /// Address, exit code or other detail; what it is stands at each kind.
    pub value: u32,
}

impl Trap {
    /// A trap whose place is not known yet.
    #[cold]
    pub const fn new(kind: TrapKind, value: u32) -> Self {
        Self { kind, argument: 0, import: NONE, function: NONE, offset: 0, value }
    }

    /// The module calls `exit(code)`.
    #[cold]
    pub const fn exit(code: i32) -> Self {
        Self::new(TrapKind::Exit, code as u32)
    }

    /// A host function was given a value that its contract forbids for this argument.
    #[cold]
    pub const fn contract(import: u16, argument: u8, value: u32) -> Self {
        Self { argument, import, ..Self::new(TrapKind::Contract, value) }
    }

    /// The exit code, where this is an orderly end.
    pub fn exit_code(&self) -> Option<i32> {
        (self.kind == TrapKind::Exit).then_some(self.value as i32)
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.text())?;
        match self.kind {
            TrapKind::Exit => write!(f, "({})", self.value as i32),
            TrapKind::Load
            | TrapKind::Store
            | TrapKind::StackPointer
            | TrapKind::IndirectCall
            | TrapKind::IndirectSignature
            | TrapKind::HeapMisuse
            | TrapKind::LongJump => write!(f, ": {:#010x}", self.value),
            TrapKind::Contract => {
                write!(f, ": argument {} of import {} is {:#x}", self.argument, self.import, self.value)
            }
            TrapKind::Explicit | TrapKind::Host => write!(f, " (code {})", self.value),
            _ => Ok(()),
        }
    }
}

impl core::error::Error for Trap {}
