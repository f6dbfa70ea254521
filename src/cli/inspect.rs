//! `espb inspect`: what is in a module.

use std::path::PathBuf;

use clap::Args;
use espb_format::container::{Module, SectionKind};
use espb_format::disassembler;
use espb_slots::Seal;
use serde_json::{Value, json};

use super::census;
use super::exit::Exit;
use super::explain;
use super::files;
use super::report::Reporter;
use super::verify::verify;
use crate::contracts::{Malformed, explain_module};

/// Show what is in a module
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The module
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Sections with their sizes, and declared memory (shown if nothing else is asked for)
    #[arg(long)]
    sections: bool,
    /// Code as text, with C lines where the module has them
    #[arg(long)]
    disassemble: bool,
    /// Imports with what their arguments mean, and why
    #[arg(long)]
    contracts: bool,
    /// How often each opcode stands in the code and what it takes, and the largest functions
    #[arg(long)]
    stats: bool,
}

/// Runs the command.
pub fn run(args: &InspectArgs, reporter: Reporter) -> Exit {
    let name = args.file.display().to_string();
    let bytes = match files::read(&args.file) {
        Ok(bytes) => bytes,
        Err(diagnostic) => return reporter.refuse(&diagnostic),
    };
    let (bytes, _) = Seal::split(&bytes);
    let module = match verify(&name, bytes) {
        Ok(module) => module,
        Err(diagnostic) => return reporter.refuse(&diagnostic),
    };
    let nothing_asked = !(args.disassemble || args.contracts || args.stats);
    if args.sections || nothing_asked {
        show(reporter, sections_json(&module, bytes), || sections_text(&module, bytes));
    }
    if args.contracts {
        show_contracts(reporter, &module);
    }
    if args.disassemble {
        let listing = disassembler::module(&module);
        show(reporter, json!({ "reason": "disassembly", "text": listing }), || listing.clone());
    }
    if args.stats {
        show(reporter, census::object(&module), || census::text(&module));
    }
    Exit::Success
}

fn show(reporter: Reporter, object: Value, text: impl Fn() -> String) {
    if reporter.is_json() { reporter.object(&object) } else { reporter.bytes(text().as_bytes()) }
}

fn present(module: &Module<'_>) -> impl Iterator<Item = (SectionKind, usize)> {
    SectionKind::ALL.iter().map(|kind| (*kind, module.section(*kind).len())).filter(|(_, size)| *size > 0)
}

fn sections_json(module: &Module<'_>, bytes: &[u8]) -> Value {
    let sections: Vec<Value> = present(module)
        .map(|(kind, size)| json!({ "name": kind.name(), "offset": module.section_offset(kind), "bytes": size, "strippable": kind.is_strippable() }))
        .collect();
    let limits = module.limits();
    json!({
        "reason": "sections",
        "bytes": bytes.len(),
        "sections": sections,
        "memory": {
            "data": module.section(SectionKind::Data).len(),
            "bss": limits.bss,
            "stack": limits.stack,
            "shadow_stack": limits.shadow_stack,
            "heap_min": limits.heap_min,
            "heap_max": if limits.heap_max == u32::MAX { Value::Null } else { json!(limits.heap_max) },
        },
        "entry": limits.entry.map(|entry| disassembler::function_name(module, entry)),
        "exports": module.exports().map(|export| export.name).collect::<Vec<_>>(),
    })
}

fn sections_text(module: &Module<'_>, bytes: &[u8]) -> String {
    let mut text = format!("{:<12} {:>8} {:>8}\n", "section", "offset", "bytes");
    for (kind, size) in present(module) {
        text += &format!("{:<12} {:>8} {size:>8}\n", kind.name(), module.section_offset(kind));
    }
    text += &format!("{:<12} {:>8} {:>8}\n\n", "module", "", bytes.len());
    let limits = module.limits();
    let most = if limits.heap_max == u32::MAX { "what there is".to_string() } else { limits.heap_max.to_string() };
    text += &format!(
        "memory: data {} + bss {} + stack {} + heap {} to {most}; shadow stack {} a task\n",
        module.section(SectionKind::Data).len(),
        limits.bss,
        limits.stack,
        limits.heap_min,
        limits.shadow_stack
    );
    if let Some(entry) = limits.entry {
        text += &format!("entry: {}\n", disassembler::function_name(module, entry));
    }
    for export in module.exports() {
        text += &format!("export: {}\n", export.name);
    }
    text
}

/// The imports, explained as `espb build --explain` does; contracts that are none come first.
fn show_contracts(reporter: Reporter, module: &Module<'_>) {
    let (mut explained, mut malformed) = (Vec::new(), Vec::new());
    for one in explain_module(module) {
        match one {
            Ok(explanation) => explained.push(explanation),
            Err(fault) => malformed.push(fault),
        }
    }
    if reporter.is_json() {
        for Malformed { name, reason } in malformed {
            reporter.object(&json!({ "reason": "contract", "import": name, "malformed": reason }));
        }
        explain::objects(&explained).iter().for_each(|object| reporter.object(object));
    } else {
        for Malformed { name, reason } in malformed {
            reporter.bytes(format!("{name}: {reason}\n\n").as_bytes());
        }
        reporter.bytes(explain::text(&explained).as_bytes());
    }
}
