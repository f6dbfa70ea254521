//! The whole linked program.
//!
//! Must never hold: anything per instruction; see `function` and `instruction`.

use super::constant::{Constant, Symbol, SymbolAddress};
use super::debug::{DebugType, DebugTypeId, FileId, SourceFile};
use super::function::{FuncId, Function, Linkage, Visibility};
use super::types::{TypeId, TypeTable};
use serde::{Deserialize, Serialize};

/// Index into [`Module::globals`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GlobalId(pub u32);

/// A linked program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// All types.
    pub types: TypeTable,
    /// Functions, defined and declared, without intrinsics.
    pub functions: Vec<Function>,
    /// Variables, defined and declared, without LLVM's own (`llvm.*`).
    pub globals: Vec<Global>,
    /// Other names of functions and variables; operands never refer to them.
    pub aliases: Vec<Alias>,
    /// To run before the entry, in order. Destructor functions are registered by constructors.
    pub constructors: Vec<Constructor>,
    /// `__attribute__((annotate("…")))` on functions and variables.
    pub annotations: Vec<Annotation>,
    /// Source files that places refer to.
    pub files: Vec<SourceFile>,
    /// C types that debug information describes.
    pub debug_types: Vec<DebugType>,
    /// Language of the first compile unit, if there is debug information.
    pub language: Option<SourceLanguage>,
    /// The compiler, as it names itself; empty if unknown.
    pub producer: String,
}

/// Family of the source language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceLanguage {
    C,
    Cpp,
    Rust,
    Other,
}

/// A variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Global {
    /// Name as the linker sees it.
    pub name: String,
    /// Binding.
    pub linkage: Linkage,
    /// Visibility.
    pub visibility: Visibility,
    /// The variable's type (also of a declaration).
    pub ty: TypeId,
    /// Bytes, at least those of the type.
    pub size: u32,
    /// Alignment in bytes, a power of two.
    pub align: u32,
    /// Never written: may live in flash.
    pub constant: bool,
    /// The address does not matter, equal constants may be merged.
    pub unnamed_address: bool,
    /// One copy per thread.
    pub thread_local: bool,
    /// `__attribute__((section("…")))`.
    pub section: Option<String>,
    /// The initial value; `None` for a declaration.
    pub initializer: Option<Constant>,
    /// File and line of the definition, if there is debug information.
    pub location: Option<(FileId, u32)>,
    /// The C type, if there is debug information.
    pub debug_type: Option<DebugTypeId>,
}

/// Another name of a symbol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// Name as the linker sees it.
    pub name: String,
    /// Binding.
    pub linkage: Linkage,
    /// What it names.
    pub target: SymbolAddress,
}

/// A function of `llvm.global_ctors`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constructor {
    /// Lower runs earlier; 65535 is the default.
    pub priority: u32,
    /// Takes and returns nothing.
    pub function: FuncId,
}

/// An annotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// What is annotated.
    pub symbol: Symbol,
    /// The text.
    pub text: String,
}

impl Module {
    /// The function of `id`, `None` for an id of another module.
    pub fn function(&self, id: FuncId) -> Option<&Function> {
        self.functions.get(id.0 as usize)
    }

    /// The variable of `id`, `None` for an id of another module.
    pub fn global(&self, id: GlobalId) -> Option<&Global> {
        self.globals.get(id.0 as usize)
    }

    /// The function with that name; aliases of functions are followed.
    pub fn function_named(&self, name: &str) -> Option<FuncId> {
        let direct = self.functions.iter().position(|function| function.name == name);
        direct.map(|index| FuncId(index as u32)).or_else(|| {
            self.aliases.iter().filter(|alias| alias.name == name).find_map(|alias| match alias.target {
                SymbolAddress { symbol: Symbol::Function(id), offset: 0 } => Some(id),
                _ => None,
            })
        })
    }

    /// Functions with their ids.
    pub fn functions(&self) -> impl Iterator<Item = (FuncId, &Function)> {
        self.functions.iter().enumerate().map(|(index, function)| (FuncId(index as u32), function))
    }
}
