//! The disassembler: a module's code as text, one instruction a line. For tools; never on the chip.

use std::fmt::Write;
use std::string::{String, ToString};
use std::{format, vec::Vec};

use crate::container::{Module, SectionKind};
use crate::instruction::{Instruction, table_target};
use crate::lines;
use crate::opcode::Flow;
use crate::operand::Operand;
use crate::pair::Pair;

/// The listing of a whole module: each function with its frame, each instruction with its byte offset in the code section.
/// A `+` joins an instruction to the next one as a pair.
/// Where the module carries lines, a comment names the C line when it changes. What cannot be decoded is shown as `.word`.
pub fn module(module: &Module<'_>) -> String {
    (0..module.function_count()).map(|index| function(module, index as u16)).collect::<Vec<_>>().join("\n")
}

/// The listing of one function; empty where there is none with this index.
pub fn function(module: &Module<'_>, index: u16) -> String {
    let (Some(function), Some(end)) = (module.function(index), module.function_end(index)) else {
        return String::new();
    };
    let mut text = String::new();
    let signature = module.signature(function.signature);
    let params: Vec<&str> =
        signature.iter().flat_map(|signature| signature.params()).map(|param| param.name()).collect();
    let result = signature
        .and_then(|signature| signature.result())
        .map_or(String::new(), |result| format!(" -> {}", result.name()));
    let frame = match function.linear_frame {
        0 => String::new(),
        bytes => format!(", linear frame {bytes}"),
    };
    let _ = writeln!(
        text,
        "{}({}){result}: {} slots{frame}",
        function_name(module, index),
        params.join(", "),
        function.slots
    );
    let mut last_line = None;
    let mut at = function.start;
    while at < end {
        let line = lines::lookup(module.section(SectionKind::Lines), at);
        if line.is_some() && line != last_line {
            let _ = writeln!(
                text,
                "        ; {}",
                line.map_or(String::new(), |line| format!("{}:{}", line.file, line.line))
            );
            last_line = line;
        }
        at = instruction(module, at, end, &mut text);
    }
    text
}

/// The name of a function, or `function N` where the module was stripped.
pub fn function_name(module: &Module<'_>, index: u16) -> String {
    module.function_name(index).map_or_else(|| format!("function {index}"), str::to_string)
}

fn instruction(module: &Module<'_>, at: u32, end: u32, text: &mut String) -> u32 {
    let word = module.code_word(at).unwrap_or(0);
    let next = if at + 1 < end { module.code_word(at + 1) } else { None };
    let Ok(instruction) = Instruction::decode(word, next) else {
        let _ = writeln!(text, "  {:04x}  .word {word:#010x}", at * 4);
        return at + 1;
    };
    let operands: Vec<String> =
        instruction.operands().map(|(operand, value)| operand_text(module, operand, value, at)).collect();
    let joined = if Pair::from_byte(word as u8).is_some() { "+" } else { "" };
    let mnemonic = format!("{}{joined}", instruction.opcode.mnemonic());
    let line = format!("  {:04x}  {mnemonic:<9} {}", at * 4, operands.join(", "));
    let _ = writeln!(text, "{}", line.trim_end());
    if instruction.opcode.flow() != Flow::Switch {
        return at + instruction.words();
    }
    let after = (at + 1).saturating_add(instruction.operands[1] as u32).min(end);
    for entry in at + 1..after {
        let target = i64::from(at) + i64::from(table_target(module.code_word(entry).unwrap_or(0)));
        let _ = writeln!(text, "  {:04x}    {:>3} -> {:04x}", entry * 4, entry - at - 1, target * 4);
    }
    after
}

fn operand_text(module: &Module<'_>, operand: Operand, value: i64, at: u32) -> String {
    match operand {
        Operand::W32 | Operand::R32 | Operand::X32 => format!("r{value}"),
        Operand::W64 | Operand::R64 | Operand::X64 => format!("r{value}:{}", value + 1),
        Operand::Window => format!("w{value}"),
        Operand::Displacement(width) => format!("+{}", value * i64::from(width)),
        Operand::Stack(width) => format!("sp+{}", value * i64::from(width)),
        Operand::Static(width) => format!("ram+{}", value * i64::from(width)),
        Operand::StackAddress => format!("sp+{value}"),
        Operand::StaticAddress => format!("ram+{value}"),
        Operand::ConstantAddress => format!("ro+{value}"),
        Operand::ThreadLocalAddress => format!("tls+{value}"),
        Operand::Target8 | Operand::Target16 | Operand::Target24 => {
            format!("{:04x}", (i64::from(at) + value) * 4)
        }
        Operand::Function => function_name(module, value as u16),
        Operand::Import => {
            module.import(value as u16).map_or_else(|| format!("import {value}"), |import| import.name.to_string())
        }
        Operand::Callback => {
            let function = module.callback(value as u16);
            function
                .map_or_else(|| format!("callback {value}"), |function| format!("&{}", function_name(module, function)))
        }
        Operand::Signature => format!("signature {value}"),
        Operand::I8
        | Operand::U8
        | Operand::Shift32
        | Operand::Shift64
        | Operand::I16
        | Operand::I32
        | Operand::TableLength
        | Operand::TrapCode => value.to_string(),
    }
}
