//! Several inputs become one program.
//!
//! Must never hold: anything about a single input, see `input`.

use super::super::llvm::{Context, Module, SymbolLinkage, Value};
use super::stop_at_errors;
use crate::diagnostic::{Diagnostic, Place};
use std::collections::HashMap;

/// Inputs that are one module already.
struct Linked<'a, 'c> {
    names: Vec<&'a str>,
    module: Module<'c>,
}

/// Links the inputs in order; LLVM's warnings go to `warnings`.
///
/// Neighbours are linked in pairs, then pairs of pairs: LLVM's linker looks through all of the module that it adds to, so that adding one file
/// after the other would take time by the square of their number.
pub(super) fn link<'c>(
    context: &'c Context,
    inputs: Vec<(&str, Module<'c>)>,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Module<'c>, Vec<Diagnostic>> {
    check_duplicates(&inputs)?;
    let mut row: Vec<Linked<'_, 'c>> =
        inputs.into_iter().map(|(name, module)| Linked { names: vec![name], module }).collect();
    while row.len() > 1 {
        let mut next = Vec::with_capacity(row.len().div_ceil(2));
        let mut modules = row.into_iter();
        while let Some(first) = modules.next() {
            next.push(match modules.next() {
                Some(second) => pair(context, first, second, warnings)?,
                None => first,
            });
        }
        row = next;
    }
    row.pop().map(|linked| linked.module).ok_or_else(|| {
        let help = "name at least one .ll or .bc file";
        vec![Diagnostic::error("espb::ir::empty_input", "there is no input", Place::None, help)]
    })
}

fn pair<'a, 'c>(
    context: &'c Context,
    mut first: Linked<'a, 'c>,
    second: Linked<'a, 'c>,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Linked<'a, 'c>, Vec<Diagnostic>> {
    let linked = first.module.link(second.module);
    let place = || Place::File(second.names.join(", "));
    let mut diagnostics = Vec::new();
    for message in context.take_messages() {
        diagnostics.push(if message.error {
            let help = "compile all inputs with the same options of the same compiler";
            Diagnostic::error("espb::ir::link", message.text, place(), help)
        } else {
            let help = "compile all inputs with the same options if this matters";
            Diagnostic::warning("espb::ir::llvm_warning", message.text, place(), help)
        });
    }
    warnings.extend(stop_at_errors(diagnostics)?);
    if !linked {
        let message = format!("{} does not link with the inputs before it", second.names.join(", "));
        let help = "compile all inputs with the same options of the same compiler";
        return Err(vec![Diagnostic::error("espb::ir::link", message, place(), help)]);
    }
    first.names.extend(second.names);
    Ok(first)
}

/// Refuses names that two inputs define for everybody, before LLVM does it without saying where.
fn check_duplicates(inputs: &[(&str, Module<'_>)]) -> Result<(), Vec<Diagnostic>> {
    let mut defined: HashMap<String, &str> = HashMap::new();
    let mut diagnostics = Vec::new();
    for (input, module) in inputs {
        for symbol in symbols(module) {
            if symbol.is_declaration() || symbol.linkage() != SymbolLinkage::LLVMExternalLinkage {
                continue;
            }
            let name = symbol.name();
            if let Some(first) = defined.get(&name) {
                diagnostics.push(Diagnostic::error(
                    "espb::ir::duplicate_symbol",
                    format!("`{name}` is defined in {first} and again in {input}"),
                    definition_place(module, symbol).unwrap_or_else(|| Place::File((*input).to_owned())),
                    "rename one of them or make it `static`; if an input was named twice, drop one",
                ));
            } else {
                defined.insert(name, input);
            }
        }
    }
    if diagnostics.is_empty() { Ok(()) } else { Err(diagnostics) }
}

fn symbols<'m>(module: &'m Module<'_>) -> impl Iterator<Item = Value<'m>> {
    module.functions().map(|function| function.value()).chain(module.globals()).chain(module.aliases())
}

/// The C line of a definition, if there is debug information.
fn definition_place(module: &Module<'_>, symbol: Value<'_>) -> Option<Place> {
    let name = symbol.name();
    let function = module.functions().find(|function| function.value().name() == name);
    let node = match function {
        Some(function) => function.subprogram(module)?,
        None => module.global(&name)?.variable_debug(module)?,
    };
    // Of both a subprogram's and a variable's operands, the first file node is the place of the definition.
    let file = node.operands().into_iter().flatten().find_map(|operand| operand.node()?.file())?;
    Some(Place::Line { file: file.0, line: node.line(), column: 0 })
}

/// Refuses roots that nothing defines.
pub(super) fn check_roots(program: &Module<'_>, roots: &[String], place: &Place) -> Result<(), Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    for root in roots {
        let found = symbols(program).find(|symbol| symbol.name() == *root);
        if found.is_some_and(|symbol| !symbol.is_declaration()) {
            continue;
        }
        let message = match found {
            Some(_) => format!("`{root}` is declared and used, but no input defines it"),
            None => format!("no input defines `{root}`"),
        };
        let mut defined: Vec<String> = program
            .functions()
            .filter(|function| !function.value().is_declaration())
            .filter(|function| function.value().linkage() == SymbolLinkage::LLVMExternalLinkage)
            .map(|function| function.value().name())
            .collect();
        defined.sort_unstable_by_key(|name| (distance(name, root), name.clone()));
        defined.truncate(3);
        let help = match defined.as_slice() {
            [] => "the inputs define no function that is not `static`; pass the file that defines it".to_owned(),
            names => format!(
                "pass the file that defines it, or name another function with --entry or --export, e.g. {}",
                names.join(", ")
            ),
        };
        diagnostics.push(Diagnostic::error("espb::ir::missing_symbol", message, place.clone(), help));
    }
    if diagnostics.is_empty() { Ok(()) } else { Err(diagnostics) }
}

/// Edits (insert, delete, replace) between two names.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, a) in from.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        for (b, above) in to.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = *above;
            left = replaced.min(left + 1).min(*above + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}
