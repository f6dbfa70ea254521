//! The run-time library that compiled C++ (and `atexit`) expects, written in IR and linked where a program needs it.
//!
//! It is here and not in the firmware, so that a module runs on every firmware and what it does not use costs nothing.
//! Must never hold: functions of the C library; those are the host's.

use super::super::llvm::{Context, Module};
use super::normalise::failure;
use crate::diagnostic::Diagnostic;
use std::collections::HashSet;

/// operator new and delete, guards of static locals, type information, calls that must not happen.
const CXX: &str = include_str!("runtime/cxx.ll");
/// What runs at exit, for programs that call it and for those that do not.
const EXIT: &str = include_str!("runtime/exit.ll");
const NO_EXIT: &str = include_str!("runtime/no_exit.ll");

/// The host's function, and the one that first does what was registered for the end.
const HOST_EXIT: &str = "exit";
const OWN_EXIT: &str = "__espb_exit";

/// Adds what the program declares and does not define.
pub(super) fn link<'c>(context: &'c Context, program: &mut Module<'c>) -> Result<(), Diagnostic> {
    if needed(context, program, NO_EXIT)? {
        let exits = declared(program).contains(HOST_EXIT);
        if exits {
            program.rename_declaration(HOST_EXIT, OWN_EXIT);
        }
        add(context, program, if exits { EXIT } else { NO_EXIT })?;
    }
    if needed(context, program, CXX)? {
        add(context, program, CXX)?;
    }
    Ok(())
}

fn parse<'c>(context: &'c Context, text: &str) -> Result<Module<'c>, Diagnostic> {
    context.parse(text.as_bytes()).map_err(|message| failure(&message))
}

/// Whether the program lacks something that the library defines.
fn needed(context: &Context, program: &Module<'_>, text: &str) -> Result<bool, Diagnostic> {
    let missing = declared(program);
    if missing.is_empty() {
        return Ok(false);
    }
    let library = parse(context, text)?;
    let symbols = library.functions().map(|function| function.value()).chain(library.globals());
    Ok(symbols.filter(|symbol| !symbol.is_declaration()).any(|symbol| missing.contains(&symbol.name())))
}

fn declared(program: &Module<'_>) -> HashSet<String> {
    let symbols = program.functions().map(|function| function.value()).chain(program.globals());
    symbols.filter(|symbol| symbol.is_declaration()).map(|symbol| symbol.name()).collect()
}

fn add<'c>(context: &'c Context, program: &mut Module<'c>, text: &str) -> Result<(), Diagnostic> {
    let library = parse(context, text)?;
    if program.link(library) {
        return Ok(());
    }
    let messages: Vec<String> = context.take_messages().into_iter().map(|message| message.text).collect();
    Err(failure(&messages.join("; ")))
}
