//! What the calls of an import show about its arguments.
//!
//! Only what is certain at every call counts: objects of known size and functions of the program. Nothing is inferred.

use crate::diagnostic::Place;
use crate::ir::{
    Callee, Constant, ConstantKind, DebugLocation, FuncId, Function, FunctionType, InstructionKind, Module, Operand,
    Symbol, SymbolAddress, Type, ValueId,
};
use espb_format::contract::Slot;
use espb_format::signature::Signature;

/// The calls of one import, taken together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calls {
    /// The first of them: the C line, else the function it is in.
    pub place: Place,
    /// For each parameter, whether it is a pointer in the IR.
    pub pointers: Vec<bool>,
    /// For each argument, what all calls agree on.
    pub facts: Vec<ArgumentFact>,
}

/// What is seen of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentFact {
    /// No call shows anything.
    Unseen,
    /// The address of an object with so many bytes from there to its end.
    Object(u32),
    /// A function of the program with this signature.
    Function(Signature),
    /// The calls do not agree, or one shows nothing.
    Differs,
}

impl Calls {
    /// Bytes behind the address that every call passes.
    #[must_use]
    pub fn object_size(&self, param: Slot) -> Option<u32> {
        match self.facts.get(usize::from(param)) {
            Some(ArgumentFact::Object(size)) => Some(*size),
            _ => None,
        }
    }

    /// The signature of the function that every call passes.
    #[must_use]
    pub fn callback_signature(&self, param: Slot) -> Option<Signature> {
        match self.facts.get(usize::from(param)) {
            Some(ArgumentFact::Function(signature)) => Some(*signature),
            _ => None,
        }
    }

    /// Looks at every direct call of `import`. `signature_of` is the code generator's, so that both mean the same; it
    /// gives `None` for types that it does not pass. Without a call, the place is the declaration's name.
    pub fn gather(module: &Module, import: FuncId, signature_of: &dyn Fn(&FunctionType) -> Option<Signature>) -> Self {
        let declared = module.functions.get(import.0 as usize);
        let pointers = declared.map_or_else(Vec::new, |function| {
            function.ty.parameters.iter().map(|ty| *module.types.get(*ty) == Type::Pointer).collect()
        });
        let name = declared.map_or_else(String::new, |function| function.name.clone());
        let mut gathered = Self { place: Place::Function(name), pointers, facts: Vec::new() };
        let mut first = true;
        for function in &module.functions {
            for instruction in function.blocks.iter().flat_map(|block| &block.instructions) {
                let InstructionKind::Call(call) = &instruction.kind else { continue };
                if !matches!(call.callee, Callee::Function(callee) if callee == import) {
                    continue;
                }
                let facts = call.arguments.iter().map(|arg| fact(module, function, &arg.operand, signature_of));
                if first {
                    gathered.place = place(module, function, instruction.location);
                    gathered.facts = facts.collect();
                    first = false;
                } else {
                    for (known, now) in gathered.facts.iter_mut().zip(facts) {
                        *known = agree(*known, now);
                    }
                }
            }
        }
        gathered
    }
}

/// What two calls show together. Of two objects neither size is certain to be meant, so they must be equal.
fn agree(known: ArgumentFact, now: ArgumentFact) -> ArgumentFact {
    if known == now { known } else { ArgumentFact::Differs }
}

fn fact(
    module: &Module,
    function: &Function,
    operand: &Operand,
    signature_of: &dyn Fn(&FunctionType) -> Option<Signature>,
) -> ArgumentFact {
    let seen = match operand {
        Operand::Value(value) => stack_object(function, *value).map(ArgumentFact::Object),
        Operand::Constant(Constant { kind: ConstantKind::Address(SymbolAddress { symbol, offset }), .. }) => {
            match symbol {
                Symbol::Function(id) if *offset == 0 => module
                    .functions
                    .get(id.0 as usize)
                    .and_then(|function| signature_of(&function.ty))
                    .map(ArgumentFact::Function),
                Symbol::Global(id) => module
                    .globals
                    .get(id.0 as usize)
                    .and_then(|global| rest(global.size, *offset))
                    .map(ArgumentFact::Object),
                Symbol::Function(_) => None,
            }
        }
        Operand::Constant(_) => None,
    };
    seen.unwrap_or(ArgumentFact::Unseen)
}

/// Bytes from `offset` to the end of an object.
fn rest(size: u32, offset: i32) -> Option<u32> {
    u32::try_from(offset).ok().and_then(|offset| size.checked_sub(offset)).filter(|rest| *rest > 0)
}

/// Bytes from a stack variable's address, or a constant distance behind it, to its end.
fn stack_object(function: &Function, value: ValueId) -> Option<u32> {
    let defining = |value: ValueId| {
        let mut all = function.blocks.iter().flat_map(|block| &block.instructions);
        all.find(|instruction| instruction.result == Some(value)).map(|instruction| &instruction.kind)
    };
    match defining(value)? {
        InstructionKind::Alloca { size, .. } => rest(*size, 0),
        InstructionKind::Address { base: Operand::Value(base), offset, indices, .. } if indices.is_empty() => {
            match defining(*base)? {
                InstructionKind::Alloca { size, .. } => rest(*size, *offset),
                _ => None,
            }
        }
        _ => None,
    }
}

fn place(module: &Module, function: &Function, location: Option<DebugLocation>) -> Place {
    location.and_then(|location| Some((module.files.get(location.file.0 as usize)?, location))).map_or_else(
        || Place::Function(function.name.clone()),
        |(file, location)| Place::Line { file: file.name.clone(), line: location.line, column: location.column },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::{Input, Request, read};
    use espb_format::signature::ValType::I32;

    const PROGRAM: &str = r#"
target datalayout = "e-m:e-p:32:32-i64:64-n32-S128"
target triple = "riscv32-esp-unknown-elf"
@table = global [40 x i8] c"0123456789012345678901234567890123456789"
declare void @once(ptr, ptr, ptr, i32, ptr)
declare void @twice(ptr, ptr, ptr)
declare void @never(ptr)
define i32 @compare(ptr %a, ptr %b) { ret i32 0 }
define i32 @other(ptr %a) { ret i32 1 }
define void @app_main(ptr %unknown) !dbg !4 {
  %small = alloca [24 x i8]
  %large = alloca [32 x i8]
  %inside = getelementptr i8, ptr %large, i32 8
  call void @once(ptr %inside, ptr getelementptr (i8, ptr @table, i32 4), ptr @compare, i32 7, ptr %unknown), !dbg !6
  call void @twice(ptr %small, ptr %small, ptr @compare), !dbg !6
  call void @twice(ptr %small, ptr %large, ptr @other)
  ret void
}
!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!2}
!0 = distinct !DICompileUnit(language: DW_LANG_C11, file: !1, producer: "test", isOptimized: true, runtimeVersion: 0, emissionKind: FullDebug)
!1 = !DIFile(filename: "main.c", directory: "")
!2 = !{i32 2, !"Debug Info Version", i32 3}
!3 = !DISubroutineType(types: !5)
!4 = distinct !DISubprogram(name: "app_main", scope: !1, file: !1, line: 10, type: !3, spFlags: DISPFlagDefinition | DISPFlagOptimized, unit: !0)
!5 = !{null}
!6 = !DILocation(line: 12, column: 3, scope: !4)
"#;

    fn gather(name: &str) -> Calls {
        let input = Input { name: "test.ll".to_owned(), bytes: PROGRAM.as_bytes().to_vec() };
        let module = read(&Request { inputs: vec![input], roots: Vec::new() }).unwrap().module;
        let Some(index) = module.functions.iter().position(|function| function.name == name) else {
            // What is never called is no import either: LLVM has dropped it.
            return Calls::gather(&module, FuncId(u32::MAX), &|_| None);
        };
        let pointers_only = |ty: &FunctionType| Signature::new(&vec![I32; ty.parameters.len()], Some(I32), ty.variadic);
        Calls::gather(&module, FuncId(u32::try_from(index).unwrap()), &pointers_only)
    }

    #[test]
    fn objects_and_functions_are_seen_through_constant_distances() {
        let calls = gather("once");
        assert_eq!(calls.place, Place::Line { file: "main.c".to_owned(), line: 12, column: 3 });
        assert_eq!(calls.pointers, [true, true, true, false, true]);
        let compare = Signature::new(&[I32, I32], Some(I32), false).unwrap();
        let expected = [
            ArgumentFact::Object(24),
            ArgumentFact::Object(36),
            ArgumentFact::Function(compare),
            ArgumentFact::Unseen,
            ArgumentFact::Unseen,
        ];
        assert_eq!(calls.facts, expected);
    }

    #[test]
    fn only_what_all_calls_agree_on_counts() {
        let calls = gather("twice");
        assert_eq!(calls.facts, [ArgumentFact::Object(24), ArgumentFact::Differs, ArgumentFact::Differs]);
        assert_eq!((calls.object_size(0), calls.object_size(1), calls.callback_signature(2)), (Some(24), None, None));
    }

    #[test]
    fn without_a_call_nothing_is_known() {
        assert_eq!(gather("never").facts, []);
    }
}
