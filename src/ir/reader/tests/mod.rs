//! What a user can rely on when IR is read; the inputs are cut from clang 22's output.
//!
//! Must never hold: bitcode or other binary data.

mod code;
mod data;
mod debug;
mod loops;
mod refusals;
mod runtime;

use super::{Input, Request, read};
use crate::diagnostic::Diagnostic;
use crate::ir::{Constant, ConstantKind, Function, Instruction, InstructionKind, Module};

/// A request with the texts as `a.ll`, `b.ll`…
fn request(texts: &[&str], roots: &[&str]) -> Request {
    let inputs = (b'a'..).zip(texts);
    Request {
        inputs: inputs
            .map(|(name, text)| Input { name: format!("{}.ll", name as char), bytes: (*text).into() })
            .collect(),
        roots: roots.iter().map(|root| (*root).to_owned()).collect(),
    }
}

/// Reads a text as of a file that was compiled for size: what was compiled for speed, LLVM optimises further.
fn module(text: &str) -> Module {
    read(&request(&[&text.replace(") {", ") optsize {")], &[])).expect("the text is good IR").module
}

fn errors(texts: &[&str], roots: &[&str]) -> Vec<Diagnostic> {
    read(&request(texts, roots)).expect_err("the text must be refused")
}

fn function<'a>(module: &'a Module, name: &str) -> &'a Function {
    module.function_named(name).and_then(|id| module.function(id)).expect("the function is there")
}

fn instructions(function: &Function) -> Vec<&Instruction> {
    function.blocks.iter().flat_map(|block| &block.instructions).collect()
}

fn kinds(function: &Function) -> Vec<&InstructionKind> {
    instructions(function).into_iter().map(|instruction| &instruction.kind).collect()
}

fn initializer<'a>(module: &'a Module, name: &str) -> &'a Constant {
    let global = module.globals.iter().find(|global| global.name == name).expect("the variable is there");
    global.initializer.as_ref().expect("the variable is initialised")
}

/// Symbol name and offset of an address.
fn address<'a>(module: &'a Module, constant: &Constant) -> (&'a str, i32) {
    let ConstantKind::Address(address) = constant.kind else { panic!("no address: {constant:?}") };
    let name = match address.symbol {
        crate::ir::Symbol::Function(id) => &module.function(id).expect("a function").name,
        crate::ir::Symbol::Global(id) => &module.global(id).expect("a variable").name,
    };
    (name, address.offset)
}
