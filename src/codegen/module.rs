//! The sections of the module: tables, names, lines, limits.
//!
//! Must never hold: lowering; everything here is known when it starts.

use super::refusal::{Lowered, Refusal};
use super::statics::Statics;
use super::unit::Unit;
use super::{Body, ImportMeta, Options, missing};
use crate::diagnostic::{Diagnostic, Place};
use crate::ir::{FuncId, Module};
use espb_format::container::{Function, LINEAR_UNIT, Limits, NONE, SectionKind};
use espb_format::contract::push_record;
use espb_format::lines::LineTableBuilder;
use espb_format::signature::ValType;
use espb_format::writer::ModuleWriter;
use std::collections::BTreeSet;

/// Largest linear frame that a function record can hold, in bytes.
const MAX_LINEAR_FRAME: u32 = u16::MAX as u32 * LINEAR_UNIT;
/// Largest code offset that a function record can hold, in words.
const MAX_CODE: usize = (1 << 24) - 1;

/// Functions that the user named.
pub(super) struct Named {
    entry: Option<FuncId>,
    exports: Vec<(String, FuncId)>,
}

/// Everything that goes into the module.
pub(super) struct Parts<'a> {
    pub unit: &'a Unit<'a>,
    pub statics: &'a Statics,
    pub bodies: &'a [Body],
    pub metas: &'a [ImportMeta],
    pub named: &'a Named,
}

/// Finds entry and exports; what is missing becomes a diagnostic.
pub(super) fn named(module: &Module, options: &Options, diagnostics: &mut Vec<Diagnostic>) -> Option<Named> {
    let before = diagnostics.len();
    let defined = |name: &str| {
        let found = module
            .function_named(name)
            .filter(|id| module.function(*id).is_some_and(|function| !function.is_declaration()));
        found.ok_or_else(|| missing(name))
    };
    let mut resolve = |name: &str| defined(name).map_err(|diagnostic| diagnostics.push(diagnostic)).ok();
    let entry = options.entry.as_deref().and_then(&mut resolve);
    // In a module exports stand in the order of their names, each once.
    let names: BTreeSet<&String> = options.exports.iter().collect();
    let exports: Vec<(String, FuncId)> =
        names.into_iter().filter_map(|name| Some((name.clone(), resolve(name)?))).collect();
    if let Some(function) = entry.and_then(|id| module.function(id)) {
        let signature = super::abi::defined_signature(&module.types, &function.ty).ok();
        let fits = signature.is_some_and(|signature| {
            signature.param_count() <= 3
                && signature.params().all(|param| param == ValType::I32)
                && matches!(signature.result(), None | Some(ValType::I32))
        });
        if !fits {
            diagnostics.push(Diagnostic::error(
                "espb::codegen::entry_signature",
                format!("the entry {} has parameters or a result that it cannot have", function.name),
                Place::Function(function.name.clone()),
                "declare it as void or int, with no parameters or with (int argc, char *argv[], char *envp[])",
            ));
        }
    }
    (diagnostics.len() == before).then_some(Named { entry, exports })
}

/// A frame's size in whole units.
pub(super) fn linear_frame(bytes: u32) -> Lowered<u32> {
    Some(bytes).filter(|bytes| *bytes <= MAX_LINEAR_FRAME).map(|bytes| bytes.next_multiple_of(LINEAR_UNIT)).ok_or_else(
        || {
            Refusal::too_large(
                format!("local variables of {bytes} bytes"),
                "make them static, or allocate them with malloc",
            )
        },
    )
}

/// The names of imports and exports, in their order.
#[derive(Default)]
struct Strings {
    bytes: Vec<u8>,
}

impl Strings {
    fn add(&mut self, text: &str) -> Lowered<u16> {
        let offset = u16::try_from(self.bytes.len()).map_err(|_| {
            Refusal::too_large("more than 64 KiB of names of imports and exports", "export fewer functions")
        })?;
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        Ok(offset)
    }
}

/// Adds a record to `immeta` or `cbmeta` and gives the offset for the import's field.
fn add_record(section: &mut Vec<u8>, record: &[u8]) -> Lowered<u16> {
    let offset =
        push_record(section, record).map_err(|full| Refusal::too_large(full.to_string(), "import fewer functions"))?;
    Ok(offset.unwrap_or(NONE))
}

/// The bytes of the module.
pub(super) fn write(parts: &Parts<'_>, options: &Options) -> Lowered<Vec<u8>> {
    let mut writer = ModuleWriter::new();
    let mut strings = Strings::default();
    let (mut marshal, mut callbacks) = (Vec::new(), Vec::new());
    let tables = &parts.unit.tables;

    let mut imports = Vec::new();
    for (import, meta) in tables.imports().iter().zip(parts.metas) {
        let fields = [
            strings.add(&import.name)?,
            import.signature_index,
            add_record(&mut marshal, &meta.marshal)?,
            add_record(&mut callbacks, &meta.callbacks)?,
        ];
        imports.extend(fields.iter().flat_map(|field| field.to_le_bytes()));
    }
    let mut exports = Vec::new();
    for (name, id) in &parts.named.exports {
        let index = parts.unit.index(*id).unwrap_or(NONE);
        exports.extend([strings.add(name)?, index].iter().flat_map(|field| field.to_le_bytes()));
    }
    let mut code = Vec::new();
    let mut functions = Vec::new();
    let mut lines = LineTableBuilder::new();
    for body in parts.bodies {
        let start = code.len();
        if start + body.code.words.len() > MAX_CODE {
            return Err(Refusal::too_large("more than 64 MiB of code", "split the program into several modules"));
        }
        let record = Function {
            start: start as u32,
            slots: body.slots,
            signature: body.signature,
            linear_frame: body.linear_frame,
        };
        functions.extend(record.encode());
        code.extend_from_slice(&body.code.words);
        if !options.strip {
            write_lines(&mut lines, parts.unit.module, start as u32, body);
        }
    }
    let mut constructors: Vec<_> = parts.unit.module.constructors.iter().collect();
    constructors.sort_by_key(|constructor| constructor.priority);
    let limits = Limits {
        entry: parts.named.entry.and_then(|id| parts.unit.index(id)),
        bss: parts.statics.bss,
        stack: options.stack.checked_next_multiple_of(LINEAR_UNIT).unwrap_or(options.stack),
        shadow_stack: options.shadow_stack.checked_next_multiple_of(4).unwrap_or(options.shadow_stack),
        heap_min: options.heap_min,
        heap_max: options.heap_max.max(options.heap_min),
    };
    let total = parts.statics.data.len() as u64
        + [limits.bss, limits.stack, limits.shadow_stack, limits.heap_min].map(u64::from).iter().sum::<u64>();
    if total > u64::from(u32::MAX / 4) {
        return Err(Refusal::too_large(
            format!("a module with {total} bytes of memory"),
            "ask for less stack or heap, or make variables smaller",
        ));
    }
    writer
        .section(SectionKind::Limits, limits.encode().to_vec())
        .section(SectionKind::Signatures, tables.signatures().iter().flat_map(|signature| signature.encode()).collect())
        .section(SectionKind::Imports, imports)
        .section(SectionKind::Strings, strings.bytes)
        .section(SectionKind::Functions, functions)
        .section(SectionKind::Callbacks, tables.callbacks().iter().flat_map(|index| index.to_le_bytes()).collect())
        .section(
            SectionKind::Constructors,
            constructors
                .iter()
                .filter_map(|constructor| parts.unit.index(constructor.function))
                .flat_map(u16::to_le_bytes)
                .collect(),
        )
        .section(SectionKind::Exports, exports)
        .section(SectionKind::CallbackMeta, callbacks)
        .section(SectionKind::MarshalMeta, marshal)
        .section(SectionKind::Code, code.iter().flat_map(|word| word.to_le_bytes()).collect())
        .section(SectionKind::Constants, parts.statics.rodata.clone())
        .section(SectionKind::Data, parts.statics.data.clone())
        .section(
            SectionKind::Relocations,
            parts.statics.relocations.iter().flat_map(|relocation| relocation.encode().to_le_bytes()).collect(),
        );
    if let Some(record) = parts.statics.thread_local {
        writer.section(SectionKind::ThreadLocal, record.encode().to_vec());
    }
    if !options.strip {
        let names =
            parts.bodies.iter().flat_map(|body| body.name.bytes().filter(|byte| *byte != 0).chain([0])).collect();
        let evidence = parts.metas.iter().flat_map(|meta| meta.evidence.bytes()).collect();
        writer
            .section(SectionKind::Names, names)
            .section(SectionKind::Lines, lines.finish())
            .section(SectionKind::Evidence, evidence);
    }
    Ok(writer.finish())
}

fn write_lines(lines: &mut LineTableBuilder, module: &Module, start: u32, body: &Body) {
    for (word, location) in &body.code.lines {
        let place = location.and_then(|location| Some((module.files.get(location.file.0 as usize)?, location.line)));
        match place {
            Some((file, line)) => {
                let file = lines.file(&file.name);
                lines.row(start + word, file, line);
            }
            // Code without a place belongs to what stands before it, but not across functions.
            None if *word == 0 && body.code.lines.len() > 1 => {}
            None if *word == 0 => lines.row(start, 0, 0),
            None => {}
        }
    }
}
