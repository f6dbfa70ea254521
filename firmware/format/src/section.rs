//! The kinds of section. Never here: what is in them.

macro_rules! sections {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $text:literal;)+) => {
        /// The kinds of section. In a module they stand in ascending order, each at most once.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum SectionKind { $($(#[doc = $doc])+ $name = $code,)+ }

        impl SectionKind {
            /// All kinds in ascending order.
            pub const ALL: &'static [SectionKind] = &[$(SectionKind::$name,)+];

            /// Its name in listings and in specs/format.md.
            pub const fn name(self) -> &'static str {
                match self { $(SectionKind::$name => $text,)+ }
            }

            /// The kind with this number.
            pub const fn from_code(code: u16) -> Option<SectionKind> {
                match code { $($code => Some(SectionKind::$name),)+ _ => None }
            }
        }
    };
}

sections! {
    /// [`crate::record::Limits`]; required.
    Limits = 1, "limits";
    /// Array of encoded [`crate::signature::Signature`]s.
    Signatures = 2, "signatures";
    /// Array of [`crate::record::Import`] records, 8 bytes each.
    Imports = 3, "imports";
    /// NUL-terminated UTF-8 names of imports and exports.
    Strings = 4, "strings";
    /// Array of [`crate::record::Function`] records, 8 bytes each, by ascending code offset.
    Functions = 5, "functions";
    /// Function indices (u16) whose address is taken: each is bound to a thunk at load.
    Callbacks = 6, "callbacks";
    /// Function indices (u16) to call, in order, before the entry.
    Constructors = 7, "constructors";
    /// Array of [`crate::record::Export`] records, 4 bytes each.
    Exports = 8, "exports";
    /// Encoded callback parameters of imports (specs/contracts.md).
    CallbackMeta = 9, "cbmeta";
    /// Encoded marshalling of imports' pointer arguments (specs/contracts.md).
    MarshalMeta = 10, "immeta";
    /// Instruction words.
    Code = 11, "code";
    /// Constant data, read in place.
    Constants = 12, "rodata";
    /// Initial contents of the start of linear memory.
    Data = 13, "data";
    /// Array of [`crate::record::Relocation`] words, by ascending offset.
    Relocations = 14, "relocations";
    /// [`crate::thread_local::ThreadLocal`], where the module has thread-local variables.
    ThreadLocal = 15, "tls";
    /// Names of functions, NUL-terminated, in index order. Strippable.
    Names = 32, "names";
    /// Line table (specs/format.md). Strippable.
    Lines = 33, "lines";
    /// Why imports have their contracts: [`crate::evidence`]. Strippable.
    Evidence = 34, "evidence";
}

impl SectionKind {
    /// Whether a module runs without it just as well.
    pub const fn is_strippable(self) -> bool {
        self as u16 >= SectionKind::Names as u16
    }

    /// Whether a section of this kind can have this many bytes: a whole number of records, as many as an index can name.
    pub(crate) fn allows(self, size: usize) -> bool {
        use SectionKind::*;
        let (record, most) = match self {
            Limits => (crate::record::Limits::SIZE, 1),
            ThreadLocal => (crate::thread_local::ThreadLocal::SIZE, 1),
            Signatures | Imports | Functions => (8, usize::from(crate::container::NONE)),
            Exports => (4, usize::from(crate::container::NONE)),
            Code | Relocations => (4, usize::MAX / 4),
            Callbacks | Constructors => (2, usize::MAX / 4),
            Strings | CallbackMeta | MarshalMeta | Constants | Data | Names | Lines | Evidence => (1, usize::MAX / 4),
        };
        size > 0 && size.is_multiple_of(record) && size <= record * most
    }
}
