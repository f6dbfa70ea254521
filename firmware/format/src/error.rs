//! Why a module was refused, and where.

use core::fmt;

/// A refusal: the reason and the byte offset in the module where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// What rule is broken.
    pub reason: Reason,
    /// Byte offset from the start of the module.
    pub offset: u32,
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $text:literal;)+) => {
        /// The rule that a refused module breaks. The number is stable and travels over the link.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Reason { $($(#[doc = $doc])+ $name = $code,)+ }

        impl Reason {
            /// Every reason, in the order of their codes.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)+];

            /// The rule in words, without a full stop.
            pub const fn text(self) -> &'static str {
                match self { $(Reason::$name => $text,)+ }
            }

            /// The reason with this code.
            pub const fn from_code(code: u8) -> Option<Reason> {
                match code { $($code => Some(Reason::$name),)+ _ => None }
            }
        }
    };
}

reasons! {
    /// Not even a header, or a section that goes past the end.
    Truncated = 1, "the module is cut short";
    /// The first four bytes are not `ESPB`.
    Magic = 2, "this is not an ESPB module";
    /// A version that this reader does not know.
    Version = 3, "the module has a format version that is not supported";
    /// The length in the header is not the length of the file.
    Length = 4, "the length in the header does not match the module";
    /// The checksum does not fit.
    Checksum = 5, "the checksum does not match: the module is damaged";
    /// Sections are out of order, duplicated, unknown, or missing.
    Section = 6, "a section is unknown, duplicated, out of order or missing";
    /// A section's size does not fit its kind.
    SectionSize = 7, "a section has a size that its kind does not allow";
    /// A signature with too many parameters or stray bits.
    Signature = 8, "a signature is malformed";
    /// An index into a table is past its end.
    Index = 9, "an index points past the end of its table";
    /// A string is not terminated, not UTF-8 or empty.
    Name = 10, "a name is empty, unterminated or not UTF-8";
    /// A function's code range, frame or linear frame is impossible.
    Function = 11, "a function's code range or frame is malformed";
    /// No such opcode.
    Opcode = 12, "there is no such opcode";
    /// A register outside the frame, or not a multiple of four.
    Register = 13, "a register lies outside its function's frame";
    /// A branch to a place that is not an instruction of the same function.
    Target = 14, "a branch target is not an instruction of the same function";
    /// A direct access or address outside its region.
    Displacement = 15, "a direct address lies outside its region";
    /// A call whose window or arity does not fit the callee.
    Call = 16, "a call does not fit its callee";
    /// A return that does not fit the function's signature.
    Return = 17, "a return does not fit the function's result";
    /// Control runs past the end of a function.
    FallThrough = 18, "control runs past the end of a function";
    /// An extension word is missing or stands where none belongs.
    Extension = 19, "an extension word is missing or misplaced";
    /// A relocation is out of order, outside the data or of unknown kind.
    Relocation = 20, "a relocation is malformed";
    /// The declared memory is impossible.
    Limits = 21, "the declared memory sizes are impossible";
    /// Metadata of an import cannot be decoded.
    Metadata = 22, "the metadata of an import is malformed";
    /// A field that must be zero is not.
    Reserved = 23, "a reserved field is not zero";
    /// The template of the thread-local variables does not fit the data or its block.
    ThreadLocal = 24, "the record of thread-local variables is malformed";
    /// Exports do not ascend by name, so one name may stand for two functions.
    Order = 25, "the exports are not in the order of their names, each once";
    /// The code of a pair in front of another instruction than its second, or of one with another register than its first writes.
    Pair = 26, "an instruction is marked as the first of a pair that it does not make with the next";
    /// Modules are read by words.
    Alignment = 27, "the module does not lie at a multiple of 4";
}

impl FormatError {
    /// A refusal at `offset`.
    #[cold]
    pub const fn new(reason: Reason, offset: u32) -> Self {
        Self { reason, offset }
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at offset {:#x})", self.reason.text(), self.offset)
    }
}

impl core::error::Error for FormatError {}
