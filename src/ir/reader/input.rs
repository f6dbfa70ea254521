//! One input: recognised, parsed and checked for the target.
//!
//! Must never hold: anything about several inputs, see `link`.

use super::super::llvm::{Context, Module};
use crate::diagnostic::{Diagnostic, Place};
use serde::{Deserialize, Serialize};

/// The triple and data layout that every input must have, those of clang's `--target=riscv32-esp-elf`.
pub(super) const TRIPLE: &str = "riscv32-esp-unknown-elf";
pub(super) const DATA_LAYOUT: &str = "e-m:e-p:32:32-i64:64-n32-S128";

const MAKE_IR: &str = "make it with `clang --target=riscv32-esp-elf -march=rv32imac -mabi=ilp32 -Os -g -c -emit-llvm`";

/// The bytes of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// What diagnostics call it.
    pub name: String,
    /// Its contents.
    pub bytes: Vec<u8>,
}

impl Input {
    fn place(&self) -> Place {
        Place::File(self.name.clone())
    }
}

/// Parses an input and checks that it is IR for this target.
pub(super) fn parse<'c>(
    context: &'c Context,
    input: &Input,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Module<'c>, Diagnostic> {
    let text = recognise(input)?;
    let parsed = context.parse(&input.bytes).or_else(|message| {
        // clang up to 18 writes `inrange` before an index of a constant getelementptr, which LLVM 19 no longer reads.
        match text.and_then(without_inrange) {
            Some(repaired) => context.parse(repaired.as_bytes()),
            None => Err(message),
        }
    });
    let mut module = parsed.map_err(|message| parse_error(input, &message, text.is_some()))?;
    for message in context.take_messages() {
        let help = "compile the source again with a current clang if this matters";
        warnings.push(Diagnostic::warning("espb::ir::llvm_warning", message.text, input.place(), help));
    }
    check_target(input, &mut module)?;
    module.verify().map_err(|message| {
        let first = message.lines().next().unwrap_or_default().to_owned();
        Diagnostic::error(
            "espb::ir::invalid",
            format!("the IR breaks LLVM's rules: {first}"),
            input.place(),
            "make the IR with a compiler, or check hand-written IR with `opt -passes=verify`",
        )
    })?;
    if !module.inline_asm().is_empty() {
        return Err(Diagnostic::error(
            "espb::ir::module_assembly",
            "the module has assembly outside functions, which has no meaning in a portable module",
            input.place(),
            "remove the file-level asm(\"…\") statement from the source",
        ));
    }
    // Text and bitcode of a program must give the same module.
    context.reread(module).map_err(|message| parse_error(input, &message, false))
}

/// The text of textual IR, `None` for bitcode, or what the file is instead.
fn recognise(input: &Input) -> Result<Option<&str>, Diagnostic> {
    let not_ir = |what: &str, help: String| {
        Err(Diagnostic::error(
            "espb::ir::not_ir",
            format!("{} is {what}, not LLVM IR", input.name),
            input.place(),
            help,
        ))
    };
    match input.bytes.as_slice() {
        [] => Err(Diagnostic::error(
            "espb::ir::empty_input",
            format!("{} is empty", input.name),
            input.place(),
            format!("the compiler may have failed; {MAKE_IR}"),
        )),
        // The two magic numbers of bitcode: raw, and the wrapper that some tools put around it.
        [b'B', b'C', 0xc0, 0xde, ..] | [0xde, 0xc0, 0x17, 0x0b, ..] => Ok(None),
        [0x7f, b'E', b'L', b'F', ..] => {
            not_ir("an object file or program", format!("add -emit-llvm to the compiler's options: {MAKE_IR}"))
        }
        [0, b'a', b's', b'm', ..] => not_ir("a WebAssembly module", MAKE_IR.to_owned()),
        [b'!', b'<', b'a', b'r', ..] => {
            not_ir("an archive", "extract its members with llvm-ar and pass each of them".to_owned())
        }
        bytes => match std::str::from_utf8(bytes) {
            Ok(text) if text.trim().is_empty() => Err(Diagnostic::error(
                "espb::ir::empty_input",
                format!("{} holds nothing but white space", input.name),
                input.place(),
                format!("the compiler may have failed; {MAKE_IR}"),
            )),
            Ok(text) if !text.contains('\0') => Ok(Some(text)),
            _ => not_ir("binary data", MAKE_IR.to_owned()),
        },
    }
}

/// Textual IR without the word `inrange` before indices, `None` if it has none.
fn without_inrange(text: &str) -> Option<String> {
    // Only the form before an index type: LLVM 19's own `inrange(a, b)` follows `getelementptr` and stays.
    let repaired = text.replace(", inrange i32 ", ", i32 ").replace(", inrange i64 ", ", i64 ");
    (repaired.len() != text.len()).then_some(repaired)
}

/// Translates LLVM's message, which starts with "input:LINE:COLUMN: error: " for text.
fn parse_error(input: &Input, message: &str, text: bool) -> Diagnostic {
    let first = message.lines().next().unwrap_or_default();
    let rest = first.strip_prefix(Context::BUFFER).and_then(|rest| rest.strip_prefix(':')).unwrap_or(first);
    let (position, reason) = rest.split_once("error: ").unwrap_or(("", rest));
    let mut numbers = position.split(':').map(|part| part.trim().parse::<u32>().ok());
    let (line, column) = (numbers.next().flatten(), numbers.next().flatten());
    if !text {
        return Diagnostic::error(
            "espb::ir::bitcode",
            format!("the bitcode cannot be read: {reason}"),
            input.place(),
            "the file is damaged, cut off or made by an LLVM newer than 22; compile the source again",
        );
    }
    let place = match line {
        // LLVM counts columns of SMDiagnostic from 1 in its printed form.
        Some(line) => Place::Line { file: input.name.clone(), line, column: column.unwrap_or(0) },
        None => input.place(),
    };
    if reason.contains("expected top-level entity") && !looks_like_ir(&input.bytes) {
        let message = format!("{} is text, but not LLVM IR", input.name);
        return Diagnostic::error("espb::ir::not_ir", message, place, MAKE_IR);
    }
    Diagnostic::error(
        "espb::ir::syntax",
        format!("syntax error in the IR text: {reason}"),
        place,
        "if another version of clang wrote this text, pass its bitcode (.bc, -c -emit-llvm), which LLVM upgrades",
    )
}

/// Whether a line starts as IR text does.
fn looks_like_ir(bytes: &[u8]) -> bool {
    const STARTS: [&[u8]; 6] = [b"source_filename", b"target ", b"define ", b"declare ", b"@", b"; ModuleID"];
    bytes.split(|&byte| byte == b'\n').any(|line| STARTS.iter().any(|start| line.starts_with(start)))
}

/// Refuses other targets; gives hand-written IR without any the right one.
fn check_target(input: &Input, module: &mut Module<'_>) -> Result<(), Diagnostic> {
    let (triple, layout) = (module.triple(), module.data_layout());
    let riscv32 = triple.starts_with("riscv32");
    if (triple.is_empty() || riscv32) && (layout.is_empty() || significant(&layout) == significant(DATA_LAYOUT)) {
        module.set_target(TRIPLE, DATA_LAYOUT);
        return Ok(());
    }
    let target = if triple.is_empty() { format!("data layout {layout}") } else { format!("target {triple}") };
    let reason = match pointer_bits(&layout) {
        Some(32) => format!("the IR is for {target}, whose memory layout is not that of an ESPB module"),
        Some(bits) => format!("the IR is for {target} with {bits}-bit pointers; an ESPB module has 32-bit pointers"),
        None => format!("the IR is for {target}; an ESPB module is made from IR for riscv32"),
    };
    let help = format!("one module runs on all chips, and its IR is always compiled for riscv32: {MAKE_IR}");
    Err(Diagnostic::error("espb::ir::wrong_target", reason, input.place(), help))
}

/// The parts of a data layout that decide sizes and offsets: not name mangling, native widths and stack alignment.
fn significant(layout: &str) -> Vec<&str> {
    let mut parts: Vec<&str> =
        layout.split('-').filter(|part| !part.starts_with(['m', 'n', 'S']) && !part.is_empty()).collect();
    parts.sort_unstable();
    parts
}

/// Pointer width of a data layout: 64 unless it says otherwise.
fn pointer_bits(layout: &str) -> Option<u32> {
    if layout.is_empty() {
        return None;
    }
    let pointer = layout.split('-').find_map(|part| part.strip_prefix("p:"));
    pointer.map_or(Some(64), |sizes| sizes.split(':').next()?.parse().ok())
}
