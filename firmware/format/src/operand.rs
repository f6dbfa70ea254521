//! Operand kinds: what a field of an instruction means, where it lies and what the verifier has to check.
//!
//! An instruction is one 32-bit little-endian word: opcode in bits 0..=7, then the byte fields a (8..=15), b (16..=23), c (24..=31).
//! Operands fill the fields from a on in the order of the opcode table; a 16-bit operand takes b and c, a 24-bit one a, b and c.
//! A *wide* operand has its low 8 bits in c and its high 24 bits in the upper bits of the *extension word* that follows,
//! whose opcode byte is [`crate::opcode::EXTENSION`]. So every word says by its first byte whether it starts an instruction.

/// Highest number of register slots that a frame can have.
pub const MAX_SLOTS: u8 = 64;

/// A register: a 32-bit slot of the current frame, 0..=63. Encoded as slot × 4, the byte distance from the frame pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Register(u8);

impl Register {
    /// The register of this slot, or `None` past [`MAX_SLOTS`].
    pub const fn new(slot: u8) -> Option<Self> {
        if slot < MAX_SLOTS { Some(Self(slot)) } else { None }
    }

    /// The slot, 0..=63.
    pub const fn slot(self) -> u8 {
        self.0
    }

    /// The encoded byte.
    pub const fn byte(self) -> u8 {
        self.0 * 4
    }

    /// The register that a field names; `None` where the byte is not a multiple of four.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        if byte.is_multiple_of(4) { Some(Self(byte / 4)) } else { None }
    }
}

/// Where an operand lies in the instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// One byte field: the next of a, b, c.
    Byte,
    /// b and c.
    Half,
    /// a, b and c.
    Whole,
    /// c and the extension word: 32 bits.
    Wide,
    /// The upper 16 bits of the extension word; the byte between them and the first one repeats field a.
    Extension,
}

/// What an operand means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// 32-bit register, written.
    W32,
    /// 64-bit register pair, written.
    W64,
    /// 32-bit register, read.
    R32,
    /// 64-bit register pair, read.
    R64,
    /// 32-bit register, read and perhaps written.
    X32,
    /// 64-bit register pair, read and perhaps written.
    X64,
    /// Signed 8-bit immediate.
    I8,
    /// Unsigned 8-bit immediate.
    U8,
    /// Shift distance, 0..=31.
    Shift32,
    /// Shift distance, 0..=63.
    Shift64,
    /// Signed 16-bit immediate.
    I16,
    /// 32-bit immediate.
    I32,
    /// Unsigned 8-bit displacement in units of the given access width in bytes.
    Displacement(u8),
    /// Unsigned 16-bit displacement from the linear stack pointer, in units of the given width; inside the function's linear frame.
    Stack(u8),
    /// Unsigned 16-bit displacement from the start of linear memory, in units of the given width; inside data and bss.
    Static(u8),
    /// Unsigned 16-bit byte offset of an address in the function's linear frame (its end included).
    StackAddress,
    /// Unsigned 16-bit byte offset of an address in data and bss (their end included).
    StaticAddress,
    /// Unsigned 16-bit byte offset of an address in constant data (its end included).
    ConstantAddress,
    /// Unsigned 16-bit byte offset of an address in the task's thread-local block (its end included).
    ThreadLocalAddress,
    /// Branch distance in words from this instruction, signed 8-bit.
    Target8,
    /// The same, 16-bit.
    Target16,
    /// The same, 24-bit.
    Target24,
    /// First register of a call's window: arguments from here on, result in the same place. At least slot 2 (the link lies below).
    Window,
    /// 16-bit function index.
    Function,
    /// 16-bit import index.
    Import,
    /// 16-bit index into the table of address-taken functions.
    Callback,
    /// 16-bit signature index in the extension word.
    Signature,
    /// Number of extension words that follow as jump table; each holds a 24-bit signed target.
    TableLength,
    /// Trap code chosen by the translator.
    TrapCode,
}

impl Operand {
    /// Where it lies.
    pub const fn field(self) -> Field {
        use Operand::*;
        match self {
            W32 | W64 | R32 | R64 | X32 | X64 | I8 | U8 | Shift32 | Shift64 | Displacement(_) | Target8 | Window
            | TrapCode => Field::Byte,
            I16 | Stack(_) | Static(_) | StackAddress | StaticAddress | ConstantAddress | ThreadLocalAddress
            | Target16 | Function | Import | Callback | TableLength => Field::Half,
            Target24 => Field::Whole,
            I32 => Field::Wide,
            Signature => Field::Extension,
        }
    }

    /// Whether the field is read as a two's complement number.
    pub const fn is_signed(self) -> bool {
        use Operand::*;
        matches!(self, I8 | I16 | I32 | Target8 | Target16 | Target24)
    }

    /// Register slots it names: 0 for what is not a register.
    pub const fn slots(self) -> u8 {
        use Operand::*;
        match self {
            W32 | R32 | X32 => 1,
            W64 | R64 | X64 => 2,
            _ => 0,
        }
    }

    /// Whether it is a branch distance.
    pub const fn is_target(self) -> bool {
        use Operand::*;
        matches!(self, Target8 | Target16 | Target24)
    }
}
