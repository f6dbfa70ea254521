//! What a trap means in the user's source: the module's own names and lines, put to the positions that the device reports.

use espb_format::container::{Module, SectionKind};
use espb_format::disassembler::function_name;
use espb_format::lines::{self, SourceLine};

use super::client::Trap;
use crate::diagnostic::{Diagnostic, Place};

/// A position in the module with what its debug sections know about it.
struct Position<'m> {
    function: String,
    line: Option<SourceLine<'m>>,
    offset: u32,
}

/// The trap as a diagnostic at the C line, with the backtrace in its help.
pub fn diagnostic(trap: &Trap, module: &Module<'_>) -> Diagnostic {
    let positions: Vec<Position<'_>> =
        trap.backtrace.iter().map(|(function, word)| position(module, *function, *word)).collect();
    let place = match positions.first() {
        Some(Position { line: Some(line), .. }) => Place::Line { file: line.file.into(), line: line.line, column: 0 },
        Some(position) => Place::Function(position.function.clone()),
        None => Place::None,
    };
    let mut message = trap.reason.clone();
    if let Some(value) = trap.value {
        message += &format!(" ({value:#x})");
    }
    message += &format!(", in task `{}`", trap.task);
    let mut help = String::from("the module was stopped and everything it owned was taken back; it was here:");
    let mut depth = 0;
    for alike in positions.chunk_by(|one, other| one.offset == other.offset) {
        let Some(position) = alike.first() else { continue };
        let line =
            position.line.map_or_else(|| "no line known".to_string(), |line| format!("{}:{}", line.file, line.line));
        help += &format!("\n#{depth} {} at code offset {:#x} ({line})", position.function, position.offset);
        if alike.len() > 1 {
            help += &format!(", {} times", alike.len());
        }
        depth += alike.len();
    }
    Diagnostic::error("espb::run::trap", message, place, help)
}

fn position<'m>(module: &Module<'m>, function: u16, word: u32) -> Position<'m> {
    let line = lines::lookup(module.section(SectionKind::Lines), word);
    Position { function: function_name(module, function), line, offset: word * 4 }
}
