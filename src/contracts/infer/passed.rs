//! What the calls of an import pass: constants, functions of the program, and addresses of its objects.
//!
//! Says what is there, not what it means.

use super::lifetime::{self, Before, ReadAfter};
use crate::ir::{
    Call, Callee, Constant, ConstantKind, FuncId, Function, FunctionType, Global, InstructionKind, Module, Operand,
    Symbol, SymbolAddress, Type, ValueId,
};
use espb_format::signature::Signature;

/// What one call passes as one argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passed {
    /// The null pointer.
    Null,
    /// A number known now.
    Number(u32),
    /// A terminated string that is never written, without its terminator.
    Literal(Vec<u8>),
    /// The address of an object, with bytes to its end, and what the program does with it.
    Object { size: u32, before: Before, read_after: ReadAfter, lasting: bool },
    /// A function of the program.
    Function(Option<Signature>),
    /// Something else.
    Other,
}

/// What all calls of an import pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassedArguments {
    /// For each call its arguments, variadic ones included.
    pub calls: Vec<Vec<Passed>>,
}

impl PassedArguments {
    /// Looks at every direct call of `import`.
    pub fn gather(module: &Module, import: FuncId, signature_of: &dyn Fn(&FunctionType) -> Option<Signature>) -> Self {
        let mut calls = Vec::new();
        for function in &module.functions {
            for (block, contents) in function.blocks() {
                for (index, instruction) in contents.instructions.iter().enumerate() {
                    let InstructionKind::Call(call) = &instruction.kind else { continue };
                    if matches!(call.callee, Callee::Function(callee) if callee == import) {
                        let look = Look { module, function, import, at: (block, index), signature_of };
                        calls.push(look.arguments(call));
                    }
                }
            }
        }
        Self { calls }
    }

    /// What each call passes as parameter `index`.
    pub fn of(&self, index: usize) -> impl Iterator<Item = &Passed> {
        self.calls.iter().filter_map(move |arguments| arguments.get(index))
    }

    /// Whether some call passes null.
    pub fn null(&self, index: usize) -> bool {
        self.of(index).any(|passed| *passed == Passed::Null)
    }

    /// Whether there are calls and all of them pass something for which `is` holds, or null, but not only null.
    pub fn all(&self, index: usize, is: impl Fn(&Passed) -> bool) -> bool {
        self.of(index).all(|passed| *passed == Passed::Null || is(passed)) && self.of(index).any(is)
    }

    /// Whether there are calls and all of them pass null.
    pub fn only_null(&self, index: usize) -> bool {
        self.null(index) && self.of(index).all(|passed| *passed == Passed::Null)
    }

    /// Whether whatever is passed lives as long as the program.
    pub fn lasting(&self, index: usize) -> bool {
        self.of(index).all(|passed| match passed {
            Passed::Null | Passed::Literal(_) => true,
            Passed::Object { lasting, .. } => *lasting,
            _ => false,
        })
    }

    /// The size of the object behind the argument, if every call passes one and all are of one size.
    pub fn size(&self, index: usize) -> Option<u32> {
        let mut sizes = self.of(index).filter(|passed| **passed != Passed::Null).map(|passed| match passed {
            Passed::Object { size, .. } => Some(*size),
            Passed::Literal(text) => u32::try_from(text.len() + 1).ok(),
            _ => None,
        });
        let first = sizes.next()??;
        sizes.all(|size| size == Some(first)).then_some(first)
    }
}

struct Look<'a> {
    module: &'a Module,
    function: &'a Function,
    import: FuncId,
    at: lifetime::Position,
    signature_of: &'a dyn Fn(&FunctionType) -> Option<Signature>,
}

impl Look<'_> {
    fn arguments(&self, call: &Call) -> Vec<Passed> {
        call.arguments.iter().map(|argument| self.argument(&argument.operand)).collect()
    }

    fn argument(&self, operand: &Operand) -> Passed {
        match operand {
            Operand::Value(value) => self.stack(*value).unwrap_or(Passed::Other),
            Operand::Constant(constant) => self.constant(constant),
        }
    }

    fn constant(&self, constant: &Constant) -> Passed {
        match &constant.kind {
            ConstantKind::Zero => Passed::Null,
            ConstantKind::Int(0) if *self.module.types.get(constant.ty) == Type::Pointer => Passed::Null,
            ConstantKind::Int(bits) => u32::try_from(*bits).map_or(Passed::Other, Passed::Number),
            ConstantKind::Address(SymbolAddress { symbol: Symbol::Function(id), offset: 0 }) => {
                Passed::Function(self.module.function(*id).and_then(|function| (self.signature_of)(&function.ty)))
            }
            ConstantKind::Address(SymbolAddress { symbol: Symbol::Global(id), offset }) => self
                .module
                .global(*id)
                .and_then(|global| {
                    let skipped = usize::try_from(*offset).ok()?;
                    let size = global.size.checked_sub(u32::try_from(skipped).ok()?).filter(|size| *size > 0)?;
                    Some(literal(global, skipped).unwrap_or_else(|| {
                        let (before, read_after) = lifetime::of_global(self.module, self.import, *id);
                        Passed::Object { size, before, read_after, lasting: true }
                    }))
                })
                .unwrap_or(Passed::Other),
            _ => Passed::Other,
        }
    }

    fn stack(&self, value: ValueId) -> Option<Passed> {
        let mut root = value;
        let mut skipped = 0_i32;
        loop {
            match lifetime::definition(self.function, root)? {
                InstructionKind::Alloca { size, .. } => {
                    let size = size.checked_sub(u32::try_from(skipped).ok()?).filter(|size| *size > 0)?;
                    let (before, read_after) =
                        lifetime::of_stack(self.module, self.function, self.import, root, self.at);
                    return Some(Passed::Object { size, before, read_after, lasting: false });
                }
                InstructionKind::Address { base: Operand::Value(base), offset, indices, .. } if indices.is_empty() => {
                    skipped = skipped.checked_add(*offset)?;
                    root = *base;
                }
                _ => return None,
            }
        }
    }
}

/// The text at `skipped` of a constant that ends with its only zero byte.
fn literal(global: &Global, skipped: usize) -> Option<Passed> {
    let initializer = global.initializer.as_ref().filter(|_| global.constant)?;
    let bytes = match &initializer.kind {
        ConstantKind::Bytes(bytes) => bytes.get(skipped..)?,
        ConstantKind::Zero if global.size == 1 => &[0],
        _ => return None,
    };
    let (last, text) = bytes.split_last()?;
    (*last == 0 && !text.contains(&0)).then(|| Passed::Literal(text.to_vec()))
}
