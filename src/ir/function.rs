//! Functions and basic blocks, with dense ids.
//!
//! Must never hold: analyses (liveness, dominators); those belong to the code generator.

use super::attributes::{FunctionAttributes, ParameterAttributes};
use super::constant::Constant;
use super::debug::{DebugLocation, DebugSubprogram};
use super::instruction::{Instruction, Operand, Phi, Terminator};
use super::types::{FunctionType, TypeId};
use serde::{Deserialize, Serialize};

/// Index into [`super::Module::functions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FuncId(pub u32);

/// A value of a function: first its parameters in order, then the results of instructions.
/// Dense: every id below [`Function::value_types`]`.len()` is defined exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ValueId(pub u32);

/// Index into [`Function::blocks`]; block 0 is the entry and has no predecessors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlockId(pub u32);

/// How a symbol binds at link time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Linkage {
    /// Seen from outside the module: the entry, exports and roots; or, of a declaration, an import.
    External,
    /// A declaration that may stay unresolved; its address is then null.
    ExternalWeak,
    /// Private to the module.
    Internal,
}

/// Visibility written in the source (`__attribute__((visibility("…")))`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Visibility {
    /// The default.
    Default,
    /// Hidden or protected.
    Hidden,
}

/// A function, defined or declared. Intrinsics are not listed, see [`super::Callee::Intrinsic`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Name as the linker sees it.
    pub name: String,
    /// Binding.
    pub linkage: Linkage,
    /// Visibility.
    pub visibility: Visibility,
    /// `__attribute__((section("…")))`.
    pub section: Option<String>,
    /// Result, parameter types and whether it is variadic.
    pub ty: FunctionType,
    /// The id of `ty` as a [`super::Type::Function`], equal for equal signatures.
    pub type_id: TypeId,
    /// Parameters in order; parameter `i` is `ValueId(i)`.
    pub parameters: Vec<Parameter>,
    /// Attributes of the result.
    pub result_attributes: ParameterAttributes,
    /// Attributes of the function.
    pub attributes: FunctionAttributes,
    /// The type of each value.
    pub value_types: Vec<TypeId>,
    /// Blocks in LLVM's order, the entry first; empty for a declaration.
    pub blocks: Vec<BasicBlock>,
    /// The function as the source declares it, if there is debug information.
    pub debug: Option<DebugSubprogram>,
}

/// A parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Name in the IR, empty if none.
    pub name: String,
    /// Type.
    pub ty: TypeId,
    /// Attributes.
    pub attributes: ParameterAttributes,
}

/// Straight code with one entrance and one end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BasicBlock {
    /// Name in the IR, empty if none.
    pub name: String,
    /// Values chosen by the predecessor; all are evaluated at once on the edge.
    pub phis: Vec<Phi>,
    /// The code.
    pub instructions: Vec<Instruction>,
    /// Where control goes.
    pub terminator: Terminator,
    /// The terminator's place in the source.
    pub terminator_location: Option<DebugLocation>,
    /// Whether some constant holds this block's address ([`super::ConstantKind::BlockAddress`]).
    pub address_taken: bool,
}

impl Function {
    /// Whether it has no body here.
    pub fn is_declaration(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The type of an operand; `None` for a value id of another function.
    pub fn type_of(&self, operand: &Operand) -> Option<TypeId> {
        match operand {
            Operand::Value(value) => self.value_types.get(value.0 as usize).copied(),
            Operand::Constant(Constant { ty, .. }) => Some(*ty),
        }
    }

    /// Blocks with their ids.
    pub fn blocks(&self) -> impl Iterator<Item = (BlockId, &BasicBlock)> {
        self.blocks.iter().enumerate().map(|(index, block)| (BlockId(index as u32), block))
    }
}
